"""The store of many machines: a key-value bucket of JetStream, which `sgtm outbox init` makes.

    $KV.<stream>-context.row.<digest>     what is known under a key
    $KV.<stream>-context.pair.<digest>    who of two halves is sent

What is read is the leader's, and what is written says after which number: who was second reads again. So a
pair is decided once, however many deliverers ask. Everything runs in the broker's thread.
"""

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sgtm.delivery.context import ContextUnavailable, Erased
from sgtm.delivery.context.file import MAX_ERASED
from sgtm.delivery.context.keys import bucket_of
from sgtm.delivery.context.pairs import Meeting, Met, decide, read_pair, write_pair
from sgtm.delivery.context.rows import (
    MAX_ROW_BYTES,
    Row,
    Snapshot,
    read_row,
    row_after,
    withdrawn,
    without,
    write_row,
)
from sgtm.delivery.context.rules import ContextRules
from sgtm.delivery.context.values import Saver
from sgtm.delivery.outbox import OutboxFull
from sgtm.delivery.outbox.nats import NatsOutbox
from sgtm.delivery.outbox.nats_broker import Broker
from sgtm.delivery.outbox.nats_connection import NoAnswer
from sgtm.event import Event
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery")

SAVE_EVERY_S = 0.1
MAX_SAVES = 10_000
_AT_ONCE = 32
_TRIES = 20
"""How often somebody else may be first."""
_CLOSE_S = 3.0
T = TypeVar("T")
Step = Callable[[Row | None], Row | None]


class NatsContext:
    """Of one worker: what it asks of the bucket."""

    def __init__(self, broker: Broker, counters: Counters) -> None:
        self._broker, self._counters = broker, counters
        self._bucket = bucket_of(broker.connection.stream)
        self._saves: list[tuple[Event, ContextRules, bool]] = []
        self._saving: concurrent.futures.Future[tuple[int, int]] | None = None
        self._is_closed = False
        self.entries = self.size_bytes = 0
        self._failed = 0

    @classmethod
    def beside(cls, outbox: NatsOutbox, counters: Counters) -> "NatsContext":
        """With the broker of an outbox."""
        return cls(outbox.broker, counters)

    # -- what is asked ---------------------------------------------------------------------------

    def save(self, event: Event, rules: ContextRules, *, is_unset_granted: bool) -> None:
        """See ContextStore."""
        if len(self._saves) >= MAX_SAVES or self._is_closed:
            self._counters.add("sgtm_context_failures_total", "not saved")
            return
        self._saves.append((event, rules, is_unset_granted))
        if len(self._saves) == 1:
            asyncio.get_running_loop().call_later(SAVE_EVERY_S, self._flush)

    def _flush(self) -> None:
        """What waits is written by one at a time: what comes meanwhile waits together."""
        if self._saving is not None and not self._saving.done():
            asyncio.get_running_loop().call_later(SAVE_EVERY_S, self._flush)
            return
        saves, self._saves = self._saves, []
        if saves:
            loop = asyncio.get_running_loop()
            self._saving = self._broker.submit(self._save_all(saves))
            self._saving.add_done_callback(
                lambda done: None if loop.is_closed() else loop.call_soon_threadsafe(self._told, done)
            )

    def _told(self, saved: "concurrent.futures.Future[tuple[int, int]]") -> None:
        if saved.cancelled():
            return
        count, failed = saved.result()
        self._counters.add("sgtm_context_saved_total", amount=count)
        if failed:
            self._counters.add("sgtm_context_failures_total", "not saved", failed)

    async def find(self, keys: Sequence[bytes]) -> tuple[int, Row] | None:
        """See ContextStore."""
        await self._written()
        return await self._ask(self._find(keys))

    async def meet(self, meeting: Meeting) -> Met:
        """See ContextStore."""
        return await self._ask(self._meet(meeting))

    async def erase(self, keys: Sequence[bytes], rules: ContextRules) -> Erased:
        """See ContextStore."""
        await self._written()
        return await self._ask(self._erase(keys, rules))

    async def _written(self) -> None:
        """Until what this worker saved before is written; not what it saves meanwhile."""
        await self._last_write()
        if self._saves and (self._saving is None or self._saving.done()):
            self._flush()
        await self._last_write()

    async def _last_write(self) -> None:
        if self._saving is not None and not self._saving.done():
            # whoever gives up waiting must not end the writing
            await asyncio.shield(asyncio.wrap_future(self._saving))

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        if self._is_closed:
            question.close()
            raise _unavailable("it is closed")
        try:
            return await asyncio.wrap_future(self._broker.submit(question))
        except (OutboxFull, NoAnswer) as error:
            self._counters.add("sgtm_context_failures_total", "failed")
            raise _unavailable(error.what) from None
        except Exception as error:  # a mistake of ours: events go on with what they have
            log.exception("the context store cannot do something")
            raise _unavailable(type(error).__name__) from None

    def close(self) -> None:
        """See ContextStore. Before the outbox, whose broker this is."""
        saves, self._saves = self._saves, []
        self._is_closed = True
        if saves:
            self._saving = self._broker.submit(self._save_all(saves))
        if self._saving is not None:
            concurrent.futures.wait([self._saving], _CLOSE_S)

    # -- in the broker's thread ------------------------------------------------------------------

    def _subject(self, kind: str, key: bytes) -> str:
        return f"$KV.{self._bucket}.{kind}.{key.hex()}"

    async def _read(self, kind: str, key: bytes) -> tuple[bytes, int]:
        """What stands there, and its number; nothing: b"" and 0."""
        found = await self._broker.connection.read(f"KV_{self._bucket}", self._subject(kind, key))
        return found if found is not None else (b"", 0)

    async def _row(self, key: bytes) -> Row | None:
        content, _ = await self._read("row", key)
        return read_row(content) if content else None

    async def _find(self, keys: Sequence[bytes]) -> tuple[int, Row] | None:
        for number, key in enumerate(keys):
            row = await self._row(key)
            if row is not None and row.until > time.time_ns() // 1_000:
                return number, row
        return None

    async def _save_all(self, saves: Sequence[tuple[Event, ContextRules, bool]]) -> tuple[int, int]:
        """How many hits told something, and how many rows could not be written. Never raises."""
        self._failed = 0
        try:
            return await self._save_each(saves), self._failed
        except Exception:  # a mistake of ours, which must not end whoever waits for the writing
            log.exception("hits cannot be kept for other events")
            return 0, len(saves)

    async def _save_each(self, saves: Sequence[tuple[Event, ContextRules, bool]]) -> int:
        """First the rows of client ids, then what they tell on, then what is refused beside them."""
        made = (Saver(rules, is_unset_granted=unset).snapshot(event) for event, rules, unset in saves)
        snapshots = [snapshot for snapshot in made if snapshot is not None]
        first: dict[bytes, list[Step]] = {}
        for snapshot in snapshots:
            if snapshot.client is not None:
                first.setdefault(snapshot.client, []).append(_client_step(snapshot, snapshot.client))
        clients = await self._change_all(first)
        second: dict[bytes, list[Step]] = {}
        for snapshot in snapshots:
            client = clients.get(snapshot.client) if snapshot.client is not None else None
            for key in snapshot.keys:
                if key != snapshot.client:
                    second.setdefault(key, []).append(_step(snapshot, client, key))
        rows = {**clients, **await self._change_all(second)}
        third: dict[bytes, list[Step]] = {}
        for snapshot in snapshots:
            for key in withdrawn(map(rows.get, snapshot.keys), snapshot):
                third.setdefault(key, []).append(_withdrawing(snapshot))
        await self._change_all(third)
        return len(snapshots)

    async def _change_all(self, steps: dict[bytes, list[Step]]) -> dict[bytes, Row | None]:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def change(key: bytes) -> Row | None:
            async with at_once:
                try:
                    return await self._change(key, steps[key])
                except (OutboxFull, NoAnswer):
                    self._failed += 1
                    return None

        rows = await asyncio.gather(*map(change, steps))
        return dict(zip(steps, rows, strict=True))

    async def _change(self, key: bytes, steps: Sequence[Step]) -> Row | None:
        """A row after these steps. Raises NoAnswer, OutboxFull."""
        for _ in range(_TRIES):
            content, number = await self._read("row", key)
            row = read_row(content) if content else None
            for step in steps:
                row = step(row)
            if row is None:
                return None
            try:
                content = write_row(row)
            except (TypeError, ValueError, RecursionError, OverflowError):  # nothing that could be kept
                return row
            if len(content) > MAX_ROW_BYTES:
                return row
            if await self._broker.connection.write(self._subject("row", key), content, number):
                return row
        raise NoAnswer("somebody else was always first", where="context store")

    async def _meet(self, meeting: Meeting) -> Met:
        for _ in range(_TRIES):
            content, number = await self._read("pair", meeting.key)
            pair, met = decide(read_pair(content) if content else None, meeting)
            if pair is None:
                return met
            subject = self._subject("pair", meeting.key)
            if await self._broker.connection.write(subject, write_pair(pair), number):
                return met
        raise NoAnswer("somebody else was always first", where="context store")

    async def _erase(self, keys: Sequence[bytes], rules: ContextRules) -> Erased:
        wanted, erased = dict.fromkeys(keys), Erased()
        for _ in range(2):
            for key in list(wanted):
                if (row := await self._row(key)) is not None:
                    wanted.update(dict.fromkeys(row.beside))
        for key in list(wanted)[:MAX_ERASED]:
            erased.rows += await self._purge("row", key)
            for pair in rules.pair_keys(key):
                erased.halves += await self._erase_half(pair)
        return erased

    async def _erase_half(self, key: bytes) -> int:
        """Of a pair it stays known who was sent."""
        for _ in range(_TRIES):
            content, number = await self._read("pair", key)
            pair = read_pair(content) if content else None
            if pair is None or not pair.data:
                return 0
            empty = write_pair(pair.emptied())
            if await self._broker.connection.write(self._subject("pair", key), empty, number):
                return 1
        raise NoAnswer("somebody else was always first", where="context store")

    async def _purge(self, kind: str, key: bytes) -> int:
        body = {"filter": self._subject(kind, key)}
        answer = await self._broker.connection.ask(f"STREAM.PURGE.KV_{self._bucket}", body)
        return int(answer["purged"])


def _client_step(snapshot: Snapshot, key: bytes) -> Step:
    return lambda row: row_after(row, row, snapshot, key)


def _step(snapshot: Snapshot, client: Row | None, key: bytes) -> Step:
    return lambda row: row_after(row, client, snapshot, key)


def _withdrawing(snapshot: Snapshot) -> Step:
    return lambda row: without(row, snapshot) if row is not None else None


def _unavailable(what: str) -> ContextUnavailable:
    return ContextUnavailable(what, where="context store (nats)", mend="see the log, or `sgtm outbox init`")
