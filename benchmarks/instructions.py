"""Instructions per hit, counted by callgrind, against a committed budget: noise of the machine has no say.

`python -m benchmarks.instructions [--update] [NAME ...]`

Each workload runs N and then 3N times under valgrind; the difference divided by 2N is one run without
start-up. instructions.json holds a budget for each minor version of Python; a count that leaves it by more
than 2 %, up or down, fails: better news belongs into the file too, with `--update`. A run that did not
succeed is never taken for a count: its exit status and its output are checked (a crash is cheap).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.hits import make_hits, page_view
from sgtm._fast.collect import add_request_data, parse_collect

BUDGET = Path(__file__).with_suffix(".json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TOLERANCE = 0.02
RUNS = 500
HEADERS = (
    (b"host", b"sst.shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/136.0.0.0 Safari/537.36"),
    (b"sec-ch-ua", b'"Chromium";v="136", "Google Chrome";v="136", "Not.A/Brand";v="99"'),
    (b"sec-ch-ua-mobile", b"?0"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (b"accept", b"*/*"),
)


def _parse(hits: list[bytes]) -> Callable[[int], bool]:
    def run(count: int) -> bool:
        events = []
        for number in range(count):
            events = parse_collect(hits[number % len(hits)], b"")
        return len(events) == 1 and "event_name" in events[0]

    return run


def _batch(count: int) -> bool:
    url, body = b"&".join(make_hits(1)[0].split(b"&")[:24]), b"\r\n".join([b"en=scroll&epn.x=90&_et=11"] * 5)
    events = []
    for _ in range(count):
        events = parse_collect(url, body)
    return len(events) == 5


def _request_data(count: int) -> bool:
    events = parse_collect(make_hits(1)[0], b"")
    for _ in range(count):
        add_request_data(events, HEADERS, "203.0.113.9", 1_764_000_000_000_000)
    return "ip_override" in events[0]


WORKLOADS: dict[str, Callable[[int], bool]] = {
    "parse purchase": _parse(make_hits(20)),
    "parse page_view": _parse(make_hits(20, shape=page_view)),
    "parse batch of five": _batch,
    "add request data": _request_data,
}
"""Name -> function that does the work `count` times and says whether it came out right."""


def count_instructions(name: str, runs: int) -> int:
    """Instructions of one process that does workload `name` `runs` times."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable]
        finished = subprocess.run(
            [*command, "-m", "benchmarks.instructions", "--run", name, str(runs)],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"Collected : (\d+)", finished.stderr)
    if finished.returncode or finished.stdout != f"right {runs}\n" or not found:
        raise SystemExit(f"{name}: the run failed, there is no count\n{finished.stdout}{finished.stderr}")
    return int(found[1])


def measure(name: str) -> int:
    """Instructions of one run of a workload."""
    return (count_instructions(name, 3 * RUNS) - count_instructions(name, RUNS)) // (2 * RUNS)


def main() -> int:
    """Measure, compare with the budget or update it; 1 if a count left its budget."""
    parser = argparse.ArgumentParser(description="instructions per hit against the budget")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--update", action="store_true", help="write the counts as the new budget")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "COUNT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        name, runs = arguments.run[0], int(arguments.run[1])
        print(f"{'right' if WORKLOADS[name](runs) else 'wrong'} {runs}")
        return 0
    budgets = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    budget = budgets.setdefault(PYTHON, {})
    is_kept = True
    for name in arguments.names or WORKLOADS:
        count = measure(name)
        change = count / budget[name] - 1 if name in budget else float("inf")
        is_kept &= abs(change) <= TOLERANCE
        print(f"{name:22} {count:9,} instructions, budget {budget.get(name, 0):9,}  {change:+.1%}")
        if arguments.update:
            budget[name] = count
    if arguments.update:
        BUDGET.write_text(json.dumps(budgets, indent=2) + "\n")
        return 0
    return int(not is_kept)


if __name__ == "__main__":
    sys.exit(main())
