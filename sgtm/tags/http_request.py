"""HTTP request: sends an event to any HTTP endpoint, in the form that it expects.

The body is the event data as JSON, a JSON tree or a text or a form of your own with `{{Variables}}`
in it, or nothing. The secret, or an access token that is got and renewed with it, is put in when the
request is sent (`auth`), so it is never stored or shown. Success is judged by status and, if you say
so, by a value inside the JSON answer.

The host is fixed in the container: event data can fill the path, the query, headers and the body,
never choose where the request goes.

SPEC: requirements R105, R280, R303; reliability 3 (outbound rules 1, 5, 7).
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from sgtm.component import read_status, tag
from sgtm.errors import Problem
from sgtm.event import Event, number_text, read_key_path, undefined
from sgtm.messages import DONE, Outcome, OutgoingRequest, TagResult, VendorAnswer
from sgtm.protocols.outgoing_http import may_be_set, read_origin
from sgtm.tags._auth import AuthParameters, check_auth, credential_use

_URL_CHARACTERS = ":/?#[]@!$&'()*+,;=%"


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """A body of your own; exactly one of the three. One that is undefined for an event sends nothing."""

    json: Annotated[Any, Meta(description="Any tree of values, sent as JSON.")] = UNSET
    text: Annotated[Any, Meta(description="A text, sent as it is.")] = UNSET
    form: Annotated[
        dict[str, Any] | UnsetType,
        Meta(description="Names and values, encoded as browsers do; undefined ones are left out."),
    ] = UNSET


class Parameters(AuthParameters, Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent where, and what counts as success."""

    url: Annotated[
        str,
        Meta(
            description="Address of the endpoint. The host is written out; `{{Variables}}` may follow it.",
            examples=["https://api.example/v1/events"],
        ),
    ]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"], Meta(description="Method of the request.")
    ] = "POST"
    query: Annotated[
        dict[str, Any],
        Meta(description="Query parameters that are added to the URL, encoded; undefined ones are left out."),
    ] = {}
    headers: Annotated[
        dict[str, Any],
        Meta(
            description="Headers; undefined ones are left out, and values with a line break, with a warning."
        ),
    ] = {}
    body: Annotated[
        Literal["event_data", "none"] | Body,
        Meta(
            description="The event data as JSON, or no body, or one of your own: `{json: ...}`, "
            "`{text: ...}` or `{form: ...}`.",
            examples=["event_data", {"json": {"order": "{{Order number}}"}}],
        ),
    ] = "event_data"
    content_type: Annotated[str, Meta(description="Content-Type of the body; empty: what fits the body.")] = (
        ""
    )
    success_statuses: Annotated[
        tuple[Annotated[int, Meta(ge=100, le=599)], ...],
        Meta(description="Statuses that count as success; empty: every 2xx."),
    ] = ()
    success_path: Annotated[
        str,
        Meta(
            description="Key path in the JSON answer that must equal `success_equals`.",
            examples=["result.ok"],
        ),
    ] = ""
    success_equals: Annotated[Any, Meta(description="Value that `success_path` has on success.")] = True


# -- check -------------------------------------------------------------------------------------


_HEADERS_OF_SECRETS = frozenset({"authorization", "x-api-key", "api-key", "x-auth-token", "cookie"})


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What the struct alone cannot find: the host, plain http, headers, a body or secret left out."""
    return [
        *_check_url(parameters.get("url"), f"{where}.url"),
        *_check_headers(parameters.get("headers"), f"{where}.headers"),
        *_check_body(parameters, where),
        *check_auth(parameters, where),
        *_check_auth_key(parameters, where),
    ]


def _check_url(url: Any, where: str) -> list[Problem]:
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


def _check_headers(headers: Any, where: str) -> list[Problem]:
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


def _check_body(parameters: dict[str, Any], where: str) -> list[Problem]:
    body = parameters.get("body", "event_data")
    problems = []
    if isinstance(body, Mapping) and len(body) != 1:
        mend = "write one of json, text and form"
        problems.append(Problem("error", "is not exactly one body", f"{where}.body", mend))
    if parameters.get("method") == "GET" and body != "none":
        mend = "write `body: none` and send values in `query`"
        problems.append(Problem("warning", "many servers ignore the body of a GET", where, mend))
    return problems


def _check_auth_key(parameters: dict[str, Any], where: str) -> list[Problem]:
    key = parameters.get("auth_key")
    if parameters.get("auth") != "header" or not key or may_be_set(str(key)):
        return []
    mend = "name a header that is yours to set"
    return [Problem("error", "is a header that cannot be set", f"{where}.auth_key", mend)]


# -- build -------------------------------------------------------------------------------------


class SuccessRule(Struct, frozen=True, omit_defaults=True):
    """What `read` must know of the parameters; travels with the request."""

    statuses: tuple[int, ...] = ()
    path: str = ""
    equals: Any = True


def read(answer: VendorAnswer, requests: Sequence[OutgoingRequest]) -> Outcome:
    """Success by status and body (R303); what is no success by status follows the plain rule."""
    said = requests[0].success_rule if requests else b""
    rule = msgspec.json.decode(said, type=SuccessRule) if said else SuccessRule()
    if rule.statuses and answer.status not in rule.statuses:
        outcome = read_status(answer, requests)
        return Outcome("dead", f"HTTP {answer.status}") if outcome.kind == "done" else outcome
    if not rule.statuses and not 200 <= answer.status < 300:
        return read_status(answer, requests)
    if rule.path and not _says_success(answer.body, rule):
        return Outcome("dead", f"HTTP {answer.status}, and what stands at success_path is not success_equals")
    return DONE


def _says_success(body: bytes, rule: SuccessRule) -> bool:
    try:
        value = read_key_path(msgspec.json.decode(body), rule.path)
    except (ValueError, RecursionError):
        return False
    return bool(value == rule.equals) and isinstance(value, bool) == isinstance(rule.equals, bool)


@tag(
    "http_request",
    hosts=("oauth2.googleapis.com",),  # of `auth: google_service_account`
    consent=("ad_storage", "analytics_storage", "ad_user_data"),
    check=check,
    read=read,
)
def build(event: Event, parameters: Parameters) -> TagResult:
    """An event to any HTTP endpoint, with a body, headers and a success rule of your own."""
    try:
        url, body = _target(parameters), _body(event, parameters.body)
        headers, warnings = _headers(parameters, body[0] if body else "")
    except (TypeError, ValueError, RecursionError):
        return TagResult(sends_nothing_because="the request cannot be written from this event")
    if url is None:
        return TagResult(sends_nothing_because="the URL has no host")
    if body is None:
        return TagResult(sends_nothing_because="the body is undefined")
    rule = SuccessRule(parameters.success_statuses, parameters.success_path, parameters.success_equals)
    request = OutgoingRequest(
        parameters.method,
        url,
        headers,
        body[1],
        credential_use(parameters),
        success_rule=b"" if rule == SuccessRule() else msgspec.json.encode(rule),
    )
    return TagResult((request,), warnings=warnings)


def _target(parameters: Parameters) -> str | None:
    """The URL with its query; what an event brought into it is percent-encoded. None: no fixed host."""
    url = quote(parameters.url.strip().partition("#")[0], safe=_URL_CHARACTERS)
    try:
        read_origin(url)
    except ValueError:
        return None
    pairs = urlencode(_texts(parameters.query))
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{pairs}"


def _body(event: Event, body: Literal["event_data", "none"] | Body) -> tuple[str, bytes] | None:
    """Content-Type and bytes of the body, both empty without one; None where it is undefined."""
    if body == "none":
        return "", b""
    if body == "event_data":
        return "application/json", msgspec.json.encode(event.data)
    if not isinstance(body, Body):
        return None
    if body.json is not undefined:
        return "application/json", msgspec.json.encode(body.json)
    if isinstance(body.form, dict):
        return "application/x-www-form-urlencoded", urlencode(_texts(body.form)).encode()
    text = _text(body.text)
    return None if text is None else ("text/plain; charset=utf-8", text.encode())


def _headers(
    parameters: Parameters, content_type: str
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Headers that may go out, and a warning for each that may not (R280)."""
    headers: list[tuple[str, str]] = []
    warnings = []
    wanted = _texts(parameters.headers)
    if content_type and not any(name.lower() == "content-type" for name in wanted):
        wanted = {"Content-Type": parameters.content_type or content_type, **wanted}
    for name, value in wanted.items():
        if not may_be_set(name):
            warnings.append(f"header {name!r} cannot be set: left out")
        elif not value.isprintable():
            warnings.append(f"header {name!r} has a line break or another unprintable character: left out")
        else:
            headers.append((name, value.strip()))
    return tuple(headers), tuple(warnings)


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Values as text; undefined and null ones are left out."""
    texts = {name: _text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _text(value: Any) -> str | None:
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
