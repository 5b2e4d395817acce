"""Header pairs of a request: names in lower case, in wire order, as bytes.

What is no tuple of pairs of bytes is a TypeError.
"""

def find_header(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> bytes | None:
    """Value of the first header of exactly this name, or None."""

def header_text(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> str | None:
    """The same as text; invalid UTF-8 becomes U+FFFD."""

def headers_size(headers: tuple[tuple[bytes, bytes], ...]) -> int:
    """Bytes of all names and values together."""
