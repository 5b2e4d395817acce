"""Hostile templates: what each program of reliability 4.3 costs in a running server, and the others by it.

    python -m benchmarks.hostile [--runs 5] [--rounds 6] [--seconds 8] [--rate 300] [--hostile 0.25]

All programs of `tests/hostile_programs.py` are tags and clients of one container. First each runs alone, some
times over: how it ended (from the server's metrics; which error exactly is told by
`tests/end_to_end/test_hostile_templates.py`), and the processor's time of the whole server process for one
hit, answer and dead letter included. Then memory, before and after all have run some times more. Last,
hits of GA4 come at a steady rate, in turns without and with hostile hits in between: p99 of their answers,
counted from when they were due, and p99 of a tag of ours until the vendor has its request.

Templates run on the event loop, so what a run takes everybody else waits for: p99 moves as soon as hostile
hits times what they cost is near one part in a hundred. `--hostile` is how many of them come a second.

Sources and files of families 32 and 33 are refused when they are read, before any hit, once: their figures
are the processor's time of reading up to two million characters. Family 35 is a property of values, too.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from urllib.request import Request, urlopen

import aiohttp
import uvloop
import yaml
from msgspec import Struct

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hostile_programs import FILES, SOURCES, container_of, named

from benchmarks.contenders import OTHER_CORES, Contender, family, started_sgtm
from benchmarks.hits import make_hits, wire_of
from benchmarks.interleaved import turns
from benchmarks.latency import at_rate
from benchmarks.results import save
from benchmarks.stand_in import Arrived, StandIn
from sgtm.templates.reader import TemplateFileError, read_template
from sgtm.templates.script import Script
from sgtm.templates.syntax import ScriptSyntaxError

LIMIT_S = 240.0
ALLOWED_MS, ALLOWED_MB = 60.0, 5.0
MARK = b"ep.sent="


class Row(Struct):
    """A program of a family, or one of the last rows: what it is, how it ended, a figure and its unit."""

    name: str
    family: str
    ended: str
    value: float
    unit: str
    wrong: int


class Vendor(StandIn):
    """A vendor in this very process, so that its clock is that of the hits."""

    late_ms: list[float]

    def _answer(self, request: bytes, line: bytes) -> None:
        super()._answer(request, line)
        begin = request.find(b'"sent":')
        if begin >= 0:
            sent = int(request[begin + 7 :].split(b"}")[0].strip(b'" '))
            self.late_ms.append((time.perf_counter_ns() - sent) / 1e6)


class Server:
    """The server, and what its admin listener tells."""

    def __init__(self, contender: Contender, data_folder: Path) -> None:
        self.contender = contender
        self._admin = (data_folder / "admin-url").read_text().strip()
        self._token = (data_folder / "admin-token").read_text().strip()
        assert contender.process is not None
        self._clocks = [(~process << 3) | 2 for process in family(contender.process)]

    def cpu_ms(self) -> float:
        """Of its processes so far, to the nanosecond (the scheduler's clock of another process)."""
        return sum(time.clock_gettime(clock) for clock in self._clocks) * 1000

    def metrics(self) -> dict[str, float]:
        """Those of templates."""
        request = Request(f"{self._admin}/metrics", headers={"Authorization": f"Bearer {self._token}"})
        with urlopen(request, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line.startswith("sgtm_template_"))
        return {name: float(value) for name, _, value in pairs}

    async def run(self, session: aiohttp.ClientSession, name: str) -> bool:
        """One hit that runs a program. Whether it was answered as it should be."""
        path = f"/hostile/{name}" if name[0] == "c" else "/hostile"
        async with session.post(self.contender.url + path, json={"event_name": name}) as answer:
            await answer.read()
            return answer.status < 300 or name[0] == "c"


def container(vendor: str) -> str:
    """The hostile programs, and what everybody has: a GA4 client and a tag of ours."""
    written = container_of(vendor)
    written["clients"].append({"name": "GA4", "type": "ga4"})
    written["variables"] = [{"name": "Sent", "type": "event_data", "parameters": {"key_path": "sent"}}]
    written["triggers"].append({"name": "Plain", "type": "custom_event", "event_names": ["purchase"]})
    body = {"json": {"sent": "{{Sent}}"}}
    plain = {"name": "Plain", "type": "http_request", "parameters": {"url": f"{vendor}/plain", "body": body}}
    written["tags"].append(plain | {"firing_triggers": ["Plain"]})
    text: str = yaml.safe_dump(written)
    return text


def stamped() -> Iterator[bytes]:
    """Hits without end, each with the moment at which it was written."""
    for hit in cycle(make_hits(500)):
        yield wire_of(hit + b"&%s%d" % (MARK, time.perf_counter_ns()))


# -- each alone ------------------------------------------------------------------------------------


async def alone(server: Server, session: aiohttp.ClientSession, runs: int) -> list[Row]:
    """Each program, some times over."""
    rows = []
    for at, (name, program) in enumerate(named().items()):
        print(f"\rhostile: program {at + 1} of {len(named())}", end="", file=sys.stderr, flush=True)
        before, cpu = server.metrics(), server.cpu_ms()
        taken = []
        is_right = True
        for _ in range(runs):
            cpu = server.cpu_ms()
            is_right &= await server.run(session, name)
            await asyncio.sleep(0.02)
            taken.append(server.cpu_ms() - cpu)
        after = server.metrics()
        grown = [key for key, value in after.items() if value > before.get(key, 0.0)]
        limits = [key.partition("limit=")[2].strip('"}') for key in grown if "_limits_total" in key]
        has_failed = any("_failures_total" in key for key in grown)
        ended = " ".join(limits) or ("failed" if has_failed else "harmless")
        expected = {program.ends, "cpu_ms"} if limits else {program.ends or ended}
        is_right &= bool(program.ends) == has_failed
        is_right &= set(limits) <= expected
        rows.append(Row(name, str(program.family), ended, statistics.median(taken), "ms", int(not is_right)))
    print(file=sys.stderr)
    return rows


def refused(sources: list[str], read: Callable[[str], object], number: int) -> Iterator[Row]:
    """Families 32 and 33: the processor's time until they are refused."""
    for at, source in enumerate(sources):
        began, is_refused = time.thread_time(), False
        try:
            read(source)
        except (ScriptSyntaxError, TemplateFileError):
            is_refused = True
        taken = (time.thread_time() - began) * 1000
        yield Row(f"s{number}-{at}", str(number), "refused", taken, "ms", int(not is_refused))


# -- beside others ---------------------------------------------------------------------------------


async def disturb(server: Server, session: aiohttp.ClientSession, names: Iterator[str], rate: float) -> None:
    """Hostile hits, one program after the other, until it is cancelled."""
    for name in names:
        with suppress(aiohttp.ClientError):
            await server.run(session, name)
        await asyncio.sleep(1 / rate)


async def beside(server: Server, session: aiohttp.ClientSession, options: argparse.Namespace) -> list[Row]:
    """p99 of answers and of deliveries, in turns without and with hostile hits."""
    found: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    hits, wrong = stamped(), 0
    names = cycle(random.Random(14).sample(list(named()), len(named())))
    for number, way in enumerate(turns(list(found), options.rounds, "hostile", LIMIT_S)):
        Vendor.late_ms = []
        task = None
        if way == "with":
            task = asyncio.ensure_future(disturb(server, session, names, options.hostile))
        row = await at_rate(server.contender, options.rate, options.seconds, hits, number)
        await asyncio.sleep(0.3)
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        late = sorted(Vendor.late_ms)
        wrong += row.wrong + abs(row.hits - len(late))
        found[way].append((row.p99_ms, late[int(len(late) * 0.99)]))
    rows = []
    for index, what in enumerate(("p99 of answers", "p99 until the vendor has it")):
        middle = {way: statistics.median(one[index] for one in ones) for way, ones in found.items()}
        times = statistics.median(
            bad[index] / good[index] for good, bad in zip(found["without"], found["with"], strict=True)
        )
        rows += [Row(f"{what}, {way}", "", "", value, "ms", wrong) for way, value in middle.items()]
        rows.append(Row(f"{what}, with / without", "", "", times, "x", 0))
    return rows


async def memory(server: Server, session: aiohttp.ClientSession, runs: int) -> list[Row]:
    """What stays when all have run some times more."""
    before = server.contender.memory_mb()
    for number in range(runs):
        print(f"\rhostile: memory, pass {number + 1} of {runs}", end="", file=sys.stderr, flush=True)
        for name in named():
            await server.run(session, name)
    print(file=sys.stderr)
    await asyncio.sleep(1)
    grown = server.contender.memory_mb() - before
    return [Row(f"memory after {runs} passes, grown by", "", "", grown, "MB", int(grown > ALLOWED_MB))]


async def measure(folder: Path, options: argparse.Namespace) -> list[Row]:
    """All of it."""
    Vendor.late_ms = []
    loop = asyncio.get_running_loop()
    arrived = Arrived()
    listening = await loop.create_server(lambda: Vendor(0.0, arrived, {}), "127.0.0.1", 0)
    vendor = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    with started_sgtm("sgtm", container(vendor), more=(), data_folder=folder) as contender:
        server = Server(contender, folder)
        async with aiohttp.ClientSession() as session:
            rows = await alone(server, session, options.runs)
            rows += refused(SOURCES, Script, 32)
            rows += refused(FILES, read_template, 33)
            rows += await memory(server, session, options.runs)
            rows += await beside(server, session, options)
            async with session.get(f"{contender.url}/g/collect?{make_hits(1)[0].decode()}") as answer:
                rows.append(Row("the worker lives", "", "", answer.status, "", int(answer.status >= 300)))
    listening.close()
    return rows


def main() -> int:
    """Run it; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="of each program alone, and passes for memory")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one round")
    parser.add_argument("--rate", type=float, default=300.0, help="hits of GA4 a second")
    parser.add_argument("--hostile", type=float, default=0.25, help="hostile hits a second")
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with tempfile.TemporaryDirectory() as folder:
        rows = uvloop.run(measure(Path(folder), options))
    for row in rows:
        print(f"{row.name:42}{row.family:>4} {row.ended:18}{row.value:9.2f} {row.unit:3}{row.wrong:5}")
    runs = [row for row in rows if row.name in named()]
    dear = [row.name for row in runs if row.value > ALLOWED_MS]
    print(f"dearer than {ALLOWED_MS:.0f} ms: {', '.join(dear) or 'none'}")
    save("hostile", rows, sys.argv[1:])
    return int(any(row.wrong for row in rows) or bool(dear))


if __name__ == "__main__":
    sys.exit(main())
