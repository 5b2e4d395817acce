"""The page of the admin listener about what is kept of browsers.

    POST /context   ContextAsked, see context.py: what stands under a key, or what was erased

Every worker is asked: each has hits that it has not written yet, and the file is everybody's.
"""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from msgspec.structs import replace

from sgtm.messages import Answer
from sgtm.server.admin_answer import json_answer
from sgtm.server.context import ContextAsked, ContextView
from sgtm.server.crew import Crew
from sgtm.server.limits import Limits
from sgtm.settings import Settings

MAX_BODY_BYTES = 16 * 1024
Handler = Callable[[web.BaseRequest], Awaitable[Answer]]


def context_pages(crew: Crew, settings: Settings) -> dict[str, dict[str, Handler]]:
    """The handlers of these pages, by path and method."""
    limits = Limits(replace(settings, body_bytes=MAX_BODY_BYTES))

    async def context(request: web.BaseRequest) -> Answer:
        body = await limits.read_body(request, is_collect=False)
        try:
            asked = msgspec.json.decode(body, type=ContextAsked)
        except (msgspec.DecodeError, UnicodeDecodeError):  # its text may repeat what was sent
            return json_answer({"error": "the body is not what this page takes"}, 400)
        answers = await crew.ask_workers("context", asked, of=ContextView)
        views = [answer.answer for answer in answers if not answer.error]
        missing = [answer for answer in answers if answer.error]
        if not views:
            return json_answer({"error": "no worker answers"}, 503)
        view = next((view for view in views if view.is_known), views[0])
        view.rows, view.halves = sum(one.rows for one in views), sum(one.halves for one in views)
        return json_answer({"context": view, "missing": missing})

    return {"/context": {"POST": context}}
