"""Admin listener: what an operator asks of the whole server, put together from all workers.

    GET /metrics   GET /health   GET /destinations   POST /reload   POST /restart   PUT /log-level

A port of its own, so that no rule of a proxy or balancer opens it by accident, on loopback unless
told otherwise, and a token for every request: `Authorization: Bearer TOKEN`. A further page is one
handler in `_routes`, and asks the workers through `Crew.ask_workers`.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from sgtm.delivery.lanes import LaneState
from sgtm.observability.exposition import CONTENT_TYPE, render
from sgtm.server.crew import CannotRestart, Crew, Reload, healthy, merge_destinations
from sgtm.server.questions import Pulse

log = logging.getLogger("sgtm.server")

MAX_BODY_BYTES = 64 * 1024
KEEPALIVE_S = 75.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NewLogLevel(Struct):
    """Body of PUT /log-level."""

    level: Literal["debug", "info", "warning", "error"]


class Admin:
    """The admin listener of a crew; `reload` is how its operators have it reloaded."""

    def __init__(self, crew: Crew, reload: Callable[[], Awaitable[Reload]], token: str) -> None:
        self._crew, self._reload_crew = crew, reload
        self._expected = f"Bearer {token}".encode()
        application = web.Application(middlewares=[self._admit], client_max_size=MAX_BODY_BYTES)
        application.add_routes(self._routes())
        application.on_response_prepare.append(_say_little)
        self._runner = web.AppRunner(
            application, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=1.0
        )

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self._metrics),
            web.get("/health", self._health),
            web.get("/destinations", self._destinations),
            web.post("/reload", self._reload),
            web.post("/restart", self._restart),
            web.put("/log-level", self._log_level),
        ]

    async def start(self, listening: Any) -> None:
        """Answer on this socket."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """Stop answering."""
        await self._runner.cleanup()

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nobody without the token learns anything, not even which paths there are."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._expected):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="sgtm admin"'})
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _json({"error": error.reason}, error.status)
        except Exception as error:
            log.error("an admin request failed", extra={"path": request.path, "error": type(error).__name__})
            return _json({"error": type(error).__name__}, 500)

    # -- one handler each ------------------------------------------------------------------------

    async def _metrics(self, _: web.Request) -> web.Response:
        text = render(await self._crew.metrics())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, _: web.Request) -> web.Response:
        is_well, workers = healthy(await self._crew.ask_workers("pulse", of=Pulse))
        body = {"ready": is_well, "version": self._crew.version, "workers": workers}
        return _json(body, 200 if is_well else 503)

    async def _destinations(self, _: web.Request) -> web.Response:
        answers = await self._crew.ask_workers("destinations", of=list[LaneState])
        missing = [answer for answer in answers if answer.error]
        return _json({"destinations": merge_destinations(answers), "missing": missing})

    async def _reload(self, _: web.Request) -> web.Response:
        result = await self._reload_crew()
        return _json(result, 200 if result.is_done else 422)

    async def _restart(self, _: web.Request) -> web.Response:
        try:
            await self._crew.restart()
        except CannotRestart as error:
            return _json({"error": str(error)}, 409)
        return _json({"restarted": True})

    async def _log_level(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=NewLogLevel)
        except msgspec.DecodeError:  # its text repeats what was sent
            return _json({"error": 'send {"level": "debug"}, or info, warning, error'}, 400)
        await self._crew.set_log_level(wanted.level)
        log.info("the log level was changed", extra={"to": wanted.level})
        return _json({"level": wanted.level})


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers={"Content-Type": "application/json"}
    )


async def _say_little(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
