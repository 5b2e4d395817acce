"""A stand-in for googletagmanager.com on loopback: it counts what it is asked and misbehaves on demand."""

import asyncio
import contextlib
import ssl
from typing import Any

from aiohttp import web

SCRIPT = b"window.loaded = 'gtm';" + b" " * 2_000


class ScriptOrigin:
    """`async with ScriptOrigin() as origin`; what it answers next stands in its attributes."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.status, self.body, self.delay_s, self.etag = 200, SCRIPT, 0.0, ""
        self.bodies: dict[str, bytes] = {}
        """Path -> body, where it is not `body`."""
        self.sends: int | None = None
        """Bytes of the body after which the connection breaks; None: the whole."""
        self.drips = False
        """The head comes at once, the body a byte at a time."""
        self.headers: dict[str, str] = {"Content-Type": "application/javascript; charset=UTF-8"}
        self.asked: list[str] = []
        """Targets, in the order in which they were asked for."""
        self.seen: list[dict[str, str]] = []
        """Headers of the same requests, names in lower case."""

    async def __aenter__(self) -> "ScriptOrigin":
        server = web.Server(self._answer, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_down()

    async def go_down(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        await asyncio.sleep(self.delay_s)
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        headers: dict[str, Any] = {**self.headers, **({"ETag": self.etag} if self.etag else {})}
        body = self.bodies.get(request.path, self.body)
        if self.sends is None and not self.drips:
            return web.Response(status=self.status, body=body, headers=headers)
        is_chunked = headers.pop("Transfer-Encoding", "") == "chunked"
        response = web.StreamResponse(status=self.status, headers=headers)
        if is_chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        await self._write_slowly_or_in_part(response, request, body)
        return response

    async def _write_slowly_or_in_part(
        self, response: web.StreamResponse, request: web.BaseRequest, body: bytes
    ) -> None:
        if self.sends is not None:
            await response.write(body[: self.sends])
            assert request.transport is not None
            request.transport.close()
            return
        with contextlib.suppress(ConnectionError):
            for byte in body:
                await response.write(bytes([byte]))
                await asyncio.sleep(0.05)
