"""Fuzzing that coverage guides, one reader after the other: libFuzzer under atheris.

    python tests/fuzz/guided.py [--seconds 60] [--core build/fuzz/lib] [TARGET ...]                (make fuzz)
    python tests/fuzz/guided.py --again build/fuzz/faults/script-crash-... script

`--core` names the folder of a compiled core that was built for it (`make fuzz` does so where clang is): then
its branches guide the search, too, and AddressSanitizer watches. A fault ends its target; the input that
shows it is kept and belongs into tests/fuzz/regressions/TARGET, beside a test that says what was wrong. What
has been learnt is kept in the corpus, so that the next run goes on from there.
"""

import argparse
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MOST_MEMORY_MB = 2_000
MOST_SECONDS = 20
"""Of one input."""
OUR_CODE = ["sgtm", "yaml"]
"""Packages whose branches guide the search."""
_STATS = re.compile(r"stat::number_of_executed_units: (\d+)")
_COVER = re.compile(r"cov: (\d+) ft: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", type=Path, default=ROOT / "build/fuzz/corpus")
    parser.add_argument("--core", type=Path, default=ROOT)
    parser.add_argument("--faults", type=Path, default=ROOT / "build/fuzz/faults")
    parser.add_argument("--again", type=Path, help="one input that showed a fault")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path[:0] = [str(HERE.parent), str(ROOT)]
    if arguments.child:
        sys.path[:0] = [str(arguments.core), str(HERE.parent), str(ROOT)]
        _fuzz(arguments.child, arguments.targets)
    sys.path[:0] = [str(HERE.parent), str(ROOT)]
    known = import_module("fuzz.targets").TARGETS
    unknown = set(arguments.targets) - set(known)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.again:
        known[arguments.targets[0]].check(arguments.again.read_bytes())
        return 0
    faults = [name for name in arguments.targets or known if not _run(known[name], arguments)]
    return 1 if faults else 0


def _run(target: Any, arguments: argparse.Namespace) -> bool:
    """Fuzz one target in a process of its own, and say what came of it. Whether there was no fault."""
    corpus, seeds = arguments.corpus / target.name, arguments.corpus / f"{target.name}.seeds"
    for folder in (corpus, seeds, arguments.faults):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.corpus()):
        (seeds / f"{number:04}").write_bytes(data)
    words = arguments.corpus / f"{target.name}.words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    command = [
        *(sys.executable, __file__, "--core", str(arguments.core), "--child", target.name, "--"),
        *(
            f"-max_total_time={arguments.seconds}",
            f"-rss_limit_mb={MOST_MEMORY_MB}",
            f"-timeout={MOST_SECONDS}",
        ),
        *(f"-artifact_prefix={arguments.faults}/{target.name}-", f"-dict={words}", "-max_len=6000"),
        *("-print_final_stats=1", "-use_value_profile=1", str(corpus), str(seeds)),
    ]
    with (arguments.corpus / f"{target.name}.log").open("wb") as log:
        ended = subprocess.run(command, env=_environment(arguments.core), stdout=log, stderr=log, check=False)
    said = Path(log.name).read_text(errors="replace")
    runs, covered = _STATS.search(said), _COVER.findall(said)
    count = int(runs[1]) if runs else 0
    end = "no fault" if ended.returncode == 0 else f"FAULT, see {log.name}"
    reached = " edges, ".join(covered[-1]) if covered else "?"
    print(f"{target.name:13} {count:>10,} runs, {reached} features, {end}", flush=True)
    return ended.returncode == 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _environment(core: Path) -> dict[str, str]:
    """With AddressSanitizer first, if the core was built with it."""
    if not any(b"__asan_init" in module.read_bytes() for module in core.glob("sgtm/_fast/http.*.so")):
        return dict(os.environ)
    runtime = Path(import_module("atheris").path()) / "asan_with_fuzzer.so"
    options = "detect_leaks=0:quarantine_size_mb=64:allocator_may_return_null=1"
    return {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": options, "PYTHONMALLOC": "malloc"}


def _fuzz(name: str, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    atheris = import_module("atheris")  # installed only where somebody fuzzes

    with atheris.instrument_imports(include=OUR_CODE):
        targets = import_module("fuzz.targets")
    atheris.Setup([sys.argv[0], *options], targets.TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
