"""What may stand in an outgoing request: the address and the headers.

One rule for all who ask: `check` of a container, tags that build requests, the request writer. SPEC:
reliability 3, rules 1 and 7.
"""

import re

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A method or a header name (RFC 9110, 5.6.2)."""

SENDERS_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"}
    | {"keep-alive", "forwarded"}
)
"""Headers that only the sender writes, as every `Proxy-` header."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(https?)://((?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\])(?::([0-9]{{1,5}}))?)(?=[/?]|\Z)", re.I
)
"""No host that can be none: an empty label or one of 64 characters would look like a passing failure."""


def may_be_set(name: str) -> bool:
    """Whether a container, a template or an event may name a header so."""
    lower = name.lower()
    return (
        TOKEN.fullmatch(name) is not None and lower not in SENDERS_HEADERS and not lower.startswith("proxy-")
    )


def read_origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an absolute http or https URL, in lower case. Raises ValueError.

    No user info, no fragment, host names in ASCII (an international name as punycode)."""
    match = _ORIGIN.match(url)
    if match is None or "#" in url:
        raise ValueError("not an absolute http or https URL")
    scheme, authority, port = match[1].lower(), match[2].lower(), match[3]
    number = int(port) if port else (443 if scheme == "https" else 80)
    if not 0 < number < 65_536:
        raise ValueError("not a port")
    return scheme, authority.removesuffix(f":{port}") if port else authority, number
