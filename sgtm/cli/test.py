"""Run the tests of a container: what comes in, what must follow. Nothing is sent.

Tests stand in `NAME.tests.yaml` beside the container `NAME.yaml` (or NAME.json), under `tests:` in
container.yaml itself, or in files that are named. `--update` writes what happens now to the golden file
of each test that asks for one (`golden: true`); read it before you commit it.

Exit status: 0 all passed, 1 some failed, 2 a mistake in the container or the tests.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as XML  # only written here

from sgtm.cli._cases import Case, Goldens, Result, case_files, read_cases, run_case
from sgtm.cli._container import add_arguments as add_container
from sgtm.cli._container import secrets_of, source_of
from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.errors import SettingsError

_SHOWN_DIFFERENCES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_container(parser)
    parser.add_argument("tests", metavar="TESTS", nargs="*", help="files; default: those beside it")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only tests whose name holds this text")
    parser.add_argument("--update", action="store_true", help="write golden files")
    parser.add_argument("--junit", metavar="FILE", help="also write the results for a CI server")
    parser.add_argument("--quiet", action="store_true", help="only failures and the last line")


def run(arguments: argparse.Namespace) -> int:
    """Run them, one line each."""
    files = case_files(Path(arguments.container), [Path(name) for name in arguments.tests])
    container = load_container(arguments.container, source=source_of(arguments))
    results = list(_run_files(container, files, arguments))
    if not results:
        raise SettingsError(
            "there is no test" + (f" called like {arguments.filter!r}" if arguments.filter else ""),
            where=", ".join(str(file) for file in files),
            mend="write a list of tests there: docs/testing.md has an example",
        )
    failed = sum(bool(result.differences) for result in results)
    print(f"{len(results)} tests, {failed} failed" if failed else f"{len(results)} tests passed")
    if arguments.junit:
        Path(arguments.junit).write_bytes(_junit(results))
    return 1 if failed else 0


def _run_files(container: Container, files: list[Path], arguments: argparse.Namespace) -> Iterator[Result]:
    secrets = secrets_of(arguments)
    for file in files:
        goldens = Goldens(file, is_updating=arguments.update, secrets=secrets)
        for case in read_cases(file):
            if arguments.filter in case.name:
                result = _timed(container, case, goldens)
                _tell(result, is_quiet=arguments.quiet)
                yield result
        goldens.close()


def _timed(container: Container, case: Case, goldens: Goldens) -> Result:
    began = time.perf_counter()
    differences = run_case(container, case, goldens)
    return Result(case, differences, time.perf_counter() - began)


def _tell(result: Result, *, is_quiet: bool) -> None:
    if result.differences or not is_quiet:
        print(f"{'FAILED' if result.differences else 'passed'}  {result.case.name}", flush=True)
    for difference in result.differences[:_SHOWN_DIFFERENCES]:
        print(f"        {difference}")
    if len(result.differences) > _SHOWN_DIFFERENCES:
        print(f"        and {len(result.differences) - _SHOWN_DIFFERENCES} more")


def _junit(results: list[Result]) -> bytes:
    """The form that CI servers read: one test suite per file."""
    top = XML.Element("testsuites")
    suites: dict[str, XML.Element] = {}
    for result in results:
        file = str(result.case.file)
        if file not in suites:
            suites[file] = XML.SubElement(top, "testsuite", name=file)
        one = XML.SubElement(
            suites[file], "testcase", name=result.case.name, classname=file, time=f"{result.seconds:.3f}"
        )
        if result.differences:
            text = "\n".join(map(_writable, result.differences))
            XML.SubElement(one, "failure", message=_writable(result.differences[0])).text = text
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
    XML.indent(top)
    written: bytes = XML.tostring(top, encoding="utf-8", xml_declaration=True)
    return written


def _writable(text: str) -> str:
    """XML 1.0 has no place for control characters."""
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)
