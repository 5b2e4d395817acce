"""One kept connection to a vendor: a request goes out in one write, its answer comes back, again."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from sgtm._fast.vendor_http import read_answer
from sgtm.delivery.answer_reader import AnswerReader
from sgtm.delivery.errors import BadAnswer, Disconnected, SendError, TimedOut
from sgtm.delivery.exchange import Came, Exchange
from sgtm.messages import VendorAnswer


class Connection(asyncio.Protocol):
    """Calls `on_free` when it can take another request, `on_lost` when it is gone."""

    __slots__ = (
        "_alarm",
        "_exchange",
        "_is_reading",
        "_loop",
        "_on_free",
        "_on_lost",
        "_reader",
        "_rings_at",
        "_transport",
        "good_until",
        "is_used",
    )

    def __init__(
        self, on_free: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_free, self._on_lost = on_free, on_lost
        self._reader: AnswerReader | None = None
        """Made for the first answer that is not plain."""
        self._is_reading = False
        """Whether some of the answer came, and its reader has begun."""
        self._transport: Any = None
        self._exchange: Exchange | None = None
        """What is under way."""
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = float("inf")
        self.is_used = False
        """Whether it has carried a request: the vendor may have closed it since."""
        self.good_until = 0.0
        """The pool's: when it is too old, on the loop's clock."""

    def start(self, exchange: Exchange) -> None:
        """Send a request; its exchange is told what came: an answer, BadAnswer, Disconnected or TimedOut."""
        self._exchange, exchange.carrier = exchange, self
        self._is_reading, self.is_used = False, True
        if exchange.deadline < self._rings_at:
            self._set_alarm(exchange.deadline)
        self._transport.write(exchange.request)

    async def exchange(self, request: bytes, *, is_head: bool, deadline: float) -> VendorAnswer:
        """The same for whoever waits. `deadline` is on the loop's clock.

        Raises BadAnswer, Disconnected or TimedOut."""
        waiter: asyncio.Future[VendorAnswer] = self._loop.create_future()
        exchange = Exchange(request, partial(_tell, waiter), deadline, is_head)
        self.start(exchange)
        try:
            return await waiter
        finally:
            exchange.cancel()  # if the asker is cancelled; one that has ended does not mind

    def give_up(self, exchange: Exchange) -> None:
        """Nobody waits for the answer any more: what comes now is for nobody."""
        if self._exchange is exchange:
            self._exchange = None
            self.abort()

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of the latest request's answer came."""
        return not self._is_reading

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
        exchange = self._exchange
        if exchange is None:
            return
        if self._loop.time() < exchange.deadline:
            self._set_alarm(exchange.deadline)
        else:
            self._fail(exchange, TimedOut("no complete answer in time"))

    def _fail(self, exchange: Exchange, error: SendError) -> None:
        self._exchange = None
        self.abort()
        exchange.on_end(error)

    def _settle(self, exchange: Exchange, answer: VendorAnswer, may_go_on: bool) -> None:
        """The answer is complete. The connection is free before the asker knows, so that it is hot."""
        self._exchange = None
        # An answer that overtook its request leaves a rest of it to be sent: of no use any more.
        if may_go_on and not self._transport.get_write_buffer_size():
            self._on_free(self)
        else:
            self.abort()
        exchange.on_end(answer)

    # -- called by the event loop ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and over TLS also verified."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some of the answer. What nobody waits for closes the connection."""
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        if not (self._is_reading or exchange.is_head) and (plain := read_answer(data)) is not None:
            status, headers, body, may_go_on = plain
            self._settle(exchange, VendorAnswer(status, headers, body), may_go_on)
        else:
            self._read(exchange, data)

    def _read(self, exchange: Exchange, data: bytes) -> None:
        """Some of an answer that is not plain, or not all of it."""
        reader = self._reader = self._reader or AnswerReader()
        if not self._is_reading:
            self._is_reading = True
            reader.begin(is_for_head=exchange.is_head)
        failure = None
        try:
            is_complete = reader.feed(data)
        except BadAnswer as error:
            failure = error
        if failure is not None:
            self._fail(exchange, failure)
        elif is_complete:
            self._settle(exchange, reader.answer(), reader.may_go_on)

    def eof_received(self) -> bool:
        """The peer has said all. Over TLS (uvloop's) it has said so itself: a connection that was cut off
        is only lost (RFC 9112, 9.8)."""
        exchange, reader = self._exchange, self._reader
        if exchange is not None and reader is not None and self._is_reading and reader.finish():
            self._settle(exchange, reader.answer(), reader.may_go_on)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Gone, by whomever. Its place is free before the asker knows."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        exchange, self._exchange = self._exchange, None
        self._on_lost(self)
        if exchange is not None:
            again = exchange.again(exchange) if exchange.again is not None and self.is_untouched else None
            exchange.on_end(again or Disconnected("the connection broke before the answer was complete"))


def _tell(waiter: "asyncio.Future[VendorAnswer]", came: Came) -> None:
    """Whoever waits has asked for no `again`, so it is an answer or an error."""
    if waiter.done():
        return
    if isinstance(came, VendorAnswer):
        waiter.set_result(came)
    elif isinstance(came, SendError):
        waiter.set_exception(came)
