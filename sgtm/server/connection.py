"""Our side of aiohttp's connections: limits that it has not, errors that tell nothing.

aiohttp parses requests and keeps connections. What a malformed request is told is ours: neither its
bytes nor a library's version.
"""

import asyncio
import logging
from typing import Any, TypeAlias, cast

from aiohttp import http_exceptions, http_parser, web
from aiohttp.streams import StreamReader
from yarl import URL

from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.server.admission import Admission
from sgtm.server.lifetime import Lifetime, Reader, notice_waiting
from sgtm.server.limits import BAD_REQUEST, INTERNAL_ERROR, LARGE_HEADERS, LONG_TARGET, SLOW_HEAD
from sgtm.server.written import WrittenAnswer, last_words, refusal_answer
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

Peer: TypeAlias = tuple[Any, ...]
"""What a socket says about its other end: address first."""

LINGER_S = 2.0
"""How long the rest of a refused body is read away, so that the requester sees the answer."""

MANY_WAITING = 8
"""Requests that wait on a connection which pipelines; browsers send none before they have an answer."""


class Connection(web.RequestHandler):
    """One connection: aiohttp's, but for what it says when something is wrong, and for what aiohttp
    has no limit of: the time for a head, age, number of requests, an answer that nobody reads.

    Of aiohttp's inside only `_request_count` is used: how many heads its parser has finished.
    """

    __slots__ = (
        "_admission",
        "_begun",
        "_content",
        "_counters",
        "_head_timer",
        "_is_handling",
        "_is_pipelined",
        "_lifetime",
        "_network",
        "_peer",
        "_reader",
        "_settings",
        "_wire",
    )

    def __init__(
        self,
        listener: "Listener",
        settings: Settings,
        counters: Counters,
        admission: Admission,
        peer: Peer | None = None,
        lifetime: Lifetime | None = None,
    ) -> None:
        self._peer = peer
        self._settings, self._counters, self._admission = settings, counters, admission
        self._begun = 0
        self._is_handling = self._is_pipelined = False
        self._network: str | None = None
        self._content: StreamReader | None = None
        self._wire: asyncio.Transport | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._reader: Reader | None = None
        loop = asyncio.get_running_loop()
        self._lifetime = lifetime or Lifetime(settings, counters, loop.time())
        super().__init__(
            listener,
            loop=loop,
            keepalive_timeout=settings.keepalive_s,
            access_log=None,  # type: ignore[arg-type]  # documented: None turns it off
            max_line_size=line_limit(settings),
            max_field_size=_field_limit(settings),
            max_headers=settings.header_count,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )

    @property
    def peername(self) -> Any:
        """Who connected: the socket's peer, or whom a balancer named (PROXY protocol)."""
        return self._peer or super().peername

    # -- from the first byte to the last ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or close it at once."""
        wire = cast(asyncio.Transport, transport)
        self._network = self._admission.enter(self._peer or wire.get_extra_info("peername"))
        if self._network is None:
            self.force_close()
            wire.abort()
            return
        self._wire, self._reader = wire, Reader(wire, self._settings, self._counters)
        notice_waiting(wire)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give everything back."""
        if self._network is not None:
            self._admission.leave(self._network)
            self._network = None
        self._stop_head_timer()
        if self._reader is not None:
            self._reader.stop()
        super().connection_lost(exc)
        self._wire = self._content = None

    def begin(self, content: StreamReader) -> bool:
        """A request with this body is being handled. Whether it is the last one here."""
        self._begun += 1
        self._is_pipelined = self._is_pipelined or self._request_count - self._begun >= MANY_WAITING
        self._content, self._is_handling = content, True
        return self._lifetime.begin(self._loop.time())

    async def answered(self, request: web.BaseRequest, answer: WrittenAnswer) -> None:
        """The answer is complete; whoever wants to see it leave may see to it here."""

    def end(self) -> None:
        """The request is answered."""
        self._is_handling = False
        if self._is_pipelined and self._request_count == self._begun:
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """Have aiohttp look at what it has read already: it stops after 32 requests, and where the body of
        the one before them came late it forgets to go on (seen in 3.14.5)."""
        if self._wire is not None:
            self.data_received(b"")

    def close_if_idle(self) -> bool:
        """End the connection if no request is under way. Whether it was idle."""
        is_idle = not self._is_handling and self._head_timer is None and self._request_count == self._begun
        if is_idle:
            self.force_close()
        return is_idle

    # -- a head must be complete in time ---------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes came: are they the beginning of a head?

        The bytes of a head that came in one piece with the end of the request before are not
        noticed; its next byte is, and the idle time-out counts anyway.
        """
        heads, is_body = self._request_count, self._content is not None and not self._content.is_eof()
        super().data_received(data)
        if self._request_count != heads:
            self._stop_head_timer()
        elif data and self._head_timer is None and not is_body and heads == self._begun:
            self._start_head_timer()

    def _start_head_timer(self) -> None:
        if seconds := self._head_seconds():
            self._head_timer = self._loop.call_later(seconds, self._give_up_head)

    def _head_seconds(self) -> float:
        """How long the head that begins now may take; 0: no limit."""
        return self._settings.head_timeout_s

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_head(self) -> None:
        self._head_timer = None
        if self._wire is None or self._wire.is_closing():
            return
        if self._is_handling:  # the answer before it comes first
            self._start_head_timer()
            return
        self._counters.add("sgtm_requests_refused_total", SLOW_HEAD[1])
        self._wire.write(last_words(refusal_answer(*SLOW_HEAD)))
        self.force_close()

    # -- an answer must be read ------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        super().pause_writing()
        if self._reader is not None:
            self._reader.watch()

    def resume_writing(self) -> None:
        """The peer has read everything but what the kernel holds."""
        if self._reader is not None:
            self._reader.stop()
        super().resume_writing()

    # -- what is said when something is wrong ----------------------------------------------------

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that could not be parsed (or, never yet seen, to our own error)."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        status, reason = self._judge(exc)
        self._counters.add("sgtm_requests_refused_total", reason)
        log.log(
            logging.ERROR if status == 500 else logging.DEBUG,
            "request refused",
            extra={"reason": reason, "error": type(exc).__name__},
        )
        return WrittenAnswer(refusal_answer(status, reason), closes=True)

    def _judge(self, error: BaseException | None) -> tuple[int, str]:
        """What aiohttp found wrong, as one of our refusals. It tells its limits apart by number only."""
        if isinstance(error, http_exceptions.LineTooLong):
            is_target = len(error.args) > 1 and error.args[1] == line_limit(self._settings)
            return LONG_TARGET if is_target else LARGE_HEADERS
        if isinstance(error, http_exceptions.HttpProcessingError):
            return LARGE_HEADERS if error.message == "Too many headers received" else BAD_REQUEST
        return INTERNAL_ERROR

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """An exception by its class only: its text may quote the request."""
        error = kwargs.get("exc_info")
        log.error("connection failed", extra={"error": type(error).__name__})


class Listener(web.Server):
    """Makes a Connection for each accepted socket: a protocol factory."""

    def __init__(self, handler: Any, settings: Settings, counters: Counters, admission: Admission) -> None:
        super().__init__(handler, request_factory=_request_of)
        self._settings, self._counters, self._admission = settings, counters, admission

    def __call__(self) -> Connection:
        """A new connection."""
        return Connection(self, self._settings, self._counters, self._admission)

    def close_idle(self) -> None:
        """End every connection on which nothing is under way: there is need of memory."""
        for connection in list(self.connections):
            if cast(Connection, connection).close_if_idle():
                self._counters.add("sgtm_connections_closed_total", "memory")

    def connection_of(self, peer: Peer | None) -> Connection:
        """A new connection of `peer`, who may be another than the socket's."""
        return Connection(self, self._settings, self._counters, self._admission, peer)


def _request_of(
    message: http_parser.RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: Any,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """aiohttp's request. `CONNECT` without a target, cut at an unlucky place, has no URL: aiohttp's task
    would die of it and leave the connection without an answer. It is refused as others are."""
    if message.url is None:
        message = message._replace(path="", url=URL())
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())


def line_limit(settings: Settings) -> int:
    """The longest target of any request."""
    return max(settings.collect_line_bytes, settings.request_line_bytes)


def _field_limit(settings: Settings) -> int:
    return settings.header_bytes + (settings.header_bytes == line_limit(settings))


def require_compiled_parser() -> None:
    """Raise SettingsError where aiohttp would parse in Python: at least six of its advisories concern
    only that parser (SPEC: reliability 0.14)."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise SettingsError(
            "aiohttp runs without its compiled parser",
            where="AIOHTTP_NO_EXTENSIONS or a build of aiohttp without C extensions",
            mend="unset the variable, or install a wheel of aiohttp",
        )
