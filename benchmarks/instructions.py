"""Instructions per hit, counted by callgrind, against a committed budget: noise of the machine has no say.

`python -m benchmarks.instructions [--update] [--ledger] [WORKLOAD ...]`

One process under valgrind does everything: each workload first a few times unseen, so that the interpreter
has settled on its code, then between two calls of `sched_yield`, at which callgrind writes down what it
has counted. instructions.json holds a budget for each kind of Python (below). A count of the compiled core
that leaves its budget by more than 2 %, up or down, fails: better news belongs into the file too, with
`--update`. The pipeline's counts are shown beside theirs: they move with the libraries' versions as well.
A workload that did not come out right is never taken for a count.

`--ledger` counts what runs on an event loop as well; that has no budget, since it depends on timing.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import uvloop

from benchmarks.stand_in import started_stand_in
from benchmarks.workloads import compiled, looped, pipelines

BUDGET = Path(__file__).with_suffix(".json")
TOLERANCE = 0.02
UNSEEN = 20
TIMEOUT_S = 300


def kind_of_python() -> str:
    """What decides how many instructions the interpreter takes: version, processor, how it was built."""
    levels = re.findall(r"-O[0-9s]", sysconfig.get_config_var("OPT") or "")
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    built = [word for word in ("enable-optimizations", "with-lto") if word in options]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return " ".join([version, platform.machine(), *levels[-1:], *built])


# -- inside valgrind ----------------------------------------------------------------------------


def run_workloads(names: list[str], vendor: str) -> None:
    """Do the workloads of these names (none: all) and say of each whether it came out right.

    With a `vendor` also what runs on a loop."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    for workload in chain(compiled(), pipelines(), looped(loop, vendor) if vendor else ()):
        if not names or workload.name in names:
            times = workload.times
            is_right = all(workload.run() for _ in range(min(UNSEEN, times)))
            is_right &= _counted(workload.run, times)
            print(json.dumps([workload.name, times * workload.hits, is_right]))


def _counted(run: Callable[[], bool], times: int) -> bool:
    is_right = True
    os.sched_yield()
    for _ in range(times):
        is_right &= run()
    os.sched_yield()
    return is_right


# -- around it ----------------------------------------------------------------------------------


def count(names: list[str], vendor: str) -> Iterator[tuple[str, int]]:
    """(name, instructions of one hit) of each workload."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--dump-before=sched_yield"]
        command += [f"--callgrind-out-file={folder}/out", sys.executable, "-m", "benchmarks.instructions"]
        finished = subprocess.run(
            [*command, "--run", vendor, *names],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if finished.returncode:
            raise SystemExit(f"the run failed, there are no counts\n{finished.stdout}{finished.stderr}")
        for number, line in enumerate(finished.stdout.splitlines()):
            name, times, is_right = json.loads(line)
            if not is_right:
                raise SystemExit(f"{name}: came out wrong, there is no count")
            # dump 1 is what came before the first workload, 2 the workload, 3 what came between, ...
            dump = Path(folder, f"out.{2 * number + 2}").read_text()
            yield name, int(re.findall(r"^totals: ([0-9]+)", dump, re.M)[0]) // times


def is_of_core(name: str) -> bool:
    """Whether the workload runs the compiled core alone."""
    return not name.startswith(("pipeline ", "- "))


def judge(counts: list[tuple[str, int]], budget: dict[str, int]) -> bool:
    """Print each count beside its budget; whether the compiled core kept its own."""
    is_kept = True
    for name, instructions in counts:
        line = f"{name:32}{instructions:11,} instructions"
        if name in budget:
            change = instructions / budget[name] - 1
            is_kept &= abs(change) <= TOLERANCE or not is_of_core(name)
            line += f", budget{budget[name]:11,}  {change:+.1%}"
        print(line if name in budget else f"{line}, no budget")
    return is_kept


def main() -> int:
    """Count, then compare with the budget or update it; 1 if a count left its budget."""
    parser = argparse.ArgumentParser(description="instructions per hit against the budget")
    parser.add_argument("names", nargs="*", metavar="WORKLOAD", help="only these")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--update", action="store_true", help="write the counts as the new budget")
    either.add_argument("--ledger", action="store_true", help="count what runs on an event loop, too")
    parser.add_argument("--run", metavar="VENDOR", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        run_workloads(arguments.names, arguments.run)
        return 0
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed: apt-get install valgrind")
    kind = kind_of_python()
    print(f"Python {kind}: counting, about a minute", flush=True)
    if arguments.ledger:
        with started_stand_in(0) as vendor:
            counts = list(count(arguments.names, vendor.url))
    else:
        counts = list(count(arguments.names, ""))
    if not counts or len(counts) < len(arguments.names):
        raise SystemExit("there is no workload of that name")
    budgets = json.loads(BUDGET.read_text())
    is_kept = judge(counts, budgets.get(kind, {}))
    if arguments.update:
        budgets[kind] = budgets.get(kind, {}) | dict(counts)
        BUDGET.write_text(json.dumps(budgets, indent=2) + "\n")
        return 0
    return int(not is_kept)


if __name__ == "__main__":
    sys.exit(main())
