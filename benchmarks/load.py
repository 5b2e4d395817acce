"""Load: servers side by side in one run, with and without the work that a tag manager is there for.

    python -m benchmarks.load                       # ours beside aiohttp, about three minutes
    python -m benchmarks.load --peers               # Node, nginx and walkerOS too
    python -m benchmarks.load --peers --vendor-tls --vendor-ms 0       # the whole job with vendors over TLS
    python -m benchmarks.load --connections 16 --preflight-every 20 --vendor-ms    # as a proxy mixes requests
    python -m benchmarks.load --contender node=http://127.0.0.1:9000 --seconds 2 --rounds 9

Contenders take turns in short rounds: servers that answer 204 and do nothing else; ours without tags, also
without the edge; the whole job (a hit in, one request to each of two vendors out) the plain way
(`yardsticks.py`), the ways of Node (`peers/server.mjs`), other tag managers' (`tag_managers.py`) and ours,
with vendors that answer at once and after 50 ms. Ours is measured in its default mode (sqlite outbox, the
answer leaves when the record is committed, Meta batched), with the memory outbox, and with both vendors
awaited and nothing batched, which is what most others do. First it is checked and told what the vendors get
of a known purchase (`delivered.py`), then everybody is warmed up. A round is over when the last request owed
to a vendor has arrived; hits a second and CPU (user + system, us a hit, of the server's processes) count
until then.

Every answer is read and judged, and every request owed to the vendors is counted: one that is wrong, lost
or doubled makes the run fail. Servers run on the first core, the load and the vendors on the others. What
came out is kept in `benchmarks/results/load.json`, or `load_tls.json`.

With `--vendor-tls` the vendors have a certificate of an authority of the tests, and every server verifies
it: ours and the plain way are told of the authority by OpenSSL's `SSL_CERT_FILE`, Node by
`NODE_EXTRA_CA_CERTS`.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct

from benchmarks import delivered
from benchmarks.contenders import OTHER_CORES, Contender
from benchmarks.hits import make_hits
from benchmarks.interleaved import ratio, turns
from benchmarks.line_up import add_peer_options, start_all
from benchmarks.results import save
from benchmarks.stand_in import Arrived

LIMIT_S = 300.0
WARM_UP_HITS, WARM_UP_S = 5_000, 20.0
LEAD_IN_S = 0.3
PREFLIGHT = (
    b"OPTIONS /g/collect HTTP/1.1\r\nHost: sst.shop.example\r\nOrigin: https://www.shop.example\r\n"
    b"Access-Control-Request-Method: POST\r\n\r\n"
)


class Visitor(asyncio.Protocol):
    """One kept connection: a hit, its answer, the next hit, until the time is over."""

    def __init__(self, hits: Iterator[bytes], until: float, latencies: list[float], status: bytes) -> None:
        self._hits, self._until, self._latencies = hits, until, latencies
        self._right = b"HTTP/1.1 " + status
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answered = self.wrong = 0
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Judge an answer, send the next hit."""
        self._buffer += data
        if not is_whole(self._buffer):
            return
        self.answered += 1
        self.wrong += not self._buffer.startswith(self._right)
        self._buffer = b""
        now = time.perf_counter()
        self._latencies.append((now - self._sent_at) * 1000)
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends too early is a wrong answer."""
        self.wrong += time.perf_counter() < self._until
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._hits))


def is_whole(answer: bytes) -> bool:
    """Whether all of its body is there; of a known length, or empty."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    length = int(lower[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return bool(separator) and len(body) >= length


async def run_round(contender: Contender, hits: Sequence[bytes], connections: int, seconds: float) -> None:
    """One round against one contender, until everything that it owes has arrived."""
    parts = urlsplit(contender.url)
    before = contender.vendor.arrived() if contender.vendor else Arrived()
    cpu, started = contender.cpu_s(), time.perf_counter()
    loop = asyncio.get_running_loop()
    make = partial(Visitor, cycle(hits), started + seconds, contender.latencies_ms, contender.status)
    connected = [
        await loop.create_connection(make, parts.hostname or "", parts.port or 80) for _ in range(connections)
    ]
    visitors = [visitor for _, visitor in connected]
    async with asyncio.timeout(seconds + 10):
        await asyncio.gather(*(visitor.done for visitor in visitors))
    answered = sum(visitor.answered for visitor in visitors)
    contender.wrong += sum(visitor.wrong for visitor in visitors)
    if contender.vendor:
        contender.wrong += contender.vendor.missing(before, answered)
    contender.hits += answered
    contender.rates.append(answered / (time.perf_counter() - started))
    if contender.process is not None and answered:
        contender.cpu_us.append((contender.cpu_s() - cpu) / answered * 1e6)


# -- the run -------------------------------------------------------------------------------------


async def check(contenders: list[Contender]) -> list[delivered.Row]:
    """What the vendors get of one hit."""
    query = make_hits(1)[0]
    rows = []
    for contender in contenders:
        if contender.vendor is not None:
            await run_round(contender, [contender.wire(query)], connections=1, seconds=0.0)
            rows += delivered.rows_of(contender, query)
    return rows


async def warm_up(contender: Contender, hits: Sequence[bytes], connections: int) -> None:
    """Hits that do not count: V8 takes its time to compile what is hot. Measured, CPU of a hit in its first
    800 hits, the next 2,800 and after that: Node with undici 889, 293, 165 us; walkerOS 2,500, 2,250, 920."""
    until = time.perf_counter() + WARM_UP_S
    while contender.hits < WARM_UP_HITS and time.perf_counter() < until:
        await run_round(contender, hits, connections, 0.5)
    contender.forget()


async def lead_in(contender: Contender, hits: Sequence[bytes], connections: int) -> None:
    """A moment that does not count: connections to vendors that idled away in the turns of others (Node's
    after 4 s) are opened again, which over TLS is most of the CPU of a short round."""
    uncounted = Contender(contender.name, contender.url, contender.process, contender.vendor)
    uncounted.status = contender.status
    await run_round(uncounted, hits, connections, LEAD_IN_S)
    contender.wrong += uncounted.wrong


async def compare(contenders: list[Contender], options: argparse.Namespace) -> None:
    """All rounds, everybody warm."""
    queries = make_hits(500)
    hits = {contender.wire: [contender.wire(query) for query in queries] for contender in contenders}
    if options.preflight_every:
        for requests in hits.values():
            requests[:: options.preflight_every] = [PREFLIGHT] * len(requests[:: options.preflight_every])
    for contender in contenders:
        await warm_up(contender, hits[contender.wire], options.connections)
    for contender in turns(contenders, options.rounds, "load", LIMIT_S):
        await lead_in(contender, hits[contender.wire], options.connections)
        await run_round(contender, hits[contender.wire], options.connections, options.seconds)


class Row(Struct):
    """What is told of one contender."""

    name: str
    hits_s: float
    cpu_us: float | None
    x_first: float | None
    """CPU of a hit, times the first contender's."""
    x_plain: float | None
    p50_ms: float
    p99_ms: float
    hits: int
    wrong: int


def rows_of(contenders: list[Contender]) -> list[Row]:
    """Medians, and ratios within the same rounds to the first contender and to the plain way."""
    first, plain, rows = contenders[0], None, []
    for contender in contenders:
        plain = contender if contender.name.startswith("plain") else plain
        ordered = sorted(contender.latencies_ms)
        rows.append(
            Row(
                contender.name,
                statistics.median(contender.rates),
                statistics.median(contender.cpu_us) if contender.cpu_us else None,
                _ratio(contender.cpu_us, first.cpu_us),
                _ratio(contender.cpu_us, plain.cpu_us if plain else []),
                *(ordered[int(len(ordered) * share)] for share in (0.5, 0.99)),
                contender.hits,
                contender.wrong,
            )
        )
    return rows


def _ratio(mine: list[float], its: list[float]) -> float | None:
    return ratio(mine, its) if mine and its else None


def report(rows: list[Row]) -> None:
    """A table."""
    columns = ("hits/s", "CPU us", "x first", "x plain", "p50 ms", "p99 ms", "hits", "wrong")
    print(f"{rows[0].name} is the first".ljust(30), *(f"{column:>9}" for column in columns))
    for row in rows:
        values = (row.cpu_us, row.x_first, row.x_plain, row.p50_ms, row.p99_ms)
        told = (f"{value:9.2f}" if value is not None else f"{'-':>9}" for value in values)
        print(f"{row.name:30}", f"{row.hits_s:9.0f}", *told, f"{row.hits:9}", f"{row.wrong:9}")


def main() -> int:
    """Run the comparison; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--contender", action="append", default=[], metavar="NAME=URL", help="a running server"
    )
    add_peer_options(parser)
    parser.add_argument("--container", type=Path, help="container.yaml of another server of ours")
    parser.add_argument("--vendor-ms", type=int, nargs="*", default=[0, 50], help="delays of the vendors")
    parser.add_argument("--vendor-tls", action="store_true", help="the vendors speak TLS (whole jobs only)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--preflight-every", type=int, default=0, help="so many requests are one of OPTIONS")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        contenders = start_all(stack, options)
        told = uvloop.run(check(contenders))
        uvloop.run(compare(contenders, options))
        rows = rows_of(contenders)
    delivered.report(told)
    report(rows)
    if not options.vendor_tls:  # what arrives is the same
        save("load", told, sys.argv[1:], "delivered")
    save("load", rows, sys.argv[1:], "load_tls" if options.vendor_tls else "load")
    return int(any(row.wrong or not row.hits for row in rows))


if __name__ == "__main__":
    sys.exit(main())
