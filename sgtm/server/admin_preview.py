"""Pages of the admin listener on which people look at requests.

    GET    /preview/                                     the page; its files are under /preview/assets/
    GET    /preview/login    POST /preview/login         a form that takes the token, and gives a cookie
    POST   /preview/logout
    GET    /preview/api/bootstrap                        what the page begins with
    POST   /preview/api/sessions                         {"container": "published" | "draft", "sends": true}
    DELETE /preview/api/sessions/ID
    GET    /preview/api/sessions/ID/stream               see preview_stream.py
    GET    /preview/api/sessions/ID/requests[/RID[/test]]
    POST   /preview/api/sessions/ID/requests/RID/replay  {"container": "draft" | "published"}
    POST   /preview/api/find                             {"id": "T-1001"}, see admin_find.py

A program comes with the token (`Authorization: Bearer TOKEN`), a browser with the cookie; what changes
something needs the page's `X-Sgtm-Csrf` with it. Without either nothing is served but the form, the files
of the page neither. The session called `lookback` is the sample of requests of production.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from sgtm import __version__
from sgtm.cookies import set_cookie_header
from sgtm.errors import ContainerError, SgtmError
from sgtm.messages import Answer, Cookie
from sgtm.preview import login
from sgtm.preview.assets import PAGE_POLICY, asset, login_page, login_policy, page
from sgtm.preview.login import Login, no_cookie, token_in
from sgtm.preview.marks import COOKIE, PARAMETER
from sgtm.preview.sessions import TooManySessions, Which
from sgtm.server.admin_answer import FOR_ALL, json_answer
from sgtm.server.crew import Crew
from sgtm.server.limits import Limits
from sgtm.server.preview_desk import Desk, NobodyServes, NoDraft
from sgtm.server.preview_questions import Wanted
from sgtm.server.preview_stream import follow
from sgtm.server.rate import retry_after
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

PREFIX = "/preview"
MAX_BODY_BYTES = 64 * 1024
MAX_STREAMS = 32

Headers = tuple[tuple[str, str], ...]
Reply = Answer | web.StreamResponse
Handler = Callable[[web.BaseRequest, list[str]], Awaitable[Reply]]
Find = Callable[[web.BaseRequest], Awaitable[Answer]]
T = TypeVar("T")

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_SAFE: Headers = (
    *FOR_ALL,
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_HTML = ("Content-Type", "text/html; charset=utf-8")


class NewSession(Struct, forbid_unknown_fields=True):
    """Body of POST /preview/api/sessions."""

    container: Which = "published"
    sends: bool = True
    """False: its requests run, and nothing of them is sent to vendors."""


class Again(Struct, forbid_unknown_fields=True):
    """Body of POST .../replay."""

    container: Which = "published"


def is_served(settings: Settings) -> bool:
    """Whether there is a preview: where others than this machine reach the admin listener it has to be asked
    for (SPEC: requirements R248)."""
    if settings.preview == "auto":
        host = settings.admin_host
        return host == "localhost" or _is_loopback(host)
    return settings.preview == "on"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class PreviewPages:
    """All of them. `answer` has them; whoever asks with the token has said so already (`has_token`). `find`
    answers who seeks an id."""

    def __init__(self, crew: Crew, token: str, settings: Settings, find: Find) -> None:
        self._crew, self._settings, self._seek = crew, settings, find
        self._login = Login(token)
        self._desk = Desk(crew, settings)
        self._limits = Limits(replace(settings, body_bytes=MAX_BODY_BYTES))
        self._end = asyncio.Event()
        self._api: list[tuple[str, str, Handler]] = [
            ("GET", "bootstrap", self._bootstrap),
            ("POST", "sessions", self._open),
            ("DELETE", "sessions/*", self._close),
            ("GET", "sessions/*/stream", self._stream),
            ("GET", "sessions/*/requests", self._requests),
            ("GET", "sessions/*/requests/*", self._view),
            ("GET", "sessions/*/requests/*/test", self._test),
            ("POST", "sessions/*/requests/*/replay", self._replay),
            ("POST", "find", self._find),
        ]

    def end(self) -> None:
        """The server ends: no stream goes on."""
        self._end.set()

    async def answer(self, request: web.BaseRequest, *, has_token: bool) -> Reply:
        """The answer to a request below PREFIX."""
        path, method = request.path.removeprefix(PREFIX), _method_of(request)
        if path == "/login":
            return await self._enter(request) if method == "POST" else _form(200)
        cookie = request.cookies.get(login.COOKIE, "")
        has_cookie = not has_token and self._login.lets_in(cookie, time.time())
        if not (has_token or has_cookie):
            return _see_other("login" if path else "preview/login") if path in ("", "/") else _nobody()
        given = request.headers.get("X-Sgtm-Csrf", "")
        if has_cookie and method != "GET" and not self._login.is_csrf(given, cookie):
            return _json({"error": "this was not sent by the page; load it again"}, 403)
        if path.startswith("/api/"):
            return await self._answer_api(request, path.removeprefix("/api/"), method)
        return self._answer_page(request, path, method)

    def _answer_page(self, request: web.BaseRequest, path: str, method: str) -> Answer:
        if path == "/logout" and method == "POST":
            return _with_cookie(Answer(204, _SAFE), no_cookie(is_secure=_is_secure(request)), request)
        if method != "GET":
            return _json({"error": "Method Not Allowed"}, 405)
        if not path:
            return _see_other("preview/")
        if path == "/":
            return Answer(200, (*_SAFE, _HTML, ("Content-Security-Policy", PAGE_POLICY)), page())
        file = asset(path.removeprefix("/assets/")) if path.startswith("/assets/") else None
        if file is None:
            return _json({"error": "Not Found"}, 404)
        headers = (*_SAFE, ("Content-Type", file.content_type), ("Content-Security-Policy", _API_POLICY))
        return Answer(200, headers, file.content)

    async def _answer_api(self, request: web.BaseRequest, path: str, method: str) -> Reply:
        steps = path.split("/")
        found = [
            (one, handler, words)
            for one, pattern, handler in self._api
            if (words := _matched(pattern.split("/"), steps)) is not None
        ]
        for one, handler, words in found:
            if one == method:
                return await self._try(handler, request, words)
        return _json({"error": "Method Not Allowed"}, 405) if found else _json({"error": "Not Found"}, 404)

    async def _try(self, handler: Handler, request: web.BaseRequest, words: list[str]) -> Reply:
        if words and not self._desk.is_open(words[0]):
            return _json({"error": "there is no such session"}, 404)
        try:
            return await handler(request, words)
        except ContainerError as error:
            return _json({"error": f"{error}", "problems": error.problems}, 422)
        except msgspec.DecodeError:  # its text repeats what was sent
            return _json({"error": "the body is not what this page takes"}, 400)
        except SgtmError as error:
            status = {TooManySessions: 409, NoDraft: 409, NobodyServes: 503}.get(type(error), 422)
            return _json({"error": f"{error}"}, status)

    # -- login -----------------------------------------------------------------------------------

    async def _enter(self, request: web.BaseRequest) -> Answer:
        if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            return _form(403, "This was not sent by this form.")  # nor do others' pages use up the tries
        body = await self._limits.read_body(request, is_collect=False)
        now = time.monotonic()  # after the body: of many that come at once each is counted before the next
        wait_s = self._login.wait_s(now)
        if wait_s:
            answer = _form(429, "Too many wrong tokens. Wait a minute.")
            return Answer(answer.status, (*answer.headers, retry_after(wait_s)), answer.body)
        if not self._login.is_token(token_in(body)):
            self._login.failed(now)
            log.warning("a wrong token was given at the preview's login")
            return _form(401, "That is not the token.")
        log.info("somebody logged in to the preview")
        cookie = self._login.cookie(time.time(), is_secure=_is_secure(request))
        return _with_cookie(_see_other("./"), cookie, request)

    # -- one handler each ------------------------------------------------------------------------

    async def _bootstrap(self, request: web.BaseRequest, _: list[str]) -> Answer:
        settings = self._settings
        return _json(
            {
                "csrf": self._login.csrf(request.cookies.get(login.COOKIE, "")),
                "version": __version__,
                "container": await self._desk.about(),
                "workers": settings.workers,
                "look_back": {"share": settings.look_back_percent / 100, "size": settings.look_back_requests},
                "draft": {"path": settings.draft} if settings.draft else None,
                "url": self._crew.url,
            }
        )

    async def _open(self, request: web.BaseRequest, _: list[str]) -> Answer:
        asked = await self._read(request, NewSession)
        opened = await self._desk.open(asked.container, sends=asked.sends)
        session, token = opened.session, opened.token
        log.info("a preview session begins", extra={"session": session.id, "container": session.container})
        return _json(
            {
                "id": session.id,
                "token": token,
                "header": f"X-Gtm-Server-Preview: {token}",
                "cookie": f"{COOKIE.decode()}={token}",
                "parameter": f"{PARAMETER.decode()}={token}",
                "expires_at": session.expires_micros // 1_000_000,
                "container": session.container,
                "sends": session.sends,
            }
        )

    async def _close(self, _: web.BaseRequest, words: list[str]) -> Answer:
        if not await self._desk.close(words[0]):
            return _json({"error": "this session does not end"}, 404)
        log.info("a preview session ends", extra={"session": words[0]})
        return Answer(204, _SAFE)

    async def _stream(self, request: web.BaseRequest, words: list[str]) -> Reply:
        if request.method == "HEAD":
            return Answer(200, _SAFE)
        if self._desk.watchers >= MAX_STREAMS:
            return _json({"error": "too many pages watch; close one"}, 503)
        return await follow(self._desk, words[0], request, _SAFE, self._end)

    async def _requests(self, _: web.BaseRequest, words: list[str]) -> Answer:
        return _json({"requests": await self._desk.summaries(words[0])})

    async def _view(self, _: web.BaseRequest, words: list[str]) -> Answer:
        return _found(await self._desk.part(Wanted(words[0], words[1], "view")), "application/json")

    async def _test(self, _: web.BaseRequest, words: list[str]) -> Answer:
        return _found(await self._desk.part(Wanted(words[0], words[1], "test")), "text/yaml; charset=utf-8")

    async def _replay(self, request: web.BaseRequest, words: list[str]) -> Answer:
        asked = await self._read(request, Again)
        return _found(await self._desk.replay(words[0], words[1], asked.container), "application/json")

    async def _find(self, request: web.BaseRequest, _: list[str]) -> Answer:
        said = await self._seek(request)
        policy = ("Content-Security-Policy", _API_POLICY)
        return Answer(said.status, (*said.headers, *_SAFE[len(FOR_ALL) :], policy), said.body)

    async def _read(self, request: web.BaseRequest, of: type[T]) -> T:
        """The body. Raises msgspec.DecodeError."""
        body = await self._limits.read_body(request, is_collect=False)
        try:
            return msgspec.json.decode(body or b"{}", type=of)
        except UnicodeDecodeError:
            raise msgspec.DecodeError from None


def _matched(pattern: list[str], steps: list[str]) -> list[str] | None:
    """What stands in the place of each `*`, or None."""
    if len(pattern) != len(steps):
        return None
    if any(wanted not in ("*", step) for wanted, step in zip(pattern, steps, strict=True)):
        return None
    return [step for wanted, step in zip(pattern, steps, strict=True) if wanted == "*"]


def _method_of(request: web.BaseRequest) -> str:
    return "GET" if request.method == "HEAD" else request.method


def _json(body: Any, status: int = 200) -> Answer:
    return json_answer(body, status, (*_SAFE[len(FOR_ALL) :], ("Content-Security-Policy", _API_POLICY)))


def _found(content: bytes | None, content_type: str) -> Answer:
    if content is None:
        return _json({"error": "this request is gone"}, 404)
    headers = (("Content-Type", content_type), ("Content-Security-Policy", _API_POLICY))
    return Answer(200, (*_SAFE, *headers), content)


def _form(status: int, error: str = "") -> Answer:
    return Answer(status, (*_SAFE, _HTML, ("Content-Security-Policy", login_policy())), login_page(error))


def _see_other(location: str) -> Answer:
    return Answer(303, (*_SAFE, ("Location", location)))


def _nobody() -> Answer:
    return json_answer({"error": "log in"}, 401, _SAFE[len(FOR_ALL) :])


def _is_secure(request: web.BaseRequest) -> bool:
    """Whether the browser came by https, through a proxy: who claims it wrongly shuts himself out."""
    return request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def _with_cookie(answer: Answer, cookie: Cookie, request: web.BaseRequest) -> Answer:
    written = set_cookie_header(cookie, (request.host or "").partition(":")[0].lower())
    return Answer(answer.status, (*answer.headers, ("Set-Cookie", written)), answer.body)
