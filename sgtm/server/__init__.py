"""Accept a request, answer it."""
