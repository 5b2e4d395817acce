"""Scaling: workers, memory and the start.

    python -m benchmarks.scaling [--rounds 5] [--backlog 100000]

- one and two workers at 128 connections, both on all cores: hits a second, and CPU of a hit. With two cores
  the load takes one of them, so that twice the hits cannot show; that a hit costs no more CPU with two
  workers can, and what two would do on cores of their own follows from it (`x one worker`).
- resident memory of a worker: idle, under load with two vendors, and with so many hits that wait for vendors
  that nobody can reach
- the time from the start of the process to its first answer on /readyz
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from contextlib import ExitStack
from urllib.error import URLError
from urllib.request import urlopen

import uvloop
from msgspec import Struct

from benchmarks.contenders import CONTAINER, OTHER_CORES, TAGS, Contender, started_sgtm
from benchmarks.hits import make_hits, wire_of
from benchmarks.interleaved import ratio, turns
from benchmarks.load import run_round
from benchmarks.results import save
from benchmarks.stand_in import started_stand_in

LIMIT_S = 200.0
SETTLE_S = 20.0


class Row(Struct):
    """One figure."""

    what: str
    value: float
    unit: str
    x_one_worker: float | None = None


async def compare_workers(contenders: list[Contender], options: argparse.Namespace) -> list[Row]:
    """One against two."""
    hits = [wire_of(hit) for hit in make_hits(500)]
    for contender in contenders:
        await run_round(contender, hits, 128, 0.5)
        contender.forget()
    for contender in turns(contenders, options.rounds, "workers", LIMIT_S):
        await run_round(contender, hits, 128, 1.0)
    one, two = contenders
    return [
        Row("one worker", statistics.median(one.rates), "hits/s", 1.0),
        Row("two workers", statistics.median(two.rates), "hits/s", ratio(two.rates, one.rates)),
        Row("one worker", statistics.median(one.cpu_us), "CPU us a hit", 1.0),
        Row("two workers", statistics.median(two.cpu_us), "CPU us a hit", ratio(two.cpu_us, one.cpu_us)),
    ]


def start_s(rounds: int) -> float:
    """Median time from the start to ready."""
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        with started_sgtm("start", CONTAINER) as contender:
            while not _is_ready(contender.url):
                time.sleep(0.002)
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError):
        return False


async def fill(contender: Contender, most: int) -> int:
    """Send hits until so many wait."""
    hits, sent = [wire_of(hit) for hit in make_hits(500)], 0
    while sent < most:
        before = contender.hits
        await run_round(contender, hits, 64, 2.0)
        sent += contender.hits - before
        print(f"\rbacklog: {sent:,} of {most:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return sent


async def memory_rows(stack: ExitStack, backlog: int) -> list[Row]:
    """Idle, loaded, with a backlog."""
    hits = [wire_of(hit) for hit in make_hits(500)]
    vendor = stack.enter_context(started_stand_in(100))
    tags = TAGS.replace("VENDOR", vendor.url)
    busy = stack.enter_context(started_sgtm("busy", CONTAINER + tags, vendor, more=()))
    rows = [Row("a worker, idle", busy.memory_mb(), "MB")]
    for _ in range(3):
        await run_round(busy, hits, 64, 1.0)
    rows.append(Row("a worker, loaded, vendors of 100 ms", busy.memory_mb(), "MB"))
    nobody = CONTAINER + TAGS.replace("VENDOR", "http://127.0.0.1:9")
    waiting = stack.enter_context(started_sgtm("backlog", nobody, more=()))
    before = waiting.memory_mb()
    sent = await fill(waiting, backlog)
    await asyncio.sleep(
        SETTLE_S
    )  # until the lanes have given up their vendors, and handed back what they held
    rows.append(Row("the same before a backlog", before, "MB"))
    rows.append(Row(f"with {sent:,} hits that wait", waiting.memory_mb(), "MB"))
    return rows


def main() -> int:
    """Run it; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backlog", type=int, default=100_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(
                started_sgtm(
                    f"{workers} workers",
                    CONTAINER,
                    more=("--outbox", "memory", "--workers", str(workers)),
                    core=None,
                )
            )
            for workers in (1, 2)
        ]
        rows = uvloop.run(compare_workers(contenders, options))
    with ExitStack() as stack:
        rows += uvloop.run(memory_rows(stack, options.backlog))
    rows.append(Row("from start to ready", start_s(options.rounds), "s"))
    for row in rows:
        times = f"{row.x_one_worker:8.2f} x" if row.x_one_worker is not None else ""
        print(f"{row.what:40}{row.value:10.2f} {row.unit:14}{times}")
    save("scaling", rows, sys.argv[1:])
    return int(any(contender.wrong or not contender.hits for contender in contenders))


if __name__ == "__main__":
    sys.exit(main())
