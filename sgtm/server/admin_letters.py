"""Pages of the admin listener about what is kept: dead letters, and records to be run again.

    GET  /deadletters?slot=0&after=0[&reveal=1]   a page of one slot: LetterView, see letters.py
    POST /deadletters/purge                       {"slot": 0, "ids": [...]}
    GET  /replay                                  what each tag says about events that come late
    POST /replay                                  Asked, see replaying.py: what became of each item so far

Whoever wants all letters asks slot by slot until a page is empty.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import replace

from sgtm.messages import Answer
from sgtm.server.admin_answer import json_answer
from sgtm.server.crew import Crew, WorkerAnswer
from sgtm.server.letters import LettersAsked, LettersNamed, LetterView
from sgtm.server.limits import Limits
from sgtm.server.replaying import Asked, Replayed
from sgtm.settings import Settings

TIMEOUT_S = 30.0
MAX_BODY_BYTES = 8 * 1024**2
"""Of a batch of records to be run again."""

T = TypeVar("T")
Handler = Callable[[web.BaseRequest], Awaitable[Answer]]
_NOT_TAKEN = json_answer({"error": "the body is not what this page takes"}, 400)


def letter_pages(crew: Crew, settings: Settings) -> dict[str, dict[str, Handler]]:
    """The handlers of these pages, by path and method."""
    pages = _Pages(crew, settings)
    return {
        "/deadletters": {"GET": pages.letters},
        "/deadletters/purge": {"POST": pages.purge},
        "/replay": {"GET": pages.late, "POST": pages.replay},
    }


class _Pages:
    def __init__(self, crew: Crew, settings: Settings) -> None:
        self._crew = crew
        self._limits = Limits(replace(settings, body_bytes=MAX_BODY_BYTES))

    async def letters(self, request: web.BaseRequest) -> Answer:
        """One page of letters, and the slots that there are."""
        try:
            asked = LettersAsked(
                int(request.query.get("slot", "0")),
                int(request.query.get("after", "0")),
                reveal=request.query.get("reveal") == "1",
            )
        except ValueError:
            return json_answer({"error": "slot and after are numbers"}, 400)
        answers = await self._ask("letters", asked, list[LetterView])
        found = [view for answer in answers for view in answer.answer or ()]
        slots = [answer.slot for answer in answers]
        return json_answer({"letters": found, "slots": slots, "missing": _missing(answers, asked.slot)})

    async def purge(self, request: web.BaseRequest) -> Answer:
        """Forget letters."""
        named = await self._read(request, LettersNamed)
        if named is None:
            return _NOT_TAKEN
        answers = await self._ask("purge", named, int)
        purged = sum(answer.answer or 0 for answer in answers)
        return json_answer({"purged": purged, "missing": _missing(answers, named.slot)})

    async def late(self, _: web.BaseRequest) -> Answer:
        """The tags of the container that serves."""
        answers = await self._ask("late", None, dict[str, str])
        return json_answer(next((answer.answer for answer in answers if not answer.error), {}))

    async def replay(self, request: web.BaseRequest) -> Answer:
        """Run items again, or say what became of them."""
        asked = await self._read(request, Asked)
        if asked is None:
            return _NOT_TAKEN
        answers = await self._ask("replay", asked, list[Replayed])
        return json_answer({"items": [one for answer in answers for one in answer.answer or ()]})

    async def _read(self, request: web.BaseRequest, of: type[T]) -> T | None:
        body = await self._limits.read_body(request, is_collect=False)
        try:
            return msgspec.json.decode(body, type=of)
        except (msgspec.DecodeError, UnicodeDecodeError):  # its text may repeat what was sent
            return None

    async def _ask(self, question: str, body: object, of: type[Any]) -> list[WorkerAnswer]:
        return await self._crew.ask_workers(question, body, of=of, timeout_s=TIMEOUT_S)


def _missing(answers: list[WorkerAnswer], slot: int) -> str:
    """Why the slot did not answer, or ""."""
    return next((answer.error for answer in answers if answer.slot == slot), "there is no such slot")
