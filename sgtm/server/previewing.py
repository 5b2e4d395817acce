"""Previewing: what one worker knows of previews. It lets requests into sessions and tells what they did.

    Reception -> enter: a mark of a session? -> a walk, kept in the session's ring
                        one of the sample?   -> a walk, kept in the look-back ring
    supervisor -> open, close (all workers, those that start later too), changes, part

While there is neither a session nor a sample the worker looks at no request (`Reception.watch` is None).
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from sgtm.answers import NO_STORE
from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.cookies import set_cookie_header
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.errors import CredentialMissing
from sgtm.dry_run import NoLanes
from sgtm.errors import ContainerError, Problem
from sgtm.firing import Lanes
from sgtm.messages import Answer, Cookie, IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import TimedWalk
from sgtm.pipeline import Pipeline
from sgtm.preview.case import test_case
from sgtm.preview.encoding import Seen, summary_of, view_of
from sgtm.preview.marks import COOKIE, Mark, is_marked, marks_of, without_marks, without_token
from sgtm.preview.ring import Entry, Ring
from sgtm.preview.sessions import LOOK_BACK, Session, digest_of
from sgtm.preview.view import RequestView, Summary, encode
from sgtm.server.preview_questions import (
    About,
    Changes,
    Cursor,
    Draft,
    Followed,
    Opening,
    PreviewedRequest,
    Wanted,
    read_request_id,
)
from sgtm.server.watching import Entered, Watch
from sgtm.settings import Settings

MOST_REQUESTS = 5_000
"""Of one session in one worker; mostly their bytes are the lower bound."""
MOST_AT_ONCE = 100
"""Summaries made for one answer: others have their turn in between."""
MARKS_LAST_MICROS = 3_600_000_000
"""How long after the last session a mark is still taken out of what its senders go on sending."""

_SEEN = "sgtm_preview_requests_total"
_WELCOME = b"This browser is in a preview session now: what it sends here is shown there.\n"


class _Open:
    """A session in this worker."""

    def __init__(self, session: Session, ring: Ring, draft: Container | None, runs: Pipeline | None) -> None:
        self.session, self.ring, self.draft, self.runs = session, ring, draft, runs


class Previews:
    """All previews of one worker. `also_use(container)` has the worker know its destinations and credentials,
    `watch(self)` has it ask of every request, `watch(None)` of none."""

    def __init__(
        self,
        settings: Settings,
        slot: int,
        pipeline: Pipeline,
        lanes: Lanes,
        counters: Counters,
        also_use: Callable[[Container], None],
        watch: Callable[[Watch | None], None],
    ) -> None:
        self._slot, self._pipeline, self._lanes, self._counters = slot, pipeline, lanes, counters
        self._also_use, self._watch = also_use, watch
        self._most_bytes = settings.preview_bytes
        self._runs_apart = settings.outbox == "nats"  # else whoever takes the record up runs its tags
        self._epoch = secrets.token_hex(4)
        self._by_digest: dict[str, _Open] = {}
        self._by_id: dict[str, _Open] = {}
        self._look_back = Ring(settings.look_back_requests, settings.preview_bytes)
        self._sampled_below = int(settings.look_back_percent / 100 * 2**64)
        self._marks_until = 0
        self._watch(self if self._sampled_below else None)

    def questions(self) -> dict[str, Callable[[Raw], Awaitable[Any]]]:
        """What a worker can be asked about them."""
        return {
            "preview-open": self._answer_open,
            "preview-close": self._answer_close,
            "preview-changes": self._answer_changes,
            "preview-part": self._answer_part,
            "preview-about": self._answer_about,
        }

    def forget_requests(self) -> None:
        """Let go of all requests: there is need of memory."""
        for opened in self._by_id.values():
            opened.ring.clear()
        self._look_back.clear()

    # -- requests --------------------------------------------------------------------------------

    def enter(self, request: IncomingRequest) -> Entered | None:
        """See Watch."""
        if is_marked(request):
            return self._enter_marked(request)
        if request.seed < self._sampled_below:
            return self._sample(request)
        if not self._by_id and not self._sampled_below and request.received_micros > self._marks_until:
            self._watch(None)
        return None

    def _enter_marked(self, request: IncomingRequest) -> Entered:
        unmarked, now_micros = without_marks(request), request.received_micros
        for mark in marks_of(request):
            opened = self._by_digest.get(digest_of(mark.token))
            if opened is not None and now_micros < opened.session.expires_micros:
                return self._enter_session(opened, mark, without_token(unmarked, mark.token))
        self._counters.add(_SEEN, "unknown mark")
        return self._sample(unmarked) if request.seed < self._sampled_below else Entered(unmarked)

    def _enter_session(self, opened: _Open, mark: Mark, request: IncomingRequest) -> Entered:
        self._counters.add(_SEEN, mark.way)
        runs, container = opened.runs, opened.draft or self._pipeline.container
        if runs is not None and opened.draft is None:
            runs = self._apart(container, sends=opened.session.sends)
        walk = _walk_of(request, is_alone=True)
        entry = opened.ring.add(request, walk, container, time.monotonic())

        def answered(answer: Answer) -> Answer:
            entry.took_micros = _age_of(walk, request)
            return _of_session(answer, opened, mark, request, walk)

        return Entered(request, walk, runs, is_refusable=False, answered=answered)

    def _sample(self, request: IncomingRequest) -> Entered:
        self._counters.add(_SEEN, "look-back")
        walk = _walk_of(request, is_alone=False)
        entry = self._look_back.add(request, walk, self._pipeline.container, time.monotonic())

        def answered(answer: Answer) -> Answer:
            entry.took_micros = _age_of(walk, request)
            return answer

        return Entered(request, walk, answered=answered)

    # -- sessions --------------------------------------------------------------------------------

    async def _answer_open(self, body: Raw) -> list[Problem]:
        opening = msgspec.msgpack.decode(body, type=Opening)
        session, draft = opening.session, None
        if opening.draft is not None:
            try:
                draft = await asyncio.to_thread(load_draft, opening.draft)
            except ContainerError as error:
                return error.problems
            self._also_use(draft)
        runs = None
        if draft is not None or not session.sends or self._runs_apart:
            runs = self._apart(draft or self._pipeline.container, sends=session.sends)
        opened = _Open(session, Ring(MOST_REQUESTS, self._most_bytes), draft, runs)
        self._by_id[session.id] = self._by_digest[session.digest] = opened
        self._marks_until = max(self._marks_until, session.expires_micros + MARKS_LAST_MICROS)
        self._watch(self)
        return []

    def _apart(self, container: Container, *, sends: bool) -> Pipeline:
        """A way for requests beside the one of all others. What it sends leaves through the same lanes."""
        lanes = self._lanes if sends else NoLanes()
        return self._pipeline.through(lanes, container, is_apart=True, sends=sends)

    async def _answer_close(self, body: Raw) -> None:
        opened = self._by_id.pop(msgspec.msgpack.decode(body, type=str), None)
        if opened is not None:
            del self._by_digest[opened.session.digest]

    # -- what they did ---------------------------------------------------------------------------

    def _ring(self, id: str) -> Ring | None:
        if id == LOOK_BACK:
            return self._look_back
        opened = self._by_id.get(id)
        return opened.ring if opened is not None else None

    async def _answer_changes(self, body: Raw) -> Changes:
        asked = msgspec.msgpack.decode(body, type=Followed)
        ring, seen = self._ring(asked.id), asked.cursors.get(self._slot, Cursor())
        if ring is None:
            return Changes(Cursor(self._epoch))
        since = seen.version if seen.epoch == self._epoch else 0
        entries = ring.changes(since, time.monotonic(), MOST_AT_ONCE)
        has_more = len(entries) == MOST_AT_ONCE
        version = entries[-1].version if has_more else ring.version
        return Changes(
            Cursor(self._epoch, version, ring.first, ring.last),
            [self._summary(entry, asked.id) for entry in entries if entry.born > since],
            [self._summary(entry, asked.id) for entry in entries if entry.born <= since],
            has_more,
        )

    def _summary(self, entry: Entry, session: str) -> Summary:
        return summary_of(entry.walk, entry.request, self._seen(entry, session))

    async def _answer_part(self, body: Raw) -> bytes | None:
        wanted = msgspec.msgpack.decode(body, type=Wanted)
        ring, known = self._ring(wanted.id), read_request_id(wanted.request)
        if ring is None or known is None or known[:2] != (self._slot, self._epoch):
            return None
        entry = ring.get(known[2])
        if entry is None:
            return None
        return await asyncio.to_thread(self._part, entry, wanted)  # a large one takes its time

    async def _answer_about(self, _: Raw) -> About:
        container = self._pipeline.container
        names = container.public_id or container.name, container.version
        return About(*names, len(container.clients), len(container.tags))

    def _part(self, entry: Entry, wanted: Wanted) -> bytes:
        seen = self._seen(entry, wanted.id, secrets_of(entry.container))
        if wanted.part == "request":
            return msgspec.msgpack.encode(PreviewedRequest(entry.request, seen.source))
        shown: RequestView = view_of(entry.walk, entry.request, seen, entry.container)
        return test_case(shown).encode() if wanted.part == "test" else encode(shown)

    def _seen(self, entry: Entry, session: str, values: tuple[str, ...] = ()) -> Seen:
        return Seen(
            id=f"{self._slot}-{self._epoch}-{entry.number}",
            source="lookback" if session == LOOK_BACK else "session",
            worker=self._slot,
            took_micros=entry.took_micros,
            secrets=values,
        )


def load_draft(draft: Draft) -> Container:
    """The draft as it runs in a session: tags that are live only do not fire. Raises ContainerError."""
    return replace(load_container(draft.path, source=draft.content), is_preview=True)


def secrets_of(container: Container) -> tuple[str, ...]:
    """Values of the container's secrets, so that no view shows one."""
    return tuple(_values(container))


def _values(container: Container) -> Iterator[str]:
    yield from container.secrets
    known = Credentials(container.credentials)
    for name in container.credentials:
        try:
            yield known.value(name)
        except CredentialMissing:
            continue


def _walk_of(request: IncomingRequest, *, is_alone: bool) -> TimedWalk:
    """A walk whose clock begins with the receipt and never goes back."""
    began_ns = time.perf_counter_ns()
    received = request.received_micros
    return TimedWalk(
        method=request.method,
        path=request.path,
        is_alone=is_alone,
        now_micros=lambda: received + (time.perf_counter_ns() - began_ns) // 1_000,
        begun_micros=received,
    )


def _age_of(walk: TimedWalk, request: IncomingRequest) -> int:
    return max(1, walk.now_micros() - request.received_micros)


def _of_session(
    answer: Answer, opened: _Open, mark: Mark, request: IncomingRequest, walk: TimedWalk
) -> Answer:
    """The answer to a request of a session. No cache may keep what only this session is answered."""
    if opened.draft is None and mark.way != "parameter":
        return answer
    headers = [header for header in answer.headers if header[0].lower() != "cache-control"]
    headers.append(NO_STORE)
    if mark.way == "parameter":
        headers.append(("Set-Cookie", _cookie_of(opened.session, mark, request)))
        if request.method == "GET" and not walk.claimed_by:
            walk.warnings.append("the link of the session: answered with words instead")
            return Answer(200, (*headers, ("Content-Type", "text/plain")), _WELCOME)
    return Answer(answer.status, tuple(headers), answer.body)


def _cookie_of(session: Session, mark: Mark, request: IncomingRequest) -> str:
    """Who came with the parameter stays in the session: a cookie for the whole site."""
    left_s = max(1, (session.expires_micros - request.received_micros) // 1_000_000)
    is_secure = request.scheme == "https"
    cookie = Cookie(COOKIE.decode(), mark.token, left_s, is_secure=is_secure, is_http_only=True)
    return set_cookie_header(cookie, request.host)
