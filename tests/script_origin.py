"""A stand-in for googletagmanager.com on loopback: it counts what it is asked and misbehaves on demand."""

import asyncio
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

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.raw_path)
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        await asyncio.sleep(self.delay_s)
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        headers: dict[str, Any] = {**self.headers, **({"ETag": self.etag} if self.etag else {})}
        return web.Response(
            status=self.status, body=self.bodies.get(request.path, self.body), headers=headers
        )
