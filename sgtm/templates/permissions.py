"""What a template may do (`___SERVER_PERMISSIONS___`), as data and as rules.

SPEC: sandbox-api 2. Where sources disagree about patterns, the lenient rule holds (google-runtime 8b, 2).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import ada_url
from msgspec import UNSET, Struct

from sgtm._fast.sandbox_apis import Memory
from sgtm.javascript import text_of
from sgtm.messages import may_carry_secrets
from sgtm.patterns import Pattern, Test, compile_pattern


class Permission(Struct, frozen=True):
    """One permission with its parameters."""

    name: str
    parameters: dict[str, Any] = {}


Asked = tuple[Any, ...]
"""What `queryPermission` is asked after the permission's name."""
Rule = Callable[[Asked], bool]


class Permissions:
    """All permissions of a template."""

    def __init__(self, granted: dict[str, list[Permission]] | None = None) -> None:
        self.granted = granted or {}
        self.memory = Memory()
        """What APIs remember of names and addresses that were allowed."""
        self._rules = {name: _rule(name, many) for name, many in self.granted.items() if many}
        """PERF: what a rule reads of its parameters is read once, since templates ask for each call."""

    def allows(self, name: str, *asked: Any) -> bool:
        """Whether `queryPermission(name, …)` is true: configured, and its rule allows what is asked."""
        rule = self._rules.get(name)
        return rule is not None and rule(asked)


def _rule(name: str, granted: list[Permission]) -> Rule:
    make = _RULES.get(name)
    if make is None:
        return _always
    rules = [make(one.parameters) for one in granted]
    return rules[0] if len(rules) == 1 else lambda asked: any(rule(asked) for rule in rules)


def _always(asked: Asked) -> bool:
    return True


def _plain(rule: Callable[[dict[str, Any], Asked], bool]) -> Callable[[dict[str, Any]], Rule]:
    return lambda parameters: partial(rule, parameters)


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
    query must be the same.

    Scheme and host are compared apart from the rest, as the sender will read them: nothing of a path, a
    user or a query passes for a host (SPEC: reliability 4.3, 21)."""
    parts = url_parts(url)
    return parts is not None and any(_covers(pattern, parts) for pattern in patterns)


@lru_cache(maxsize=256)
def url_parts(url: str) -> tuple[str, str, str] | None:
    """(scheme, host with its port if that is not the usual one, path and query) of an http or https URL;
    None for what is none, and for one with a user or a password."""
    if len(url) > MAX_URL:
        return None
    try:
        parts: Mapping[str, Any] = ada_url.parse_url(url.encode("utf-8", "replace").decode(), _PARTS)
    except ValueError:
        return None
    if parts["protocol"] not in ("http:", "https:") or parts["username"] or parts["password"]:
        return None
    return parts["protocol"][:-1], parts["host"], parts["pathname"] + parts["search"]


def _covers(pattern: str, parts: tuple[str, str, str]) -> bool:
    scheme, separator, rest = pattern.partition("://")
    if not separator:
        return pattern == "*" and parts[0] == "https"
    if scheme.lower() != parts[0]:
        return False
    host, path = _host_and_path(rest)
    return host(parts[1]) and (path(parts[2]) or path(parts[2].partition("?")[0]))


@lru_cache(maxsize=1024)
def _host_and_path(pattern: str) -> tuple[Test, Test]:
    """What stands behind `://` of a pattern, as tests of a host and of a path."""
    host, slash, path = pattern.partition("/")
    whole = path + "*" if path.endswith("/") or not path else path
    if not slash:  # `https://*`: any path; `https://example.com`: only the bare host
        whole = "*" if host.endswith("*") else ""
    return _glob(host.lower()).matches, _any_path if whole == "*" else _glob("/" + whole).matches


def _any_path(path: str) -> bool:
    return path.startswith("/")


_PARTS = ("protocol", "username", "password", "host", "pathname", "search")
MAX_URL = 8_192
"""Characters of an address that a template may send to."""


def key_allowed(patterns: list[str], key: str) -> bool:
    """`a.*` allows `a` and everything below."""
    return any(
        key == pattern or (pattern.endswith("*") and (key + ".").startswith(pattern.rstrip("*")))
        for pattern in patterns
    )


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _event_data(parameters: dict[str, Any]) -> Rule:
    if parameters.get("eventDataAccess") == "any":
        return _always
    patterns = _texts(parameters.get("keyPatterns"))
    return lambda asked: bool(asked) and key_allowed(patterns, text_of(asked[0]))


def _urls(parameters: dict[str, Any], asked: Asked) -> bool:
    """Where `any` is allowed, that is any https address (google-runtime 5.4), and http on this machine."""
    url = text_of(asked[0]) if asked else ""
    if parameters.get("allowGoogleDomains") is True and google_domain(url):
        return True
    if parameters.get("allowedUrls") == "any":
        parts = url_parts(url)
        return parts is not None and (parts[0] == "https" or may_carry_secrets(url))
    return url_allowed(_texts(parameters.get("urls")), url)


_GOOGLE = (".google-analytics.com", ".googletagmanager.com", ".googleapis.com", ".google.com")
_GOOGLE_LATER = (".doubleclick.net", ".googleadservices.com", ".googlesyndication.com")


def google_domain(url: str) -> bool:
    """Whether this is an https address of Google's."""
    parts = url_parts(url)
    return parts is not None and parts[0] == "https" and f".{parts[1]}".endswith(_GOOGLE + _GOOGLE_LATER)


def _pixel(parameters: dict[str, Any], asked: Asked) -> bool:
    return bool(asked) and text_of(asked[0]).lower().startswith("https://") and _urls(parameters, asked)


def _cookie(parameters: dict[str, Any]) -> Rule:
    if parameters.get("cookieAccess") == "any":
        return _always
    names = frozenset(_texts(parameters.get("cookieNames")))
    return lambda asked: bool(asked) and text_of(asked[0]) in names


def _set_cookie(parameters: dict[str, Any], asked: Asked) -> bool:
    options = asked[1] if len(asked) > 1 and isinstance(asked[1], dict) else {}
    return bool(asked) and any(
        row.get("name", "*") in ("*", text_of(asked[0]))
        and _covers_option(row, options, "domain")
        and _covers_option(row, options, "path")
        and row.get("secure", "any") in ("any", "secure" if _is_on(options.get("secure")) else "non_secure")
        and row.get("session", "any") in ("any", "non_session" if _lasts(options) else "session")
        for row in _rows(parameters.get("allowedCookies"))
    )


def _covers_option(row: dict[str, Any], options: dict[str, Any], key: str) -> bool:
    allowed = row.get(key, "*")
    return allowed in ("*", text_of(options.get(key, "")))


def _is_on(value: Any) -> bool:
    return value is True or value == "true"


def _lasts(options: dict[str, Any]) -> bool:
    return any(options.get(key, UNSET) not in (UNSET, None, "") for key in ("max-age", "expires"))


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


_REQUEST_PARTS = {
    "header": ("headersAllowed", "headerAccess", "headerWhitelist", "headerName"),
    "query": (
        "queryParametersAllowed",
        "queryParameterAccess",
        "queryParameterWhitelist",
        "queryParameter",
    ),
}


_PART_NAMES = {"query_parameter": "query", "queryParameter": "query", "remote_address": "remoteAddress"}
"""Other names of parts of a request."""


def _request(parameters: dict[str, Any]) -> Rule:
    if parameters.get("requestAccess") == "any":
        return _always
    listed = {part: _listed(parameters, keys) for part, keys in _REQUEST_PARTS.items()}

    def rule(asked: Asked) -> bool:
        part = text_of(asked[0]) if asked else ""
        part = _PART_NAMES.get(part, part)
        if part in listed:
            return listed[part](asked[1] if len(asked) > 1 else UNSET)
        if part == "method":  # no parameter of the permission is about it
            return True
        return parameters.get(f"{part}Allowed") is True or parameters.get(f"{part}Access") == "any"

    return rule


def _listed(parameters: dict[str, Any], keys: tuple[str, str, str, str]) -> Callable[[Any], bool]:
    """Whether a name is among those of a list, as a function."""
    allowed, access, whitelist, member = keys
    if parameters.get(allowed) is False:
        return lambda name: False
    if parameters.get(access) == "any":
        return lambda name: True
    names = frozenset(str(row.get(member)).lower() for row in _rows(parameters.get(whitelist)))
    return lambda name: name is not UNSET and text_of(name).lower() in names


def _response(parameters: dict[str, Any], asked: Asked) -> bool:
    if parameters.get("writeResponseAccess") == "any":
        return True
    part = text_of(asked[1]) if len(asked) > 1 else text_of(asked[0]) if asked else ""
    if part == "header":
        keys = ("writeHeadersAllowed", "writeHeaderAccess", "writeHeaderWhitelist", "headerName")
        return _listed(parameters, keys)(asked[2] if len(asked) > 2 else UNSET)
    title = part.capitalize()
    return parameters.get(f"write{title}Allowed") is True or parameters.get(f"write{title}Access") == "any"


def _logging(parameters: dict[str, Any], asked: Asked) -> bool:
    """`debug` allows it while somebody previews or debugs; asked is whether that is so."""
    return parameters.get("environments") != "debug" or asked[:1] == (True,)


def _message(parameters: dict[str, Any], asked: Asked) -> bool:
    """Asked are `listen` or `send`, and the type."""
    if parameters.get("allowedActions") == "any":
        return True
    action, kind = (text_of(one) for one in (*asked, "", "")[:2])
    return any(
        row.get("type") in ("*", kind) and action in text_of(row.get("action", "")).split("_and_")
        for row in _rows(parameters.get("messageTypes"))
    )


def _google_credentials(parameters: dict[str, Any], asked: Asked) -> bool:
    """Every scope that is asked for is listed."""
    scopes = asked[0] if asked and isinstance(asked[0], list) else list(asked)
    return bool(scopes) and set(map(text_of, scopes)) <= set(_texts(parameters.get("allowedScopes")))


def _firestore(parameters: dict[str, Any], asked: Asked) -> bool:
    """Asked are `read`, `write` or `read_write`, and `{projectId, path}`; a path may have `*` in it."""
    operation, options = _operation(asked)
    wanted = {"read", "write"} if operation == "read_write" else {operation}
    return any(
        wanted <= set(text_of(row.get("operation", "")).split("_"))
        and _project_covers(row.get("projectId", "*"), options)
        and _glob(text_of(row.get("path", "*"))).matches(text_of(options.get("path", "")))
        and row.get("databaseId", "*") in ("*", "", "(default)")
        for row in _rows(parameters.get("allowedOptions"))
    )


def _bigquery(parameters: dict[str, Any], asked: Asked) -> bool:
    """Asked are `write` and `{projectId, datasetId, tableId}`."""
    operation, options = _operation(asked)
    return any(
        row.get("operation") == operation
        and _project_covers(row.get("projectId", "*"), options)
        and _covers_option(row, options, "datasetId")
        and _covers_option(row, options, "tableId")
        for row in _rows(parameters.get("allowedTables"))
    )


def _operation(asked: Asked) -> tuple[str, dict[str, Any]]:
    options = asked[1] if len(asked) > 1 and isinstance(asked[1], dict) else {}
    return (text_of(asked[0]) if asked else ""), options


def _project_covers(row: Any, options: dict[str, Any]) -> bool:
    """`GOOGLE_CLOUD_PROJECT` in a row is the project that is taken where a call names none."""
    project = options.get("projectId", UNSET)
    if project in (UNSET, None, ""):
        return row in ("*", "GOOGLE_CLOUD_PROJECT")
    return row in ("*", text_of(project))


def _keys(parameters: dict[str, Any], asked: Asked) -> bool:
    return bool(asked) and text_of(asked[0]) in _texts(parameters.get("keyIds"))


_RULES: dict[str, Callable[[dict[str, Any]], Rule]] = {
    "read_event_data": _event_data,
    "send_http": _plain(_urls),
    "send_pixel_from_browser": _plain(_pixel),
    "get_cookies": _cookie,
    "set_cookies": _plain(_set_cookie),
    "read_request": _request,
    "access_response": _plain(_response),
    "logging": _plain(_logging),
    "use_message": _plain(_message),
    "use_google_credentials": _plain(_google_credentials),
    "access_firestore": _plain(_firestore),
    "access_bigquery": _plain(_bigquery),
    "use_custom_private_keys": _plain(_keys),
}
