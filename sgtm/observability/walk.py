"""Walk: what one request did, hop by hop. Optional everywhere; preview and the demo read it."""

from typing import Literal

from msgspec import Struct, field

from sgtm.messages import Answer, EventData, Outcome, OutgoingRequest, TagResult, VendorAnswer


class WalkedDelivery(Struct):
    """One outgoing request and what the vendor answered (None while it is under way)."""

    request: OutgoingRequest
    answer: VendorAnswer | None = None
    outcome: Outcome | None = None
    error: str = ""
    attempts: int = 0


class WalkedTag(Struct):
    """One tag for one event: fired or not, and why not."""

    name: str
    outcome: Literal["fired", "blocked by consent", "failed", "sent nothing"]
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    match_keys: tuple[str, ...] = ()
    deliveries: list[WalkedDelivery] = field(default_factory=list)

    def note(self, result: TagResult) -> None:
        """What the tag made of the event."""
        self.outcome = "sent nothing" if result.sends_nothing_because else "fired"
        self.reason = result.sends_nothing_because
        self.warnings.extend(result.warnings)
        self.match_keys = result.match_keys

    def delivery(self, request: OutgoingRequest) -> WalkedDelivery:
        """A new delivery of this tag, for the lane to fill in."""
        self.deliveries.append(WalkedDelivery(request))
        return self.deliveries[-1]


class WalkedEvent(Struct):
    """One event and the tags that it reached."""

    name: str
    data: EventData
    note: str = ""
    tags: list[WalkedTag] = field(default_factory=list)


class Walk(Struct):
    """One request's whole walk."""

    method: str = ""
    path: str = ""
    declined: list[tuple[str, str]] = field(default_factory=list)
    """(client name, reason) of each client that was asked before one claimed."""
    claimed_by: str = ""
    warnings: list[str] = field(default_factory=list)
    events: list[WalkedEvent] = field(default_factory=list)
    answer: Answer | None = None
