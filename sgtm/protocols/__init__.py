"""Wire formats, both directions, pure: used by clients, tags and the demo."""
