"""Results: what a benchmark found, kept as JSON beside the command and the machine that found it.

`python -m benchmarks.report` makes a page of them.
"""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

FOLDER = Path(__file__).parent / "results"


class Kept(Struct):
    """One run."""

    name: str
    command: str
    at: str
    """ISO 8601, UTC."""
    machine: str
    revision: str
    load: float
    """Load average of the machine over the last minute when the run ended: how quiet it was."""
    rows: list[dict[str, object]]


def save(name: str, rows: Sequence[Struct], arguments: Sequence[str], kept_as: str = "") -> None:
    """Keep the rows of a run of benchmark `name`; the last one that was kept so is gone."""
    FOLDER.mkdir(exist_ok=True)
    kept = Kept(
        name=kept_as or name,
        command=" ".join(["python -m benchmarks." + name, *arguments]),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=_machine(),
        revision=_revision(),
        load=round(os.getloadavg()[0], 1),
        rows=[msgspec.to_builtins(row) for row in rows],
    )
    (FOLDER / f"{kept.name}.json").write_text(json.dumps(msgspec.to_builtins(kept), indent=1) + "\n")


def read() -> list[Kept]:
    """All that are kept."""
    return [msgspec.json.decode(path.read_bytes(), type=Kept) for path in sorted(FOLDER.glob("*.json"))]


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    cores = len(os.sched_getaffinity(os.getppid()))
    return f"{model}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
