"""Context: what it costs a browser's hit that it is kept for events without a browser.

    python -m benchmarks.context [--connections 64] [--rounds 5] [--folder DISK]

The same server with the outbox in sqlite, in turns: without `context:`, with it (each hit of the load is a
purchase with consent, so two rows are written for it: client id and order), and with it where no client is
one of browsers (what the seam alone costs). CPU is that of the process with its threads. At 1,000 hits a
second and at what the load brings: what comes within 100 ms is written in one transaction.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks.contenders import CONTAINER, OTHER_CORES, Contender, started_sgtm
from benchmarks.interleaved import ratio
from benchmarks.load import compare

OTHER = "- {name: Shop, type: json, priority: -1, parameters: {paths: [/orders], adds_request_data: false}}\n"
IDLE = "context: {browser_clients: [Shop], server_clients: [Shop 2]}\n"
KEPT = "context: {browser_clients: [GA4], server_clients: [Shop]}\n"
SECOND = (
    "- {name: Shop 2, type: json, priority: -2, parameters: {paths: [/more], adds_request_data: false}}\n"
)


def contenders_in(stack: ExitStack, folder: Path) -> list[Contender]:
    """The yardstick first."""
    base = CONTAINER.rstrip() + "\n" + OTHER + SECOND
    made = []
    for name, more in (("no context", ""), ("context, no browser", IDLE), ("each hit kept", KEPT)):
        flags = ["--outbox", "sqlite", "--data-folder", str(folder / name.replace(" ", "-"))]
        made.append(stack.enter_context(started_sgtm(name, base + more, None, flags)))
    return made


def main() -> int:
    """Run the comparison; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the data lie; default: the folder for temporary files")
    options = parser.parse_args()
    options.preflight_every = 0
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        folder = Path(options.folder or stack.enter_context(tempfile.TemporaryDirectory()))
        contenders = contenders_in(stack, folder)
        uvloop.run(compare(contenders, options))
    print(f"{'':20}{'us/hit':>9}{'x first':>9}{'hits/s':>9}{'hits':>9}{'wrong':>7}")
    for one in contenders:
        print(
            f"{one.name:20}{statistics.median(one.cpu_us):9.1f}{ratio(one.cpu_us, contenders[0].cpu_us):9.2f}"
            f"{statistics.median(one.rates):9.0f}{one.hits:9}{one.wrong:7}"
        )
    return int(any(one.wrong or not one.hits for one in contenders))


if __name__ == "__main__":
    sys.exit(main())
