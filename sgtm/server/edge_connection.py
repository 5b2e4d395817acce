"""A connection of the edge: owned for its whole life, and answered where it is plain.

    bytes -> scan_head -> plain, on a path that a client names? -> reception -> answer
                 `-> everything else: lent to aiohttp from the first byte of that request (lent.py)

Plain is the strict subset of `_fast/http.pyi`. What the edge does not answer it does not judge either: every
refusal of a malformed, large or slow request is aiohttp's side's, so there is one of each. One request is
answered at a time, so answers leave in order; what comes meanwhile waits in the buffer, and is not read from
MOST_WAITING on. SPEC: design "One port, two ways through it"; reliability 2.4.
"""

import asyncio
from collections.abc import Awaitable
from typing import cast

from sgtm._fast.http import LEND, WAIT, PlainRequest, scan_head
from sgtm.container.container import Container
from sgtm.messages import Answer
from sgtm.observability.metrics import Counters
from sgtm.server.admission import Admission
from sgtm.server.connection import Listener, Peer, line_limit
from sgtm.server.lent import LentConnection
from sgtm.server.lifetime import Lifetime, Reader, notice_waiting
from sgtm.server.limits import INTERNAL_ERROR, SLOW_HEAD
from sgtm.server.reception import Reception
from sgtm.server.written import answer_bytes, last_words, refusal_answer
from sgtm.settings import Settings

AT_ONCE = 16
"""Pipelined requests of one connection that are answered before others have their turn."""
MOST_WAITING = 64 * 1024
"""Bytes that wait behind a request that is being answered, before nothing more is read."""
MOST_PIECES = 64
"""Who sends a request in more pieces has it read by aiohttp, which looks at each byte once."""
PATIENCE_S = 1.0
"""How long the rest of a body may take at most: a slower one is read by aiohttp, which has the time-outs."""


class Terms:
    """What all connections of the edge share."""

    def __init__(
        self,
        reception: Reception,
        listener: Listener,
        settings: Settings,
        counters: Counters,
        admission: Admission,
    ) -> None:
        self.reception, self.listener, self.settings = reception, listener, settings
        self.counters, self.admission = counters, admission
        self.connections: set[EdgeConnection] = set()
        self.paths: frozenset[str] = frozenset()
        self.bounds = (
            line_limit(settings),
            settings.header_bytes,
            settings.headers_bytes,
            settings.header_count,
        )
        self.most_body_bytes = min(settings.body_bytes, settings.collect_body_bytes)
        self.patience_s = min(PATIENCE_S, settings.body_timeout_s / 5, settings.body_grace_s / 5)
        self._tasks: set[asyncio.Future[Answer]] = set()

    def use(self, container: Container) -> None:
        """Answer on the paths that clients of this container name, unless a client above could claim them
        that does not say its paths, or the server itself answers there."""
        self.paths = frozenset(
            path
            for path, candidates in container.candidates.items()
            if candidates[0].paths and self.reception.health.answer(path) is None
        )

    def keep(self, answer: Awaitable[Answer]) -> "asyncio.Future[Answer]":
        """Have an answer made that has to wait, even if its requester goes away."""
        task = asyncio.ensure_future(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class EdgeConnection(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_address", "_buffer", "_closes", "_edge", "_handler", "_head", "_head_since", "_idle_since",
        "_idle_timer", "_is_awaited", "_is_busy", "_is_lent", "_is_over", "_is_paused", "_is_stalled",
        "_lifetime", "_loop", "_network", "_peer", "_pieces", "_reader", "_scheme", "_stalled_handler",
        "_start", "_timer", "_wire",
    )  # fmt: skip

    def __init__(self, edge: Terms, peer: Peer | None = None) -> None:
        self._edge, self._peer = edge, peer
        self._loop = asyncio.get_running_loop()
        self._buffer, self._start, self._pieces = b"", 0, 0
        """What has not been answered stands in the buffer from `_start` on, and came in `_pieces`."""
        self._head: PlainRequest | None = None
        """Of the request whose body is not complete."""
        self._head_since: float | None = None
        self._is_busy = self._is_stalled = self._is_lent = self._is_over = self._is_paused = False
        self._closes = self._is_awaited = False
        self._network: str | None = None
        self._handler: LentConnection | None = None
        self._stalled_handler: LentConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    # -- from the first byte to the last ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or close it at once."""
        edge, wire = self._edge, cast(asyncio.Transport, transport)
        peer = self._peer or wire.get_extra_info("peername")
        self._network = edge.admission.enter(peer)
        self._wire = wire
        if self._network is None:
            self._is_over = True
            wire.abort()
            return
        now = self._loop.time()
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._scheme = "http" if wire.get_extra_info("sslcontext") is None else "https"
        self._lifetime = Lifetime(edge.settings, edge.counters, now)
        self._reader = Reader(wire, edge.settings, edge.counters)
        notice_waiting(wire)
        edge.connections.add(self)
        self._idle_since = now
        if edge.settings.keepalive_s:
            self._idle_timer = self._loop.call_later(edge.settings.keepalive_s, self._look_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._is_over = True
        if self._network is None:
            return
        edge = self._edge
        edge.admission.leave(self._network)
        edge.connections.discard(self)
        self._network = None
        self._stop_timer()
        self._stop_awaiting()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._reader.stop()
        if self._handler is not None:
            self._handler.connection_lost(exc)
            self._handler = None
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Bytes came: answer what they complete."""
        if self._is_lent and self._handler is not None:
            self._handler.data_received(data)
            return
        if self._is_over:
            return
        self._pieces += 1
        self._buffer = self._buffer[self._start :] + data if self._buffer else data
        self._start = 0
        if not self._is_busy and not self._is_stalled:
            self._go_on()
        elif len(self._buffer) > MOST_WAITING and not self._is_paused:
            self._is_paused = True
            self._wire.pause_reading()

    def _go_on(self) -> None:
        """Answer what the buffer holds, until one request has to wait."""
        for _ in range(AT_ONCE):
            if not self._answer_next() or not self._buffer:
                return
        self._loop.call_soon(self._go_on)

    def _answer_next(self) -> bool:
        """Answer the next request. Whether the one after it may be looked at already."""
        start = self._start
        if self._is_busy or self._is_stalled or self._is_lent or self._is_over or not self._buffer:
            return False
        head = self._head or self._next_head(start)
        if head is None:
            return False
        body = start + head.head_bytes
        end = body + head.body_bytes
        if len(self._buffer) < end:
            self._wait_for_body(head)
            return False
        data, self._head, self._head_since, self._pieces = self._buffer, None, None, 0
        self._buffer, self._start = (b"", 0) if end == len(data) else (data, end)
        if self._timer is not None:
            self._stop_timer()
        if self._is_awaited:
            self._stop_awaiting()
        self._answer(head, data[body:end])
        return True

    def _next_head(self, start: int) -> PlainRequest | None:
        """The head of the next request if it is for us; what is not is lent."""
        edge = self._edge
        head = scan_head(self._buffer, start, edge.bounds)
        if isinstance(head, PlainRequest):
            is_ours = edge.reception.sites.path_inside(head.path) in edge.paths
            if is_ours and head.body_bytes <= edge.most_body_bytes:
                return head
            head = LEND
        if head == WAIT and self._pieces <= MOST_PIECES:
            self._wait_for_head()
        else:
            self._lend(self._head_since if head == WAIT else None)
        return None

    # -- a request that is not complete ----------------------------------------------------------

    def _wait_for_head(self) -> None:
        if self._head_since is None:
            self._head_since = self._loop.time()
            if seconds := self._edge.settings.head_timeout_s:
                self._timer = self._loop.call_later(seconds, self._give_up_head)

    def _wait_for_body(self, head: PlainRequest) -> None:
        if self._pieces > MOST_PIECES:
            self._lend(None)
        elif self._head is None:
            self._stop_timer()
            self._head = head
            self._timer = self._loop.call_later(self._edge.patience_s, self._lend, None)
            self._is_awaited = True  # a drain waits for it, too
            self._edge.reception.begin()

    def _give_up_head(self) -> None:
        self._edge.counters.add("sgtm_requests_refused_total", SLOW_HEAD[1])
        self._wire.write(last_words(refusal_answer(*SLOW_HEAD)))
        self._end()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- its answer ------------------------------------------------------------------------------

    def _answer(self, head: PlainRequest, body: bytes) -> None:
        reception = self._edge.reception
        self._closes = self._lifetime.begin(self._loop.time()) or head.closes
        path = reception.sites.path_inside(head.path)
        try:
            arrival = reception.welcome(
                head.method, path, head.query, head.headers, self._address, self._scheme
            )
            answer = reception.answer(arrival, head.headers, body)
        except Exception as error:
            self._fail(error)
            return
        if isinstance(answer, Answer):
            self._write(answer)
        else:
            self._is_busy = True
            reception.begin()
            self._edge.keep(answer).add_done_callback(self._answered)

    def _answered(self, task: "asyncio.Future[Answer]") -> None:
        """The answer that had to be waited for is there."""
        self._is_busy = False
        try:
            answer = task.result()
        except asyncio.CancelledError:
            self._end()
        except Exception as error:
            self._fail(error)
        else:
            self._write(answer)
        self._edge.reception.end()
        self._read_on()

    def _fail(self, error: Exception) -> None:
        answer, is_last = self._edge.reception.failed(error)
        self._closes = self._closes or is_last
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        closes = self._closes or self._edge.reception.wants_no_connections
        data = answer_bytes(answer, closes=closes)
        if data is None:
            self._edge.reception.failed(ValueError())
            data = answer_bytes(refusal_answer(*INTERNAL_ERROR), closes=closes)
        if self._is_over or data is None:
            return
        self._wire.write(data)
        self._idle_since = self._loop.time()
        if closes or not self._edge.settings.keepalive_s:
            self._end()

    def _read_on(self) -> None:
        """Nothing is in the way any more."""
        if self._is_paused:
            self._is_paused = False
            self._wire.resume_reading()
        self._go_on()

    def _end(self) -> None:
        """Close when all is written."""
        self._is_over = True
        self._stop_timer()
        self._buffer = b""
        self._wire.close()

    # -- an answer must be read ------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._is_stalled = True
        self._stalled_handler = self._handler if self._is_lent else None
        if self._stalled_handler is not None:
            self._stalled_handler.pause_writing()
        else:
            self._reader.watch()

    def resume_writing(self) -> None:
        """The peer has read everything but what the kernel holds."""
        self._is_stalled = False
        handler, self._stalled_handler = self._stalled_handler, None
        if handler is not None:
            handler.resume_writing()
        else:
            self._reader.stop()
        if not self._is_lent and not self._is_busy:
            self._read_on()

    # -- what is lent ----------------------------------------------------------------------------

    def _lend(self, head_since: float | None) -> None:
        """Lend all that is in the buffer, from the first byte of a request on."""
        edge, data = self._edge, self._buffer[self._start :]
        edge.counters.add("sgtm_requests_lent_total")
        self._stop_timer()
        self._buffer, self._start, self._pieces = b"", 0, 0
        self._head, self._head_since, self._is_lent = None, None, True
        if self._handler is None:
            self._handler = LentConnection(
                edge.listener, edge.settings, edge.counters, self._peer, self._lifetime, self, self._wire
            )
        self._handler.lend(data, head_since)

    def lent_is_begun(self) -> None:
        """See `lent.Owner`."""
        self._stop_awaiting()

    def _stop_awaiting(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._edge.reception.end()

    def take_back(self) -> None:
        """See `lent.Owner`."""
        self._is_lent = False
        self._idle_since = self._loop.time()

    def forget_handler(self) -> None:
        """See `lent.Owner`."""
        handler, self._handler = self._handler, None
        if handler is not None:
            self._loop.call_soon(handler.connection_lost, None)

    def end_lent(self) -> None:
        """See `lent.Owner`."""
        self._is_over = True

    # -- one that is not used --------------------------------------------------------------------

    def _look_if_idle(self) -> None:
        keepalive_s = self._edge.settings.keepalive_s
        left_s = keepalive_s
        if self._is_idle:
            left_s -= self._loop.time() - self._idle_since
        if left_s > 0:
            self._idle_timer = self._loop.call_later(left_s, self._look_if_idle)
        else:
            self._end()

    @property
    def _is_idle(self) -> bool:
        return not self._is_busy and not self._is_lent and not self._buffer

    def close_if_idle(self) -> bool:
        """End the connection if no request is under way. Whether it was idle."""
        if self._is_over:
            return False
        if self._is_lent:
            return self._handler is not None and self._handler.close_if_idle()
        if self._is_idle:
            self._end()
            return True
        return False

    def close_unless_lent(self) -> None:
        """End the connection, whatever it waits for; one that is lent is aiohttp's to end."""
        if not self._is_lent and not self._is_over:
            self._end()

    def abort(self) -> None:
        """End it at once."""
        self._wire.abort()
