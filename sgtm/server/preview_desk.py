"""Desk: the sessions of a server, where all workers are known; one desk per server, in the supervisor.

It opens sessions in all workers, ends them when their time is over, puts together what the workers say, and
runs a request again, dry, against the draft or what is published. It keeps no request itself.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.dry_run import dry_run
from sgtm.errors import ContainerError, Problem, SgtmError
from sgtm.geo_database import use_database
from sgtm.preview.encoding import Seen, view_of
from sgtm.preview.sessions import LOOK_BACK, MAX_SESSIONS, Session, Sessions, TooManySessions, Which
from sgtm.preview.view import Source, Summary, encode
from sgtm.server.crew import Crew, WorkerAnswer
from sgtm.server.preview_questions import (
    About,
    Changes,
    Cursor,
    Draft,
    Followed,
    Opening,
    PreviewedRequest,
    Wanted,
)
from sgtm.server.previewing import load_draft, secrets_of
from sgtm.server.questions import read_source
from sgtm.settings import Settings

ASK_S = 10.0
REPLAYS_AT_ONCE = 2
MOST_ROUNDS = 100
"""Of questions for one list: twice what the largest ring takes."""


class NoDraft(SgtmError):
    """There is no draft."""

    def __init__(self) -> None:
        super().__init__("there is no draft", mend="serve with --draft FILE")


class NobodyServes(SgtmError):
    """No worker could be told."""


class Opened(Struct):
    """A new session, and the token that is shown this once."""

    session: Session
    token: str


class Desk:
    """The previews of a crew."""

    def __init__(self, crew: Crew, settings: Settings) -> None:
        self._crew, self._settings = crew, settings
        self._sessions = Sessions()
        self._watchers: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._replays = asyncio.Semaphore(REPLAYS_AT_ONCE)

    # -- sessions --------------------------------------------------------------------------------

    def is_open(self, id: str) -> bool:
        """Whether there is such a session now."""
        return id == LOOK_BACK or self._sessions.get(id, _now_micros()) is not None

    async def open(self, container: Which, *, sends: bool) -> Opened:
        """A new session, known to every worker. Raises TooManySessions, NoDraft, NobodyServes, and
        ContainerError where the draft cannot run."""
        draft = await asyncio.to_thread(self._read_draft) if container == "draft" else None
        await self._make_room()
        life_s = self._settings.preview_session_s
        session, token = self._sessions.open(_now_micros(), life_s, container, sends)
        answers = await self._crew.tell_workers(
            session.id, "preview-open", Opening(session, draft), of=list[Problem]
        )
        await self._require_open(session, answers)
        asyncio.get_running_loop().call_later(life_s, self._expire, session.id)
        return Opened(session, token)

    async def _require_open(self, session: Session, answers: list[WorkerAnswer]) -> None:
        problems = next((answer.answer for answer in answers if answer.answer), None)
        if problems is None and not all(answer.error for answer in answers):
            return
        await self.close(session.id)
        if problems is not None:
            raise ContainerError(problems, where=self._settings.draft)
        raise NobodyServes("no worker could be told", where=answers[0].error, mend="try again")

    async def _make_room(self) -> None:
        """The oldest session that nobody watches makes room for another."""
        if len(self._sessions.ids) >= MAX_SESSIONS:
            unwatched = next((id for id in self._sessions.ids if not self._watchers.get(id)), None)
            if unwatched is None:
                raise TooManySessions
            await self.close(unwatched)

    async def close(self, id: str) -> bool:
        """End a session everywhere; whether there was one."""
        was_there = self._sessions.close(id)
        if was_there:
            self._crew.forget(id)
            await self._crew.ask_workers("preview-close", id, of=type(None), timeout_s=ASK_S)
        return was_there

    def _expire(self, id: str) -> None:
        task = asyncio.get_running_loop().create_task(_done(self.close(id)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def watch(self, id: str, more: int) -> None:
        """So many more, or less, watch this session."""
        self._watchers[id] = self._watchers.get(id, 0) + more
        if not self._watchers[id]:
            del self._watchers[id]

    @property
    def watchers(self) -> int:
        """How many watch some session."""
        return sum(self._watchers.values())

    # -- what workers say ------------------------------------------------------------------------

    async def about(self) -> About:
        """What is published."""
        answers = await self._crew.ask_workers("preview-about", of=About, timeout_s=ASK_S)
        return next((one.answer for one in answers if not one.error), About(version=self._crew.version))

    async def changes(self, id: str, cursors: dict[int, Cursor]) -> list[tuple[int, Changes]]:
        """What each worker that answers has to say, by slot."""
        asked = Followed(id, cursors)
        answers = await self._crew.ask_workers("preview-changes", asked, of=Changes, timeout_s=ASK_S)
        return [(one.slot, one.answer) for one in answers if not one.error]

    async def summaries(self, id: str) -> list[Summary]:
        """Every request of a session that is still there, the oldest first."""
        found: dict[str, Summary] = {}
        cursors: dict[int, Cursor] = {}
        for _ in range(MOST_ROUNDS):
            said = await self.changes(id, cursors)
            cursors |= {slot: changes.cursor for slot, changes in said}
            found |= {one.id: one for _, changes in said for one in (*changes.came, *changes.went_on)}
            if not any(changes.has_more for _, changes in said):
                break
        return sorted(found.values(), key=lambda summary: summary.at_micros)

    async def part(self, wanted: Wanted) -> bytes | None:
        """One request; None where nobody has it any more."""
        answers = await self._crew.ask_workers("preview-part", wanted, of=Any, timeout_s=ASK_S)
        return _first(one.answer for one in answers)

    # -- once more, dry --------------------------------------------------------------------------

    async def replay(self, id: str, request: str, container: Which) -> bytes | None:
        """What the request would do now; nothing is sent. None where it is gone. Raises NoDraft, and
        ContainerError where the container cannot run."""
        recorded = await self.part(Wanted(id, request, "request"))
        if recorded is None:
            return None
        previewed = msgspec.msgpack.decode(recorded, type=PreviewedRequest)
        async with self._replays:
            return await asyncio.to_thread(self._replay, previewed, request, container)

    def _replay(self, previewed: PreviewedRequest, id: str, which: Which) -> bytes:
        container = self._load(which)
        use_database(self._settings.geo_database)
        began = time.perf_counter_ns()
        walk = dry_run(container, previewed.request)
        took_micros = (time.perf_counter_ns() - began) // 1_000
        source: Source = "lookback" if previewed.source == "lookback" else "replay"
        seen = Seen(id=id, source=source, took_micros=took_micros, secrets=secrets_of(container))
        return encode(view_of(walk, previewed.request, seen, container))

    def _load(self, which: Which) -> Container:
        if which == "draft":
            return load_draft(self._read_draft())
        source = self._crew.source
        return load_container(source.path, source=source.content)

    def _read_draft(self) -> Draft:
        if not self._settings.draft:
            raise NoDraft
        source = read_source(self._settings.draft, self._settings.settings_file)
        return Draft(source.path, source.content)


async def _done(work: Coroutine[Any, Any, object]) -> None:
    await work


def _first(found: Iterable[bytes | None]) -> bytes | None:
    return next((one for one in found if one is not None), None)


def _now_micros() -> int:
    return time.time_ns() // 1_000
