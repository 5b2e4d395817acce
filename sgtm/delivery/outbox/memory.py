"""The memory engine: bounded, and it says what it loses.

It promises nothing beyond the life of the process: whatever is unfinished when the process ends,
however it ends, is lost (SPEC: reliability 1.2). `len()` is how many records that would be now.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping

from msgspec import Struct

from sgtm._fast.headers import headers_size
from sgtm.delivery.archive.buffer import ArchiveBuffer
from sgtm.delivery.archive.keeping import Archive
from sgtm.delivery.letter import KeptLetter, Letter, LetterBounds
from sgtm.delivery.outbox import OutboxFull, OutboxState, Unfinished
from sgtm.delivery.outbox.held import Held, Hold
from sgtm.delivery.outbox.letters_in_memory import LettersInMemory
from sgtm.messages import Record
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery.outbox")

_FIXED_BYTES = 1_024


class _Kept(Struct, eq=False):
    """A record and its bits."""

    record: Record
    size_bytes: int
    owing: frozenset[str] | None = None
    """None: its tags have not run."""
    settled: set[str] = set()


class MemoryOutbox:
    """Keeps records until they are finished, up to `max_records` and `max_bytes`."""

    def __init__(
        self,
        max_records: int = 100_000,
        max_bytes: int = 268_435_456,
        bounds: LetterBounds | None = None,
        counters: Counters | None = None,
        archive: Archive | None = None,
    ) -> None:
        self._archive = ArchiveBuffer(archive) if archive is not None else None
        self._letters = LettersInMemory(bounds or LetterBounds(), counters or Counters())
        self.size_bytes = 0
        """About what the kept records hold in memory."""
        self._max_records, self._max_bytes = max_records, max_bytes
        self._kept: dict[int, _Kept] = {}
        self._next_id = 0
        self._is_closed = False

    def __len__(self) -> int:
        """Records that still owe something."""
        return len(self._kept)

    def append(self, record: Record) -> tuple[int, None]:
        """See Outbox. The answer may leave at once. Raises OutboxFull."""
        size_bytes = size_of(record)
        if self._is_closed:
            raise OutboxFull("is closed", where="outbox", mend="the process is going down: ask again later")
        if len(self._kept) >= self._max_records or self.size_bytes + size_bytes > self._max_bytes:
            raise _full(self._full_because(size_bytes))
        record_id = self._next_id
        self._next_id += 1
        self._kept[record_id] = _Kept(record, size_bytes)
        self.size_bytes += size_bytes
        return record_id, None

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """See Outbox."""
        kept = self._kept.get(record_id)
        if kept is not None:
            kept.owing = owing
            if owing <= kept.settled:
                self._forget(record_id, kept)

    def settle(self, record_id: int, tag: str) -> None:
        """See Outbox."""
        kept = self._kept.get(record_id)
        if kept is not None:
            kept.settled.add(tag)
            if kept.owing is not None and kept.owing <= kept.settled:
                self._forget(record_id, kept)

    def bury(self, record_id: int, letter: Letter) -> None:
        """See Outbox."""
        self._letters.bury(letter, size_of(letter.record))

    async def letters(self, after: int = 0, count: int = 100) -> list[KeptLetter]:
        """See Outbox."""
        return self._letters.page(after, count)

    async def forget(self, ids: Collection[str]) -> int:
        """See Outbox."""
        return self._letters.forget(ids)

    async def unfinished(self) -> AsyncIterator[Unfinished]:
        """See Outbox."""
        for record_id, kept in list(self._kept.items()):
            yield Unfinished(record_id, kept.record, frozenset(kept.settled))

    async def left_over(self) -> AsyncIterator[Unfinished]:
        """See Outbox. Nothing outlives the process that works on it."""
        return
        yield

    reads_again = False
    """A lane that is full gives up its oldest: what is kept here could not wait any better there."""

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox. It happens at the end only, and ends here."""

    def holds(self) -> Mapping[Hold, Held]:
        """See Outbox."""
        return {}

    async def handed_back(self, hold: Hold, expired_by: int | None = None) -> AsyncGenerator[Unfinished]:
        """See Outbox."""
        return
        yield

    def state(self) -> OutboxState:
        """See Outbox."""
        oldest = next(iter(self._kept.values()), None)
        return OutboxState(
            engine="memory",
            durability=0,
            records=len(self._kept),
            full_because=self._full_because(0),
            used_bytes=self.size_bytes,
            budget_bytes=self._max_bytes,
            oldest_micros=oldest.record.request.received_micros if oldest is not None else None,
            letters=len(self._letters),
            letter_bytes=self._letters.size_bytes,
            archive_bytes=self._archive.archive.bytes if self._archive is not None else 0,
        )

    def close(self) -> None:
        """See Outbox. Says how many records are lost."""
        self._is_closed = True
        if self._archive is not None:
            self._archive.close()
        if self._kept:
            log.warning("the memory outbox loses unfinished records", extra={"records": len(self._kept)})
        if len(self._letters):
            log.warning("the memory outbox loses dead letters", extra={"letters": len(self._letters)})

    def _full_because(self, size_bytes: int) -> str:
        if len(self._kept) >= self._max_records:
            return f"holds {len(self._kept)} records"
        if self.size_bytes + size_bytes > self._max_bytes or self.size_bytes >= self._max_bytes:
            return f"holds {self.size_bytes} bytes"
        return ""

    def _forget(self, record_id: int, kept: _Kept) -> None:
        if self._archive is not None:
            self._archive.add(kept.record)
        del self._kept[record_id]
        self.size_bytes -= kept.size_bytes


def size_of(record: Record) -> int:
    """About what a record holds in memory."""
    request = record.request
    size = len(request.path) + len(request.query) + len(request.body)
    return _FIXED_BYTES + size + headers_size(request.headers)


def _full(what: str) -> OutboxFull:
    return OutboxFull(
        what,
        where="outbox (memory)",
        mend="a vendor is down or too slow: see the destinations, or raise the outbox's bounds",
    )
