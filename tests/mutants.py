"""Check the checker: change the compiled core in one place, rebuild, and expect the tests to turn red.

    python tests/mutants.py [--count 30] [--seed 1] [NAME ...]      (make mutants)

Takes a seeded sample of all places in sgtm/_fast/NAME.pyx and the .pxd files: numbers, comparisons,
logical words, characters. A mutant that survives is printed with its line: either a test is missing, or
the change makes no difference (say which in the review).
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAST = ROOT / "sgtm" / "_fast"
TIMEOUT_S = 180
SWAPS = {
    "==": "!=",
    "!=": "==",
    "<=": "<",
    ">=": ">",
    "<": "<=",
    ">": ">=",
    " and ": " or ",
    " or ": " and ",
    "True": "False",
    "False": "True",
    "+ 1": "+ 2",
    "- 1": "- 2",
}
PLACES = re.compile(
    r"(==|!=|<=|>=|(?<![-<>])[<>](?![<>= ]*[a-z_]*[>*])| and | or |True|False|[+-] 1\b|\b\d+\b|c'[^'\\]')"
)


def mutations(path: Path) -> list[tuple[Path, int, str]]:
    """(file, line number, mutated line) for every place that can be changed."""
    found = []
    is_code = True
    for number, line in enumerate(path.read_text().splitlines()):
        quotes = line.count('"""')
        is_code ^= quotes % 2 == 1
        if not is_code or quotes:
            continue
        code = line.partition("#")[0]
        if code.lstrip().startswith(("cdef extern", "from ", "import ", "include")):
            continue
        for match in PLACES.finditer(code):
            said = match[0]
            if said in SWAPS:
                new = SWAPS[said]
            elif said.isdigit():
                new = str(int(said) + 1)
            else:
                new = f"c'{chr(ord(said[2]) + 1)}'"
            found.append((path, number, line[: match.start()] + new + line[match.end() :]))
    return found


def survives(work: Path, path: Path, number: int, line: str) -> str:
    """How one mutant ended: killed, does not build, survived."""
    target = work / "sgtm" / "_fast" / path.name
    original = target.read_text()
    lines = original.splitlines()
    lines[number] = line
    target.write_text("\n".join(lines) + "\n")
    try:
        environment = {**os.environ, "CFLAGS": "-O0", "PYTHONPATH": str(work)}
        build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
        if subprocess.run(build, cwd=work, env=environment, capture_output=True, check=False).returncode:
            return "does not build"
        tests = [
            sys.executable,
            "-P",
            "-m",
            "pytest",
            "tests/fast",
            "tests/protocols",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        try:
            done = subprocess.run(
                [*tests, "-o", f"pythonpath={work} tests"],
                cwd=work,
                env=environment,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "killed (hangs)"
        return "killed" if done.returncode else "SURVIVED"
    finally:
        target.write_text(original)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="files of sgtm/_fast (default: all)")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paths = [p for p in sorted(FAST.glob("*.p[yx][xd]")) if not arguments.names or p.stem in arguments.names]
    everything = [mutation for path in paths for mutation in mutations(path)]
    sample = random.Random(arguments.seed).sample(everything, min(arguments.count, len(everything)))
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("sgtm", "tests"):
            shutil.copytree(
                ROOT / name, work / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
            )
        for name in ("setup.py", "pyproject.toml"):
            shutil.copy(ROOT / name, work / name)
        for done, (path, number, line) in enumerate(sample, 1):
            verdict = survives(work, path, number, line)
            survivors += verdict == "SURVIVED"
            print(f"{done}/{len(sample)} {path.name}:{number + 1} {verdict}: {line.strip()}", flush=True)
    print(f"{len(sample)} of {len(everything)} mutants, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
