"""The HTTP side of an answer: CORS, cookies, cache headers; preflights; hints for lost requests.

SPEC: requirements R197-R201, R276-R278; ga4-protocol 5.6 (CORS).
"""

import asyncio
import difflib
import logging
from collections.abc import Callable
from functools import lru_cache

from msgspec.structs import replace

from sgtm.container.container import Container, ContainerClient
from sgtm.cookies import CookieError, set_cookie_header
from sgtm.delivery.outbox import Commit, OutboxFull
from sgtm.hit import Hit
from sgtm.messages import Answer, IncomingRequest, ServeScript
from sgtm.templates.host import Response

log = logging.getLogger("sgtm.answers")

NO_STORE = ("Cache-Control", "no-store")
_NO_STORE_ALONE = (NO_STORE,)
ALWAYS_ALLOWED_HEADERS = ("content-type", "x-gtm-server-preview")


def preflight(container: Container, request: IncomingRequest) -> Answer | None:
    """Answer an OPTIONS request for a path that some client owns; None where no client does."""
    owners = [client for client in container.clients if _may_own(client, request)]
    if not owners:
        return None
    origin = request.header(b"origin")
    asked = [one for one in owners if origin is None or one.origins.allows(origin)]
    if not asked:
        return Answer(403, (NO_STORE,))
    client = asked[0]
    methods, headers = _allowed(asked)
    return Answer(
        204,
        (
            NO_STORE,  # for caches in between; the browser keeps it for Access-Control-Max-Age
            ("Access-Control-Allow-Methods", ", ".join((*methods, "OPTIONS"))),
            ("Access-Control-Allow-Headers", ", ".join((*ALWAYS_ALLOWED_HEADERS, *headers))),
            ("Access-Control-Max-Age", str(client.preflight_max_age_s)),
            *cors_headers(client, origin),
        ),
    )


def _may_own(client: ContainerClient, preflight: IncomingRequest) -> bool:
    is_named = preflight.path in client.paths and client.is_for(preflight.host)
    return is_named and (client.match is None or client.match.may_hold(preflight))


def _allowed(asked: list[ContainerClient]) -> tuple[dict[str, None], dict[str, None]]:
    """Methods and headers of the client that will be asked first, and of those behind it as long as what
    the request will hold may make it another's (`match`)."""
    methods: dict[str, None] = {}
    headers: dict[str, None] = {}
    for client in asked:
        methods |= dict.fromkeys(client.component.methods)
        headers |= dict.fromkeys((*client.component.allowed_headers, *client.allowed_headers))
        if client.match is None:
            break
    return methods, headers


def cors_headers(client: ContainerClient, origin: str | None) -> tuple[tuple[str, str], ...]:
    """Reflect an allowed origin, with credentials. `null` never gets them: any page can be `null`."""
    return _reflected(origin) if origin is not None and client.origins.allows(origin) else ()


@lru_cache(maxsize=1024)
def _reflected(origin: str) -> tuple[tuple[str, str], ...]:
    """PERF: a site has few origins."""
    if origin == "null" or not origin.isascii() or not origin.isprintable():
        return ()
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    )


def finish_answer(hit: Hit) -> Answer:
    """The client's answer with everything that the tags and the browser add to it."""
    claimed = hit.claimed
    answer = hit.later_answer
    if answer is None:
        answer = Answer(501) if isinstance(claimed.answer, ServeScript) else claimed.answer
    if hit.container.surroundings is not None:
        answer = _as_templates_say(hit, answer, hit.container.surroundings.said(hit.request))
    if hit.waits and hit.has_failed and claimed.failure_answer is not None:
        answer = claimed.failure_answer
    elif hit.pixels and claimed.answer_with_pixels is not None:
        answer = _with_pixels(hit, answer)
    prefix, headers = hit.request.path_prefix, answer.headers
    says_origin = False  # a client that is a template may
    if not headers:
        headers = _NO_STORE_ALONE
    else:
        says_origin = any(name == "access-control-allow-origin" for name, _ in headers)
        if prefix:
            headers = tuple(_below(prefix, header) for header in headers)
        if not any(name.lower() == "cache-control" for name, _ in headers):
            headers = (*headers, NO_STORE)
    if not says_origin:
        headers += cors_headers(hit.client, hit.request.header(b"origin"))
    if answer.cookies or hit.cookies:
        headers += _cookie_headers(hit, answer)
    return Answer(answer.status, headers, answer.body)


def _as_templates_say(hit: Hit, answer: Answer, said: Response) -> Answer:
    """The answer with the cookies that templates of variables have set and, where it waits for the tags, with
    the status, headers and body that templates of tags have (SPEC: sandbox-api 1.2). A client that is a
    template has read the same by itself."""
    hit.cookies.extend(said.cookies)
    if not hit.waits or not (said.status or said.headers or said.body):
        return answer
    names = {name for name, _ in said.headers}
    headers = (*(pair for pair in answer.headers if pair[0].lower() not in names), *said.headers)
    body = said.body.encode("utf-8", "replace") if isinstance(said.body, str) else said.body
    return replace(answer, status=said.status or answer.status, headers=headers, body=body or answer.body)


def _cookie_headers(hit: Hit, answer: Answer) -> tuple[tuple[str, str], ...]:
    """`Set-Cookie` for each cookie: the tags of a batch may all set one, and the last word counts."""
    prefix, headers = hit.request.path_prefix, []
    cookies = {
        (cookie.name, cookie.domain, cookie.path): cookie for cookie in (*answer.cookies, *hit.cookies)
    }
    for cookie in cookies.values():
        if prefix and cookie.path != "/":
            cookie = replace(cookie, path=prefix + cookie.path)
        try:
            headers.append(("Set-Cookie", set_cookie_header(cookie, hit.request.host)))
        except CookieError as error:
            log.warning("cookie refused", extra={"client": hit.client.name, "reason": str(error)})
    return tuple(headers)


def _below(prefix: str, header: tuple[str, str]) -> tuple[str, str]:
    """A redirect to a path of our own, as the browser has to ask for it (R291)."""
    name, value = header
    is_own_path = name.lower() == "location" and value.startswith("/") and not value.startswith("//")
    return (name, prefix + value) if is_own_path else header


def _with_pixels(hit: Hit, answer: Answer) -> Answer:
    """The answer by which the browser is asked to fetch pixels; the plain one if the client cannot."""
    try:
        return hit.claimed.answer_with_pixels(tuple(hit.pixels)) if hit.claimed.answer_with_pixels else answer
    except Exception as error:
        log.error("client raised", extra={"client": hit.client.name, "error": type(error).__name__})
        return answer


def hint_at_path(container: Container, request: IncomingRequest) -> str:
    """Words that help with an unclaimed request; they name our own paths only (R261)."""
    paths = [path for client in container.clients for path in client.paths]
    if request.path in paths:
        return f"the path {request.path} belongs to a client, which declined"
    near = difflib.get_close_matches(request.path[:200], paths, n=1, cutoff=0.3)
    return f"the nearest client path is {near[0]}" if near else "no client path is like it"


def when_kept(
    commit: Commit,
    answer: Callable[[], Answer],
    refuse: Callable[[], Answer],
    timeout_s: float,
    give_up: Callable[[], Answer],
) -> "asyncio.Future[Answer]":
    """The common case with a durable outbox: a commit answers all of its hits, and none has a task. `refuse`
    where the record is not kept, `give_up` where nothing is known of it after `timeout_s`."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Answer] = loop.create_future()

    def over(make: Callable[[], Answer]) -> None:
        if not answered.done():
            try:
                answered.set_result(make())
            except Exception as error:
                answered.set_exception(error)

    def kept(error: OutboxFull | None) -> None:
        timer.cancel()
        over(answer if error is None else refuse)

    timer = loop.call_later(timeout_s, over, give_up)
    commit.then(kept)
    return answered
