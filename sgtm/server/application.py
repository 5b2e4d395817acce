"""From a request of aiohttp's to an Answer: check, describe, run the pipeline.

Nothing behind this file knows aiohttp: it hands on an IncomingRequest made of the bytes as they
were on the wire, with the moment and the chance that the hit is given.
"""

import asyncio
import logging
import os
import struct
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol, cast

from aiohttp import web

from sgtm.container.container import Endpoint
from sgtm.messages import Answer, IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.server.connection import Connection
from sgtm.server.health import Health
from sgtm.server.limits import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    RETRY_LATER,
    SHORT_OF_MEMORY,
    TOO_MANY_REQUESTS,
    UNKNOWN_EXPECTATION,
    UNKNOWN_HOST,
    UNKNOWN_VERSION,
    Headers,
    Limits,
    Refusal,
)
from sgtm.server.memory import HARD, NORMAL, SOFT, MemoryGuard
from sgtm.server.proxy import Requester, TrustedProxies
from sgtm.server.rate import Rates, retry_after
from sgtm.server.sites import EVERYWHERE, Sites
from sgtm.server.written import WrittenAnswer, refusal_answer

log = logging.getLogger("sgtm.server")

_VERSIONS = ((1, 1), (1, 0))


class Runs(Protocol):
    """The pipeline, as the server needs it."""

    def run(self, request: IncomingRequest, walk: Walk | None = None) -> Answer | Awaitable[Answer]:
        """Take a request to its answer."""

    def endpoint(self, path: str, host: str) -> Endpoint | None:
        """Whose a request is that nobody has looked at yet."""

    def refuse(self, request: IncomingRequest) -> Answer | None:
        """The answer to a request that is refused before anything is parsed, or None."""

    def drop(self, request: IncomingRequest) -> Answer:
        """The answer of a hit that is dropped in silence."""


class Application:
    """Handles every request of one worker."""

    def __init__(
        self,
        pipeline: Runs,
        health: Health,
        limits: Limits,
        rates: Rates,
        memory: MemoryGuard,
        proxies: TrustedProxies,
        counters: Counters,
        sites: Sites = EVERYWHERE,
        new_walk: Callable[[IncomingRequest], Walk | None] | None = None,
    ) -> None:
        self._pipeline, self._health, self.limits = pipeline, health, limits
        self._rates, self._memory = rates, memory
        self._proxies, self._counters, self._new_walk = proxies, counters, new_walk
        self._sites = sites
        self._under_way = 0
        self._all_done: asyncio.Future[None] | None = None

    async def nothing_under_way(self) -> None:
        """Wait until no request is being handled."""
        if self._under_way:
            self._all_done = asyncio.get_running_loop().create_future()
            await self._all_done

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """aiohttp's handler: always an answer, never an exception."""
        self._under_way += 1
        connection = cast(Connection, request.protocol)
        is_last = connection.begin(request.content)
        try:
            return await self._write_answer(request, is_last)
        finally:
            connection.end()
            self._under_way -= 1
            if self._all_done is not None and not self._under_way and not self._all_done.done():
                self._all_done.set_result(None)

    async def _write_answer(self, request: web.BaseRequest, closes: bool) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
            written = WrittenAnswer(answer, closes=closes or self._wants_no_connections)
            await written.prepare(request)
        except Refusal as refusal:
            self._counters.add("sgtm_requests_refused_total", refusal.reason)
            answer = refusal_answer(refusal.status, refusal.reason, refusal.headers)
            written = WrittenAnswer(answer, closes=True)
        except Exception as error:
            log.error("request failed", extra={"error": type(error).__name__})
            self._counters.add("sgtm_requests_refused_total", INTERNAL_ERROR[1])
            written = WrittenAnswer(
                refusal_answer(*INTERNAL_ERROR), closes=closes or self._wants_no_connections
            )
        return written

    @property
    def _wants_no_connections(self) -> bool:
        return self._health.is_draining or self._memory.level > NORMAL

    async def _answer(self, request: web.BaseRequest) -> Answer:
        path, _, query = request.raw_path.partition("?")
        path = self._sites.path_inside(path)
        answer = self._health.answer(path)
        if answer is not None:
            return answer
        incoming, endpoint = await self._describe(request, path, query)
        walk = self._new_walk(incoming) if self._new_walk is not None else None
        if walk is None:  # who looks at a request wants to see what a claim makes of it
            refused = self._pipeline.refuse(incoming)
            if refused is not None:
                return refused
        if endpoint is not None and endpoint.is_collect and self._is_flood(endpoint, incoming):
            self._counters.add("sgtm_requests_dropped_total", TOO_MANY_REQUESTS[1])
            return self._pipeline.drop(incoming)
        result = self._pipeline.run(incoming, walk)
        return await result if isawaitable(result) else result

    async def _describe(
        self, request: web.BaseRequest, path: str, query: str
    ) -> tuple[IncomingRequest, Endpoint | None]:
        """The request as our own struct, and whose it is. Raises Refusal."""
        received_micros = time.time_ns() // 1000
        headers = tuple((name.lower(), value) for name, value in request.raw_headers)
        if request.version not in _VERSIONS:
            raise Refusal(*UNKNOWN_VERSION)
        if not path.startswith("/"):
            raise Refusal(*BAD_REQUEST)
        self.limits.check_head(request.raw_path, path, headers)
        requester = self._requester(request, headers)
        if not self._sites.serves(requester.host):
            raise Refusal(*UNKNOWN_HOST)
        text, raw_query = _bytes(path).decode("utf-8", "replace"), _bytes(query)
        endpoint = self._pipeline.endpoint(text, requester.host)
        is_collect = endpoint is not None and endpoint.is_collect
        if self._memory.level == HARD or (self._memory.level == SOFT and not is_collect):
            raise Refusal(*SHORT_OF_MEMORY, RETRY_LATER)
        if not is_collect:  # before a body is read that nobody wants
            self._check_rate(endpoint, text, raw_query, requester.remote_address)
        body = b""
        if request.body_exists:
            await _answer_expectation(request, headers)
            body = await self.limits.read_body(request, is_collect=is_collect)
            headers, body = self.limits.unpack(headers, body, is_collect=is_collect)
        incoming = IncomingRequest(
            method=request.method,
            path=text,
            query=raw_query,
            headers=headers,
            body=body,
            remote_address=requester.remote_address,
            is_peer_trusted=requester.is_peer_trusted,
            scheme=requester.scheme,
            host=requester.host,
            received_micros=received_micros,
            seed=_draw_seed(),
            path_prefix=self._sites.prefix,
        )
        return incoming, endpoint

    def _is_flood(self, endpoint: Endpoint, hit: IncomingRequest) -> bool:
        if hit.method == "OPTIONS":  # a preflight that is dropped would take the hit with it
            return False
        return self._wait_s(endpoint, hit.path, hit.query, hit.remote_address) > 0

    def _check_rate(self, endpoint: Endpoint | None, path: str, query: bytes, address: str) -> None:
        wait_s = self._wait_s(endpoint, path, query, address)
        if wait_s:
            raise Refusal(*TOO_MANY_REQUESTS, (retry_after(wait_s),))

    def _wait_s(self, endpoint: Endpoint | None, path: str, query: bytes, address: str) -> float:
        now = asyncio.get_running_loop().time()
        return self._rates.wait_s(endpoint, path, query, address, now)

    def _requester(self, request: web.BaseRequest, headers: Headers) -> Requester:
        scheme = "http" if request.protocol.ssl_context is None else "https"
        requester = self._proxies.requester(request.remote or "", headers, scheme)
        if not requester.host and any(name == b"host" and value for name, value in headers):
            raise Refusal(*BAD_REQUEST)
        return requester


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


_SEEDS_AT_ONCE = 512
_seeds: list[int] = []


def _draw_seed() -> int:
    """64 random bits; the kernel is asked once for many."""
    if not _seeds:
        _seeds.extend(struct.unpack(f"={_SEEDS_AT_ONCE}Q", os.urandom(8 * _SEEDS_AT_ONCE)))
    return _seeds.pop()
