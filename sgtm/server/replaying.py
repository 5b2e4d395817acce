"""Replaying: runs records again because somebody asked for it, through this worker's lanes.

    asked -> one ReplayRun per item -> tags fire, with the time of the asking as their begin -> lanes
             (known: nothing is run twice)      -> all settled: sent, dead, too old, nothing

An item that was asked for before is not run again while this process lives: the asker asks until it has an
answer, and writes that down itself (SPEC: R302, safe to run twice). Neither the outbox nor the archive hears
of it, but for letters: one goes when its replay is settled, and what dies again is buried again.
"""

import asyncio
import time
import zlib
from typing import Literal

from msgspec import Struct

from sgtm.container.container import Container
from sgtm.delivery.lanes import Delivery, Lanes
from sgtm.delivery.letter import Letter, now_micros
from sgtm.delivery.outbox import Outbox, OutboxUnavailable
from sgtm.delivery.outbox.held import Hold
from sgtm.delivery.outbox.records import read_record, split_group
from sgtm.hit import Again
from sgtm.holding import ENDS
from sgtm.messages import Outcome, Record
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline
from sgtm.server.earlier import EarlierContainers

MAX_PENDING = 2_000
"""Deliveries in the lanes above which nothing more is run: hits that come go first."""
MAX_RUNS = 100_000
WAIT_S = 2.0

State = Literal["sent", "nothing", "dead", "too old", "unknown", "under way", "busy"]


class Item(Struct):
    """A record to be run again, or a letter."""

    key: str
    """Names it in this replay."""
    record: bytes = b""
    """A group of one; see records.py."""
    slot: int = -1
    letter: str = ""
    """Id of a letter that this slot keeps,"""
    number: int = 0
    """and its number."""


class Asked(Struct):
    """Some items of one replay."""

    replay: str
    items: list[Item] = []
    tags: list[str] = []
    """Only these fire; empty: all. A letter has a tag of its own."""
    where: list[tuple[str, str]] = []
    uses_recorded_version: bool = False
    """Of the container, where it is kept; otherwise what serves now."""


class Replayed(Struct):
    """What became of an item. `busy` and `under way`: ask again."""

    key: str
    state: State
    reason: str = ""
    requests: int = 0


class ReplayRun:
    """One item: it hears what the pipeline does with the record, in the place of outbox and lanes."""

    def __init__(self, lanes: Lanes, outbox: Outbox, *, is_of_all_tags: bool) -> None:
        self._lanes, self._outbox, self.is_of_all_tags = lanes, outbox, is_of_all_tags
        self.walk: Walk | None = Walk()
        self._said: tuple[State, str] = ("under way", "")
        self.requests = self.too_old = self._open = 0
        self._has_run = self.was_handed_back = False
        self.dead = ""
        self.over = asyncio.Event()

    def deliver(self, delivery: Delivery) -> None:
        """See Lanes. What the vendor does not take any more is not sent, and leaves no letter."""
        if delivery.expires_micros <= now_micros():
            self.too_old += 1
            delivery.on_settled(Outcome("dead", "too old for the vendor"))
            return
        settle = delivery.on_settled

        def settled(outcome: Outcome) -> None:
            self._open -= 1
            self.was_handed_back = self.was_handed_back or outcome.kind == "retry"
            settle(outcome)
            self._look()

        self.requests += 1
        self._open += 1
        delivery.on_settled = settled
        self._lanes.deliver(delivery)

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """See Outbox."""

    def settle(self, record_id: int, tag: str) -> None:
        """See Outbox."""

    def bury(self, record_id: int, letter: Letter) -> None:
        """See Outbox."""
        self.dead = letter.reason or "given up"
        self._outbox.bury(-1, letter)

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox. Nothing waits there for a replay: it is asked for again."""
        self.was_handed_back = True

    def has_run(self) -> None:
        """All tags have run."""
        self._has_run = True
        self._look()

    def _look(self) -> None:
        if self._has_run and not self._open and not self.over.is_set():
            self._said = self._ended()
            self.walk = None  # it holds the whole event
            self.over.set()

    def state(self) -> tuple[State, str]:
        """What became of it so far, in one word and in a few."""
        return self._said

    def _ended(self) -> tuple[State, str]:
        if self.dead:
            return "dead", self.dead
        if self.too_old:
            return "too old", "the vendor takes events of this age no more"
        return ("sent", "") if self.requests else ("nothing", self._why_nothing())

    def _why_nothing(self) -> str:
        if self.walk is None or not self.walk.events:
            return "no such event"
        # not the reasons: they may quote the event
        outcomes: set[str] = {tag.outcome for event in self.walk.events for tag in event.tags}
        ended = {event.note for event in self.walk.events if event.note.startswith(ENDS)}
        return ", ".join(sorted(outcomes | ended)) or "no tag looks at it"


class Place(Struct, frozen=True):
    """Which worker of how many it is."""

    slot: int
    workers: int


class Replays:
    """All replays of one worker."""

    def __init__(
        self, pipeline: Pipeline, outbox: Outbox, lanes: Lanes, place: Place, earlier: EarlierContainers
    ) -> None:
        self._pipeline, self._outbox, self._lanes = pipeline, outbox, lanes
        self._place, self._earlier = place, earlier
        self._runs: dict[tuple[str, str], ReplayRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, asked: Asked) -> list[Replayed]:
        """Run what is this slot's share of the items and was not run before; what became of them so
        far, after a moment for those that are under way."""
        mine = {item.key: item for item in asked.items if self._is_mine(item)}
        answers = {key: await self._begin(asked, item) for key, item in mine.items()}
        runs = [run for run in answers.values() if isinstance(run, ReplayRun)]
        await self._wait(runs)
        return [
            await self._end(asked, item, run) if isinstance(run, ReplayRun) else run
            for item, run in zip(mine.values(), answers.values(), strict=True)
        ]

    def _is_mine(self, item: Item) -> bool:
        if item.letter:
            return item.slot == self._place.slot
        return zlib.crc32(item.key.encode()) % self._place.workers == self._place.slot

    async def _begin(self, asked: Asked, item: Item) -> ReplayRun | Replayed:
        known = self._runs.get((asked.replay, item.key))
        if known is not None:
            return known
        if self._lanes.pending >= MAX_PENDING or not self._make_room():
            return Replayed(item.key, "busy", "the lanes are full")
        try:
            found = await self._found(asked, item)
        except OutboxUnavailable as error:
            return Replayed(item.key, "busy", error.what)
        if isinstance(found, str):
            return Replayed(item.key, "unknown", found)
        record, again = found
        container = self._pipeline.container
        if asked.uses_recorded_version:
            container = await self._earlier.of(record.container_version, container)
        missing = (again.only or frozenset()) - {tag.name for tag in container.tags}
        if missing:
            return Replayed(item.key, "unknown", f"there is no tag {', '.join(sorted(missing))}")
        known = self._runs.get((asked.replay, item.key))
        if known is not None:  # somebody else asked while we waited
            return known
        run = ReplayRun(self._lanes, self._outbox, is_of_all_tags=again.only is None)
        self._runs[asked.replay, item.key] = run
        task = asyncio.get_running_loop().create_task(self._run(run, record, again, container))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    async def _run(self, run: ReplayRun, record: Record, again: Again, container: Container) -> None:
        again = Again(0, again.settled, again.only, again.event, again.where, run, now_micros())
        await self._pipeline.through(run).run_again(record, again, container, run.walk)
        run.has_run()

    async def _found(self, asked: Asked, item: Item) -> tuple[Record, Again] | str:
        """The record and how it runs, or why there is none. Raises OutboxUnavailable."""
        where = tuple((path, value) for path, value in asked.where)
        if not item.letter:
            payload = next(split_group(item.record), None)
            record = read_record(payload) if payload is not None else None
            only = frozenset(asked.tags) or None
            return (record, Again(0, only=only, where=where)) if record is not None else "it is damaged"
        page = await self._outbox.letters(item.number - 1, 1)
        if not page or page[0].letter.id != item.letter:
            return "the letter is gone"
        letter = page[0].letter
        only = frozenset({letter.tag}) if letter.tag else None
        return letter.record, Again(0, frozenset(letter.settled), only, letter.event_index, where)

    async def _end(self, asked: Asked, item: Item, run: ReplayRun) -> Replayed:
        if run.was_handed_back:
            self._runs.pop((asked.replay, item.key), None)
            return Replayed(item.key, "busy", "the destination is shut")
        state, reason = run.state()
        has_nothing_left = state == "nothing" and run.is_of_all_tags and not asked.where
        if item.letter and (state == "sent" or has_nothing_left):
            try:
                await self._outbox.forget([item.letter])
            except OutboxUnavailable as error:
                return Replayed(item.key, "under way", error.what)
        if state not in ("sent", "dead", "under way"):  # it may be different the next time
            self._runs.pop((asked.replay, item.key), None)
        return Replayed(item.key, state, reason, run.requests)

    async def _wait(self, runs: list[ReplayRun]) -> None:
        until = time.monotonic() + WAIT_S
        for run in runs:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    await run.over.wait()
            except TimeoutError:
                return

    def _make_room(self) -> bool:
        """Forget the oldest runs that are over; whether there is room for one more."""
        if len(self._runs) >= MAX_RUNS:
            for name in [name for name, run in self._runs.items() if run.over.is_set()][: MAX_RUNS // 10]:
                del self._runs[name]
        return len(self._runs) < MAX_RUNS
