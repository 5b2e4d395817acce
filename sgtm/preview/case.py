"""A view becomes a test: the text of a file that `sgtm test` runs as it is.

The input is the request as it came. Where something in it is masked, or is no text, it is the events that a
client made of it instead, so that no credential ever has to be in a file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import yaml

from sgtm.preview import view

_TELLING = ("event_name", "page_location", "transaction_id", "value", "currency", "event_id")
_CONNECTION = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding"})
_HEAD = "# Made from a request in the preview. Run it: sgtm test CONTAINER THIS_FILE\n"
_NOT_AS_IT_CAME = "# The request held a credential, or bytes that are no text: it begins with the events.\n"
_MASKED = "# Personal data are masked in it: put values of your own in their place.\n"


def test_case(shown: view.RequestView) -> str:
    """The text of the file."""
    is_whole = (not shown.request.has_secrets and _is_text(shown.request)) or not shown.events
    cases = [_of_request(shown)] if is_whole else list(_of_events(shown))
    notes = _HEAD + ("" if is_whole else _NOT_AS_IT_CAME)
    notes += _MASKED if shown.summary.source == "lookback" else ""
    return notes + str(yaml.safe_dump(cases, sort_keys=False, allow_unicode=True, width=10_000))


test_case.__test__ = False  # type: ignore[attr-defined]  # it makes tests, it is none


def _is_text(request: view.RequestPart) -> bool:
    return "\ufffd" not in request.body and len(request.body.encode()) == request.body_bytes


def _of_request(shown: view.RequestView) -> dict[str, Any]:
    request, names = shown.request, [event.name for event in shown.events]
    url = urlsplit(request.url)
    written: dict[str, Any] = {
        "target": f"{url.path}?{url.query}" if url.query else url.path,
        "method": request.method,
        "host": url.hostname or "",
        "scheme": url.scheme,
        "remote_address": request.remote_address,
        "received": datetime.fromtimestamp(shown.summary.at_micros / 1e6, UTC).isoformat(),
        "headers": _headers(request.headers),
        "body": request.body,
    }
    expected: dict[str, Any] = {"client": shown.claimed_by or None}
    if shown.answer is not None:
        expected["status"] = shown.answer.status
    expected["events"] = [_event(event) for event in shown.events]
    expected |= _tags([tag for event in shown.events for tag in event.tags])
    if shown.answer is not None and shown.answer.cookies:
        expected["cookies"] = list(dict.fromkeys(cookie.name for cookie in shown.answer.cookies))
    what = ", ".join(names) or f"{request.method} {url.path}"
    return {
        "name": f"{what} by {shown.claimed_by or 'no client'}",
        "request": _said(written),
        **_answers([tag for event in shown.events for tag in event.tags]),
        "expect": expected,
    }


def _of_events(shown: view.RequestView) -> Iterator[dict[str, Any]]:
    for event in shown.events:
        data = {key: value for key, value in _plain(event.data).items() if key != "event_name"}
        yield {
            "name": f"{event.name} by {shown.claimed_by}",
            "event": {"name": event.name, "client": shown.claimed_by, "data": data},
            **_answers(event.tags),
            "expect": {"events": [_event(event)], **_tags(event.tags)},
        }


def _headers(pairs: view.Headers) -> dict[str, str | list[str]]:
    """Those that a client may read, under their names; one that stands twice has a list."""
    headers: dict[str, str | list[str]] = {}
    for name, value in pairs:
        if name in _CONNECTION:
            continue
        known = headers.get(name)
        if known is None:
            headers[name] = value
        else:
            headers[name] = [*([known] if isinstance(known, str) else known), value]
    return headers


def _event(event: view.EventPart) -> dict[str, Any]:
    data = event.data if isinstance(event.data, dict) else {}
    scalars = (str, int, float, bool)
    return {key: data[key] for key in _TELLING if isinstance(data.get(key), scalars)}


def _tags(tags: list[view.TagPart]) -> dict[str, Any]:
    fired = list(dict.fromkeys(tag.name for tag in tags if tag.outcome == "fired"))
    others = {tag.name: tag.outcome for tag in tags if tag.name not in fired}
    requests = [
        {"tag": tag.name, "method": one.method, "url": one.url.partition("?")[0]}
        for tag in tags
        for one in tag.deliveries
    ]
    expected = {"fired": fired, "not_fired": others, "requests": requests, "request_count": len(requests)}
    return {key: value for key, value in expected.items() if value or key == "request_count"}


def _answers(tags: list[view.TagPart]) -> dict[str, Any]:
    """What templates were answered, so that they go on as they did."""
    answers = {
        one.url.partition("?")[0]: _said({"status": one.status, "body": one.answer_body})
        for tag in tags
        if tag.is_template
        for one in tag.deliveries
        if one.status is not None
    }
    return {"answers": answers} if answers else {}


def _said(written: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if value not in ("", {}, [])}


def _plain(value: Any) -> Any:
    """Event data as an event input has them: what is undefined, or was cut off, is left out."""
    if isinstance(value, dict):
        if "$number" in value:
            return int(value["$number"]) if value["$number"].lstrip("-").isdecimal() else float("nan")
        return {key: _plain(item) for key, item in value.items() if not _is_missing(key, item)}
    return [_plain(item) for item in value if not _is_missing("", item)] if isinstance(value, list) else value


def _is_missing(key: str, value: Any) -> bool:
    return key == "$cut" or (isinstance(value, dict) and ("$undefined" in value or "$cut" in value))
