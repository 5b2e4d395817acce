"""Hit: the state of one claimed request on its way through the pipeline."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from sgtm.container.container import Container, ContainerClient
from sgtm.delivery.delivery import HandedBack
from sgtm.delivery.letter import (
    MAX_REASON,
    Death,
    Letter,
    begin_of,
    is_name,
    keys_of,
    now_micros,
)
from sgtm.delivery.outbox import Commit
from sgtm.delivery.outbox.held import Hold
from sgtm.event import Event
from sgtm.event_ends import EventEnds
from sgtm.javascript import text_of
from sgtm.messages import (
    Answer,
    Claimed,
    Cookie,
    IncomingRequest,
    Outcome,
    OutgoingRequest,
    Record,
    record_of,
)
from sgtm.observability.trace import Trace
from sgtm.observability.walk import Walk, WalkedEvent

OnSettled = Callable[[Outcome], None]


class Debts(Protocol):
    """Who is told what a record owes and what was settled of it: the outbox, or whoever replays it."""

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """See Outbox."""

    def settle(self, record_id: int, tag: str) -> None:
        """See Outbox."""

    def bury(self, record_id: int, letter: Letter) -> None:
        """See Outbox."""

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox."""


class Again(Struct, frozen=True):
    """A record that is run again, after a crash or because somebody asks for it."""

    record_id: int
    settled: frozenset[str] = frozenset()
    """Tags that owe nothing any more: they do not fire."""
    only: frozenset[str] | None = None
    """Only these tags fire, whatever is settled; None: all."""
    event: int | None = None
    """Only the event of this index runs; None: all."""
    where: tuple[tuple[str, str], ...] = ()
    """Only events run whose value at each key path is, as text, this."""
    debts: Debts | None = None
    """Who is told instead of the outbox."""
    at_micros: int = 0
    """When somebody asked for it: from here on its deliveries have their time. 0: from the receipt on."""

    def wants(self, event: Event) -> bool:
        """Whether this event runs."""
        return self.event in (None, event.index) and all(
            text_of(event.get(key_path)) == text for key_path, text in self.where
        )


class Run(Struct):
    """One request on its way to the client that claims it. It keeps the container it began with."""

    container: Container
    request: IncomingRequest
    walk: Walk | None = None
    again: Again | None = None
    delivers: bool = True  # False: others do, and here only tags that answer the browser run
    trace: Trace | None = None
    raised: str = ""
    """Which client raised while it looked at the request, and what."""


EVENTS_OF_A_HIT = 25
"""The most that a browser puts into one; a known sender with more may cause as much more."""


class HitBounds(Struct, frozen=True):
    """What one hit may cause, so that nobody can make much of little (SPEC: reliability 3, rule 10)."""

    requests: int = 50
    """0: any number."""
    bytes: int = 1024 * 1024
    """Of their addresses and bodies together; 0: any number."""


class Hit(Struct, eq=False):
    """What was claimed, what its tags asked for, and what they still owe to the outbox.

    A tag owes a record all the requests it built for it. When the last one is settled the outbox is
    told; never before all tags have run, since a later event of the same hit may add to the debt.
    """

    container: Container
    request: IncomingRequest
    client: ContainerClient
    claimed: Claimed
    debts: Debts
    walk: Walk | None = None
    again: Again | None = None
    trace: Trace | None = None
    delivers: bool = True
    fires_all: bool = True
    """No tag is left out, whatever it is: nothing runs again, and deliveries are made here."""
    waits: bool = False
    """The answer waits for what the tags send."""
    record_id: int = -1
    commit: Commit | None = None
    """Done when the record is safe; None: it is."""
    cookies: list[Cookie] = []
    pixels: list[str] = []
    pending: list[Coroutine[Any, Any, Any]] = []
    """Firings that cannot go on before something has been answered."""
    later_answer: Answer | None = None
    """In the place of the client's, where that has to be fetched or is said later."""
    keys: dict[bytes, int] = {}
    """Keys that its events have taken, by the index of the event."""
    caused_requests: int = 0
    caused_bytes: int = 0
    """Outgoing requests of its tags."""
    ends: EventEnds | None = None
    """None: nobody wants to hear of the ends of events."""
    is_over: bool = False
    """Whether that was more than it may."""
    has_failed: bool = False
    _has_run: bool = False
    _owed: dict[str, int] = {}
    _parts: int = 1
    """What has not run yet: its events, and each one that waits for its counterpart."""
    _given_back: dict[str, dict[Hold, int]] = {}
    """By tag what its deliveries wait for that the lanes handed back, and when the first expires:
    still owed by the record."""
    _all_settled: asyncio.Future[None] | None = None

    @classmethod
    def of(cls, run: Run, client: ContainerClient, claimed: Claimed, outbox: Debts) -> "Hit":
        """What `client` has claimed."""
        again, around = run.again, run.container.surroundings
        hit = cls(
            run.container,
            run.request,
            client,
            claimed,
            outbox if again is None or again.debts is None else again.debts,
            run.walk,
            again,
            run.trace,
            run.delivers,
            again is None and run.delivers,
            claimed.waits_for_tags and again is None,
        )
        if again is not None:
            hit.record_id = again.record_id
        if around is not None and around.hears_ends:
            hit.ends = EventEnds()
        if run.walk is not None:
            run.walk.claimed_by = client.name
            run.walk.warnings.extend(claimed.warnings)
            run.walk.concealed, run.walk.recorded_body = claimed.conceal, claimed.recorded_body
            run.walk.reached("clients")
        return hit

    # -- a record that is run again --------------------------------------------------------------

    def has_settled(self, tag: str) -> bool:
        """Whether what `tag` owes for this record was settled in an earlier run."""
        return self.again is not None and tag in self.again.settled

    def skips(self, tag: str, answers_browser: bool = True) -> bool:
        """Whether `tag` does not fire in this run, whatever the event says."""
        if self.again is None:
            return not (self.delivers or answers_browser)
        return tag not in self.again.only if self.again.only is not None else tag in self.again.settled

    @property
    def waits_for_client(self) -> bool:
        """Whether the client's own code says the answer later."""
        goes_on = self.claimed.goes_on
        return goes_on is not None and goes_on.answer is None and self.again is None

    @property
    def begun_micros(self) -> int:
        """From when on its deliveries have their time."""
        asked = self.again.at_micros if self.again is not None else 0
        return asked or self.request.received_micros

    # -- what it causes --------------------------------------------------------------------------

    def may_cause(self, request: OutgoingRequest, bounds: HitBounds) -> bool:
        """Count one more request, and say whether that is within bounds."""
        self.caused_requests += 1
        self.caused_bytes += len(request.url) + len(request.body) + len(request.item)
        if self.caused_requests <= bounds.requests and self.caused_bytes <= bounds.bytes:
            return True
        return self._is_within(bounds, 1.0) or (
            self.claimed.is_sender_known
            and self._is_within(bounds, len(self.claimed.events) / EVENTS_OF_A_HIT)
        )

    def _is_within(self, bounds: HitBounds, times: float) -> bool:
        return (not bounds.requests or self.caused_requests <= times * bounds.requests) and (
            not bounds.bytes or self.caused_bytes <= times * bounds.bytes
        )

    # -- debts -----------------------------------------------------------------------------------

    def owe(self, tag: str) -> OnSettled:
        """`tag` owes one more request; call what is returned when that is settled."""
        self._owed[tag] = self._owed.get(tag, 0) + 1

        def settled(outcome: Outcome) -> None:
            self._owed[tag] -= 1
            if outcome.kind != "done":
                self.has_failed = True
            if isinstance(outcome, HandedBack):
                self._given_back_one(tag, outcome)
            if self._has_run:
                if not self._owed[tag]:
                    self._end(tag)
                self._wake()

        return settled

    def _given_back_one(self, tag: str, outcome: HandedBack) -> None:
        holds = self._given_back.setdefault(tag, {})
        hold, expires = Hold(tag, outcome.destination), outcome.expires_micros
        holds[hold] = min(expires, holds.get(hold, expires))

    def _end(self, tag: str) -> None:
        """The tag has nothing under way any more: it owes nothing, or its record goes on waiting."""
        holds = self._given_back.get(tag)
        if holds is None:
            self.debts.settle(self.record_id, tag)
            return
        for hold, expires_micros in holds.items():
            self.debts.hand_back(self.record_id, hold, expires_micros)

    def has_part(self) -> None:
        """An event waits by itself: the record has not run before `tags_have_run` was said once more."""
        self._parts += 1

    def tags_of(self, index: int) -> list[dict[str, Any]]:
        """What the tags of an event have come to, if anybody wants to hear of it."""
        return [] if self.ends is None else self.ends.tags_of(index)

    def tags_have_run(self) -> None:
        """The tags of a part have run; with the last one say so to the outbox, with what is still owed."""
        self._parts -= 1
        if self._parts:
            return
        self._has_run = True
        if self.record_id < 0:
            return
        owing = self._owing()
        self.debts.ran(self.record_id, owing)
        if self._given_back or self.again is not None:
            ended = [tag for tag in self._given_back if not self._owed[tag]]
            if self.again is not None and self.again.only is not None:
                # an earlier run has said what is owed: it hears of each that owes nothing now
                ended += self.again.only - owing
                if self.again.debts is None:  # a replay's letter or record stays where it is
                    for tag in self.again.only - owing - self.container.tags_by_name.keys():
                        self.build_failed(tag, 0, "the container that runs has no such tag")
            for tag in ended:
                self._end(tag)

    def _owing(self) -> frozenset[str]:
        if self._given_back:
            return frozenset(tag for tag, count in self._owed.items() if count) | self._given_back.keys()
        return frozenset([tag for tag, count in self._owed.items() if count])

    async def all_settled(self) -> None:
        """Wait until nothing is owed any more."""
        if any(self._owed.values()):
            self._all_settled = asyncio.get_running_loop().create_future()
            await self._all_settled

    def _wake(self) -> None:
        waiter = self._all_settled
        if waiter is not None and not waiter.done() and not any(self._owed.values()):
            waiter.set_result(None)

    # -- what is given up ------------------------------------------------------------------------

    def died(self, death: Death) -> None:
        """A delivery was given up: keep its letter before it is settled."""
        self._bury(
            Letter(
                record=self._record(),
                kind="delivery",
                tag=death.tag,
                reason=death.reason[:MAX_REASON],
                at_micros=death.at_micros,
                event_index=death.event_index,
                destination=death.destination,
                attempts=death.attempts,
                status=death.status,
                answer=begin_of(death.answer),
            )
        )

    def build_failed(self, tag: str, event_index: int, reason: str) -> None:
        """A tag, or before it a preparation (`tag` is empty), raised: keep the letter (SPEC: R301)."""
        if not self.delivers:  # whoever delivers it finds that out too
            return
        self._bury(
            Letter(
                record=self._record(),
                kind="build",
                tag=tag,
                reason=reason[:MAX_REASON],
                at_micros=now_micros(),
                event_index=event_index,
                settled=tuple(self.again.settled) if self.again is not None else (),
            )
        )

    def _record(self) -> Record:
        if self.again is not None:
            return Record(self.request, self.container.version)
        return record_of(self.request, self.claimed, self.container.version)

    def _bury(self, letter: Letter) -> None:
        events, index = self.claimed.events, letter.event_index
        data = events[index] if index is not None and index < len(events) else {}
        name = data.get("event_name")
        self.debts.bury(
            self.record_id,
            replace(
                letter,
                event_name=name if isinstance(name, str) and is_name(name) else "",
                keys=keys_of(data),
                container_version=self.container.version,
            ),
        )

    # -- walk ------------------------------------------------------------------------------------

    def walk_event(self, event: Event, note: str = "") -> WalkedEvent | None:
        """Note an event, if anybody looks."""
        if self.walk is None:
            return None
        notes = self.claimed.notes
        note = note or (notes[event.index] if event.index < len(notes) else "")
        self.walk.events.append(WalkedEvent(event.name, event.data, note, is_alone=self.walk.is_alone))
        return self.walk.events[-1]


async def run_all(
    hit: Hit,
    fire: Callable[[Hit, Event, WalkedEvent | None], None],
    event: Event,
    walked: WalkedEvent | None,
) -> None:
    """Fire an event that had to wait, and run what its tags have put at the end of `hit.pending`."""
    first = len(hit.pending)
    fire(hit, event, walked)
    waiting = hit.pending[first:]
    del hit.pending[first:]
    if waiting:
        await asyncio.gather(*waiting)


class Debt:
    """What one firing of a tag owes: a sequence goes on when that is settled."""

    def __init__(self) -> None:
        self._open = 1
        """Requests under way, and the building itself."""
        self._has_failed = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def owe(self, settle: OnSettled) -> OnSettled:
        """Wraps `on_settled` of one more request."""
        self._open += 1

        def settled(outcome: Outcome) -> None:
            settle(outcome)
            self.ended(has_failed=outcome.kind != "done")

        return settled

    def ended(self, *, has_failed: bool) -> None:
        """A request is settled, or the building has ended."""
        self._open -= 1
        self._has_failed = self._has_failed or has_failed
        if not self._open and not self._done.done():
            self._done.set_result(None)

    async def settled(self, timeout_s: float) -> bool:
        """Wait until nothing is owed, `timeout_s` at most. Whether all of it succeeded."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._done
        except TimeoutError:
            return False
        return not self._has_failed
