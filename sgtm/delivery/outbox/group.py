"""Group: the records of one commit, and whoever waits for it."""

import asyncio
import time
from collections.abc import Callable, Generator

from sgtm.delivery.outbox import OutboxFull
from sgtm.delivery.outbox.batch import Batch

MAX_RECORDS = 500
MAX_BYTES = 1_048_576


class Group:
    """Records that are committed together; await it for the commit. Raises OutboxUnavailable.

    Each waiter has a future of its own, so one that gives up disturbs nobody else. Who has nothing else to
    wait for takes `then`, which needs none.
    """

    __slots__ = ("_called", "_error", "_is_done", "_waiters", "batch", "began_s", "records")

    def __init__(self, batch: Batch) -> None:
        self.batch, self.began_s = batch, time.monotonic()
        self.records = bytearray()
        self._waiters: list[asyncio.Future[None]] = []
        self._called: list[Callable[[OutboxFull | None], None]] = []
        self._is_done = False
        self._error: OutboxFull | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next record goes into another group."""
        return self.batch.count >= MAX_RECORDS or len(self.records) >= MAX_BYTES

    def done(self, error: OutboxFull | None) -> None:
        """The commit is over; wake those who wait."""
        self._is_done, self._error = True, error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        called, self._called = self._called, []
        for function in called:
            function(error)

    def then(self, function: Callable[[OutboxFull | None], None]) -> None:
        """Call it with what the commit raised, or None, once it is over. It must not raise."""
        if self._is_done:
            function(self._error)
        else:
            self._called.append(function)

    def __await__(self) -> Generator[None, None, None]:
        if not self._is_done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            yield from waiter
        if self._error is not None:
            raise self._error
