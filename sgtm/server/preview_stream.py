"""A session as it happens: server-sent events, put together from all workers.

The workers are asked POLL_S apart, and only while somebody watches. An event's id says what its reader has
seen of each worker, so whoever comes again (Last-Event-ID) hears what he missed, and of what is gone.
"""

import asyncio
import re
from collections.abc import Iterator

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from sgtm.server.preview_desk import Desk
from sgtm.server.preview_questions import Changes, Cursor, request_ids
from sgtm.server.written import http_date

POLL_S = 0.25
QUIET_S = 15.0
"""After which a stream says that it is alive: whoever is gone is noticed."""
LONGEST_S = 1800.0
"""Then its reader comes again, and is asked once more who he is."""
MOST_GONE = 5_000
_CURSOR = re.compile(r"([0-9]{1,4}):([0-9a-f]{8}):([0-9]{1,15}):([0-9]{1,15}):([0-9]{1,15})")


class EventStream(web.StreamResponse):
    """An answer that goes on; its connection ends with it."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        super().__init__(status=200)
        self._own = headers
        self._out: AbstractStreamWriter | None = None

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the head."""
        if self._out is None:
            self._out = request.writer
            headers = CIMultiDict(self._own)
            headers["Content-Type"], headers["Date"] = "text/event-stream", http_date()
            headers["X-Accel-Buffering"], headers["Connection"] = "no", "close"
            await self._out.write_headers("HTTP/1.1 200 OK", headers)
        return self._out

    async def say(self, data: bytes) -> None:
        """Write this much, when the reader has room for it."""
        if self._out is not None:
            await self._out.write(data)
            await self._out.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """The end."""
        if self._out is not None:
            await self._out.write_eof()


class Following:
    """What one reader has seen of a session, and what is new to him."""

    def __init__(self, desk: Desk, id: str, last_event_id: str = "") -> None:
        self._desk, self._id = desk, id
        self._cursors = dict(_read_cursors(last_event_id))
        self.has_more = False
        """There is more to be told at once."""

    async def news(self) -> bytes:
        """All that happened since, as events; empty: nothing."""
        heard = await self._desk.changes(self._id, self._cursors)
        said = [line for slot, changes in heard for line in self._take(slot, changes)]
        self.has_more = any(changes.has_more for _, changes in heard)
        return b"".join([*said, f"id: {self._name()}\n\n".encode()]) if said else b""

    def _take(self, slot: int, changes: Changes) -> Iterator[bytes]:
        seen, now = self._cursors.get(slot, Cursor()), changes.cursor
        self._cursors[slot] = now
        is_same = seen.epoch == now.epoch
        gone_to = min(seen.last, now.first - 1) if is_same else seen.last
        if seen.epoch and gone_to >= seen.first:
            first = max(seen.first, gone_to - MOST_GONE + 1)
            yield _event("gone", {"ids": request_ids(slot, seen, first, gone_to)})
        for summary in changes.came:
            yield _event("request", summary)
        for summary in changes.went_on:
            yield _event("update", summary)

    def _name(self) -> str:
        return ",".join(
            f"{slot}:{one.epoch}:{one.version}:{one.first}:{one.last}" for slot, one in self._cursors.items()
        )


async def follow(
    desk: Desk, id: str, request: web.BaseRequest, headers: tuple[tuple[str, str], ...], end: asyncio.Event
) -> EventStream:
    """Tell the reader until the session or the server ends, or he is gone."""
    stream = EventStream(headers)
    following = Following(desk, id, request.headers.get("Last-Event-ID", ""))
    loop = asyncio.get_running_loop()
    began = quiet_since = loop.time()
    desk.watch(id, 1)
    try:
        await stream.prepare(request)
        await stream.say(b"retry: 1000\n\n")
        while (
            desk.is_open(id) and not (end.is_set() or _is_gone(request)) and loop.time() - began < LONGEST_S
        ):
            said = await following.news()
            if not said and loop.time() - quiet_since >= QUIET_S:
                said = b": still here\n\n"
            if said:
                await stream.say(said)
                quiet_since = loop.time()
            if not following.has_more:
                await _pause(end)
    except ConnectionError:
        pass  # the reader is gone
    finally:
        desk.watch(id, -1)
    return stream


def _is_gone(request: web.BaseRequest) -> bool:
    """Whether the reader has hung up: nobody waits for the next write to hear of it."""
    return request.transport is None or request.transport.is_closing()


async def _pause(end: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_S):
            await end.wait()
    except TimeoutError:
        pass


def _event(name: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


def _read_cursors(text: str) -> Iterator[tuple[int, Cursor]]:
    """What an event's id says; nothing of what is none."""
    for part in text.split(",")[:256]:
        found = _CURSOR.fullmatch(part)
        if found is not None:
            yield int(found[1]), Cursor(found[2], int(found[3]), int(found[4]), int(found[5]))
