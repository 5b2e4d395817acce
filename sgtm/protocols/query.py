"""The query string of a request as names and values: what forms and links mean by it.

SPEC: sandbox-api 1.1 (getRequestQueryParameter: decoded, first value of a repeat), ga4-protocol 1.1
(`+` is a space, invalid UTF-8 and broken escapes never fail).
"""

from urllib.parse import unquote_plus

MAX_PARAMETERS = 1000
"""What follows in one query string is not read."""


def read_query(query: bytes) -> dict[str, str]:
    """Parameters in wire order, decoded; the first value of a repeated name. Never raises.

    Invalid UTF-8 becomes U+FFFD, a broken escape stays as it is, a name without `=` has the value ""."""
    return {name: values[0] for name, values in read_query_lists(query).items()}


def read_query_lists(query: bytes) -> dict[str, list[str]]:
    """The same with all values of each name."""
    values: dict[str, list[str]] = {}
    for pair in query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition(b"=")
        if name:
            values.setdefault(_decode(name), []).append(_decode(value))
    return values


def _decode(text: bytes) -> str:
    return unquote_plus(text.decode("utf-8", "replace"))
