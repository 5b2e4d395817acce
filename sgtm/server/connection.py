"""Our side of aiohttp's connections: answers written as they are, errors that tell nothing.

aiohttp parses requests and keeps connections. What leaves is ours: no `Server` header, no default
Content-Type, and for a malformed request neither its bytes nor a library's version.
"""

import asyncio
import logging
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp import http_exceptions, http_parser, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from sgtm.errors import SettingsError
from sgtm.messages import Answer
from sgtm.observability.metrics import Counters
from sgtm.server.limits import BAD_REQUEST, INTERNAL_ERROR, LARGE_HEADERS, LONG_TARGET
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "date"})
"""Headers that only the server writes, whatever a component asks for."""

LINGER_S = 2.0
"""How long the rest of a refused body is read away, so that the requester sees the answer."""


def refusal_answer(status: int, reason: str) -> Answer:
    """The constant answer of a refusal."""
    return Answer(
        status,
        (("Cache-Control", "no-store"), ("Content-Type", "text/plain")),
        f"{reason}\n".encode(),
    )


class WrittenAnswer(web.StreamResponse):
    """An Answer on its way through aiohttp; adds Date, Content-Length and Connection only."""

    def __init__(self, answer: Answer, *, closes: bool = False) -> None:
        super().__init__(status=answer.status)
        self._answer, self._closes = answer, closes
        self._writer: AbstractStreamWriter | None = None
        self._sends_body = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return not self._closes

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Build the head; it leaves together with the body. Raises ValueError on control characters."""
        if self._writer is not None:
            return self._writer
        answer = self._answer
        headers = CIMultiDict(pair for pair in answer.headers if pair[0].lower() not in _FRAMING)
        headers["Date"] = http_date()
        if answer.status >= 200 and answer.status not in (204, 304):
            headers["Content-Length"] = str(len(answer.body))
            self._sends_body = request.method != "HEAD"
        self._closes = self._closes or not request.keep_alive
        if self._closes:
            headers["Connection"] = "close"
        elif request.version < (1, 1):
            headers["Connection"] = "keep-alive"
        reason = _REASONS.get(answer.status, "")
        await request.writer.write_headers(f"HTTP/1.1 {answer.status} {reason}", headers)
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send head and body in one piece."""
        if self._writer is not None:
            await self._writer.write_eof(self._answer.body if self._sends_body else b"")


class Connection(web.RequestHandler):
    """One connection: aiohttp's, but for what it says when something is wrong."""

    __slots__ = ("_counters", "_settings")

    def __init__(self, listener: "Listener", settings: Settings, counters: Counters) -> None:
        self._settings, self._counters = settings, counters
        super().__init__(
            listener,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.keepalive_s,
            access_log=None,  # type: ignore[arg-type]  # documented: None turns it off
            max_line_size=_line_limit(settings),
            max_field_size=_field_limit(settings),
            max_headers=settings.header_count,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )

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
            is_target = len(error.args) > 1 and error.args[1] == _line_limit(self._settings)
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

    def __init__(self, handler: Any, settings: Settings, counters: Counters) -> None:
        super().__init__(handler)
        self._settings, self._counters = settings, counters

    def __call__(self) -> Connection:
        """A new connection."""
        return Connection(self, self._settings, self._counters)


def _line_limit(settings: Settings) -> int:
    return max(settings.collect_line_bytes, settings.request_line_bytes)


def _field_limit(settings: Settings) -> int:
    return settings.header_bytes + (settings.header_bytes == _line_limit(settings))


def require_compiled_parser() -> None:
    """Raise SettingsError where aiohttp would parse in Python: at least six of its advisories concern
    only that parser (SPEC: reliability 0.14)."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise SettingsError(
            "aiohttp runs without its compiled parser",
            where="AIOHTTP_NO_EXTENSIONS or a build of aiohttp without C extensions",
            mend="unset the variable, or install a wheel of aiohttp",
        )


_date = (0, "")


def http_date() -> str:
    """The Date header of this second."""
    global _date
    second = int(time.time())
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True))
    return _date[1]
