"""A stand-in for the vendors that costs next to nothing, in a process of its own.

`python -m benchmarks.stand_in [DELAY_MS] [PEM]` prints its address and ends with its standard input. It
answers each request after the delay: 204, or Meta's JSON where the path ends in `/events`. How many arrived
is told at `/arrived`: requests of others, then events of Meta. The latest of both kinds stand at `/latest`.
"""

import asyncio
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import uvloop
from msgspec import Struct

PATIENCE_S = 20.0
PLAIN = b"HTTP/1.1 204 No Content\r\n\r\n"
_FRAMING = re.compile(rb"\r\n(?:content-length: *([0-9]+)|transfer-encoding: *chunked)", re.I)


class Arrived(Struct):
    """Counts of the whole process."""

    others: int = 0
    events: int = 0


class Latest(Struct):
    """The latest requests, as they came (Latin-1)."""

    other: str = ""
    event: str = ""


class StandIn(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay_s: float, arrived: Arrived, latest: dict[str, bytes]) -> None:
        self._delay_s, self._arrived, self._latest = delay_s, arrived, latest
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        """Remember where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            size = _size(buffer, end)
            if size is None or len(buffer) < size:
                break
            self._answer(buffer[:size], buffer[: buffer.find(b"\r\n")])
            buffer = buffer[size:]
        self._buffer = buffer

    def _answer(self, request: bytes, line: bytes) -> None:
        if line.startswith(b"GET /arrived"):
            self._transport.write(_ok(b"%d %d" % (self._arrived.others, self._arrived.events)))
            return
        if line.startswith(b"GET /latest"):
            told = Latest(**{kind: request.decode("latin-1") for kind, request in self._latest.items()})
            self._transport.write(_ok(msgspec.json.encode(told)))
            return
        answer = PLAIN
        if b"/events HTTP" in line:
            count = request.count(b'"event_name"')
            self._arrived.events += count
            self._latest["event"] = request
            answer = _ok(b'{"events_received":%d,"messages":[],"fbtrace_id":"A1"}' % count)
        else:
            self._arrived.others += 1
            self._latest["other"] = request
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _size(buffer: bytes, end: int) -> int | None:
    """Of the request whose head ends there; None: not all of its chunks are here."""
    framing, at = _FRAMING.search(buffer, 0, end), end + 4
    if framing is None:
        return at
    if framing[1] is not None:
        return at + int(framing[1])
    while (line_end := buffer.find(b"\r\n", at)) >= 0:
        size = int(buffer[at:line_end], 16)
        at = line_end + 4 + size
        if size == 0:
            return at
    return None


def _ok(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


class StartedStandIn(Struct):
    """A stand-in in its own process."""

    url: str
    process: int
    ca_file: str | None = None
    """Who vouches for its certificate, over TLS."""

    def arrived(self) -> Arrived:
        """What has arrived so far. Blocks for a moment."""
        others, events = self._read("/arrived").split()
        return Arrived(int(others), int(events))

    def latest(self) -> Latest:
        """The latest requests of both kinds. Blocks for a moment."""
        return msgspec.json.decode(self._read("/latest"), type=Latest)

    def _read(self, path: str) -> bytes:
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        with urlopen(self.url + path, timeout=5, context=context) as answer:
            content: bytes = answer.read()
        return content

    def missing(self, before: Arrived, hits: int) -> int:
        """Wait until one request and one event for each of `hits` have arrived since `before`; how many
        are missing or too many when nothing has come for 20 s."""
        latest, until = before, time.perf_counter() + PATIENCE_S
        owed = Arrived(before.others + hits, before.events + hits)
        while latest.others < owed.others or latest.events < owed.events:
            if time.perf_counter() > until:
                break
            time.sleep(0.01)
            arrived = self.arrived()
            if arrived != latest:
                latest, until = arrived, time.perf_counter() + PATIENCE_S
        return abs(owed.others - latest.others) + abs(owed.events - latest.events)


CERTIFICATES = Path(__file__).parents[1] / "tests" / "delivery" / "tls"


@contextmanager
def started_stand_in(delay_ms: float, *, is_tls: bool = False) -> Iterator[StartedStandIn]:
    """A stand-in for as long as the block lasts."""
    command = [sys.executable, "-m", "benchmarks.stand_in", str(delay_ms)]
    ca_file = None
    if is_tls:
        command.append(str(CERTIFICATES / "good.pem"))
        ca_file = str(CERTIFICATES / "authority.pem")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield StartedStandIn(process.stdout.readline().strip(), process.pid, ca_file)
        finally:
            process.communicate(timeout=10)


async def _serve(delay_ms: float, certificate: str | None) -> None:
    arrived, context = Arrived(), None
    latest: dict[str, bytes] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: StandIn(delay_ms / 1000, arrived, latest), "127.0.0.1", 0, backlog=1024, ssl=context
    )
    host, port = server.sockets[0].getsockname()
    print(f"{'https' if context else 'http'}://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(float((sys.argv[1:] or ["0"])[0]), (sys.argv[2:] or [None])[0]))
