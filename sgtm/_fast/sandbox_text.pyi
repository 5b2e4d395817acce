"""Methods of texts and numbers: Google's lists, and `startsWith`. SPEC: google-runtime 5.2."""

__all__ = ["names"]

def names() -> list[str]:
    """Names of the methods of a text."""
