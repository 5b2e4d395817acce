"""From a request of aiohttp's to an Answer: check its head, read its body, have it received.

Nothing behind this file knows aiohttp: it hands on the bytes as they were on the wire.
"""

from inspect import isawaitable
from typing import cast

from aiohttp import web

from sgtm.messages import Answer
from sgtm.server.connection import Connection
from sgtm.server.limits import BAD_REQUEST, UNKNOWN_EXPECTATION, UNKNOWN_VERSION, Headers, Refusal
from sgtm.server.reception import Reception
from sgtm.server.written import WrittenAnswer

_VERSIONS = ((1, 1), (1, 0))


class Application:
    """Handles the requests of one worker that aiohttp reads."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """aiohttp's handler: always an answer, never an exception."""
        self._reception.begin()
        connection = cast(Connection, request.protocol)
        is_last = connection.begin(request.content)
        try:
            written = await self._write_answer(request, is_last)
            await connection.answered(request, written)
            return written
        finally:
            connection.end()
            self._reception.end()

    async def _write_answer(self, request: web.BaseRequest, closes: bool) -> WrittenAnswer:
        try:
            answer = await self._answer(request)
            written = WrittenAnswer(answer, closes=closes or self._reception.wants_no_connections)
            await written.prepare(request)
        except Exception as error:
            answer, is_last = self._reception.failed(error)
            written = WrittenAnswer(answer, closes=closes or is_last)
        return written

    async def _answer(self, request: web.BaseRequest) -> Answer:
        reception = self._reception
        path, _, query = request.raw_path.partition("?")
        path = reception.sites.path_inside(path)
        answer = reception.health.answer(path)
        if answer is not None:
            return answer
        if request.version not in _VERSIONS:
            raise Refusal(*UNKNOWN_VERSION)
        if not path.startswith("/"):
            raise Refusal(*BAD_REQUEST)
        headers = tuple((name.lower(), value) for name, value in request.raw_headers)
        reception.limits.check_head(request.raw_path, path, headers)
        scheme = "http" if request.protocol.ssl_context is None else "https"
        text = _bytes(path).decode("utf-8", "replace")
        arrival = reception.welcome(
            request.method, text, _bytes(query), headers, request.remote or "", scheme
        )
        body = b""
        if request.body_exists:
            await _answer_expectation(request, headers)
            limits, is_collect = reception.limits, arrival.is_collect
            body = await limits.read_body(request, is_collect=is_collect)
            headers, body = limits.unpack(headers, body, is_collect=is_collect)
        result = reception.answer(arrival, headers, body)
        return await result if isawaitable(result) else result


def _bytes(text: str) -> bytes:
    """aiohttp's text back into the bytes of the wire."""
    return text.encode("utf-8", "surrogateescape")


async def _answer_expectation(request: web.BaseRequest, headers: Headers) -> None:
    """Tell a requester that waits for it (curl, from 1 MB on) to send its body."""
    expected = next((value for name, value in headers if name == b"expect"), None)
    if expected is None:
        return
    if expected.lower() != b"100-continue":
        raise Refusal(*UNKNOWN_EXPECTATION)
    if not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
