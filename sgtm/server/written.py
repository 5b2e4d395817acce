"""Answers as they leave: what is written around them, and nothing of a library's own.

No `Server` header, no default Content-Type; Date, Content-Length and Connection are ours alone.
"""

import time
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

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


def last_words(answer: Answer) -> bytes:
    """An answer as bytes, where there is no request that aiohttp could answer."""
    headers = (
        *answer.headers,
        ("Date", http_date()),
        ("Content-Length", str(len(answer.body))),
        ("Connection", "close"),
    )
    lines = (f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}", *(": ".join(pair) for pair in headers))
    return "\r\n".join((*lines, "", "")).encode() + answer.body


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


_date = (0, "")


def http_date() -> str:
    """The Date header of this second."""
    global _date
    second = int(time.time())
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True))
    return _date[1]
