"""Answers as they leave: what is written around them, and nothing of a library's own.

No `Server` header, no default Content-Type; Date, Content-Length and Connection are ours alone.
"""

import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from sgtm._fast.http import write_answer
from sgtm.answers import NO_STORE
from sgtm.messages import Answer

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "date"})
"""Headers that only the server writes, whatever a component asks for."""


def refusal_answer(status: int, reason: str, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """The constant answer of a refusal."""
    return Answer(
        status,
        (NO_STORE, ("Content-Type", "text/plain"), *headers),
        f"{reason}\n".encode(),
    )


def answer_bytes(answer: Answer, *, closes: bool) -> bytes | None:
    """An answer to a request of HTTP/1.1 as `WrittenAnswer` would have it written; None where that would
    raise ValueError."""
    body = answer.body if _has_body(answer.status) else None
    return write_answer(
        _status_line(answer.status), answer.headers, http_date(), body, "close" if closes else ""
    )


def last_words(answer: Answer) -> bytes:
    """A refusal as bytes, where there is no request that aiohttp could answer."""
    return answer_bytes(answer, closes=True) or b""


def _has_body(status: int) -> bool:
    return status >= 200 and status not in (204, 304)


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}"


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
        if _has_body(answer.status):
            headers["Content-Length"] = str(len(answer.body))
            self._sends_body = request.method != "HEAD"
        self._closes = self._closes or not request.keep_alive
        if self._closes:
            headers["Connection"] = "close"
        elif request.version < (1, 1):
            headers["Connection"] = "keep-alive"
        await request.writer.write_headers(_status_line(answer.status), headers)
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send head and body in one piece."""
        if self._writer is not None:
            await self._writer.write_eof(self._answer.body if self._sends_body else b"")


_date = (0, "")


def http_date() -> str:
    """The Date header of this second."""
    global _date
    second = int(time.time())
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True))
    return _date[1]
