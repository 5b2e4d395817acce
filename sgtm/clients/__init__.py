"""Clients: the first one that claims a request turns it into event data."""
