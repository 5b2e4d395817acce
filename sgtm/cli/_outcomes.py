"""What followed from a test's input, as plain data, and how it differs from what was expected."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from sgtm.event import read_key_path, undefined
from sgtm.messages import OutgoingRequest
from sgtm.observability.explanation import shown
from sgtm.observability.walk import Walk, WalkedTag


class ExpectedRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request that some tag must send; what is not said may be anything."""

    tag: str = ""
    method: str = ""
    url: Annotated[str, Meta(description="Its beginning.")] = ""
    query: dict[str, str | None] = {}
    headers: dict[str, str | None] = {}
    body: Annotated[
        Any, Meta(description="A text: all of it; a mapping: key path -> value; null: absent.")
    ] = UNSET


class Expected(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must follow; what is not said may be anything."""

    client: Annotated[str | UnsetType | None, Meta(description="Who claims it; null: nobody.")] = UNSET
    status: int | UnsetType = UNSET
    events: Annotated[
        list[dict[str, Any]] | UnsetType,
        Meta(description="One mapping per event, in order: key path -> value; null: absent."),
    ] = UNSET
    fired: Annotated[list[str], Meta(description="Tags that fire.")] = []
    not_fired: Annotated[
        list[str] | dict[str, str], Meta(description="Tags that do not; or tag -> part of the reason.")
    ] = []
    requests: list[ExpectedRequest] = []
    request_count: int | UnsetType = UNSET
    cookies: Annotated[list[str], Meta(description="Names of cookies that the answer sets.")] = []


def outcome_of(walk: Walk) -> dict[str, Any]:
    """All that followed, in the form in which golden files hold it."""
    tags = [tag for event in walk.events for tag in event.tags]
    fired = list(dict.fromkeys(tag.name for tag in tags if tag.outcome == "fired"))
    headers = walk.answer.headers if walk.answer is not None else ()
    outcome: dict[str, Any] = {
        "client": walk.claimed_by or None,
        "status": walk.answer.status if walk.answer is not None else None,
        "events": [_plain(event.data) for event in walk.events],
        "fired": fired,
        "not_fired": {tag.name: _reason(tag) for tag in tags if tag.name not in fired},
        "requests": [
            {"tag": tag.name, **_request(delivery.request)} for tag in tags for delivery in tag.deliveries
        ],
        "cookies": [value.partition("=")[0] for name, value in headers if name.lower() == "set-cookie"],
        "warnings": [*walk.warnings, *(f"{tag.name}: {text}" for tag in tags for text in tag.warnings)],
    }
    notes = [event.note for event in walk.events]
    return {**outcome, "notes": notes} if any(notes) else outcome


def _plain(value: Any) -> Any:
    """Event data as YAML can hold it: what is undefined is left out."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if item is not undefined}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _reason(tag: WalkedTag) -> str:
    """Why a tag did not fire, in one line."""
    if tag.reason:
        return f"{tag.outcome}: {tag.reason}"
    is_blocked = tag.outcome == "blocked by trigger"
    why = [
        trigger.name
        if trigger.has_matched
        else f"{trigger.name} ({trigger.failed.text if trigger.failed is not None else trigger.reason})"
        for trigger in tag.triggers
        if trigger.is_blocking == is_blocked and trigger.has_matched == is_blocked
    ]
    return f"{tag.outcome}: {', '.join(why)}" if why else tag.outcome


def _request(request: OutgoingRequest) -> dict[str, Any]:
    """A request as it goes on the wire, a credential by its name."""
    body: Any = request.body.decode("utf-8", "replace")
    if body[:1] in ("{", "["):
        with suppress(msgspec.DecodeError):
            body = msgspec.json.decode(request.body)
    plain = {
        "method": request.method,
        "url": request.url,
        "headers": {name.lower(): value for name, value in request.headers},
        "body": body,
    }
    if request.credential is not None:
        plain["credential"] = request.credential.name
    return plain


def unmet(expected: Expected, outcome: dict[str, Any]) -> Iterator[str]:
    """What was expected and is not so."""
    for key in ("client", "status"):
        wanted = getattr(expected, key)
        if wanted is not UNSET and wanted != outcome[key]:
            yield f"{key}: expected {shown(wanted)}, got {shown(outcome[key])}"
    if expected.events is not UNSET:
        yield from _unmet_events(expected.events, outcome["events"])
    for name in expected.fired:
        if name not in outcome["fired"]:
            yield f"tag {name!r} did not fire: {outcome['not_fired'].get(name, 'there is no such tag')}"
    yield from _unmet_silence(expected.not_fired, outcome)
    if expected.request_count is not UNSET and expected.request_count != len(outcome["requests"]):
        yield f"requests: expected {expected.request_count}, got {len(outcome['requests'])}"
    for request in expected.requests:
        yield from _unmet_request(request, outcome["requests"])
    for name in expected.cookies:
        if name not in outcome["cookies"]:
            yield f"cookie {name!r} is not set; set are: {', '.join(outcome['cookies']) or 'none'}"


def _unmet_events(expected: list[dict[str, Any]], events: list[dict[str, Any]]) -> Iterator[str]:
    if len(expected) != len(events):
        yield f"events: expected {len(expected)}, got {len(events)}"
    for index, (wanted, data) in enumerate(zip(expected, events, strict=False)):
        yield from (f"event {index + 1}: {difference}" for difference in _unmet_data(wanted, data))


def _unmet_silence(expected: Any, outcome: dict[str, Any]) -> Iterator[str]:
    reasons = expected if isinstance(expected, dict) else dict.fromkeys(expected, "")
    for name, part in reasons.items():
        if name in outcome["fired"]:
            yield f"tag {name!r} fired"
        elif name not in outcome["not_fired"] and outcome["events"]:
            yield f"there is no tag {name!r}"
        elif part.lower() not in outcome["not_fired"].get(name, "").lower():
            yield f"tag {name!r} did not fire for another reason: {outcome['not_fired'][name]}"


def _unmet_request(expected: ExpectedRequest, requests: list[dict[str, Any]]) -> Iterator[str]:
    """The nearest of the requests tells what is different, if none is as expected."""
    of_tag = [request for request in requests if not expected.tag or request["tag"] == expected.tag]
    if not of_tag:
        yield f"tag {expected.tag!r} sent no request" if expected.tag else "no request was sent"
        return
    found = [list(_request_differences(expected, request)) for request in of_tag]
    nearest = min(found, key=len)
    yield from (f"request of {expected.tag or 'any tag'}: {difference}" for difference in nearest)


def _request_differences(expected: ExpectedRequest, request: dict[str, Any]) -> Iterator[str]:
    if expected.method and expected.method != request["method"]:
        yield f"method: expected {expected.method}, got {request['method']}"
    if not request["url"].startswith(expected.url):
        yield f"url: expected {expected.url}..., got {request['url']}"
    query = dict(parse_qsl(urlsplit(request["url"]).query, keep_blank_values=True))
    yield from (f"query {text}" for text in _unmet_data(expected.query, query))
    headers = {name.lower(): value for name, value in expected.headers.items()}
    yield from (f"header {text}" for text in _unmet_data(headers, request["headers"]))
    if expected.body is UNSET:
        return
    if isinstance(expected.body, dict) and isinstance(request["body"], (dict, list)):
        yield from (f"body {text}" for text in _unmet_data(expected.body, request["body"]))
    elif expected.body != request["body"]:
        yield f"body: expected {shown(expected.body)}, got {shown(request['body'])}"


def _unmet_data(expected: dict[str, Any], data: Any) -> Iterator[str]:
    """Key paths whose values are not as expected; null: nothing may stand there."""
    for path, wanted in expected.items():
        value = read_key_path(data, str(path))
        if wanted is None:
            if value is not undefined and value is not None:
                yield f"{path}: expected nothing, got {shown(value)}"
        elif not _is_same(wanted, value):
            yield f"{path}: expected {shown(wanted)}, got {shown(value)}"


def _is_same(wanted: Any, value: Any) -> bool:
    """Equal, and 1, 1.0 and true are three things only where one of them is a truth value."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, (dict, list)):
        return json.dumps(wanted, sort_keys=True) == json.dumps(value, sort_keys=True, default=str)
    return bool(wanted == value)


def differences_from(golden: Any, outcome: Any, path: str = "") -> Iterator[str]:
    """Every place where the outcome is not what the golden file says."""
    if isinstance(golden, dict) and isinstance(outcome, dict):
        for key in (*golden, *(key for key in outcome if key not in golden)):
            place = f"{path}.{key}" if path else str(key)
            yield from differences_from(golden.get(key, undefined), outcome.get(key, undefined), place)
    elif isinstance(golden, list) and isinstance(outcome, list) and len(golden) == len(outcome):
        for index, (wanted, value) in enumerate(zip(golden, outcome, strict=True)):
            yield from differences_from(wanted, value, f"{path}.{index}")
    elif not _is_same(golden, outcome) or type(golden) is not type(outcome):
        yield f"{path}: golden {shown(golden)}, now {shown(outcome)}"
