"""One kept connection to a vendor: a request goes out in one write, its answer comes back, again."""

import asyncio
from collections.abc import Callable
from typing import Any

from sgtm.delivery.answer_reader import AnswerReader
from sgtm.delivery.errors import BadAnswer, Disconnected, SendError, TimedOut
from sgtm.messages import VendorAnswer


class Connection(asyncio.Protocol):
    """Calls `on_free` when it can take another request, `on_lost` when it is gone."""

    __slots__ = (
        "_alarm",
        "_deadline",
        "_loop",
        "_on_free",
        "_on_lost",
        "_reader",
        "_rings_at",
        "_transport",
        "_waiter",
        "good_until",
        "is_used",
    )

    def __init__(
        self, on_free: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_free, self._on_lost = on_free, on_lost
        self._reader = AnswerReader()
        self._transport: Any = None
        self._waiter: asyncio.Future[VendorAnswer] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at, self._deadline = float("inf"), 0.0
        self.is_used = False
        """Whether it has carried a request: the vendor may have closed it since."""
        self.good_until = 0.0
        """The pool's: when it is too old, on the loop's clock."""

    async def exchange(self, request: bytes, *, is_head: bool, deadline: float) -> VendorAnswer:
        """Send a request, wait for its answer. `deadline` is on the loop's clock.

        Raises BadAnswer, Disconnected or TimedOut."""
        self._reader.begin(is_for_head=is_head)
        self.is_used = True
        waiter: asyncio.Future[VendorAnswer] = self._loop.create_future()
        self._waiter = waiter
        self._deadline = deadline
        if deadline < self._rings_at:
            self._set_alarm(deadline)
        self._transport.write(request)
        try:
            return await waiter
        finally:
            if self._waiter is waiter:  # the asker is cancelled: what comes now is for nobody
                self._waiter = None
                self.abort()

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of the latest request's answer came."""
        return not self._reader.has_begun

    @property
    def is_open(self) -> bool:
        """Whether, as far as can be known, a request may be written."""
        return not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once; `on_lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    def _set_alarm(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._rings_at = self._loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        """The alarm is set for the first of many requests: most often it is about one that is long over."""
        self._alarm, self._rings_at = None, float("inf")
        if self._waiter is None:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm(self._deadline)
        else:
            self._fail(TimedOut("no complete answer in time"))

    def _fail(self, error: SendError) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()

    def _settle(self) -> None:
        """The answer is complete. The connection is free before the asker knows, so that it is hot."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(self._reader.answer())
        # An answer that overtook its request leaves a rest of it to be sent: of no use any more.
        if self._reader.may_go_on and not self._transport.get_write_buffer_size():
            self._on_free(self)
        else:
            self.abort()

    # -- called by the event loop ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and over TLS also verified."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some of the answer. What nobody waits for closes the connection."""
        if self._waiter is None:
            self.abort()
            return
        failure = None
        try:
            if self._reader.feed(data):
                self._settle()
        except BadAnswer as error:
            failure = error
        if failure is not None:
            self._fail(failure)

    def eof_received(self) -> bool:
        """The peer has said all. Over TLS (uvloop's) it has said so itself: a connection that was cut off
        is only lost (RFC 9112, 9.8)."""
        if self._waiter is not None and self._reader.finish():
            self._settle()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Gone, by whomever."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._fail(Disconnected("the connection broke before the answer was complete"))
        self._on_lost(self)
