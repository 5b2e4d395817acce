"""What a tag sees of an event, and what happens to events before any trigger: allow, augment, exclude ..."""
