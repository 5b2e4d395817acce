"""Segment: calls of its libraries for browsers, apps and servers, and of what is compatible with it.

Claims `POST` of `/v1/track`, `page`, `screen`, `identify`, `group`, `alias` and `batch`, and of the short
forms `/v1/t` ... `/v1/b` that analytics.js uses. Give a library this server as its host and leave it as it
is:

    new Analytics({ writeKey: 'THE-KEY', host: 'https://sst.example' })

Events have GA4's names and items (`Order Completed` is `purchase`), so that tags made for GA4 fire.
`event_names` adds names or changes them. Times are corrected by the sender's clock (`sentAt`).

**Answers.** 200 `{"success": true}`: some libraries take nothing else for success. 400 for what is no call,
401 for a key that is not listed, 413 for more than `max_events` or `max_body_bytes`. An event of a batch that
cannot be read is left out and reported; the others count.

**Who may send.** With `write_key_sha256` only these keys may, as user of Basic authentication, as `writeKey`
of the query or of the body. The container file holds their SHA-256 (`printf %s 'THE-KEY' | sha256sum`). The
key is dropped from the record of the request, which keeps the verdict. A key in a web page is no secret: list
`allowed_origins` too.

**Once.** Libraries send a batch again when they saw no answer: a call whose `messageId` came within a day
runs once, whichever worker it reaches.

SPEC: requirements R325; vendor-tags 5.5; ga4-protocol 11.2; reliability 5.4.
"""

from base64 import b64decode
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sgtm.authentication import is_known
from sgtm.component import client
from sgtm.consent import ConsentType
from sgtm.messages import Answer, Claimed, Declined, EventData, IncomingRequest
from sgtm.protocols.bodies import Unreadable, read_body, unpack
from sgtm.protocols.query import read_query
from sgtm.protocols.segment import TYPES, consent_of, corrected_micros, event_of_call, moment

ACCEPTED, REFUSED, UNCHECKED = "write key accepted", "write key refused", "write key not checked"
ONCE_S = 86_400.0
"""Libraries try for half a day."""
_CONCEALED = ("authorization", "writeKey")
_SUCCESS = Answer(200, (("Content-Type", "application/json"),), b'{"success":true}')
_KINDS = {kind: kind for kind in (*TYPES, "batch")} | {kind[0]: kind for kind in (*TYPES, "batch")}


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls the client takes, who may send them, and how their events are named."""

    path_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)+$",
            description="What stands before `/track` and the others.",
        ),
    ] = "/v1"
    write_key_sha256: Annotated[
        list[Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]],
        Meta(description="SHA-256 (hex) of each write key that may send; empty: everybody may."),
    ] = []
    event_names: Annotated[
        dict[str, Annotated[str, Meta(min_length=1)]],
        Meta(
            description="Names of `track` events -> names of events here, before those that are known.",
            examples=[{"Lead Created": "generate_lead"}],
        ),
    ] = {}
    snake_case: Annotated[
        bool, Meta(description="Other names are written as GA4 does: `Trial Started` is `trial_started`.")
    ] = False
    consent_categories: Annotated[
        dict[str, tuple[ConsentType, ...]],
        Meta(
            description="Categories of `context.consent.categoryPreferences` -> what each stands for.",
            examples=[{"Advertising": ["ad_storage", "ad_user_data"], "Analytics": ["analytics_storage"]}],
        ),
    ] = {}
    from_devices: Annotated[
        bool,
        Meta(
            description="Senders are apps or browsers: take `ip_override` and `user_agent` from the "
            "request where the call has none."
        ),
    ] = False
    drop_repeated: Annotated[
        bool, Meta(description="Drop a call whose `messageId` came before; see above.")
    ] = True
    max_events: Annotated[
        int,
        Meta(
            ge=1,
            le=2500,
            description="Calls in one batch; more are answered 413, and none is taken. Without "
            "`write_key_sha256` a batch may cause as much as any hit (`--hit-requests`).",
        ),
    ] = 250
    max_body_bytes: Annotated[
        int, Meta(ge=1, le=4_000_000, description="Of a body, once unpacked; a larger one is answered 413.")
    ] = 512_000


def _paths(parameters: Parameters) -> tuple[str, ...]:
    return tuple(f"{parameters.path_prefix}/{kind}" for kind in _KINDS)


@client(
    "segment",
    paths=_paths,
    methods=("POST",),
    allowed_headers=("authorization",),
    conceals=lambda parameters: _CONCEALED,
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Turn calls into events."""
    prefix, _, last = request.path.rpartition("/")
    if prefix != parameters.path_prefix or last not in _KINDS:
        return Declined("the path is none of this client's")
    if request.method != "POST":
        return Declined("the method is not POST")
    try:
        said = _read(request, parameters)
        calls = _calls(said, _KINDS[last], parameters)
    except Unreadable as error:
        return Claimed([], Answer(error.status), warnings=(error.reason,))
    verdict = request.verdict or _check(_keys(request, said, calls), parameters.write_key_sha256)
    if verdict == REFUSED:
        warnings: tuple[str, ...] = ("the write key is not one of those allowed",)
        return Claimed(
            [],
            Answer(401),
            verdict=verdict,
            conceal=_CONCEALED,
            recorded_body=_without_key(said, calls),
            warnings=warnings,
            refusal="write key",
        )
    events, warnings = _events(request, said, calls, parameters)
    return Claimed(
        events,
        _SUCCESS,
        verdict=verdict,
        is_sender_known=verdict == ACCEPTED,
        conceal=_CONCEALED,
        recorded_body=_without_key(said, calls),
        warnings=warnings,
        once_keys=_once_keys(request, events) if parameters.drop_repeated else (),
        once_s=ONCE_S,
    )


def _read(request: IncomingRequest, parameters: Parameters) -> dict[str, Any]:
    """The object in the body. Raises Unreadable."""
    body = unpack(request.body)
    if len(body) > parameters.max_body_bytes:
        raise Unreadable(413, f"the body is larger than {parameters.max_body_bytes} bytes")
    said = read_body(body, ("json",))
    if not isinstance(said, dict):
        raise Unreadable(400, "the body is no JSON object")
    return said


def _calls(said: dict[str, Any], kind: str, parameters: Parameters) -> list[Any]:
    """The calls of a request, each with its type. Raises Unreadable."""
    if kind != "batch":
        return [{**said, "type": kind}]
    calls = said.get("batch")
    if not isinstance(calls, list):
        raise Unreadable(400, "the batch is no list")
    if len(calls) > parameters.max_events:
        raise Unreadable(413, f"too many calls in one batch: {len(calls)}, {parameters.max_events} allowed")
    return calls


def _events(
    request: IncomingRequest, said: dict[str, Any], calls: list[Any], parameters: Parameters
) -> tuple[list[EventData], tuple[str, ...]]:
    found = [
        _event(request, said, call, parameters)
        for call in calls
        if isinstance(call, dict) and call.get("type") in TYPES
    ]
    events = [data for data in found if data is not None]
    lost = len(calls) - len(events)
    nobody = sum(not data.get("client_id") and not data.get("user_id") for data in events)
    warnings = [f"calls without a known type, or without an event: {lost}"] if lost else []
    warnings += [f"calls with neither anonymousId nor userId: {nobody}"] if nobody else []
    return events, tuple(warnings)


def _event(
    request: IncomingRequest, said: dict[str, Any], call: dict[str, Any], parameters: Parameters
) -> EventData | None:
    data = event_of_call(call, call["type"], names=parameters.event_names, snake_case=parameters.snake_case)
    if data is None:
        return None
    sent = moment(call.get("sentAt")) or moment(said.get("sentAt"))
    micros = corrected_micros(call, sent, request.received_micros)
    if micros is not None:
        data["timestamp_micros"] = micros
    for context in (call.get("context"), said.get("context")):
        consent = consent_of(context, parameters.consent_categories) if isinstance(context, dict) else {}
        if consent:
            data["consent_state"] = consent
            break
    if parameters.from_devices:
        agent = request.header(b"user-agent")
        data.setdefault("ip_override", request.remote_address)
        if agent:
            data.setdefault("user_agent", agent)
    return data


def _once_keys(request: IncomingRequest, events: list[EventData]) -> tuple[str, ...]:
    """SPEC: vendor-tags 5.5: `messageId` is what tells two calls apart."""
    return tuple(
        f"{data['event_name']}\n{data['event_id']}" if "event_id" in data else f"{request.seed} {index}"
        for index, data in enumerate(events)
    )


# -- write keys --------------------------------------------------------------------------------


def _keys(request: IncomingRequest, said: dict[str, Any], calls: list[Any]) -> list[str]:
    """The write keys of a request: of the first place that has any."""
    basic = _basic_user(request.header(b"authorization") or "")
    query = read_query(request.query).get("writeKey", "")
    inside = [one.get("writeKey") for one in (said, *calls) if isinstance(one, dict)]
    found = [basic] if basic else [query] if query else inside
    return [key for key in found if isinstance(key, str) and key]


def _basic_user(header: str) -> str:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(encoded.strip(), validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


def _check(keys: list[str], allowed: list[str]) -> str:
    """Verdict on the keys: there is one, and all are listed."""
    if not allowed:
        return UNCHECKED
    return ACCEPTED if keys and all(is_known(key, allowed) for key in dict.fromkeys(keys)) else REFUSED


def _without_key(said: dict[str, Any], calls: list[Any]) -> bytes | None:
    """The body as the record keeps it; None where it holds no key."""
    if not any("writeKey" in one for one in (said, *calls) if isinstance(one, dict)):
        return None
    kept = {key: value for key, value in said.items() if key != "writeKey"}
    if isinstance(kept.get("batch"), list):
        kept["batch"] = [
            {key: value for key, value in call.items() if key != "writeKey"}
            if isinstance(call, dict)
            else call
            for call in kept["batch"]
        ]
    return msgspec.json.encode(kept)
