"""Latency: what a requester waits for, at shares of each server's own capacity and at a low rate.

    python -m benchmarks.latency [--seconds 3] [--rounds 3] [--shares 25 50 80] [--vendor-ms 0 100]

Hits come when they come (Poisson), whether or not earlier ones are answered, over 64 kept connections; a
latency counts from the moment at which the hit was due, so that a server that stalls cannot hide it
(coordinated omission). Capacity is measured first, in short rounds at full speed; a server with vendors is
asked for what it delivers, not for what it takes in. `at 200/s` is a site that is mostly asleep.

`fdatasync p99` is that of the folder in which the outboxes lie, measured in the same run.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct

from benchmarks.contenders import (
    CONTAINER,
    OTHER_CORES,
    TAGS,
    Contender,
    started_node,
    started_sgtm,
    started_yardstick,
)
from benchmarks.hits import make_hits
from benchmarks.interleaved import turns
from benchmarks.line_up import add_peer_options, start_from_source
from benchmarks.load import is_whole, run_round, warm_up
from benchmarks.results import save
from benchmarks.stand_in import Arrived, started_stand_in
from benchmarks.tag_managers import started_walkeros

CONNECTIONS = 64
LOW_RATE = 200.0
LIMIT_S = 600.0


class Row(Struct):
    """One server at one rate."""

    name: str
    rate: str
    hits_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    cpu_us: float | None
    memory_mb: float
    hits: int
    wrong: int


class Line(asyncio.Protocol):
    """A kept connection that carries one hit at a time."""

    def __init__(self, generator: "Arrivals") -> None:
        self._generator = generator
        self._buffer = b""
        self.due = 0.0

    def connection_made(self, transport: Any) -> None:
        """It is free."""
        self._transport = transport
        self._generator.free.append(self)

    def carry(self, hit: bytes, due: float) -> None:
        """Send a hit that was due then."""
        self.due = due
        self._transport.write(hit)

    def data_received(self, data: bytes) -> None:
        """Its answer, or a piece of it."""
        self._buffer += data
        if is_whole(self._buffer):
            is_right, self._buffer = self._buffer.startswith(b"HTTP/1.1 20"), b""
            self._generator.answered(self, is_right=is_right)

    def close(self) -> None:
        """The end."""
        self._transport.close()


class Arrivals:
    """Hits that come at random moments, so many a second on average."""

    def __init__(self, hits: Iterator[bytes], rate: float, seconds: float, seed: int) -> None:
        self._hits, self._rate = hits, rate
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(seed)
        self._seconds, self._until = seconds, 0.0
        self._late: deque[float] = deque()
        self.free: deque[Line] = deque()
        self.latencies_ms: list[float] = []
        self.wrong = self.sent = 0
        self.done: asyncio.Future[None] = self._loop.create_future()

    def start(self) -> None:
        """From now on."""
        self._due = self._loop.time()
        self._until = self._due + self._seconds
        self._next()

    def _next(self) -> None:
        now = self._loop.time()
        while self._due <= min(now, self._until):
            self._late.append(self._due)
            self._due += self._chance.expovariate(self._rate)
        self._send()
        if self._due <= self._until:
            self._loop.call_at(self._due, self._next)
        else:
            self._end_if_over()

    def _send(self) -> None:
        while self._late and self.free:
            self.sent += 1
            self.free.popleft().carry(next(self._hits), self._late.popleft())

    def answered(self, line: Line, *, is_right: bool) -> None:
        """A line is free again."""
        self.latencies_ms.append((self._loop.time() - line.due) * 1000)
        self.wrong += not is_right
        self.free.append(line)
        self._send()
        self._end_if_over()

    def _end_if_over(self) -> None:
        is_over = self._due > self._until and not self._late
        if is_over and len(self.latencies_ms) == self.sent and not self.done.done():
            self.done.set_result(None)


async def at_rate(contender: Contender, rate: float, seconds: float, hits: list[bytes], seed: int) -> Row:
    """One round; over when everything owed has arrived."""
    parts = urlsplit(contender.url)
    before = contender.vendor.arrived() if contender.vendor else Arrived()
    arrivals = Arrivals(cycle(hits), rate, seconds, seed)
    loop = asyncio.get_running_loop()
    lines = [
        (await loop.create_connection(lambda: Line(arrivals), parts.hostname, parts.port))[1]
        for _ in range(CONNECTIONS)
    ]
    cpu = contender.cpu_s()
    arrivals.start()
    async with asyncio.timeout(seconds + 30):
        await arrivals.done
    memory_mb = contender.memory_mb()
    wrong = arrivals.wrong
    if contender.vendor is not None:
        wrong += await asyncio.to_thread(contender.vendor.missing, before, arrivals.sent)
    cpu_us = (contender.cpu_s() - cpu) / max(arrivals.sent, 1) * 1e6
    for line in lines:
        line.close()
    ordered = sorted(arrivals.latencies_ms)
    p50, p99, p999 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99, 0.999))
    return Row(
        contender.name, "", arrivals.sent / seconds, p50, p99, p999, cpu_us, memory_mb, arrivals.sent, wrong
    )


def median_of(name: str, rate: str, rounds: list[Row]) -> Row:
    """One row of several rounds."""
    middle = [
        statistics.median(getattr(row, column) for row in rounds)
        for column in ("hits_s", "p50_ms", "p99_ms", "p999_ms", "cpu_us", "memory_mb")
    ]
    return Row(name, rate, *middle, sum(row.hits for row in rounds), sum(row.wrong for row in rounds))


def start_all(stack: ExitStack, options: argparse.Namespace) -> list[Contender]:
    """Everybody who takes part."""
    enter = stack.enter_context
    contenders = [
        enter(started_yardstick("canned answer, uvloop", "canned")),
        enter(started_sgtm("sgtm, no tags, memory", CONTAINER)),
        enter(started_sgtm("sgtm, no tags, sqlite", CONTAINER, more=())),
    ]
    for delay_ms in options.vendor_ms:
        vendor = enter(started_stand_in(delay_ms))
        tags = TAGS.replace("VENDOR", vendor.url)
        name = f"{delay_ms} ms"
        contenders.append(enter(started_sgtm(f"sgtm, memory, {name}", CONTAINER + tags, vendor)))
        contenders.append(enter(started_sgtm(f"sgtm, sqlite, {name}", CONTAINER + tags, vendor, more=())))
        if options.peers:
            contenders.append(enter(started_node(f"Node, undici, {name}", "undici", vendor)))
            contenders.append(enter(started_walkeros(f"walkerOS, npm, {name}", vendor)))
        contenders += start_from_source(stack, f", {name}", vendor, options)
    return contenders


def fdatasync_p99_ms(folder: Path, times: int = 300) -> float:
    """Of appending 64 KB to a file."""
    taken = []
    with (folder / "probe").open("wb") as file:
        for _ in range(times):
            file.write(bytes(65_536))
            file.flush()
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begin) * 1000)
    return sorted(taken)[int(times * 0.99)]


async def compare(contenders: list[Contender], options: argparse.Namespace) -> list[Row]:
    """Capacity first, then every rate, in turns."""
    queries = make_hits(500)
    hits = {contender.wire: [contender.wire(query) for query in queries] for contender in contenders}
    for contender in contenders:
        await warm_up(contender, hits[contender.wire], CONNECTIONS)
    for contender in turns(contenders, 3, "capacity", 120.0):
        await run_round(contender, hits[contender.wire], CONNECTIONS, 1.0)
    asked = [(contender, f"{share} %", share / 100) for contender in contenders for share in options.shares]
    asked += [(contender, "at 200/s", 0.0) for contender in contenders]
    found: dict[tuple[str, str], list[Row]] = {}
    for number, (contender, rate, share) in enumerate(turns(asked, options.rounds, "latency", LIMIT_S)):
        hits_s = share * statistics.median(contender.rates) if share else LOW_RATE
        row = await at_rate(contender, hits_s, options.seconds, hits[contender.wire], number)
        found.setdefault((contender.name, rate), []).append(row)
    return [
        median_of(contender.name, rate, found[contender.name, rate])
        for contender, rate, _ in sorted(asked, key=lambda one: contenders.index(one[0]))
    ]


def report(rows: list[Row], sync_ms: float) -> None:
    """A table."""
    columns = ("hits/s", "p50 ms", "p99 ms", "p99.9", "CPU us", "MB", "hits", "wrong")
    print(f"{'':28}{'':10}", *(f"{column:>9}" for column in columns))
    for row in rows:
        values = (row.hits_s, row.p50_ms, row.p99_ms, row.p999_ms, row.cpu_us or 0.0, row.memory_mb)
        told = (f"{value:9.1f}" for value in values)
        print(f"{row.name:28}{row.rate:10}", *told, f"{row.hits:9}", f"{row.wrong:9}")
    print(f"fdatasync p99: {sync_ms:.1f} ms")


def main() -> int:
    """Run it; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shares", type=int, nargs="*", default=[25, 50, 80], help="percent of capacity")
    parser.add_argument("--vendor-ms", type=int, nargs="*", default=[0, 100], help="delays of the vendors")
    add_peer_options(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = uvloop.run(compare(start_all(stack, options), options))
        sync_ms = fdatasync_p99_ms(folder)
    report(rows, sync_ms)
    save("latency", rows, sys.argv[1:])
    return int(any(row.wrong or not row.hits for row in rows))


if __name__ == "__main__":
    sys.exit(main())
