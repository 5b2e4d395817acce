"""Methods of lists, objects and promises: Google's lists. SPEC: google-runtime 5.2."""

__all__ = ["names"]

def names() -> list[str]:
    """Names of the methods of a list."""
