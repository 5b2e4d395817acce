"""The store of one machine: one SQLite file in the data folder, shared by its workers.

    save -> a list -> once in 100 ms: one job      find, meet, erase -> one job each
    the thread: all jobs that wait, in one transaction -> told when that is committed

Each worker has one connection in a thread of its own. What is saved may be lost with the machine's power, so
nothing is synced for it; a meeting is, for whoever was told to end must never be told otherwise afterwards.
A file that fails is begun anew: that costs attribution, and a pair its memory of who was sent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw
from msgspec import Struct

from sgtm.delivery.context import ContextUnavailable, Erased
from sgtm.delivery.context.file import Bounds, ContextFile
from sgtm.delivery.context.pairs import Meeting, Met
from sgtm.delivery.context.rows import Row
from sgtm.delivery.context.rules import ContextRules
from sgtm.delivery.gathering import GatheringThread
from sgtm.delivery.shared_file import is_passing
from sgtm.event import Event
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery")

FILE_NAME = "context.sqlite"
SAVE_EVERY_S = 0.1
MAX_SAVES = 10_000
"""Hits that wait to be saved; more are counted and not kept."""
_AT_ONCE = 200
_TICK_S = 30.0
T = TypeVar("T")


class _Job(Struct, eq=False):
    work: Callable[[ContextFile], Any]
    answer: "asyncio.Future[Any] | None"
    is_synced: bool = False
    result: Any = None
    error: Exception | None = None


class SqliteContext:
    """Of one worker. `path` None: in memory, for as long as the process lives."""

    def __init__(self, path: Path | None, bounds: Bounds, counters: Counters) -> None:
        self._path, self._bounds, self._counters = path, bounds, counters
        self._thread = GatheringThread("context", self._do, self._end, at_once=_AT_ONCE, tick_s=_TICK_S)
        self._saves: list[tuple[Event, ContextRules, bool]] = []
        self._file: ContextFile | None = None
        self._is_closed = False
        self._writing = 0
        """Groups of hits that the thread has not written yet."""
        self.entries = self.size_bytes = 0
        """What the file holds, as this worker saw it last."""

    # -- what is asked ---------------------------------------------------------------------------

    def save(self, event: Event, rules: ContextRules, *, is_unset_granted: bool) -> None:
        """See ContextStore."""
        if len(self._saves) >= MAX_SAVES or self._is_closed:
            self._counters.add("sgtm_context_failures_total", "not saved")
            return
        self._saves.append((event, rules, is_unset_granted))
        if len(self._saves) == 1:
            asyncio.get_running_loop().call_later(SAVE_EVERY_S, self._flush_later)

    def _flush_later(self) -> None:
        """Not before what came earlier is written: a disk that is slow makes groups larger, and no queue."""
        if self._writing and not self._is_closed:
            asyncio.get_running_loop().call_later(SAVE_EVERY_S, self._flush_later)
        else:
            self._flush()

    def _flush(self) -> None:
        saves, self._saves = self._saves, []
        if saves and not self._is_closed:
            self._writing += 1
            self._thread.submit(_Job(lambda file: file.save(saves), None))

    async def find(self, keys: Sequence[bytes]) -> tuple[int, Row] | None:
        """See ContextStore."""
        return await self._ask(lambda file: file.find(keys))

    async def meet(self, meeting: Meeting) -> Met:
        """See ContextStore."""
        return await self._ask(lambda file: file.meet(meeting), is_synced=True)

    async def erase(self, keys: Sequence[bytes], rules: ContextRules) -> Erased:
        """See ContextStore."""
        return await self._ask(lambda file: file.erase(keys, rules))

    async def _ask(self, work: Callable[[ContextFile], T], *, is_synced: bool = False) -> T:
        if self._is_closed:
            raise _unavailable("it is closed")
        self._flush()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._thread.submit(_Job(work, answer, is_synced))
        return await answer

    def close(self) -> None:
        """See ContextStore."""
        self._flush()
        self._is_closed = True
        self._thread.close()

    # -- in the thread ---------------------------------------------------------------------------

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()

    def _do(self, jobs: list[_Job]) -> None:
        try:
            if self._file is not None and self._file.is_replaced:
                self._file.close()
                self._file = None
            self._file = self._file or ContextFile(self._path, self._bounds)
            self._file.begin(is_synced=any(job.is_synced for job in jobs))
            for job in jobs:
                _work(job, self._file)
            self._file.forget(time.time_ns() // 1_000)
            self._file.commit()
        except (apsw.Error, OSError) as error:
            self._failed(error, jobs)
        self._thread.tell(self._tell, jobs)

    def _failed(self, error: Exception, jobs: list[_Job]) -> None:
        log.error("the context store fails", extra={"error": type(error).__name__})
        for job in jobs:
            job.error = _unavailable("the file fails")
        if self._file is None:
            return
        self._file.roll_back()
        if not is_passing(error):
            self._file.abandon()
            self._file = None

    # -- in the loop's ---------------------------------------------------------------------------

    def _tell(self, jobs: list[_Job]) -> None:
        if self._file is not None:
            counts = self._file.take_counts()
            self.entries, self.size_bytes = counts.entries, counts.bytes
            self._counters.add("sgtm_context_saved_total", amount=counts.saved)
            if counts.fallen_out:
                self._counters.add("sgtm_context_fallen_out_total", amount=counts.fallen_out)
        self._writing -= sum(job.answer is None for job in jobs)
        for job in jobs:
            if job.error is not None:
                self._counters.add("sgtm_context_failures_total", "failed")
            if job.answer is None or job.answer.done():
                continue
            if job.error is not None:
                job.answer.set_exception(job.error)
            else:
                job.answer.set_result(job.result)


def _work(job: _Job, file: ContextFile) -> None:
    try:
        job.result = job.work(file)
    except (apsw.Error, OSError):
        raise
    except Exception as error:  # a mistake of ours, which must end nobody else's work
        log.exception("the context store cannot do something")
        job.error = _unavailable(type(error).__name__)


def _unavailable(what: str) -> ContextUnavailable:
    return ContextUnavailable(what, where="context store", mend="see the log")
