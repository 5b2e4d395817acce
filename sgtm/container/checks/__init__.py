"""What a container means and should not, a file for each part of it. `check.py` runs them all."""
