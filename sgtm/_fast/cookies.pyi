"""Cookies by name out of one `Cookie` header, as bytes.

SPEC: RFC 6265 4.2 and 5.4, read leniently: pairs end at `;`, the first `=` ends the name, spaces and
tabs around both are dropped, names are compared exactly. A pair without `=` has no name and is never
found. Values stay as they were sent: quotes are part of them, nothing is decoded. No bytes make
these functions raise.
"""

MAX_VALUES: int
"""No more values of one name are read from one header: a browser sends one per path and domain."""

def find_cookie(header: bytes, name: bytes) -> bytes | None:
    """First value of cookie `name`, or None. An empty name finds nothing."""

def find_cookies(header: bytes, name: bytes) -> list[bytes]:
    """All values of cookie `name` in the order of the header, at most `MAX_VALUES`."""

def first_values(headers: tuple[tuple[bytes, bytes], ...], names: tuple[bytes, ...]) -> list[str | None]:
    """First value of each of these cookies over all `Cookie` headers of a request (names of headers in lower
    case), invalid UTF-8 as U+FFFD."""
