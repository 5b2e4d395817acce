"""Golden cases: read them, run one, write what is missing.

A case is one item of a YAML list in tests/golden/<kind>/<component type>.yaml. What each kind holds:

tags       parameters, event (name, data), request -> expect: requests, cookies, warnings, ...
clients    parameters, request, secrets -> expect: events, answer or script, ... or declines
variables  parameters, event, request -> expect, expect_undefined or expect_lookup
transformations  parameters, event, request -> expect: the event data, or drops: the reason
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import yaml

from sgtm.component import Component, find
from sgtm.container.field_types import inner_type, is_secret
from sgtm.event import Event, make_event, undefined
from sgtm.messages import (
    Answer,
    Cookie,
    Declined,
    Dropped,
    IncomingRequest,
    Lookup,
    OutgoingRequest,
    ServeScript,
    TagResult,
)
from sgtm.said import sound

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = {
    "clients": "client",
    "variables": "variable",
    "transformations": "transformation",
    "tags": "tag",
}
DEFAULTS: dict[str, Any] = {
    "method": "GET",
    "host": "shop.example",
    "scheme": "https",
    "remote_address": "203.0.113.9",
    "is_peer_trusted": False,
    "received_micros": 1_764_000_000_000_000,
    "seed": 1,
}


def make_request(said: dict[str, Any] | None = None) -> IncomingRequest:
    """An IncomingRequest from a case: target, headers and body as text, the rest by default."""
    said = dict(said or {})
    path, _, query = said.pop("target", "/").partition("?")
    headers = [
        (name.lower().encode(), str(value).encode())
        for name, values in said.pop("headers", {}).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    body = said.pop("body", "")
    encoded = body if isinstance(body, bytes) else body.encode()
    return IncomingRequest(
        path=path, query=query.encode(), headers=tuple(headers), body=encoded, **{**DEFAULTS, **said}
    )


def make_parameters(component: Component, said: dict[str, Any] | None) -> msgspec.Struct:
    """Parameters of a case; a secret is written as its name."""
    written = _with_names(said or {}, msgspec.inspect.type_info(component.parameters_type))
    return msgspec.convert(written, component.parameters_type)


def _with_names(said: Any, type_: msgspec.inspect.Type) -> Any:
    if is_secret(type_) and isinstance(said, str):
        return {"name": said}
    if isinstance(said, dict):
        return {key: _with_names(value, inner_type(type_, key)) for key, value in said.items()}
    if isinstance(said, list):
        return [_with_names(value, inner_type(type_, index)) for index, value in enumerate(said)]
    return said


def case_event(case: dict[str, Any]) -> Event:
    """The event of a case."""
    event = case.get("event", {})
    data = (
        {"event_name": event["name"], **event.get("data", {})} if "name" in event else event.get("data", {})
    )
    return make_event(data, make_request(case.get("request")), "test", 0)


def run_case(component: Component, case: dict[str, Any]) -> dict[str, Any]:
    """What the component makes of the case, in the form in which goldens are written."""
    parameters = make_parameters(component, case.get("parameters"))
    if component.kind == "client":
        said = component.function(make_request(case.get("request")), parameters)
        return _claim(sound(said, lambda name: str(case["secrets"][name])))
    value = component.function(case_event(case), parameters)
    if isinstance(value, Lookup):
        return {"expect_lookup": _lookup(value)}
    if component.kind == "variable":
        return {"expect_undefined": True} if value is undefined else {"expect": value}
    if component.kind == "transformation":
        return {"drops": value.reason} if isinstance(value, Dropped) else {"expect": value}
    return {"expect": _tag_result(value)}


def _lookup(lookup: Lookup) -> dict[str, Any]:
    default = {} if lookup.default is undefined else {"default": lookup.default}
    times = {name: getattr(lookup, name) for name in ("timeout_s", "keep_s", "keep_missing_s")}
    return {**_request(lookup.request), **times, **default}


def _claim(said: Any) -> dict[str, Any]:
    if isinstance(said, Declined):
        return {"declines": said.reason}
    shown = {
        "events": said.events,
        **_answer(said.answer),
        "waits_for_tags": said.waits_for_tags,
        "warnings": list(said.warnings),
        "notes": [note for note in said.notes if note],
        "conceal": list(said.conceal),
    }
    return {"expect": _without_defaults(shown)}


def _answer(said: Answer | ServeScript) -> dict[str, Any]:
    if isinstance(said, ServeScript):
        return {"script": _script(said)}
    answer = msgspec.to_builtins(said)
    answer["headers"] = dict(answer["headers"])
    answer["cookies"] = [_cookie(cookie) for cookie in said.cookies]
    answer["body"] = said.body.decode("latin-1")
    return {"answer": _without_defaults(answer)}


def _script(script: ServeScript) -> dict[str, Any]:
    defaults = msgspec.to_builtins(ServeScript("", ""))
    always = ("path", "query", "kind", "max_age_s")
    shown = {k: v for k, v in msgspec.to_builtins(script).items() if k in always or v != defaults[k]}
    if script.dependency is not None:
        parents = [_script(parent) for parent in script.dependency.parents]
        shown["dependency"] = {"id": script.dependency.id, "parents": parents}
    return shown


def _cookie(cookie: Cookie) -> dict[str, Any]:
    defaults = msgspec.to_builtins(Cookie("", "", 0))
    return {
        k: v for k, v in msgspec.to_builtins(cookie).items() if k in ("name", "value") or v != defaults[k]
    }


def _tag_result(result: TagResult | list[OutgoingRequest]) -> dict[str, Any]:
    if not isinstance(result, TagResult):
        result = TagResult(tuple(result))
    return _without_defaults(
        {
            "requests": [_request(request) for request in result.requests],
            "cookies": [_cookie(cookie) for cookie in result.cookies],
            "pixels": list(result.pixels),
            "warnings": list(result.warnings),
            "sends_nothing_because": result.sends_nothing_because,
        }
    )


def _request(request: OutgoingRequest) -> dict[str, Any]:
    credential = msgspec.to_builtins(request.credential) if request.credential else None
    return _without_defaults(
        {
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers),
            "credential": _without_defaults(credential) if credential else None,
            "body": _body(request.body),
            "item": _body(request.item),
            "expires_micros": request.expires_micros,
            "cannot_be_repeated": not request.can_be_repeated,
        }
    )


def _body(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "surrogateescape")


def _without_defaults(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if value not in ("", [], {}, None, False)}


def load_cases() -> list[tuple[Component | str, dict[str, Any], Path]]:
    """All cases of all components; a file without a component gives its name instead of one."""
    cases: list[tuple[Component | str, dict[str, Any], Path]] = []
    for folder, kind in FOLDERS.items():
        for path in sorted((GOLDEN / folder).glob("*.yaml")):
            component = find(kind, path.stem)  # type: ignore[arg-type]
            cases.extend((component or path.stem, case, path) for case in yaml.safe_load(path.read_text()))
    return cases


def dump(value: Any) -> str:
    """YAML as goldens are written: key order kept, one long line where the text is long."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def query_of(url: str) -> dict[str, list[str]]:
    """Query parameters of a URL, for tests that look at one of them."""
    return parse_qs(url.partition("?")[2], keep_blank_values=True)


def write_missing(path: Path, results: dict[str, dict[str, Any]]) -> None:
    """Append the result to each named case of the file; comments and everything else stay."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    document = yaml.compose(text)
    for node in reversed(document.value):  # type: ignore[union-attr]
        name = next(value.value for key, value in node.value if key.value == "name")
        if name in results:
            last = node.value[-1][1].end_mark
            at = last.line + (1 if last.column > 0 else 0)
            indent = " " * node.start_mark.column
            block = "".join(indent + line + "\n" for line in dump(results[name]).splitlines())
            lines.insert(at, block)
    path.write_text("".join(lines))
