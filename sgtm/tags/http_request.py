"""HTTP request: sends an event to any HTTP endpoint, in the form that it expects.

The body is the event data as JSON, a JSON tree or a text or a form of your own with `{{Variables}}`
in it, or nothing. The secret, or an access token that is got and renewed with it, is put in when the
request is sent (`auth`), so it is never stored or shown. Success is judged by status and, if you say
so, by a value inside the JSON answer.

The host is fixed in the container: event data can fill the path, the query, headers and the body,
never choose where the request goes.

SPEC: requirements R105, R280, R303; reliability 3 (outbound rules 1, 5, 7).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from sgtm.authentication import AuthParameters, check_auth, credential_use
from sgtm.component import read_status, tag
from sgtm.errors import Problem
from sgtm.event import Event, read_key_path, undefined
from sgtm.messages import DONE, Outcome, OutgoingRequest, TagResult, VendorAnswer
from sgtm.protocols.outgoing_http import (
    check_headers,
    check_url,
    may_be_set,
    sent_text,
    texts_of,
    written_headers,
    written_url,
)


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


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What the struct alone cannot find: the host, plain http, headers, a body or secret left out."""
    return [
        *check_url(parameters.get("url"), f"{where}.url"),
        *check_headers(parameters.get("headers"), f"{where}.headers"),
        *_check_body(parameters, where),
        *check_auth(parameters, where),
        *_check_auth_key(parameters, where),
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
        url, body = written_url(parameters.url, parameters.query), _body(event, parameters.body)
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
        return "application/x-www-form-urlencoded", urlencode(texts_of(body.form)).encode()
    text = sent_text(body.text)
    return None if text is None else ("text/plain; charset=utf-8", text.encode())


def _headers(
    parameters: Parameters, content_type: str
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Headers that may go out, and a warning for each that may not (R280)."""
    wanted = texts_of(parameters.headers)
    if content_type and not any(name.lower() == "content-type" for name in wanted):
        wanted = {"Content-Type": parameters.content_type or content_type, **wanted}
    return written_headers(wanted)
