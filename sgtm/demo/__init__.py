"""The stand-in for vendors, recorded hits, and the tour of `make run`."""
