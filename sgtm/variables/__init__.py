"""Variables: named values, resolved lazily, once per event and view."""
