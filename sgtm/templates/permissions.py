"""What a template may do (`___SERVER_PERMISSIONS___`), as data and as rules.

SPEC: sandbox-api 2. Where sources disagree about patterns, the lenient rule holds (google-runtime 8b, 2).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from msgspec import UNSET, Struct

from sgtm.javascript import text_of
from sgtm.patterns import Pattern, compile_pattern


class Permission(Struct, frozen=True):
    """One permission with its parameters."""

    name: str
    parameters: dict[str, Any] = {}


class Permissions(Struct, frozen=True):
    """All permissions of a template."""

    granted: dict[str, list[Permission]] = {}

    def allows(self, name: str, *asked: Any) -> bool:
        """Whether `queryPermission(name, …)` is true: configured, and its rule allows what is asked."""
        rule = _RULES.get(name)
        return any(rule is None or rule(one.parameters, asked) for one in self.granted.get(name, ()))


def typed_value(value: Any) -> Any:
    """The value of Google's typed form: `{"type": 1, "string": "a"}` is `a`. Raises ValueError."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == 1:
        return value.get("string", "")
    if kind == 2:
        return [typed_value(one) for one in value.get("listItem", [])]
    if kind == 3:
        keys = [typed_value(one) for one in value.get("mapKey", [])]
        return dict(zip(map(text_of, keys), map(typed_value, value.get("mapValue", [])), strict=False))
    if kind == 8:
        return bool(value.get("boolean", False))
    raise ValueError(f"a value of an unknown type {kind!r:.40}")


# -- rules -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> Pattern:
    return compile_pattern(f"^{'.*'.join(map(re.escape, pattern.split('*')))}$")


def url_allowed(patterns: list[str], url: str) -> bool:
    """A pattern that ends in `/` allows everything below it, `*` is any text, else the URL without its
    query must be the same."""
    if len(url) > _MAX_URL:
        return False
    bare = re.split("[?#]", url, maxsplit=1)[0]
    for pattern in patterns:
        whole = pattern + "*" if pattern.endswith("/") else pattern
        if _glob(whole).matches(url) or _glob(whole).matches(bare):
            return True
    return False


_MAX_URL = 8_192


def key_allowed(patterns: list[str], key: str) -> bool:
    """`a.*` allows `a` and everything below."""
    return any(
        key == pattern or (pattern.endswith("*") and (key + ".").startswith(pattern.rstrip("*")))
        for pattern in patterns
    )


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _event_data(parameters: dict[str, Any], asked: tuple[Any, ...]) -> bool:
    if parameters.get("eventDataAccess") == "any":
        return True
    return bool(asked) and key_allowed(_texts(parameters.get("keyPatterns")), text_of(asked[0]))


def _urls(parameters: dict[str, Any], asked: tuple[Any, ...]) -> bool:
    if not asked or not text_of(asked[0]).lower().startswith("https://"):
        return False
    return parameters.get("allowedUrls") == "any" or url_allowed(
        _texts(parameters.get("urls")), text_of(asked[0])
    )


def _cookie(parameters: dict[str, Any], asked: tuple[Any, ...]) -> bool:
    if parameters.get("cookieAccess") == "any":
        return True
    return bool(asked) and text_of(asked[0]) in _texts(parameters.get("cookieNames"))


def _set_cookie(parameters: dict[str, Any], asked: tuple[Any, ...]) -> bool:
    options = asked[1] if len(asked) > 1 and isinstance(asked[1], dict) else {}
    rows = parameters.get("allowedCookies")
    return bool(asked) and any(
        isinstance(row, dict)
        and row.get("name", "*") in ("*", text_of(asked[0]))
        and all(row.get(key, "*") in ("*", text_of(options.get(key, ""))) for key in ("domain", "path"))
        for row in (rows if isinstance(rows, list) else [])
    )


_REQUEST_PARTS = {
    "header": ("headersAllowed", "headerAccess", "headerWhitelist", "headerName"),
    "query": (
        "queryParametersAllowed",
        "queryParameterAccess",
        "queryParameterWhitelist",
        "queryParameter",
    ),
}


def _request(parameters: dict[str, Any], asked: tuple[Any, ...]) -> bool:
    if parameters.get("requestAccess") == "any":
        return True
    part = text_of(asked[0]) if asked else ""
    part = {"query_parameter": "query", "queryParameter": "query", "remote_address": "remoteAddress"}.get(
        part, part
    )
    if part not in _REQUEST_PARTS:
        return parameters.get(f"{part}Allowed") is True or parameters.get(f"{part}Access") == "any"
    return _listed(parameters, _REQUEST_PARTS[part], asked[1] if len(asked) > 1 else UNSET)


def _listed(parameters: dict[str, Any], keys: tuple[str, str, str, str], name: Any) -> bool:
    allowed, access, whitelist, member = keys
    if parameters.get(allowed) is False:
        return False
    if parameters.get(access) == "any":
        return True
    rows = parameters.get(whitelist)
    names = [row.get(member) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return name is not UNSET and text_of(name).lower() in [str(one).lower() for one in names]


def _response(parameters: dict[str, Any], asked: tuple[Any, ...]) -> bool:
    if parameters.get("writeResponseAccess") == "any":
        return True
    part = text_of(asked[1]) if len(asked) > 1 else text_of(asked[0]) if asked else ""
    if part == "header":
        keys = ("writeHeadersAllowed", "writeHeaderAccess", "writeHeaderWhitelist", "headerName")
        return _listed(parameters, keys, asked[2] if len(asked) > 2 else UNSET)
    title = part.capitalize()
    return parameters.get(f"write{title}Allowed") is True or parameters.get(f"write{title}Access") == "any"


_RULES: dict[str, Callable[[dict[str, Any], tuple[Any, ...]], bool]] = {
    "read_event_data": _event_data,
    "send_http": _urls,
    "send_pixel_from_browser": _urls,
    "get_cookies": _cookie,
    "set_cookies": _set_cookie,
    "read_request": _request,
    "access_response": _response,
}
