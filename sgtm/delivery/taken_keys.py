"""Taken keys: which record has taken a key that may go out once within a window.

One SQLite file in the data folder, shared by the workers of a machine; each has one connection in a thread of
its own and writes what is asked at one moment in one transaction. Why a file and not an owner per key: no
worker waits for another one's loop, and a restart of workers moves nothing.

A mark says who took the key, so that the same record passes again after a crash; losing marks costs a
duplicate, never an event. So there is no sync per commit, a file that fails is begun anew, and where nobody
can be asked the event goes out (SPEC: requirements R192, R306).
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

from sgtm.delivery.gathering import GatheringThread
from sgtm.delivery.shared_file import SharedFile, is_passing
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery")

FILE_NAME = "taken-keys.sqlite"
_AT_ONCE = 500
_LINGER_S = 0.002
"""So that what comes shortly after the first is written with it: one transaction, one wake-up of the loop. No
answer waits for it, only what is sent to vendors."""
_FORGET_EVERY_S = 60.0
_FORGET_AT_ONCE = 1_000
MAX_BYTES = 1_073_741_824
"""Of the file: beyond that the keys go whose window ends first. Whoever can send events can make keys."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS taken(key BLOB PRIMARY KEY, record BLOB NOT NULL, until INTEGER NOT NULL)
WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS until ON taken(until);
"""
_TAKE = """
INSERT INTO taken VALUES(:key, :record, :until)
ON CONFLICT(key) DO UPDATE SET record=excluded.record, until=excluded.until
WHERE taken.until <= :at OR taken.record = excluded.record
"""


class Take(Struct, frozen=True):
    """Somebody wants a key. Times are microseconds of Unix time."""

    key: bytes
    record: bytes
    """Who: the same for the same record, whenever it runs."""
    at: int
    until: int


class _Job(Struct, eq=False):
    take: Take
    answer: "asyncio.Future[bool] | None"
    """None: let the key go, if it is this record's."""
    has_taken: bool = True


class TakenKeys:
    """Of one worker. `path` None: in memory, for as long as the process lives."""

    def __init__(self, path: Path | None, counters: Counters) -> None:
        self._path, self._counters = path, counters
        self._thread = GatheringThread(
            "taken keys", self._do, self._end, at_once=_AT_ONCE, tick_s=_FORGET_EVERY_S, linger_s=_LINGER_S
        )
        self._store: _Store | None = None

    async def take(self, take: Take) -> bool:
        """Whether the key is this record's now. True also where nobody can say; never raises."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._thread.submit(_Job(take, answer))
        return await answer

    def release(self, take: Take) -> None:
        """What took the key did not arrive and is given up: the next one may have it."""
        self._thread.submit(_Job(take, None))

    def close(self) -> None:
        """After what was asked so far."""
        self._thread.close()

    # -- in the thread ---------------------------------------------------------------------------

    def _end(self) -> None:
        if self._store is not None:
            self._store.close()

    def _do(self, jobs: list[_Job]) -> None:
        failures = fallen_out = 0
        try:
            if self._store is not None and self._store.is_replaced:
                self._store.close()
                self._store = None
            self._store = self._store or _Store(self._path)
            self._store.write(jobs)
            self._store.forget_some()
            fallen_out = self._store.make_room()
        except (apsw.Error, OSError) as error:
            self._failed(error)
            failures = len(jobs)
        self._thread.tell(self._tell, jobs, failures, fallen_out)

    def _failed(self, error: Exception) -> None:
        log.error("keys of events cannot be looked up: they go out", extra={"error": type(error).__name__})
        if self._store is not None and not is_passing(error):
            self._store.abandon()
            self._store = None

    # -- in the loop's ---------------------------------------------------------------------------

    def _tell(self, jobs: list[_Job], failures: int, fallen_out: int) -> None:
        if fallen_out:
            self._counters.add("sgtm_deduplication_fallen_out_total", amount=fallen_out)
        if failures:
            self._counters.add("sgtm_deduplication_failures_total", amount=failures)
        for job in jobs:
            if job.answer is not None and not job.answer.done():
                job.answer.set_result(job.has_taken)


class _Store:
    """The file, opened."""

    def __init__(self, path: Path | None) -> None:
        self._forgets_at = 0.0
        self._file = SharedFile(path, _SCHEMA)
        self.close, self.abandon = self._file.close, self._file.abandon

    def write(self, jobs: list[_Job]) -> None:
        """Answer all of them in one transaction."""
        if not jobs:
            return
        execute = self._file.execute
        execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                take = job.take
                if job.answer is None:
                    execute("DELETE FROM taken WHERE key=? AND record=?", (take.key, take.record))
                    continue
                execute(_TAKE, {"key": take.key, "record": take.record, "at": take.at, "until": take.until})
                job.has_taken = self._file.connection.changes() > 0
            execute("COMMIT")
        except apsw.Error:
            for job in jobs:
                job.has_taken = True
            self._file.roll_back()
            raise

    @property
    def is_replaced(self) -> bool:
        """See SharedFile."""
        return self._file.is_replaced

    def make_room(self) -> int:
        """Delete some keys where there are too many, and say how many. More than are written at once: so
        the file stays as large as that, and its empty pages are used again."""
        size, free, page = map(self._number, ("page_count", "freelist_count", "page_size"))
        if (size - free) * page <= MAX_BYTES:
            return 0
        self._file.execute(
            "DELETE FROM taken WHERE key IN (SELECT key FROM taken ORDER BY until LIMIT ?)",
            (_FORGET_AT_ONCE,),
        )
        return self._file.connection.changes()

    def _number(self, pragma: str) -> int:
        found: list[Any] = self._file.execute(f"PRAGMA {pragma}").fetchall()
        return int(found[0][0])

    def forget_some(self) -> None:
        """Delete what is over, a step now and then."""
        now = time.monotonic()
        if now < self._forgets_at:
            return
        self._file.execute(
            "DELETE FROM taken WHERE key IN (SELECT key FROM taken WHERE until <= ? LIMIT ?)",
            (time.time_ns() // 1_000, _FORGET_AT_ONCE),
        )
        is_all = self._file.connection.changes() < _FORGET_AT_ONCE
        self._forgets_at = now + (_FORGET_EVERY_S if is_all else 1.0)
