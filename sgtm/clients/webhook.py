"""Webhook: events from shops, payment providers, CRMs, and whatever else can call an address of yours.

Everything is declared: who may send (`signature`, `shared_secret`, `allowed_addresses`), what tells the
type of an event, which types become which events, and where their values stand. `examples/webhooks` has
containers for Stripe, Shopify, GitHub, HubSpot, WooCommerce and a plain CRM; docs/webhooks.md is the guide.

**What happens**, in this order: size, address, signature over the body as it came; then the body is read
(JSON, NDJSON, form or XML, packed or not, whatever its headers say), and each of its events becomes one
event of the first entry of `events` that fits. The answer leaves when the record is kept.

**Answers**, each with a constant body:

| status | means |
| --- | --- |
| 200 (`status`) | taken; also what is ignored, or has been delivered before |
| 400 | the body cannot be read |
| 401 | the signature or the secret is missing, wrong or too old |
| 403 | the address is none of `allowed_addresses` |
| 413 | the body is larger than `max_body_bytes`, or holds more than `max_events` |
| 415 | the body has a form that is none of `forms` |
| 422 | the body can be read, but holds no event with a type |
| 503 | no secret has a value at the moment: the sender shall come again |

**The same again.** Senders repeat what they are not sure of. `delivery_id` tells an event from all others of
its type (without it: its body does), and within `delivery_window` it runs once, whichever worker it reaches.

**Whose address.** The requester is a server of the sender's, so its address and user agent are not used.
Where the webhook knows those of the visitor, map them to `ip_override` and `user_agent`.

SPEC: requirements R74-R91, R252, R265, R294-R296; vendor-tags 5; reliability 5.5.
"""

from functools import cached_property, partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sgtm.clients._webhook.checks import check_events, check_places, check_senders
from sgtm.clients._webhook.events import Conditions, EventRule, EventRules, Taking, compile_rule
from sgtm.clients._webhook.fields import Entry, compile_entry, compile_fields
from sgtm.clients._webhook.places import compile_conditions
from sgtm.clients._webhook.senders import (
    SharedSecret,
    Shown,
    Signature,
    is_among,
    read_shared_secret,
    read_signature,
)
from sgtm.component import client
from sgtm.errors import Problem
from sgtm.event import read_key_path, undefined
from sgtm.messages import Answer, Claimed, Declined, IncomingRequest, Verify, without_parameters
from sgtm.protocols.bodies import Form, Unreadable, read_body, unpack
from sgtm.protocols.query import read_query

ACCEPTED = "webhook accepted"
"""The verdict of a request that was checked; a record that runs again carries it."""
METHODS = ("POST", "PUT", "GET")
MAX_WARNINGS = 20
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_ERRORS = {
    400: "the body cannot be read",
    401: "the signature is missing, wrong or too old",
    403: "this address may not send",
    413: "too large",
    415: "the body has a form that is not expected",
    422: "the body holds no event that is expected",
    503: "not ready to check signatures",
}


class Parameters(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Who may send what, and what becomes of it."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(
            min_length=1, description="Exact paths that the client claims.", examples=[["/webhooks/stripe"]]
        ),
    ]
    methods: Annotated[
        tuple[Literal["POST", "PUT", "GET"], ...],
        Meta(min_length=1, description="Methods that the client claims; with GET the query is the event."),
    ] = ("POST",)
    signature: Annotated[Signature | None, Meta(description="How the sender signs.")] = None
    shared_secret: Annotated[
        SharedSecret | None,
        Meta(description="A secret that the sender shows; with `signature` both must hold."),
    ] = None
    allowed_addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses and networks that may send, of IPv4 and IPv6; empty: any.",
            examples=[["192.0.2.0/24", "2001:db8::/32"]],
        ),
    ] = ()
    allow_unsigned: Annotated[
        bool, Meta(description="Take what nobody has signed: anybody who knows the path can send events.")
    ] = False
    ping_bodies: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="How the body of a sender's ping begins: answered with `status`, unchecked, and no "
            "event is made of it.",
            examples=[["webhook_id="]],
        ),
    ] = ()
    forms: Annotated[
        tuple[Form, ...], Meta(min_length=1, description="What a body may be; known by how it begins.")
    ] = ("json", "ndjson", "form", "xml")
    json_field: Annotated[
        str, Meta(description="Field of a form that holds the event as JSON.", examples=["payload"])
    ] = ""
    events_at: Annotated[
        str, Meta(description="Key path of the event, or of the list of events; empty: the body is it.")
    ] = ""
    max_body_bytes: Annotated[int, Meta(ge=1, description="Largest body, packed or not.")] = 1_048_576
    max_events: Annotated[int, Meta(ge=1, le=10_000, description="Most events in one body.")] = 100
    event_type: Annotated[
        Entry | None, Meta(description="Place of an event's type; without it events have none.")
    ] = None
    events: Annotated[
        tuple[EventRule, ...], Meta(description="What becomes of an event: the first that fits counts.")
    ] = ()
    fields: Annotated[
        dict[str, Entry], Meta(description="Fields of all events; those of an entry of `events` come on top.")
    ] = {}
    other_events: Annotated[
        str,
        Meta(
            description="Event name of what no entry of `events` fits; `{type}` is its type in letters, "
            "digits and `_`. Empty: it is answered with `status` and ignored."
        ),
    ] = ""
    test_when: Annotated[
        Conditions, Meta(description="What tells that an event is a test, as `{livemode: false}`.")
    ] = {}
    test_events: Annotated[
        Literal["ignore", "mark"],
        Meta(
            description="Whether tests are ignored, or go on with `debug_mode: true`, by which triggers can "
            "send them to test destinations."
        ),
    ] = "ignore"
    delivery_id: Annotated[
        Entry | None,
        Meta(
            description="Place of what is the same whenever an event is delivered again; without it, the "
            "body of the request."
        ),
    ] = None
    delivery_window: Annotated[
        str,
        Meta(
            pattern=r"^[1-9][0-9]{0,4}[smhd]$",
            description="For how long an event that comes again is known; longer than the sender tries.",
        ),
    ] = "7d"
    status: Annotated[int, Meta(ge=200, le=299, description="Status of the answer to what is taken.")] = 200
    answer_body: Annotated[
        str, Meta(description="Body of that answer, sent as JSON.", examples=['{"received": true}'])
    ] = ""

    @cached_property
    def rules(self) -> EventRules:
        """What is declared about events, compiled when the first of them comes."""
        return EventRules(
            compile_entry(self.event_type) if self.event_type is not None else None,
            tuple(compile_rule(rule, self.fields) for rule in self.events),
            self.other_events,
            compile_fields(self.fields),
            compile_conditions(self.test_when) if self.test_when else None,
            self.test_events == "mark",
            compile_entry(self.delivery_id) if self.delivery_id is not None else None,
        )


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What is unsafe, or can never work."""
    return [
        *check_senders(parameters, where),
        *check_places(parameters, where),
        *check_events(parameters, where),
    ]


@client("webhook", paths=lambda parameters: parameters.paths, methods=METHODS, check=check,
        conceals=lambda parameters: _concealed(parameters))  # fmt: skip
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined | Verify:
    """Events from signed webhooks, by rules that the container declares."""
    if request.path not in parameters.paths:
        return Declined("the path is none of this client's")
    if request.method not in parameters.methods:
        return Declined("the method is none of this client's")
    if request.verdict == ACCEPTED:
        return _take(request, parameters)
    if len(request.body) > parameters.max_body_bytes:
        return _refused(413, f"the body has {len(request.body)} bytes", parameters)
    if parameters.allowed_addresses and not is_among(request.remote_address, parameters.allowed_addresses):
        return _refused(403, "the requester's address is none of `allowed_addresses`", parameters)
    if request.body.startswith(tuple(body.encode() for body in parameters.ping_bodies)):
        return Claimed([], _answer(parameters), conceal=_concealed(parameters), warnings=("a ping",))
    return _verify(request, parameters)


# -- who has sent it ---------------------------------------------------------------------------


def _verify(request: IncomingRequest, parameters: Parameters) -> Claimed | Verify:
    shown: list[Shown] = []
    if parameters.signature is not None:
        shown.append(read_signature(request, parameters.signature))
    if parameters.shared_secret is not None:
        shown.append(read_shared_secret(request, parameters.shared_secret))
    if shown:
        return Verify(tuple(one.proof for one in shown), partial(_judged, request, parameters, shown))
    if parameters.allow_unsigned:
        return _take(request, parameters)
    return _refused(401, "no secret is configured: nobody may send", parameters)


def _judged(
    request: IncomingRequest, parameters: Parameters, shown: list[Shown], is_proven: bool | None
) -> Claimed:
    if is_proven is None:
        return _refused(503, "no secret has a value: set its variable, or write its file", parameters)
    flaws = [flaw for one in shown for flaw in one.flaws]
    if not is_proven and not flaws:
        flaws = ["the secret, or what was signed with it, is not the same on both sides"]
    if flaws:
        return _refused(401, "; ".join(flaws), parameters)
    return _take(request, parameters)


def _concealed(parameters: Parameters) -> tuple[str, ...]:
    """What records do not keep: whoever reads one could send it again."""
    found = []
    if parameters.signature is not None:
        found.append(parameters.signature.header.lower())
    if parameters.shared_secret is not None:
        found.append(parameters.shared_secret.place)
    return tuple(found)


# -- what it says ------------------------------------------------------------------------------


def _take(request: IncomingRequest, parameters: Parameters) -> Claimed:
    """The events of a request that may send them."""
    try:
        query = _own_query(request, parameters)
        body = _read(request.body, query, parameters)
        taken = Taking(request, body, request.body or query, parameters.rules)
        for event in _events_in(body, parameters):
            taken.event(event)
    except Unreadable as error:
        return _refused(error.status, error.reason, parameters)
    if not taken.is_understood:
        return _refused(422, "; ".join(taken.remarks[:MAX_WARNINGS]), parameters)
    return Claimed(
        taken.events,
        _answer(parameters),
        verdict=ACCEPTED,
        conceal=_concealed(parameters),
        warnings=tuple(taken.remarks[:MAX_WARNINGS]),
        once_keys=tuple(taken.keys),
        once_s=float(_window_s(parameters.delivery_window)),
    )


def _own_query(request: IncomingRequest, parameters: Parameters) -> bytes:
    """The query as the record keeps it, without the secret: a record that runs again is the same event."""
    if parameters.shared_secret is None or not parameters.shared_secret.query_parameter:
        return request.query
    return without_parameters(request.query, (parameters.shared_secret.query_parameter,))


def _read(packed: bytes, query: bytes, parameters: Parameters) -> Any:
    unpacked = unpack(packed)
    if len(unpacked) > parameters.max_body_bytes:
        raise Unreadable(413, f"the body unpacks to {len(unpacked)} bytes")
    body = read_body(unpacked, parameters.forms)
    if body is None:
        return dict(read_query(query)) or None
    if parameters.json_field and isinstance(body, dict) and isinstance(body.get(parameters.json_field), str):
        return read_body(body[parameters.json_field].encode("utf-8", "replace"), ("json",))
    return body


def _events_in(body: Any, parameters: Parameters) -> list[Any]:
    """The events of a body, as they came. Raises Unreadable."""
    if body is None:
        raise Unreadable(400, "the body is empty")
    found = read_key_path(body, parameters.events_at) if parameters.events_at else body
    if found is undefined:
        raise Unreadable(422, f"there is nothing at {parameters.events_at!r}")
    events = found if isinstance(found, list) else [found]
    if len(events) > parameters.max_events:
        raise Unreadable(413, f"{len(events)} events in one body, {parameters.max_events} allowed")
    return events


def _window_s(text: str) -> int:
    return int(text[:-1]) * _SECONDS[text[-1]]


# -- the answer --------------------------------------------------------------------------------


def _answer(parameters: Parameters) -> Answer:
    if not parameters.answer_body:
        return Answer(parameters.status)
    return Answer(parameters.status, (("Content-Type", "application/json"),), parameters.answer_body.encode())


def _refused(status: int, why: str, parameters: Parameters) -> Claimed:
    """What a sender is told is the same whatever is wrong; why stands on the walk."""
    body = msgspec.json.encode({"error": _ERRORS[status]})
    return Claimed(
        [],
        Answer(status, (("Content-Type", "application/json"),), body),
        conceal=_concealed(parameters),
        warnings=(f"refused with {status}: {why}",),
        refusal=f"webhook {status}",
    )
