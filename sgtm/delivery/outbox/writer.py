"""Writer: the one thread that touches the disk.

The loop hands it jobs, one commit at a time, and gets each result back through `wake`. No lock is held by
both: whatever a job needs is handed over with it and not changed any more.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from msgspec import Struct

from sgtm.delivery.outbox.space import Room
from sgtm.delivery.outbox.store import Store
from sgtm.errors import SgtmError

log = logging.getLogger("sgtm.delivery.outbox")

Job = Callable[[Store], Any]
OnDone = Callable[["Result"], None]


class Result(Struct):
    """How a job went."""

    on_done: OnDone | None
    value: Any
    error: Exception | None
    room: Room
    suspects: list[Any]
    """Files that were set aside meanwhile."""


class Writer:
    """Runs jobs in their order in a thread of its own; `deal` is called in the loop's thread."""

    def __init__(self, store: Store, deal: Callable[[Result], None]) -> None:
        self._store, self._deal = store, deal
        self._jobs: SimpleQueue[tuple[Job, OnDone] | None] = SimpleQueue()
        self._results: SimpleQueue[Result] = SimpleQueue()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread turns."""
        return self._thread.is_alive()

    def submit(self, job: Job, on_done: OnDone) -> None:
        """Run a job after those before it; `on_done` is called in the loop's thread."""
        self._jobs.put((job, on_done))

    def deal_results(self) -> None:
        """Deal with the results that are there."""
        with suppress(Empty):
            while True:
                self._deal(self._results.get_nowait())

    def wait_for_result(self, timeout_s: float) -> bool:
        """Block until there is a result and deal with it; whether one came in time."""
        try:
            self._deal(self._results.get(timeout=timeout_s))
        except Empty:
            return False
        return True

    def stop(self, timeout_s: float) -> None:
        """End after the jobs that are waiting; the store is closed by the thread."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._store.idle_s)
            except Empty:
                self._tick()
                continue
            if job is None:
                self._store.close()
                return
            self._do(*job)

    def _tick(self) -> None:
        before = self._store.room
        try:
            self._store.tick()
        except Exception as error:
            log.error("care for the outbox failed", extra={"error": type(error).__name__})
        if self._store.room is not before or self._store.suspects:
            self._report(None, None, None)

    def _do(self, job: Job, on_done: OnDone) -> None:
        try:
            self._report(on_done, job(self._store), None)
        except SgtmError as error:
            self._report(on_done, None, error)
        except Exception as error:
            log.error("the outbox failed", extra={"error": type(error).__name__})
            self._report(on_done, None, error)

    def _report(self, on_done: OnDone | None, value: Any, error: Exception | None) -> None:
        suspects, self._store.suspects = self._store.suspects, []
        self._results.put(Result(on_done, value, error, self._store.room, suspects))
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is gone: whoever closes the outbox looks himself
                self.loop.call_soon_threadsafe(self.deal_results)
