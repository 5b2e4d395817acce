"""What may stand in an outgoing request: the address and the headers.

One rule for all who ask: `check` of a container, tags that build requests, the request writer. SPEC:
reliability 3, rules 1 and 7.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from sgtm.errors import Problem
from sgtm.event import number_text, undefined

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


@lru_cache(maxsize=256)
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


# -- what a container writes: checked before the first event -------------------------------------

_HEADERS_OF_SECRETS = frozenset({"authorization", "x-api-key", "api-key", "x-auth-token", "cookie"})


def check_url(url: Any, where: str) -> list[Problem]:
    """A host that is none or that an event would choose, and plain http to the outside."""
    if not isinstance(url, str):
        return []
    scheme, separator, rest = url.strip().partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not separator or "{{" in scheme or "{{" in authority:
        is_variable = "{{" in scheme or "{{" in authority
        what = "the host comes from a variable" if is_variable else "is no http or https address"
        mend = (
            "write scheme and host out, and a / before the first {{variable}}: https://api.example/{{path}}"
        )
        return [Problem("error", what, where, mend)]
    try:
        _, host, _ = read_origin(url.strip().partition("#")[0])
    except ValueError:
        mend = "write https://, a host in ASCII (xn--...) and no user or password"
        return [Problem("error", "is no http or https address of a host", where, mend)]
    if scheme.lower() == "http" and not _is_private(host):
        return [Problem("warning", "is sent without encryption", where, "use https")]
    return []


def _is_private(host: str) -> bool:
    """Hosts inside the house, where plain http is usual: a name without dots or a private address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_private
    except ValueError:
        return "." not in host or host.lower().endswith((".localhost", ".internal"))


def check_headers(headers: Any, where: str) -> list[Problem]:
    """Headers that are the sender's, and secrets that stand in the container."""
    names = [name for name in headers if isinstance(name, str)] if isinstance(headers, Mapping) else []
    refused = "remove it: names are tokens, and what belongs to the connection is the sender's"
    instead = (
        "write `auth: bearer` or `auth: header` with `secret: ${NAME}`: then no queue and no page holds it"
    )
    return [
        Problem("error", f"{name!r} is a header that cannot be set", where, refused)
        for name in names
        if not may_be_set(name)
    ] + [
        Problem("warning", f"{name!r} looks like a secret in the container", where, instead)
        for name in names
        if name.lower() in _HEADERS_OF_SECRETS
    ]


# -- and what an event makes of it ----------------------------------------------------------------

_URL_CHARACTERS = ":/?#[]@!$&'()*+,;=%"


def written_url(url: str, query: Mapping[str, Any]) -> str | None:
    """A URL with its query; what an event brought into it is percent-encoded. None: no fixed host."""
    url = quote(url.strip().partition("#")[0], safe=_URL_CHARACTERS)
    try:
        read_origin(url)
    except ValueError:
        return None
    pairs = urlencode(texts_of(query))
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{pairs}"


def written_headers(wanted: Mapping[str, str]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Headers that may go out, and a warning for each that may not (R280)."""
    headers: list[tuple[str, str]] = []
    warnings = []
    for name, value in wanted.items():
        if not may_be_set(name):
            warnings.append(f"header {name!r} cannot be set: left out")
        elif not value.isprintable():
            warnings.append(f"header {name!r} has a line break or another unprintable character: left out")
        else:
            headers.append((name, value.strip()))
    return tuple(headers), tuple(warnings)


def texts_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as text; undefined and null ones are left out."""
    texts = {name: sent_text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None}


def sent_text(value: Any) -> str | None:
    """A scalar as JavaScript writes it, a list or mapping as JSON; None for undefined and null."""
    if value is undefined or value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    return msgspec.json.encode(value).decode()
