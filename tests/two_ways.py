"""The same bytes to a worker with the edge, to one without, and to h11: whoever accepts them agrees.

    python tests/two_ways.py [--count 1000000] [--seed 1]                              (make corpus)

SPEC: reliability 2.2. A failure are two parties that accept and disagree on boundaries, method, target, host,
headers or body; or the edge waiting for ever where aiohttp alone would answer. A refusal is always allowed.

For the mutants the connections are the server's real ones on a transport that keeps what is written: so a
connection is over when nothing happens any more, not when some time has passed.
"""

import argparse
import asyncio
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import h11
import uvloop
from containers import client, container, echo
from http_corpus import mutants
from msgspec import Struct

from sgtm.messages import Claimed, IncomingRequest
from sgtm.server.listening import bind
from sgtm.server.worker import Worker
from sgtm.settings import Settings

QUIET_TURNS = 12
"""Turns of the loop in which nothing came of it, until nothing more will."""

PATHS = ("/g/collect", "/")

_HEAD = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


class Outcome(Struct):
    """What became of the bytes of one connection."""

    requests: list[tuple[str, str, bytes, tuple[tuple[bytes, bytes], ...], str, bytes]]
    """Method, path, query, headers, host and body of those that a client was asked about."""
    answers: list[tuple[int, tuple[tuple[bytes, bytes], ...], bytes]]
    """Without Date, and without the moment and the chance that the echo shows."""
    is_closed: bool

    @property
    def is_refusal(self) -> bool:
        """Whether the last word was no."""
        return self.is_closed and bool(self.answers) and self.answers[-1][0] >= 400


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.protocol: Any = None
        self._is_closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("198.51.100.7", 4711)}.get(name, default)

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Way:
    """A worker of its own, whose only client claims everything and notes what it was asked."""

    def __init__(self, **settings: Any) -> None:
        self._asked: list[Any] = []
        self._settings = Settings(
            outbox="memory", host="127.0.0.1", port=0, connections_per_address=0, **settings
        )

    async def __aenter__(self) -> "Way":
        one = container([client(self._claim, paths=PATHS)])
        self.worker = Worker(one, self._settings, bind(self._settings))
        await self.worker.start()
        self.factory: Any = self.worker._edge or self.worker._listener
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.close()

    def _claim(self, request: IncomingRequest) -> Claimed:
        self._asked.append(request)
        return echo(request)

    async def outcome(self, pieces: Iterable[bytes]) -> Outcome:
        """Of a connection on which these bytes come, piece by piece."""
        self._asked.clear()
        wire = Wire()
        wire.protocol = protocol = self.factory()
        protocol.connection_made(wire)
        for piece in pieces:
            if not wire.is_closing():
                protocol.data_received(piece)
                await self._quiet(wire)
        asked, is_closed = list(self._asked), wire.is_closing()
        wire.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return Outcome(
            [seen_of(request) for request in asked], list(answers_of(bytes(wire.written))), is_closed
        )

    async def lent(self, text: bytes) -> bool:
        """Whether the edge lent any of it to aiohttp."""
        before = self.worker.counters.value("sgtm_requests_lent_total")
        await self.outcome([text])
        return self.worker.counters.value("sgtm_requests_lent_total") > before

    async def _quiet(self, wire: Wire) -> None:
        seen, turns = (-1, -1), 0
        while turns < QUIET_TURNS:
            await asyncio.sleep(0)
            now = (len(wire.written), len(self._asked))
            seen, turns = now, turns + 1 if now == seen else 0


def seen_of(request: IncomingRequest) -> Any:
    return (request.method, request.path, request.query, request.headers, request.host, request.body)


def answers_of(data: bytes) -> Iterator[tuple[int, tuple[tuple[bytes, bytes], ...], bytes]]:
    """Answers as strictly as they must be; AssertionError where something else stands there."""
    at = 0
    while at < len(data):
        match = _HEAD.match(data, at)
        assert match, data[at : at + 200]
        lines = [tuple(line.split(b": ", 1)) for line in match[2].split(b"\r\n")[:-1]]
        lengths = [int(value) for name, value in lines if name == b"Content-Length"]
        assert len(lengths) <= 1
        at = match.end()
        # a HEAD is answered without the body; an answer always begins with a status line
        size = 0 if not lengths or data[at:].startswith(b"HTTP/1.1 ") else lengths[0]
        body = data[at : at + size]
        at += len(body)
        headers = tuple(pair for pair in lines if pair[0] not in (b"Date", b"Content-Length"))
        yield int(match[1]), headers, _timeless(body)  # type: ignore[misc]


def _timeless(body: bytes) -> bytes:
    return re.sub(rb'"(received_micros|seed)":[0-9]+', rb'"\1":0', body)


def h11_requests(data: bytes) -> list[tuple[h11.Request, bytes]]:
    """The complete requests that h11 finds, up to where it refuses or waits."""
    found: list[tuple[h11.Request, bytes]] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    request, body = None, b""
    with suppress(h11.RemoteProtocolError, h11.LocalProtocolError):
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append((request, body))
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            else:
                break
    return found


def disagreement(on: Outcome, off: Outcome) -> str:
    """What the two ways disagree on; "" if on nothing."""
    if on == off:
        return ""
    one, other = sorted((on, off), key=lambda outcome: len(outcome.requests))
    if one.requests != other.requests[: len(one.requests)]:
        return "two different requests were accepted"
    if len(one.requests) < len(other.requests):
        if not one.is_refusal:
            return "one accepted more than the other, which refused nothing"
        return "" if one.answers[:-1] == other.answers[: len(one.answers) - 1] else "other answers"
    # the edge looks at whole lines: it waits for the end of one that aiohttp refuses at once
    is_waiting = off.is_refusal and not on.is_closed and on.answers == off.answers[:-1]
    return "" if is_waiting else "the same requests, other answers"


def other_opinion(on: Outcome, data: bytes) -> str:
    """What h11 reads otherwise than the edge; "" if nothing, or if one of the two refuses."""
    asked = [one for one in h11_requests(data) if not _is_for_nobody(one[0])]
    for ours, (theirs, body) in zip(on.requests, asked, strict=False):
        method, path, query, headers, _, our_body = ours
        target_path, _, target_query = theirs.target.partition(b"?")
        names = {name for name, _ in theirs.headers}
        if not target_path.startswith(b"/") or {b"content-encoding", b"transfer-encoding"} & names:
            return ""  # not on the edge
        read = (theirs.method.decode(), target_path.decode("utf-8", "replace"), target_query, body)
        if read != (method, path, query, our_body) or list(headers) != [*theirs.headers]:
            return f"h11 reads {read}, {[*theirs.headers]}"
    return ""


def _is_for_nobody(request: h11.Request) -> bool:
    """Whether no client is asked: preflights, health."""
    path = request.target.partition(b"?")[0].decode("latin-1")
    return path == "/healthz" or (request.method == b"OPTIONS" and path in PATHS)


def in_pieces(texts: Iterable[bytes], seed: int) -> Iterator[Sequence[bytes]]:
    """Each as it may come: every other one whole, the rest cut at up to three places."""
    chance = random.Random(seed)
    for text in texts:
        cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.choice((0, 0, 0, 1, 2, 3))))
        yield [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


async def compare(texts: Iterable[Sequence[bytes]]) -> int:
    """Compare all three on each text, given in pieces; how many there were. Raises AssertionError."""
    count = 0
    died: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: died.append(context))
    async with Way(edge="on") as edge, Way(edge="off") as plain:
        for pieces in texts:
            count += 1
            on, off = await edge.outcome(pieces), await plain.outcome(pieces)
            data = b"".join(pieces)
            found = (
                disagreement(on, off) or other_opinion(on, data) or (f"a task died: {died}" if died else "")
            )
            assert not found, f"{found}\nbytes: {data!r}\nedge:  {on}\noff:   {off}"
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    count = uvloop.run(compare(in_pieces(mutants(arguments.count, arguments.seed), arguments.seed)))
    print(f"{count} texts, no disagreement, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
