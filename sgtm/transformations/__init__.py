"""Transformations shape what a tag sees of an event; preparations what triggers and tags see.

One file each: `transform(event, parameters)` gives new event data and leaves those that it was given
alone. When they apply, and to which tags, says the container.
"""
