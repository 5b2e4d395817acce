"""The sqlite engine: what is acknowledged survives `kill -9` and a power cut.

    append -> the open group -> one commit for all that wait (writer thread) -> the answers leave
    ran, settle -> bits in memory -> with the next commit, or a second later

While a commit is on its way the next group fills; so the slower the disk, the larger the groups. Settling has
no commit of its own: one that is lost is a duplicate with the same ids, never a loss. Everything here runs in
the loop's thread, the disk belongs to the writer's (SPEC: design.md Delivery; reliability 1.3).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any

from sgtm.delivery.letter import KeptLetter, Letter
from sgtm.delivery.outbox import OutboxFull, OutboxState, OutboxUnavailable, Unfinished
from sgtm.delivery.outbox.file import Change, Row
from sgtm.delivery.outbox.group import Group
from sgtm.delivery.outbox.held import Held, Hold
from sgtm.delivery.outbox.ledger import ID_BITS, Ledger
from sgtm.delivery.outbox.letter_table import row_of
from sgtm.delivery.outbox.reading import Reading, bit_of
from sgtm.delivery.outbox.records import write_record
from sgtm.delivery.outbox.space import Room
from sgtm.delivery.outbox.store import Store
from sgtm.delivery.outbox.taking_over import TakingOver
from sgtm.delivery.outbox.writer import Job, Result, Writer
from sgtm.messages import Record
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery.outbox")

FLUSH_S = 1.0
"""What was settled is written after so long, if no record takes it along."""
FULL_FLUSH_S = 0.2
"""The same while the disk is full: what is settled makes room."""
LINGER_S = 0.002
LINGER_ABOVE = 20
"""After a commit of more records the next one waits a moment for company."""
CLOSE_S = 10.0
LOOK_S = 2.0
"""How often it is looked whether another worker has left something."""
MAX_WAITING = 64
"""Full groups that may wait for a disk that has stalled; then it is full."""


class SqliteOutbox:
    """One slot's outbox. `store` is open; it belongs to the writer thread from here on."""

    def __init__(self, store: Store, counters: Counters, taking_over: TakingOver) -> None:
        self._counters = counters
        self.ledger = Ledger(store.generation)
        for kept in store.kept():
            self.ledger.restore(kept)
        self._durability = 2 if store.folder.medium == "disk" else 1
        self._room: Room = store.room
        self._open: Group | None = None
        self._waiting: deque[Group] = deque()
        self._committing: tuple[Group | None, Change] | None = None
        self._is_due = self._is_closed = self._has_failed = False
        self._flush_timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        """Something may be left over that was not there before."""
        self._news.set()
        self._taking_over = taking_over
        self._reading = Reading(self.ledger, self.ask, self._damaged)
        self.failed_commits: set[int] = set()
        """Numbers of commits that failed, so that they may or may not be in a file that was set aside."""
        self._archive = store.archive
        self._writer = Writer(store, self._deal)

    def __len__(self) -> int:
        """Records that still owe something."""
        return self.ledger.count

    # -- records come ----------------------------------------------------------------------------

    def append(self, record: Record) -> tuple[int, Group]:
        """See Outbox."""
        if self._room.full_because or self._is_closed or len(self._waiting) >= MAX_WAITING:
            raise self._full()
        group = self._open
        if group is None:
            group = self._open = Group(self.ledger.new_batch(record.request.received_micros))
        batch = group.batch
        write_record(record, group.records)
        index = batch.count
        batch.count += 1
        self.ledger.count += 1
        if group.is_full:
            self._seal()
        if not self._is_due and self._committing is None:
            self._become_due(0.0)
        return batch.number << ID_BITS | index, group

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """See Outbox."""
        self.ledger.ran(record_id, owing)
        self._flush_later()

    def settle(self, record_id: int, tag: str) -> None:
        """See Outbox."""
        self.ledger.settle(record_id, tag)
        self._flush_later()

    def bury(self, record_id: int, letter: Letter) -> None:
        """See Outbox. It is in the next commit, as is at the earliest what is said of the record after."""
        self._counters.add("sgtm_letters_total", letter.tag)
        self.ledger.bury(row_of(letter))
        self._flush_later()

    async def letters(self, after: int = 0, count: int = 100) -> list[KeptLetter]:
        """See Outbox."""
        page: list[KeptLetter] = await self.ask(lambda store: store.page(after, count))
        return page

    async def forget(self, ids: Collection[str]) -> int:
        """See Outbox."""
        forgotten: int = await self.ask(lambda store: store.forget(ids))
        return forgotten

    # -- and are committed -----------------------------------------------------------------------

    def _become_due(self, delay_s: float) -> None:
        loop = self._writer.loop
        if loop is None:
            loop = self._writer.loop = asyncio.get_running_loop()
        self._is_due = True
        if delay_s:
            loop.call_later(delay_s, self._commit)
        else:
            loop.call_soon(self._commit)

    def _seal(self) -> None:
        if self._open is not None:
            self._open.batch.in_hand = (1 << self._open.batch.count) - 1
            self._waiting.append(self._open)
            self._open = None

    def _commit(self) -> None:
        """Hand the next group to the writer, with what was settled."""
        self._is_due = False
        if self._committing is not None:
            return
        if not self._waiting:
            self._seal()
        group = self._waiting.popleft() if self._waiting else None
        if group is None and not self.ledger.owes_a_change:
            return
        change = self.ledger.take_change()
        if group is not None:
            batch = group.batch
            change.rows.append(Row(batch.number, batch.count, batch.at_micros, group.records))
        self._committing = (group, change)
        self._writer.submit(lambda store: store.commit(change), self._committed)

    def _committed(self, result: Result) -> None:
        (group, change), self._committing = self._committing or (None, Change()), None
        self._has_failed = result.error is not None
        if self._has_failed:
            self.ledger.put_back(change)
        if group is not None:
            if result.suspects:  # it may be in there, or not
                self.failed_commits.add(group.batch.number)
            self._group_done(group, result.error)
        if result.suspects:
            self._file_lost(result.suspects)
        if self._is_closed:
            return
        if self._waiting or self._open is not None:
            is_busy = group is not None and group.batch.count > LINGER_ABOVE
            self._become_due(LINGER_S if is_busy and not self._waiting else 0.0)
        elif self.ledger.owes_a_change:
            self._flush_later()

    def _group_done(self, group: Group, error: Exception | None) -> None:
        if error is None:
            self._counters.add("sgtm_outbox_commits_total")
            self._counters.observe("sgtm_outbox_commit_seconds", time.monotonic() - group.began_s)
            self.ledger.stored(group.batch)
            self._flush_later()
        else:
            self._counters.add("sgtm_outbox_commits_failed_total")
            log.error("a group of records was not kept", extra={"records": group.batch.count})
            self.ledger.not_stored(group.batch)
            if not isinstance(error, OutboxUnavailable):
                error = OutboxUnavailable("failed", where="outbox (sqlite)", mend="the log says more")
        group.done(error)

    def _flush_later(self) -> None:
        """Write what was settled even if no record comes that takes it along."""
        if self._flush_timer is None and self._writer.loop is not None and not self._is_closed:
            delay_s = FULL_FLUSH_S if self._room.full_because else FLUSH_S
            self._flush_timer = self._writer.loop.call_later(delay_s, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        if self.ledger.owes_a_change:
            self._commit()

    # -- what the writer says --------------------------------------------------------------------

    def _deal(self, result: Result) -> None:
        fell_out = result.room.letters_fallen_out - self._room.letters_fallen_out
        self._counters.add("sgtm_letters_fallen_out_total", amount=max(fell_out, 0))
        self._room = result.room
        if result.on_done is not None:
            result.on_done(result)
        elif result.suspects:
            self._file_lost(result.suspects)

    def _file_lost(self, suspects: list[Any]) -> None:
        self._counters.add("sgtm_outbox_files_suspect_total", amount=len(suspects))
        self.ledger.file_lost()
        self._taking_over.add(suspects)
        self._news.set()

    def require_room(self) -> None:
        """Raises OutboxFull."""
        if self._room.full_because or self._is_closed:
            raise self._full()

    def count_salvaged(self, records: int) -> None:
        """So many records were taken over from another file."""
        self._counters.add("sgtm_outbox_records_taken_over_total", amount=records)

    async def ask(self, job: Job) -> Any:
        """The result of a job in the writer's thread. Raises OutboxUnavailable."""
        loop = asyncio.get_running_loop()
        self._writer.loop = loop
        answer: asyncio.Future[Any] = loop.create_future()

        def done(result: Result) -> None:
            if result.suspects:
                self._file_lost(result.suspects)
            if answer.done():
                return
            if result.error is not None:
                answer.set_exception(result.error)
            else:
                answer.set_result(result.value)

        if self._is_closed:
            raise self._full()
        self._writer.submit(job, done)
        return await answer

    # -- records are read again ------------------------------------------------------------------

    async def unfinished(self) -> AsyncIterator[Unfinished]:
        """See Outbox."""
        for batch in list(self.ledger.in_order()):
            async for found in self._reading.read(batch, batch.unfinished()):
                yield found

    async def left_over(self) -> AsyncIterator[Unfinished]:
        """See Outbox."""
        while not self._is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._taking_over.run(self)
                for batch in list(self.ledger.in_order()):
                    async for found in self._reading.read(batch, batch.unfinished(left_over=True)):
                        batch.in_hand |= bit_of(found.record_id)
                        yield found
            except (OutboxUnavailable, OutboxFull):
                # the disk fails or is full: what is left over stays where it is
                asyncio.get_running_loop().call_later(FLUSH_S, self._news.set)

    reads_again = True

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox."""
        self.ledger.hand_back(record_id, hold, expires_micros)

    def holds(self) -> Mapping[Hold, Held]:
        """See Outbox."""
        return self.ledger.held

    def handed_back(self, hold: Hold, expired_by: int | None = None) -> AsyncGenerator[Unfinished]:
        """See Outbox."""
        return self._reading.handed_back(hold, expired_by)

    def _damaged(self) -> None:
        self._counters.add("sgtm_outbox_records_damaged_total")
        self._flush_later()

    # -- how it is, and the end ------------------------------------------------------------------

    def state(self) -> OutboxState:
        """See Outbox."""
        room = self._room
        return OutboxState(
            engine="sqlite",
            durability=self._durability,
            records=len(self),
            full_because="closed" if self._is_closed else room.full_because,
            is_alive=self._is_closed or self._writer.is_alive,
            used_bytes=room.used_bytes,
            budget_bytes=room.budget_bytes,
            free_bytes=room.free_bytes,
            oldest_micros=self.ledger.oldest_micros,
            time_to_full_s=room.time_to_full_s,
            suspects=room.suspects,
            letters=room.letters,
            letter_bytes=room.letter_bytes,
            archive_bytes=self._archive.bytes if self._archive is not None else 0,
        )

    def close(self) -> None:
        """See Outbox."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        self._writer.deal_results()
        while self._committing is not None or self._waiting or self._open or self.ledger.owes_a_change:
            self._commit()
            if not self._writer.wait_for_result(CLOSE_S) or self._has_failed:
                break
        for group in (*self._waiting, *([self._open] if self._open else [])):
            group.done(self._full())
        self._taking_over.close()
        self._writer.stop(CLOSE_S)
        self._news.set()

    def _full(self) -> OutboxFull:
        if self._is_closed:
            return OutboxFull("is closed", where="outbox", mend="the process is going down: ask again later")
        return OutboxFull(
            self._room.full_because or "the disk does not keep up",
            where="outbox (sqlite)",
            mend="a vendor is down or too slow (see the destinations), or give it more room",
        )
