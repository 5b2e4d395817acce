"""Delivery: one outgoing request on its way. Batch: the deliveries that travel in one request."""

from collections.abc import Callable, Hashable, Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.component import Component
from sgtm.delivery.clock import Alarm
from sgtm.delivery.exchange import Started
from sgtm.delivery.letter import Death
from sgtm.messages import CredentialUse, Outcome, OutgoingRequest
from sgtm.observability.trace import TagTrace
from sgtm.observability.walk import WalkedDelivery

MAX_BATCH_BYTES = 1_048_576
"""Bound of a batch's body (SPEC: reliability 3, rule 10); a larger single item travels alone."""
_ENVELOPE_BYTES = 1_024
MAX_ITEMS_BYTES = MAX_BATCH_BYTES - _ENVELOPE_BYTES
_FIXED_BYTES = 1_024

BatchKey = tuple[str, str, tuple[tuple[str, str], ...], CredentialUse | None]


class DeliveryRules(Struct, frozen=True):
    """How one tag's requests are sent; `delivery:` of a tag in container.yaml."""

    timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="Seconds for one attempt, from connecting to the whole answer.")
    ] = 5.0
    expires_after_s: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds after the receipt of the hit when its events are given up, if the vendor "
            "has no use for them earlier (Meta: 7 days, GA4: 72 hours).",
        ),
    ] = 604_800.0
    max_batch: Annotated[int, Meta(ge=0, description="Events in one request; 0: what the vendor allows.")] = 0
    linger_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Milliseconds for which a batch waits for company, if the tag batches.",
        ),
    ] = 50


class HandedBack(Outcome, frozen=True):
    """Not an outcome but the lack of one: the delivery is still owed, and waits for `destination`."""

    destination: Hashable = ()
    expires_micros: int = 0


class Delivery(Struct, eq=False):
    """One outgoing request on its way, with what is needed to judge and to settle it."""

    tag: str
    component: Component
    request: OutgoingRequest
    rules: DeliveryRules
    on_settled: Callable[[Outcome], Any]
    """Called exactly once with a `done`, `dead` or `refused` outcome; with `HandedBack` when the lanes
    let go of it before that: it is still owed, and an outbox that reads again keeps its record."""
    expires_micros: int
    on_dead: Callable[[Death], Any] | None = None
    """Called before `on_settled` where it is given up, so that a dead letter can be kept."""
    event_index: int = 0
    """Of the event that it carries, among those of its record."""
    received_micros: int = 0
    """When the request came that it goes back to (Unix time); 0: nobody says."""
    seed: int = 0
    """Of that request: together they name its record."""
    trace: TagTrace | None = None
    """Who is told of each attempt."""
    begun_micros: int = 0
    """When the latest attempt began, where somebody is told (Unix time)."""
    walked: WalkedDelivery | None = None
    is_again: bool = False
    """Of a record that is run again: what comes now goes first."""
    attempts: int = 0
    """How often it was sent so far."""
    deadline_s: float = 0.0
    """`expires_micros` on the lane's monotonic clock; the lane sets it."""
    size_bytes: int = 0
    """About what it holds in memory; the lane weighs it."""
    last_reason: str = ""
    """Why the latest attempt did not do; the lane notes it for whoever asks why it expired."""
    last_status: int = 0
    last_answer: bytes = b""
    """The beginning of the latest answer that did not do."""

    def begins(self, now_micros: int) -> None:
        """It is sent once more, and somebody is told."""
        self.begun_micros = now_micros
        if self.walked is not None:
            self.walked.begins(now_micros)

    @property
    def has_company(self) -> bool:
        """It may travel in one request with others: its tag makes one of many such."""
        if not self.request.item or self.component.envelope is None:
            return False
        return self.walked is None or not self.walked.is_alone

    @property
    def batch_key(self) -> BatchKey:
        """Deliveries with the same key may travel together."""
        request = self.request
        return self.tag, request.url, request.headers, request.credential

    @property
    def item_bytes(self) -> int:
        """Its share of a batch's body, a comma included."""
        return len(self.request.item) + 1

    def weigh(self) -> None:
        """Set `size_bytes`."""
        request = self.request
        self.size_bytes = _FIXED_BYTES + len(request.url) + len(request.body) + len(request.item)

    @property
    def max_batch(self) -> int:
        """Events in one request: the operator's bound within the vendor's."""
        allowed = self.component.max_batch
        return min(self.rules.max_batch or allowed, allowed)


class Batch:
    """One or many deliveries for one request. It is in one place at a time: forming, ready, waiting
    for its retry, or under way."""

    __slots__ = ("alarm", "began", "deliveries", "is_isolated", "item_bytes", "key", "max_batch", "started")

    def __init__(self, deliveries: list[Delivery], *, is_isolated: bool = False) -> None:
        self.deliveries = deliveries
        first = deliveries[0]
        self.key: BatchKey | None = None
        self.item_bytes = 0
        self.max_batch = 1
        if first.has_company:
            self.key, self.max_batch = first.batch_key, first.max_batch
            self.item_bytes = sum(delivery.item_bytes for delivery in deliveries)
        self.is_isolated = is_isolated
        """Part of a batch with a bad event in it: never joined with others again."""
        self.alarm: Alarm | None = None
        """Rings when it has waited for company long enough."""
        self.started: Started | None = None
        """Under way without a task."""
        self.began = 0.0
        """When it left (monotonic seconds)."""

    @property
    def attempts(self) -> int:
        """Those of the delivery that was tried most often."""
        if self.key is None:
            return self.deliveries[0].attempts
        return max([delivery.attempts for delivery in self.deliveries])

    def can_take_over(self, other: "Batch") -> bool:
        """Whether all of `other` can travel with these."""
        are_kin = (
            self.key is not None and self.key == other.key and not (self.is_isolated or other.is_isolated)
        )
        has_room = (
            len(self.deliveries) + len(other.deliveries) <= self.max_batch
            and self.item_bytes + other.item_bytes <= MAX_ITEMS_BYTES
        )
        return are_kin and has_room

    def take_over(self, other: "Batch") -> None:
        """All of `other` travel with these (`can_take_over` said yes)."""
        self.deliveries.extend(other.deliveries)
        self.item_bytes += other.item_bytes

    def pop_first(self) -> Delivery:
        """Take the oldest out."""
        delivery = self.deliveries.pop(0)
        self.item_bytes -= delivery.item_bytes
        return delivery

    def drop_expired(self, now: float) -> list[Delivery]:
        """Take those out whose time is over."""
        expired = [delivery for delivery in self.deliveries if delivery.deadline_s <= now]
        if expired:
            self.deliveries = [delivery for delivery in self.deliveries if delivery.deadline_s > now]
            self.item_bytes -= sum(delivery.item_bytes for delivery in expired)
        return expired


def oldest_s(deliveries: Iterable[Delivery], unix_micros: int) -> float:
    """Age of the oldest request that one of these goes back to; 0 where there is none."""
    received = min((one.received_micros for one in deliveries if one.received_micros), default=unix_micros)
    return max(0.0, (unix_micros - received) / 1_000_000)
