"""The structs of the preview's API: what the page shows of one request.

Everything in them is plain data, already masked (`masking.py`): `encode` gives the JSON. In values that come
from events and variables, what JSON cannot say is an object of one `$` key: `{"$undefined": true}`,
`{"$number": "NaN"}`, `{"$bytes": "text"}`, `{"$cut": 70000}` (items or characters that were left out).
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

Source = Literal["session", "lookback", "replay"]
Headers = list[tuple[str, str]]


class TagCounts(Struct):
    """How a request's tags ended."""

    fired: int = 0
    failed: int = 0
    held: int = 0
    """Triggered, and kept from sending: consent, schedule, sequence, deduplication, nothing to send."""
    not_fired: int = field(default=0, name="not")
    """No trigger wanted them, or an exception did not."""


class DeliveryCounts(Struct):
    """How a request's deliveries stand."""

    done: int = 0
    failed: int = 0
    waiting: int = 0


class Summary(Struct):
    """A line of the list."""

    id: str
    at_micros: int
    """Unix time of receipt."""
    worker: int
    method: str
    path: str
    client: str
    """Who claimed it; empty: nobody."""
    events: list[str]
    tags: TagCounts
    status: int
    """Of the answer; 0: there is none yet."""
    took_micros: int
    deliveries: DeliveryCounts
    source: Source
    search: str = ""
    """More words by which the list's filter finds it: tags that fired, hosts that were sent to."""


class RequestPart(Struct):
    """The request as it came."""

    method: str
    url: str
    headers: Headers
    body: str
    remote_address: str
    body_bytes: int = 0
    has_secrets: bool = False
    """Something in it is masked, so that it cannot be sent again as it is shown."""


class Difference(Struct):
    """One key path that a step changed."""

    kind: Literal["added", "removed", "changed"]
    path: str
    before: Any = None
    after: Any = None


class FailedCondition(Struct):
    """The condition that decided, and the two values as they were compared."""

    text: str
    value: Any
    compared_with: Any
    error: str


class Change(Struct):
    """A transformation or preparation."""

    name: str
    applied: bool
    changes: list[Difference]
    failed: FailedCondition | None
    reason: str


class TriggerPart(Struct):
    """A trigger of a tag."""

    name: str
    matched: bool
    blocking: bool
    failed: FailedCondition | None
    reason: str


class VariablePart(Struct):
    """A variable that the tag read."""

    name: str
    type: str
    value: Any
    value_type: str
    """As JavaScript names it: undefined, string, number, boolean, object, array, null."""
    failed: bool


class TryPart(Struct):
    """An attempt at a delivery."""

    begun_micros: int
    """From the receipt of the request on."""
    took_micros: int
    status: int | None
    outcome: str
    reason: str
    error: str


class DeliveryPart(Struct):
    """An outgoing request, as it goes on the wire but for its credential."""

    method: str
    url: str
    headers: Headers
    body: str
    body_bytes: int
    credential: str
    """Its name; empty: it needs none."""
    credential_place: str
    """`header Authorization` or `query access_token`."""
    status: int | None
    answer_headers: Headers
    answer_body: str
    outcome: str
    """done, retry, dead, isolate, refused; empty: under way."""
    reason: str
    error: str
    attempts: int
    begun_micros: int
    """Of the latest attempt, from the receipt of the request on; -1: it was not sent yet."""
    took_micros: int
    tries: list[TryPart]


class TagPart(Struct):
    """A tag for one event."""

    name: str
    type: str
    outcome: str
    """As `WalkedTag.outcome`."""
    group: Literal["fired", "failed", "held", "not"]
    """Where `Summary.tags` counts it."""
    reason: str
    triggers: list[TriggerPart]
    transformations: list[Change]
    variables: list[VariablePart]
    warnings: list[str]
    console: list[str]
    match_keys: list[str]
    deliveries: list[DeliveryPart]
    is_template: bool = False
    """It waits for what its requests are answered."""


class EventPart(Struct):
    """An event of the request."""

    name: str
    note: str
    data: Any
    preparations: list[Change]
    tags: list[TagPart]
    inherited: dict[str, str] = {}
    """Keys of `data` that the event did not bring, and where each is from."""


class CookiePart(Struct):
    """A cookie that the answer sets."""

    name: str
    value: str
    attributes: list[str]


class AnswerPart(Struct):
    """What the requester was answered."""

    status: int
    headers: Headers
    """Without Set-Cookie."""
    cookies: list[CookiePart]
    body: str
    body_bytes: int


class DeclinedPart(Struct):
    """A client that was asked and did not want the request."""

    client: str
    reason: str


class Span(Struct):
    """A line of the waterfall; offsets from the receipt of the request."""

    what: str
    kind: Literal["request", "hop", "delivery"]
    begin_micros: int
    end_micros: int
    outcome: str = ""
    """Of an attempt at a delivery: done, retry, dead, isolate, refused."""


class RequestView(Struct):
    """One request's whole walk."""

    summary: Summary
    container_version: str
    request: RequestPart
    declined: list[DeclinedPart]
    claimed_by: str
    warnings: list[str]
    events: list[EventPart]
    answer: AnswerPart | None
    timing: list[Span]
    console: list[str] = []
    """Lines that the template of a client wrote."""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RequestView)


def encode(part: Struct | list[Summary]) -> bytes:
    """A view, a summary or a list of them as JSON."""
    return _ENCODER.encode(part)


def decode_view(text: bytes) -> RequestView:
    """A view out of its JSON, as another process has encoded it. Raises msgspec.DecodeError."""
    return _DECODER.decode(text)
