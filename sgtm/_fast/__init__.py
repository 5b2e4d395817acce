"""The compiled core. Imports nothing of the project; see README.md here."""
