"""Walk: what one request did, hop by hop. Optional everywhere; preview and the demo read it."""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct, field

from sgtm.messages import Answer, EventData, Outcome, OutgoingRequest, TagResult, VendorAnswer

MOST_TRIES = 20
"""Of one delivery, the latest; what is sent again for days must not grow on the walk."""


class WalkedTry(Struct):
    """One attempt at a delivery, as it ended."""

    begun_micros: int
    """Unix time."""
    took_micros: int
    outcome: Outcome
    status: int | None = None
    """Of the answer; None where none came."""
    error: str = ""


class WalkedDelivery(Struct):
    """One outgoing request and what the vendor answered (None while it is under way)."""

    request: OutgoingRequest
    answer: VendorAnswer | None = None
    outcome: Outcome | None = None
    error: str = ""
    attempts: int = 0
    begun_micros: int = 0
    """Unix time at which the latest attempt began; 0: it was not sent yet."""
    took_micros: int = 0
    """How long the latest attempt took until its answer was complete."""
    tries: list[WalkedTry] = field(default_factory=list)
    is_alone: bool = False
    """It shares no request with deliveries of others: who looks at it sees nothing of theirs."""

    def begins(self, now_micros: int) -> None:
        """An attempt begins."""
        self.begun_micros = now_micros

    def ended(
        self, now_micros: int, outcome: Outcome, answer: VendorAnswer | None, error: str, attempts: int
    ) -> None:
        """The attempt ended so; for some outcomes that is not the delivery's end."""
        begun = self.begun_micros or now_micros
        self.took_micros = max(0, now_micros - begun)
        self.outcome, self.answer, self.error, self.attempts = outcome, answer, error, attempts
        status = answer.status if answer is not None else None
        self.tries.append(WalkedTry(begun, self.took_micros, outcome, status, error))
        del self.tries[:-MOST_TRIES]


class WalkedCondition(Struct):
    """The condition that decided a trigger: the two values as they were compared."""

    text: str
    """How the condition is written, for example `{{Page Path}} starts with /checkout`."""
    value: Any
    compared_with: Any
    error: str = ""
    """Class of the exception, where evaluating it failed."""


class WalkedTrigger(Struct):
    """One trigger for one event."""

    name: str
    has_matched: bool
    is_blocking: bool = False
    failed: WalkedCondition | None = None
    """The first condition that did not hold; None when it matched or only the event name was wrong."""
    reason: str = ""
    """In words, where no condition decided: the event's name, a trigger that does not exist."""


class WalkedTransformation(Struct):
    """One transformation (or preparation) and what it left of the event data."""

    name: str
    has_applied: bool
    before: EventData
    after: EventData
    failed: WalkedCondition | None = None
    reason: str = ""


class WalkedVariable(Struct):
    """A variable that somebody read, and its value for that view."""

    name: str
    value: Any
    has_failed: bool = False


class WalkedTag(Struct):
    """One tag for one event: fired or not, and why not."""

    name: str
    outcome: Literal[
        "fired",
        "sent nothing",
        "not triggered",
        "blocked by trigger",
        "blocked by consent",
        "held back",
        "failed",
    ]
    reason: str = ""
    triggers: list[WalkedTrigger] = field(default_factory=list)
    transformations: list[WalkedTransformation] = field(default_factory=list)
    variables: list[WalkedVariable] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    match_keys: tuple[str, ...] = ()
    deliveries: list[WalkedDelivery] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    """Lines that its template wrote."""
    is_alone: bool = False
    """See WalkedDelivery."""

    def note(self, result: TagResult) -> None:
        """What the tag made of the event."""
        self.outcome = "sent nothing" if result.sends_nothing_because else "fired"
        self.reason = result.sends_nothing_because
        self.warnings.extend(result.warnings)
        self.match_keys = result.match_keys
        self.console.extend(result.console)

    def delivery(self, request: OutgoingRequest) -> WalkedDelivery:
        """A new delivery of this tag, for the lane to fill in."""
        self.deliveries.append(WalkedDelivery(request, is_alone=self.is_alone))
        return self.deliveries[-1]


class WalkedEvent(Struct):
    """One event and the tags that it reached."""

    name: str
    data: EventData
    note: str = ""
    tags: list[WalkedTag] = field(default_factory=list)
    preparations: list[WalkedTransformation] = field(default_factory=list)
    is_alone: bool = False
    """See WalkedDelivery."""
    inherited: dict[str, str] = field(default_factory=dict)
    """Keys of event data that the event did not bring, and where each is from."""


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
    concealed: tuple[str, ...] = ()
    """Query parameters and headers (lower case) of the request in which the client found credentials."""
    recorded_body: bytes | None = None
    """The body of the request without the credential that the client found in it; None: it found none."""
    is_alone: bool = False
    """Somebody looks at this request for himself: see WalkedDelivery."""

    def reached(self, what: str) -> None:
        """The request has come so far. Only a `TimedWalk` keeps it."""


class WalkedSpan(Struct, frozen=True):
    """A stretch of the request's way."""

    what: str
    begin_micros: int
    """Unix time."""
    end_micros: int


class TimedWalk(Walk):
    """A walk that also notes when each hop was reached. `now_micros` is the clock, Unix time."""

    now_micros: Callable[[], int] = field(default=lambda: 0)
    begun_micros: int = 0
    spans: list[WalkedSpan] = field(default_factory=list)

    def reached(self, what: str) -> None:
        """What was done since the hop before, or the begin, is called `what`."""
        before = self.spans[-1].end_micros if self.spans else self.begun_micros
        self.spans.append(WalkedSpan(what, before, max(before, self.now_micros())))
