"""A stand-in for the vendors: understands GA4 and Meta, records what it gets, fails on demand.

    async with Vendor() as vendor:
        vendor.fail("/v25.0/123/events", Fault(status=429, headers=(("Retry-After", "2"),), times=1))
        ...
        hits = await vendor.wait_for(3, "/g/collect")

It judges Meta's events as Meta does (SPEC: meta-capi 13): one bad event rejects the whole array.
Faults belong to a path, the longest prefix wins, and may change while requests are under way.
"""

import asyncio
import json
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from aiohttp import web

Breaks = Literal["", "before answering", "after headers", "half body", "reset", "chunk bomb", "close after"]
_MAX_AGE_S = 7 * 86_400


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong at a path. Alone or together: wait, then answer so, or break off."""

    latency_ms: float = 0.0
    status: int = 0
    """Answer with this status instead; 0: judge the request as usual."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """Answer with this body instead."""
    breaks: Breaks = ""
    """Stop talking for good at that point, cut the body or the connection, send without end; `close
    after`: answer this one, and close when the kept connection is used again."""
    times: int | None = None
    """How many requests it hits; None: until `fail(path, None)`."""


class Received(msgspec.Struct, frozen=True):
    """One request as it arrived, and the status that it was given (0: broken off)."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    status: int

    def header(self, name: str) -> str | None:
        """First value of the header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Vendor:
    """A loopback HTTP server; `url` is its address. `tokens`: what Meta accepts (None: any token)."""

    def __init__(
        self,
        port: int = 0,
        *,
        tokens: frozenset[str] | None = None,
        tls: ssl.SSLContext | None = None,
        now_s: Callable[[], float] = time.time,
        keeps: int = 10_000,
    ) -> None:
        self.url = ""
        self.tokens = tokens
        self.received: deque[Received] = deque(maxlen=keeps)
        """The latest requests, oldest first."""
        self.under_way = 0
        """Requests that wait for their answer just now."""
        self._port, self._tls, self._now_s = port, tls, now_s
        self._faults: dict[str, Fault] = {}
        self._arrived = asyncio.Condition()
        self._closing = asyncio.Event()
        self._doomed: set[object] = set()

    async def __aenter__(self) -> "Vendor":
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    def fail(self, path: str, fault: Fault | None) -> None:
        """From now on requests whose path begins with `path` meet this fault; None: no longer."""
        self._faults.pop(path, None)
        if fault is not None:
            self._faults[path] = fault

    def requests(self, path: str = "") -> list[Received]:
        """What arrived at paths that begin with `path`."""
        return [received for received in self.received if received.path.startswith(path)]

    async def wait_for(self, count: int, path: str = "", timeout_s: float = 10.0) -> list[Received]:
        """Wait until `count` requests have arrived at paths that begin with `path`; all of them.

        Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests(path)) >= count)
        return self.requests(path)

    # -- one request -----------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        fault = self._next_fault(request.path)
        if request.transport in self._doomed:
            self._doomed.discard(request.transport)
            fault = Fault(breaks="reset")
        answer = self._judge(request, body)
        if fault.status:
            answer = web.Response(status=fault.status)
        if fault.body is not None:
            answer.body = fault.body
        answer.headers.extend(fault.headers)
        has_answer = fault.breaks in ("", "close after")
        await self._note(request, body, answer.status if has_answer else 0)
        self.under_way += 1
        try:
            if fault.latency_ms:
                await self._pause(fault.latency_ms / 1_000)
            return await self._break(request, answer, fault) if fault.breaks else answer
        finally:
            self.under_way -= 1

    def _next_fault(self, path: str) -> Fault:
        where = max((prefix for prefix in self._faults if path.startswith(prefix)), key=len, default=None)
        if where is None:
            return Fault()
        fault = self._faults[where]
        if fault.times is not None:
            left = fault.times - 1
            self.fail(where, msgspec.structs.replace(fault, times=left) if left > 0 else None)
        return fault

    async def _note(self, request: web.BaseRequest, body: bytes, status: int) -> None:
        path, _, query = request.raw_path.partition("?")
        headers = tuple(request.headers.items())
        self.received.append(Received(request.method, path, query, headers, body, status))
        async with self._arrived:
            self._arrived.notify_all()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the server."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    async def _break(
        self, request: web.BaseRequest, answer: web.Response, fault: Fault
    ) -> web.StreamResponse:
        transport = request.transport
        match fault.breaks:
            case "close after":
                self._doomed.add(transport)
                return answer
            case "before answering":
                await self._closing.wait()
            case "reset" if transport is not None:
                linger_for_nothing = struct.pack("ii", 1, 0)
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
                transport.abort()
            case _:
                await self._stream(request, fault.breaks)
        return web.Response()

    async def _stream(self, request: web.BaseRequest, breaks: Breaks) -> None:
        stream = web.StreamResponse()
        if breaks != "chunk bomb":
            stream.content_length = 1_000
        await stream.prepare(request)
        if breaks == "half body":
            await stream.write(b"x" * 500)
        while breaks == "chunk bomb" and not self._closing.is_set():
            await stream.write(bytes(65_536))
        if breaks == "after headers":
            await self._closing.wait()
        if request.transport is not None:
            request.transport.abort()

    # -- the vendors -----------------------------------------------------------------------------

    def _judge(self, request: web.BaseRequest, body: bytes) -> web.Response:
        path = request.path
        if path.startswith("/v") and path.endswith("/events"):
            return self._judge_meta(request, body)
        if path == "/debug/mp/collect":
            return web.json_response({"validationMessages": []})
        return web.Response(status=204)

    def _judge_meta(self, request: web.BaseRequest, body: bytes) -> web.Response:
        try:
            sent = json.loads(body)
            events = sent["data"]
            faults = [self._meta_fault(event) for event in events]
        except (ValueError, KeyError, TypeError, AttributeError):
            return _meta_error(400, 100, 0, "not an array of events")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = token or request.query.get("access_token", "") or str(sent.get("access_token", ""))
        if not token or (self.tokens is not None and token not in self.tokens):
            return _meta_error(401, 190, 0, "Invalid OAuth access token")
        if not 1 <= len(events) <= 1_000:
            return _meta_error(400, 100, 0, "1 to 1000 events")
        index = next((index for index, fault in enumerate(faults) if fault), None)
        if index is not None:
            return _meta_error(400, 100, faults[index], f"data[{index}] is not valid")
        return web.json_response({"events_received": len(events), "messages": [], "fbtrace_id": "A" * 23})

    def _meta_fault(self, event: dict[str, Any]) -> int:
        """Meta's subcode for a bad event, 0 for a good one (SPEC: meta-capi 3, 4.7, 13)."""
        if not event.get("event_name"):
            return 2_804_001
        if not isinstance(event.get("event_time"), int) or self._now_s() - event["event_time"] > _MAX_AGE_S:
            return 2_804_003
        if not event.get("user_data"):
            return 2_804_050
        custom = event.get("custom_data") or {}
        if event["event_name"] == "Purchase" and not {"value", "currency"} <= custom.keys():
            return 2_804_009
        return 0


def _meta_error(status: int, code: int, subcode: int, message: str) -> web.Response:
    error = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "error_subcode": subcode,
        "is_transient": False,
        "fbtrace_id": "A" * 23,
    }
    return web.json_response({"error": error}, status=status)
