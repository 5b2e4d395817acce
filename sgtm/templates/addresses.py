"""`parseUrl` and `computeEffectiveTldPlusOne` (SPEC: sandbox-api 1.5)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import ada_url

from sgtm.cookies import registrable_domain

MAX_URL = 1 << 16
"""Characters of an address that is parsed; a longer one is none."""
_PARTS = (
    "href",
    "origin",
    "protocol",
    "username",
    "password",
    "host",
    "hostname",
    "port",
    "pathname",
    "search",
)


@lru_cache(maxsize=512)
def parsed_url(text: str) -> dict[str, Any] | None:
    """The parts of an absolute URL as WHATWG's parser has them; None for what is none. Copy it before
    you hand it to a script: it is kept."""
    if len(text) > MAX_URL:
        return None
    try:
        parts: Mapping[str, Any] = ada_url.parse_url(text.encode("utf-8", "replace").decode())
    except ValueError:
        return None
    result: dict[str, Any] = {name: parts[name] for name in _PARTS}
    result["searchParams"] = _parameters(parts["search"])
    result["hash"] = parts["hash"]
    return result


def _parameters(search: str) -> dict[str, Any]:
    """Names and values, decoded; a name that is repeated has a list."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(search[1:], keep_blank_values=True, errors="replace"):
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def registrable_domain_of(text: str) -> str:
    """Public suffix plus one label, of a domain or a URL; empty where there is none."""
    if len(text) > MAX_URL:
        return ""
    if "://" in text:
        parsed = parsed_url(text)
        host = parsed["hostname"] if parsed else ""
    else:
        host = text.partition("/")[0].partition(":")[0]
    return registrable_domain(host.strip(".")) or ""
