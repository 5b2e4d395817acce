"""Load: servers side by side in one run, as ratios. A machine is noisy, so contenders take turns in
short shuffled rounds and the median counts.

    python benchmarks/load.py                                # ours and a bare aiohttp answering 204
    python benchmarks/load.py --contender node=http://127.0.0.1:9000 --seconds 2 --rounds 9

Every answer is read and judged; a wrong one makes the run fail. CPU (user + system, us a hit) is
that of the server's process, known for those that are started here. Servers run on the first core,
the load on the others.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from aiohttp import web
from msgspec import Struct, field

ROOT = Path(__file__).parent.parent
CONTAINER = """\
sgtm: 1
name: benchmark
clients:
  - {name: GA4, type: ga4}
"""
BROWSER = (
    "Host: 127.0.0.1\r\nConnection: keep-alive\r\n"
    'sec-ch-ua: "Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0\r\n"
    "Accept: */*\r\nOrigin: https://shop.example\r\nReferer: https://shop.example/\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: _ga=GA1.1.1234567890.1763000000; _ga_ABC123=GS2.1.s1763900000$o3$g1$t1763900100$j60$l0$h0\r\n"
)


class Contender(Struct):
    """A server that takes part, and what was measured."""

    name: str
    url: str
    process: int | None = None
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    hits: int = 0
    wrong: int = 0


def make_hits(count: int, seed: int = 1) -> list[bytes]:
    """GA4 purchase hits of about 0.9 KB with browser headers; every visitor differs."""
    chance = random.Random(seed)
    hits = []
    for number in range(count):
        query = (
            f"v=2&tid=G-ABC123&gtm=45je4b1v9&_p={chance.randrange(10**9)}&gcd=13l3l3l3l1l1&npa=0&dma=0"
            f"&cid={chance.randrange(10**9)}.{chance.randrange(10**9)}&ul=en-gb&sr=1920x1080&_s={number}"
            f"&sid=17639{chance.randrange(10**5):05}&sct=3&seg=1&dl=https%3A%2F%2Fshop.example%2Fthanks%3Fo%3D7"
            "&dt=Thank%20you&en=purchase&cu=EUR&epn.value=99.9&ep.transaction_id=T-1001"
            "&pr1=idSKU1~nmBlue%20shirt~pr49.95~qt2~brAcme~caShirts&_et=1200"
        )
        hits.append(f"GET /g/collect?{query} HTTP/1.1\r\n{BROWSER}\r\n".encode())
    return hits


class Visitor(asyncio.Protocol):
    """One kept connection: a hit, its answer, the next hit, until the time is over."""

    def __init__(self, hits: Iterator[bytes], until: float, latencies: list[float]) -> None:
        self._hits, self._until, self._latencies = hits, until, latencies
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answered = self.wrong = 0
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or len(rest) < _content_length(head):
            return
        self._buffer = b""
        self.answered += 1
        self.wrong += not head.startswith(b"HTTP/1.1 204")
        self._latencies.append((time.perf_counter() - self._sent_at) * 1000)
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
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


async def run_round(contender: Contender, hits: list[bytes], connections: int, seconds: float) -> None:
    """One round against one contender."""
    parts = urlsplit(contender.url)
    cpu = _cpu_seconds(contender.process)
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    make = partial(Visitor, _forever(hits), started + seconds, contender.latencies_ms)
    connected = [
        await loop.create_connection(make, parts.hostname or "", parts.port or 80) for _ in range(connections)
    ]
    visitors = [visitor for _, visitor in connected]
    async with asyncio.timeout(seconds + 10):
        await asyncio.gather(*(visitor.done for visitor in visitors))
    took = time.perf_counter() - started
    answered = sum(visitor.answered for visitor in visitors)
    contender.hits += answered
    contender.wrong += sum(visitor.wrong for visitor in visitors)
    contender.rates.append(answered / took)
    if contender.process is not None and answered:
        contender.cpu_us.append((_cpu_seconds(contender.process) - cpu) / answered * 1e6)


def _forever(hits: list[bytes]) -> Iterator[bytes]:
    while True:
        yield from hits


def _cpu_seconds(process: int | None) -> float:
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- contenders that are started here ------------------------------------------------------------


@contextmanager
def started(name: str, command: Sequence[str]) -> Iterator[Contender]:
    """A server process on the first core, that says its address as `url` in its first lines."""
    core = min(os.sched_getaffinity(0))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        yield Contender(name, _read_url(process), process.pid)
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


def serve_bare() -> None:
    """The yardstick: an aiohttp Application that answers 204 and does nothing else."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=204)

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/g/collect", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()

    uvloop.run(main())


# -- the run -------------------------------------------------------------------------------------


async def compare(contenders: list[Contender], options: argparse.Namespace) -> None:
    """All rounds; each contender meets a short warm-up first."""
    hits = make_hits(512)
    for contender in contenders:
        await run_round(contender, hits, options.connections, 0.2)
        contender.rates, contender.cpu_us, contender.latencies_ms = [], [], []
        contender.hits = contender.wrong = 0
    for _ in range(options.rounds):
        for contender in random.sample(contenders, len(contenders)):
            await run_round(contender, hits, options.connections, options.seconds)


def report(contenders: list[Contender]) -> None:
    """A table; ratios are to the first contender."""
    yardstick = contenders[0]
    print("contender                  hits/s     x   CPU us     x  p50 ms  p99 ms     hits  wrong")
    for contender in contenders:
        rate = statistics.median(contender.rates)
        cpu = statistics.median(contender.cpu_us) if contender.cpu_us else 0.0
        base_cpu = statistics.median(yardstick.cpu_us) if yardstick.cpu_us else 0.0
        ordered = sorted(contender.latencies_ms)
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        print(
            f"{contender.name:24}{rate:9.0f}{rate / statistics.median(yardstick.rates):6.2f}"
            f"{cpu:9.1f}{cpu / base_cpu if base_cpu else 0:6.2f}{p50:8.2f}{p99:8.2f}"
            f"{contender.hits:9}{contender.wrong:7}"
        )


def main() -> int:
    """Run the comparison; 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--contender", action="append", default=[], metavar="NAME=URL", help="a running server"
    )
    parser.add_argument("--container", type=Path, help="container.yaml for our server; default: GA4, no tags")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        serve_bare()
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(started("bare aiohttp 204", [sys.executable, __file__, "--serve-bare"]))
        ]
        path = options.container
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "container.yaml"
            path.write_text(CONTAINER)
        ours = [sys.executable, "-m", "sgtm", "serve", str(path.absolute())]
        flags = ["--host", "127.0.0.1", "--port", "0", "--drain-delay-s", "0", "--log-format", "json"]
        contenders.append(stack.enter_context(started("sgtm", [*ours, *flags])))
        for text in options.contender:
            name, _, url = text.partition("=")
            contenders.append(Contender(name, url))
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[1:] or cores))
        uvloop.run(compare(contenders, options))
        report(contenders)
    return int(any(contender.wrong or not contender.hits for contender in contenders))


if __name__ == "__main__":
    sys.exit(main())
