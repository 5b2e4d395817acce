"""JSON: events from any sender that speaks HTTP and JSON, on paths of your choice.

One JSON object is one event, a list of objects is one event each; without a body the query string
is the event. Query parameters belong to every event of the request, the body wins where both have
a key. Key names of event data are Google's (`event_name`, `client_id`, `page_location`, ...); what
the sender calls otherwise stays under the sender's name.

    curl -X POST https://sst.example/data -H 'Content-Type: application/json' \\
         -d '{"event_name": "purchase", "value": 20.5, "currency": "EUR"}'

SPEC: design.md (the generic JSON client), ga4-protocol 11.2 (JSON senders), reliability 5.4.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sgtm.component import client
from sgtm.event import read_key_path
from sgtm.messages import Answer, Claimed, Declined, EventData, IncomingRequest
from sgtm.protocols.bodies import BOM, Unreadable, unpack
from sgtm.protocols.query import read_query

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests the client takes and how it reads and answers them."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(min_length=1, description="Exact paths that the client claims.", examples=[["/data"]]),
    ]
    methods: Annotated[
        tuple[Annotated[str, Meta(pattern="^(GET|POST|PUT|PATCH|DELETE)$")], ...],
        Meta(min_length=1, description="Methods that the client claims."),
    ] = ("GET", "POST")
    event_name_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Key paths in which the name of the event is looked for; the first that has a text."
        ),
    ] = ("event_name", "name")
    default_event_name: Annotated[str, Meta(description="Name of an event that brings none.")] = ""
    adds_request_data: Annotated[
        bool,
        Meta(description="Take `ip_override` and `user_agent` from the request where the event has none."),
    ] = True
    max_events: Annotated[
        int, Meta(ge=1, le=10_000, description="Events in one request; a request with more is answered 413.")
    ] = 25
    status: Annotated[
        int, Meta(ge=200, le=599, description="Status of the answer; some senders take only 200 for success.")
    ] = 200
    answer_body: Annotated[
        str, Meta(description="Body of the answer, sent as JSON.", examples=['{"success": true}'])
    ] = ""
    waits_for_tags: Annotated[
        bool,
        Meta(description="Answer when all tags have succeeded, and 502 when one has failed."),
    ] = False


@client("json", paths=lambda parameters: parameters.paths, methods=METHODS)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Events from JSON bodies, or from the query string where there is no body."""
    if request.path not in parameters.paths:
        return Declined("the path is none of this client's")
    if request.method not in parameters.methods:
        return Declined("the method is none of this client's")
    try:
        objects, dropped = _read_objects(request, parameters)
    except Unreadable as error:
        return Claimed([], Answer(error.status), warnings=(error.reason,))
    return Claimed(
        [_make_event_data(data, request, parameters) for data in objects],
        _answer(parameters),
        waits_for_tags=parameters.waits_for_tags,
        failure_answer=Answer(502) if parameters.waits_for_tags else None,
        warnings=(f"entries of the list that are no JSON objects: {dropped}",) if dropped else (),
    )


def _read_objects(request: IncomingRequest, parameters: Parameters) -> tuple[list[EventData], int]:
    """The events as they came, and how many entries were none. Raises Unreadable."""
    shared: EventData = dict(read_query(request.query))
    body = unpack(request.body).removeprefix(BOM).strip()
    if not body:
        if not shared:
            raise Unreadable(400, "neither a body nor query parameters")
        return [shared], 0
    said = _decode(body)
    entries = said if isinstance(said, list) else [said]
    if len(entries) > parameters.max_events:
        raise Unreadable(
            413, f"too many events in one request: {len(entries)}, {parameters.max_events} allowed"
        )
    objects = [{**shared, **entry} for entry in entries if isinstance(entry, dict)]
    if not objects:
        raise Unreadable(400, "the body is JSON but holds no object")
    return objects, len(entries) - len(objects)


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise Unreadable(400, "the body is no JSON") from None


def _make_event_data(data: EventData, request: IncomingRequest, parameters: Parameters) -> EventData:
    """The event under Google's keys: its name, and who sent it."""
    names = (read_key_path(data, key_path) for key_path in parameters.event_name_keys)
    name = next((name for name in names if isinstance(name, str) and name), parameters.default_event_name)
    if name and data.get("event_name") != name:
        data = {"event_name": name, **{key: value for key, value in data.items() if key != "event_name"}}
    if parameters.adds_request_data:
        data.setdefault("ip_override", request.remote_address)
        user_agent = request.header(b"user-agent")
        if user_agent is not None:
            data.setdefault("user_agent", user_agent)
    return data


def _answer(parameters: Parameters) -> Answer:
    if not parameters.answer_body:
        return Answer(parameters.status)
    return Answer(parameters.status, (("Content-Type", "application/json"),), parameters.answer_body.encode())
