"""Admin listener: what an operator asks of the whole server, put together from all workers.

    GET /metrics   POST /reload   POST /restart   PUT /log-level
    GET /live   GET /ready   GET /destinations   GET /health   GET /overview: see admin_health.py
    GET /deadletters   POST /deadletters/purge   GET /replay   POST /replay: see admin_letters.py
    POST /context: see admin_context.py
    /preview/: see admin_preview.py, which lets in browsers too

A port of its own, so that no rule of a proxy or balancer opens it by accident, on loopback unless
told otherwise, and a token for every request: `Authorization: Bearer TOKEN`. A further page is one
handler in `_routes`, and asks the workers through `Crew.ask_workers`. Connections are of the same kind
as the public port's: the same limits and time-outs hold, and nothing that is refused is repeated.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, cast

import msgspec
from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import replace

from sgtm.messages import Answer
from sgtm.observability.exposition import CONTENT_TYPE, render
from sgtm.observability.metrics import Counters
from sgtm.server.admin_answer import FOR_ALL, json_answer
from sgtm.server.admin_context import context_pages
from sgtm.server.admin_find import FindPages, find_pages
from sgtm.server.admin_health import health_pages
from sgtm.server.admin_letters import letter_pages
from sgtm.server.admin_preview import PREFIX, PreviewPages, Reply, is_served
from sgtm.server.admission import Admission
from sgtm.server.audit import How
from sgtm.server.connection import Connection, Listener
from sgtm.server.crew import CannotRestart, Crew, Reload
from sgtm.server.limits import Limits, Refusal
from sgtm.server.proxy import TrustedProxies
from sgtm.server.written import WrittenAnswer, refusal_answer
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

MAX_BODY_BYTES = 64 * 1024
MAX_CONNECTIONS = 256
CLOSE_S = 1.0

Handler = Callable[[web.BaseRequest], Awaitable[Answer]]


class AskedReload(Struct):
    """Body of POST /reload, which may be empty: for the audit trail."""

    by: str = ""
    is_rollback: bool = False


class NewLogLevel(Struct, omit_defaults=True):
    """Body of PUT /log-level."""

    level: Literal["debug", "info", "warning", "error"] | None = None
    requests: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the requests that are told of."""


class Admin:
    """The admin listener of a crew; `reload` is how its operators have it reloaded."""

    def __init__(
        self, crew: Crew, reload: Callable[[How, str], Awaitable[Reload]], token: str, settings: Settings
    ) -> None:
        self._crew, self._reload_crew = crew, reload
        self._expected = f"Bearer {token}".encode()
        self._settings = settings
        find = FindPages(crew, settings)
        self._preview = PreviewPages(crew, token, settings, find.find) if is_served(settings) else None
        self._limits = Limits(replace(settings, body_bytes=MAX_BODY_BYTES))
        self._runner: web.ServerRunner | None = None
        self._routes: dict[str, dict[str, Handler]] = {
            "/metrics": {"GET": self._metrics},
            "/reload": {"POST": self._reload},
            "/restart": {"POST": self._restart},
            "/log-level": {"PUT": self._log_level},
            **health_pages(crew),
            **letter_pages(crew, settings),
            **context_pages(crew, settings),
            **find_pages(find),
        }

    async def start(self, listening: Any) -> None:
        """Answer on this socket."""
        counters = Counters()  # nobody's: the metrics tell of the public port
        everybody = replace(self._settings, connections_per_address=0)
        admission = Admission(everybody, TrustedProxies(()), counters, most=MAX_CONNECTIONS)
        listener = Listener(self._handle, self._settings, counters, admission)
        self._runner = web.ServerRunner(listener, shutdown_timeout=CLOSE_S)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """Stop answering."""
        if self._preview is not None:
            self._preview.end()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """aiohttp's handler: always an answer, never an exception."""
        connection = cast(Connection, request.protocol)
        closes = connection.begin(request.content)
        answer: Reply
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer, closes = refusal_answer(refusal.status, refusal.reason, refusal.headers), True
        except Exception as error:
            log.error("an admin request failed", extra={"path": request.path, "error": type(error).__name__})
            answer = json_answer({"error": type(error).__name__}, 500)
        finally:
            connection.end()
        return WrittenAnswer(answer, closes=closes) if isinstance(answer, Answer) else answer

    async def _answer(self, request: web.BaseRequest) -> Reply:
        """Nobody without the token learns anything, not even which paths there are."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        has_token = hmac.compare_digest(given, self._expected)
        if self._preview is not None and (request.path + "/").startswith(f"{PREFIX}/"):
            return await self._preview.answer(request, has_token=has_token)
        if not has_token:
            return Answer(401, (*FOR_ALL, ("WWW-Authenticate", 'Bearer realm="sgtm admin"')))
        handlers = self._routes.get(request.path)
        if handlers is None:
            return json_answer({"error": "Not Found"}, 404)
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            return json_answer({"error": "Method Not Allowed"}, 405, [("Allow", ", ".join(handlers))])
        return await handler(request)

    # -- one handler each ------------------------------------------------------------------------

    async def _metrics(self, _: web.BaseRequest) -> Answer:
        text = render(await self._crew.metrics())
        return Answer(200, (*FOR_ALL, ("Content-Type", CONTENT_TYPE)), text.encode())

    async def _reload(self, request: web.BaseRequest) -> Answer:
        body = await self._limits.read_body(request, is_collect=False)
        try:
            asked = msgspec.json.decode(body or b"{}", type=AskedReload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return json_answer({"error": 'send nothing, or {"by": "who you are"}'}, 400)
        result = await self._reload_crew("rollback" if asked.is_rollback else "admin", asked.by or "admin")
        return json_answer(result, 200 if result.is_done else 422)

    async def _restart(self, _: web.BaseRequest) -> Answer:
        try:
            await self._crew.restart()
        except CannotRestart as error:
            return json_answer({"error": str(error)}, 409)
        return json_answer({"restarted": True})

    async def _log_level(self, request: web.BaseRequest) -> Answer:
        body = await self._limits.read_body(request, is_collect=False)
        try:
            wanted = msgspec.json.decode(body, type=NewLogLevel)
        except (msgspec.DecodeError, UnicodeDecodeError):  # its text repeats what was sent
            mend = 'send {"level": "debug"}, or info, warning, error; or {"requests": 0.01}, a share of them'
            return json_answer({"error": mend}, 400)
        if wanted.level is not None:
            await self._crew.set_log_level(wanted.level)
        if wanted.requests is not None:
            await self._crew.set_request_log(wanted.requests)
        log.info("the log was changed", extra={"level": wanted.level, "requests": wanted.requests})
        return json_answer(wanted)
