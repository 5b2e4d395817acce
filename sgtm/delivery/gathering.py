"""Gathering: a thread for work that blocks, which does together all that has come meanwhile.

    submit (the loop's thread) -> all that waits, at most so much -> do (its own) -> tell (the loop's)

For files that several workers share: what is asked at one moment costs one transaction and wakes the loop
once.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

J = TypeVar("J")
CLOSE_S = 5.0


class GatheringThread(Generic[J]):
    """Begins with the first job. `do` gets the jobs that wait, and an empty list after `tick_s` without any;
    it and `end`, the last thing that the thread does, must not raise."""

    def __init__(
        self,
        name: str,
        do: Callable[[list[J]], None],
        end: Callable[[], None],
        *,
        at_once: int,
        tick_s: float,
        linger_s: float = 0.0,
    ) -> None:
        """`linger_s`: how long the first job waits for company."""
        self._name, self._do, self._end = name, do, end
        self._at_once, self._tick_s, self._linger_s = at_once, tick_s, linger_s
        self._jobs: SimpleQueue[J | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, job: J) -> None:
        """Have it done. Called in the loop's thread."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def tell(self, function: Callable[..., object], *values: Any) -> None:
        """Call it in the loop's thread, if there still is one. Called by `do`."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is gone: nobody waits
                self._loop.call_soon_threadsafe(function, *values)

    def close(self) -> None:
        """After what was submitted so far; waits for CLOSE_S at most."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        ends = False
        while not ends:
            jobs: list[J] = []
            with suppress(Empty):
                job = self._jobs.get(timeout=self._tick_s)
                if self._linger_s:
                    time.sleep(self._linger_s)
                while job is not None and len(jobs) < self._at_once:
                    jobs.append(job)
                    job = self._jobs.get_nowait()
                if job is None:
                    ends = True
                else:
                    self._jobs.put(job)
            self._do(jobs)
        self._end()
