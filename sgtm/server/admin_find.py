"""Pages of the admin listener about one id.

    POST /waiting   {"texts": [base64, ...]}   records that are not finished and hold one of them: waiting.py
    POST /find      {"id": "T-1001"}           what `sgtm find` finds: a process of its own does the work

The preview's page asks the latter too, at an address of its own. A search reads the whole archive, so there
is one at a time, and it ends after a while.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from sgtm.messages import Answer
from sgtm.server.admin_answer import FOR_ALL, json_answer
from sgtm.server.crew import Crew
from sgtm.server.limits import Limits
from sgtm.server.waiting import WaitingAsked, WaitingFound
from sgtm.settings import Settings

MAX_BODY_BYTES = 64 * 1024
SEARCH_S = 60.0
MAX_ID = 512

Handler = Callable[[web.BaseRequest], Awaitable[Answer]]
_BUSY = json_answer({"error": "another search is under way: ask again when it is over"}, 429)


class Sought(Struct):
    """An id to find."""

    id: str


def find_pages(pages: "FindPages") -> dict[str, dict[str, Handler]]:
    """The handlers of these pages, by path and method."""
    return {"/waiting": {"POST": pages.waiting}, "/find": {"POST": pages.find}}


class FindPages:
    """Answers them."""

    def __init__(self, crew: Crew, settings: Settings) -> None:
        self._crew, self._settings = crew, settings
        self._limits = Limits(replace(settings, body_bytes=MAX_BODY_BYTES))
        self._search = asyncio.Lock()

    async def waiting(self, request: web.BaseRequest) -> Answer:
        """What all workers have."""
        asked = await self._read(request, WaitingAsked)
        if asked is None:
            return json_answer({"error": 'send {"texts": [...]}, each in base64'}, 400)
        answers = await self._crew.ask_workers("waiting", asked, of=WaitingFound, timeout_s=SEARCH_S)
        found = [answer.answer for answer in answers if answer.answer is not None]
        records = [record for one in found for record in one.records]
        missing = [answer.error for answer in answers if answer.error]
        more = any(one.more for one in found)
        return json_answer({"records": records, "more": more, "missing": missing})

    async def find(self, request: web.BaseRequest) -> Answer:
        """What `sgtm find --json` prints."""
        sought = await self._read(request, Sought)
        if sought is None or not 0 < len(sought.id) <= MAX_ID:
            return json_answer({"error": 'send {"id": "..."}'}, 400)
        if self._search.locked():
            return _BUSY
        async with self._search:
            return await self._find(sought.id)

    async def _find(self, sought: str) -> Answer:
        # the id goes by standard input: command lines are everybody's to read
        command = [sys.executable, "-P", "-m", "sgtm", "find", "--json", "-"]
        command += ["--data-folder", str(self._settings.data_folder)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(SEARCH_S):
                told, _ = await process.communicate(sought.encode())
        except TimeoutError:
            return json_answer({"error": f"the search took longer than {SEARCH_S:g} s: use sgtm find"}, 503)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        if process.returncode not in (0, 1):
            return json_answer({"error": "the search failed: sgtm find says why"}, 500)
        return Answer(200, (*FOR_ALL, ("Content-Type", "application/json")), told)

    async def _read(self, request: web.BaseRequest, of: type[Any]) -> Any:
        body = await self._limits.read_body(request, is_collect=False)
        try:
            return msgspec.json.decode(body, type=of)
        except (msgspec.DecodeError, UnicodeDecodeError):  # its text may repeat what was sent
            return None
