"""Load: servers side by side in one run, with and without the work that a tag manager is there for.

    python -m benchmarks.load                       # all of the table below, in about a minute
    python -m benchmarks.load --connections 16 --preflight-every 20 --vendor-ms    # as a proxy mixes requests
    python -m benchmarks.load --contender node=http://127.0.0.1:9000 --seconds 2 --rounds 9

Contenders take turns in short rounds: a bare aiohttp Application that answers 204; a protocol that answers
204 to whatever comes; ours without tags, also without the edge; the
whole job (a hit in, one request to each of two vendors out) the plain way (`yardsticks.py`) and ours, with
vendors that answer at once and after 50 ms. A round is over when the last request owed to a vendor has
arrived; hits a second and CPU (user + system, us a hit, of the server's process) count until then.

Every answer is read and judged, and every request owed to the vendors is counted: one that is wrong, lost
or doubled makes the run fail. Servers run on the first core, the load and the vendors on the others.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct, field

from benchmarks.hits import make_hits, wire_of
from benchmarks.interleaved import ratio, turns
from benchmarks.stand_in import Arrived, StartedStandIn, started_stand_in

ROOT = Path(__file__).parent.parent
LIMIT_S = 90.0
PREFLIGHT = (
    b"OPTIONS /g/collect HTTP/1.1\r\nHost: sst.shop.example\r\nOrigin: https://www.shop.example\r\n"
    b"Access-Control-Request-Method: POST\r\n\r\n"
)
CONTAINER = """\
sgtm: 1
name: benchmark
consent: {unset: denied, gate: all}
clients:
- {name: GA4, type: ga4}
"""
TAGS = """\
tags:
- name: GA4
  type: ga4
  firing_triggers: [All Events]
  parameters: {endpoint: "VENDOR"}
- name: Meta
  type: meta_conversions
  firing_triggers: [All Events]
  parameters: {endpoint: "VENDOR", pixel_id: "1234567890", access_token: "${META_ACCESS_TOKEN}"}
"""


class Contender(Struct):
    """A server that takes part, and what was measured."""

    name: str
    url: str
    process: int | None = None
    vendor: StartedStandIn | None = None
    """Who gets two requests for each hit; None: nobody."""
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    hits: int = 0
    wrong: int = 0
    """Answers that were not right, and requests to vendors that were lost or doubled."""

    def forget(self) -> None:
        """The warm-up does not count."""
        self.rates, self.cpu_us, self.latencies_ms, self.hits = [], [], [], 0


class Visitor(asyncio.Protocol):
    """One kept connection: a hit, its answer, the next hit, until the time is over."""

    def __init__(self, hits: Iterator[bytes], until: float, latencies: list[float]) -> None:
        self._hits, self._until, self._latencies = hits, until, latencies
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
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or len(rest) < _content_length(head):
            return
        self._buffer = b""
        self.answered += 1
        self.wrong += not head.startswith(b"HTTP/1.1 204")
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


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    return int(lower[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def run_round(contender: Contender, hits: Sequence[bytes], connections: int, seconds: float) -> None:
    """One round against one contender, until everything that it owes has arrived."""
    parts = urlsplit(contender.url)
    before = contender.vendor.arrived() if contender.vendor else Arrived()
    cpu, started = _cpu_seconds(contender.process), time.perf_counter()
    loop = asyncio.get_running_loop()
    make = partial(Visitor, cycle(hits), started + seconds, contender.latencies_ms)
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
        contender.cpu_us.append((_cpu_seconds(contender.process) - cpu) / answered * 1e6)


def _cpu_seconds(process: int | None) -> float:
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- contenders that are started here ------------------------------------------------------------


@contextmanager
def started(name: str, *command: str, vendor: StartedStandIn | None = None) -> Iterator[Contender]:
    """A server process on the first core, that says its address in its first lines."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "META_ACCESS_TOKEN": "a-token-for-the-stand-in"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        yield Contender(name, _read_url(process), process.pid, vendor)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _read_url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        at = line.find("http://127.0.0.1:")
        if at >= 0:
            threading.Thread(target=process.stderr.read, daemon=True).start()  # the pipe never fills
            return line[at:].split('"')[0].split()[0]
    raise SystemExit(f"{process.args!r} did not start")


@contextmanager
def started_sgtm(
    name: str,
    container: str,
    vendor: StartedStandIn | None = None,
    more: Sequence[str] = ("--outbox", "memory"),
) -> Iterator[Contender]:
    """Our server, as `sgtm serve` runs it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "container.yaml")
        path.write_text(container)
        flags = ["--host", "127.0.0.1", "--port", "0", "--drain-delay-s", "0", "--log-format", "json"]
        flags += ["--no-admin"]
        flags += ["--egress-allow", "127.0.0.1"]  # the stand-in
        with started(name, "sgtm", "serve", str(path), *flags, *more, vendor=vendor) as contender:
            yield contender


def start_all(stack: ExitStack, options: argparse.Namespace) -> list[Contender]:
    """Everybody who takes part."""
    enter = stack.enter_context
    contenders = [
        enter(started("bare aiohttp, 204", "benchmarks.yardsticks", "bare")),
        enter(started("canned answer, uvloop", "benchmarks.yardsticks", "canned")),
        enter(started_sgtm("sgtm, no tags", CONTAINER)),
        enter(started_sgtm("sgtm, --edge off", CONTAINER, more=("--outbox", "memory", "--edge", "off"))),
    ]
    if options.container is not None:
        contenders.append(enter(started_sgtm("sgtm, your container", options.container.read_text())))
    for text in options.contender:
        name, _, url = text.partition("=")
        contenders.append(Contender(name, url))
    for delay_ms in options.vendor_ms:
        vendor = enter(started_stand_in(delay_ms))
        plain = started(f"plain, {delay_ms} ms", "benchmarks.yardsticks", "plain", vendor.url, vendor=vendor)
        contenders.append(enter(plain))
        container = CONTAINER + TAGS.replace("VENDOR", vendor.url)
        contenders.append(enter(started_sgtm(f"sgtm, {delay_ms} ms", container, vendor)))
    return contenders


# -- the run -------------------------------------------------------------------------------------


async def compare(contenders: list[Contender], options: argparse.Namespace) -> None:
    """All rounds; each contender meets a short warm-up first."""
    hits = [wire_of(hit) for hit in make_hits(500)]
    if options.preflight_every:
        hits[:: options.preflight_every] = [PREFLIGHT] * len(hits[:: options.preflight_every])
    for contender in contenders:
        await run_round(contender, hits, options.connections, 0.3)
        contender.forget()
    for contender in turns(contenders, options.rounds, "load", LIMIT_S):
        await run_round(contender, hits, options.connections, options.seconds)


def report(contenders: list[Contender]) -> None:
    """A table: medians, and ratios within the same rounds to the bare server and to the plain way."""
    bare = contenders[0]
    plain: Contender | None = None
    print(f"{'':24}{'hits/s':>8}{'x bare':>8}{'x plain':>8}{'CPU us':>9}{'x bare':>8}{'x plain':>8}", end="")
    print(f"{'p50 ms':>8}{'p99 ms':>8}{'hits':>9}{'wrong':>7}")
    for contender in contenders:
        if contender.name.startswith("plain"):
            plain = contender
        row = f"{contender.name:24}{statistics.median(contender.rates):8.0f}"
        row += _ratios(contender.rates, bare.rates, plain.rates if plain else [])
        row += f"{statistics.median(contender.cpu_us):9.0f}" if contender.cpu_us else f"{'-':>9}"
        row += _ratios(contender.cpu_us, bare.cpu_us, plain.cpu_us if plain else [])
        ordered = sorted(contender.latencies_ms)
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        print(f"{row}{p50:8.1f}{p99:8.1f}{contender.hits:9}{contender.wrong:7}")


def _ratios(mine: list[float], *yardsticks: list[float]) -> str:
    """`mine` to each yardstick, where both were measured."""
    return "".join(f"{ratio(mine, its):8.2f}" if mine and its else f"{'-':>8}" for its in yardsticks)


def main() -> int:
    """Run the comparison; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--contender", action="append", default=[], metavar="NAME=URL", help="a running server"
    )
    parser.add_argument("--container", type=Path, help="container.yaml of another server of ours")
    parser.add_argument("--vendor-ms", type=int, nargs="*", default=[0, 50], help="delays of the vendors")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--preflight-every", type=int, default=0, help="so many requests are one of OPTIONS")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        contenders = start_all(stack, options)
        uvloop.run(compare(contenders, options))
        report(contenders)
    return int(any(contender.wrong or not contender.hits for contender in contenders))


_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORES = _CORES[0], set(_CORES[1:] or _CORES)

if __name__ == "__main__":
    sys.exit(main())
