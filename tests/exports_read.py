"""What becomes of exports of Tag Manager: one row of docs/google-export.md for each file.

    PYTHONPATH=. python tests/exports_read.py GTM-A.json GTM-B.json [--hit '/g/collect?v=2&...']

How many parts it has, what `sgtm check` says, and what its tags do on one hit (nothing is sent). It names no
values of the file, so that its output may be shown.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HIT = (
    "/g/collect?v=2&tid=G-1&cid=1.2&en=purchase&cu=EUR&epn.value=12.5&ep.transaction_id=T-1"
    "&dl=https%3A%2F%2Fshop.example%2F&pr1=idA~nmB~pr12.5~qt1"
)
PARTS = ("client", "tag", "trigger", "variable", "transformation", "customTemplate")


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and output of a command of sgtm's."""
    command = [sys.executable, "-m", "sgtm", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def parts_of(file: Path) -> list[int]:
    """How many of each part a file has. Raises ValueError where it is not JSON."""
    version = json.loads(file.read_text())["containerVersion"]
    return [len(version.get(part, ())) for part in PARTS]


def became(file: Path, hit: str) -> str:
    """What its tags do on one hit."""
    _, text = run("explain", str(file), "--hit", hit, "--format", "json")
    walked: dict[str, Any] = json.loads(text)
    outcomes = Counter(tag["outcome"] for event in walked["events"] for tag in event["tags"])
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"{walked['claimed_by']} claims, tags: {told or 'none'}"


def row_of(file: Path, hit: str) -> str:
    """One row."""
    try:
        counts = " | ".join(map(str, parts_of(file)))
    except ValueError as error:
        return (
            f"| {file.name} | {'| ' * len(PARTS)}| refused: no JSON in line {getattr(error, 'lineno', '?')} |"
        )
    status, said = run("check", str(file))
    summary = said.strip().rpartition("\n")[2].rpartition(": ")[2]
    return f"| {file.name} | {counts} | {summary} | {became(file, hit) if not status else 'refused'} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--hit", default=HIT)
    options = parser.parse_args()
    print(f"| file | {' | '.join(PARTS)} | check | one hit |")
    print(f"|{' --- |' * (len(PARTS) + 3)}")
    for file in options.files:
        print(row_of(file, options.hit))


if __name__ == "__main__":
    main()
