"""Check gallery templates (.tpl), run the tests that stand in them, and start new ones.

`check` finds what is wrong: fields, permissions against the code, unknown APIs. `test` runs the template's
own tests; nothing is sent: what a test does not mock works on an empty request. `test --watch` runs them
again whenever a file has changed. `new` writes a template that works, and says how a container uses it.

Exit status: 0 all good, 1 a test failed or a template has an error, 2 a mistake in what was asked.
"""

import argparse
import re
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as XML  # only written here

from msgspec import Struct

from sgtm.cli._template_scaffold import KINDS, container_snippet, template_text
from sgtm.errors import SettingsError
from sgtm.templates.check import check_template
from sgtm.templates.reader import TemplateFileError, read_template
from sgtm.templates.syntax import ScriptSyntaxError
from sgtm.templates.testing import Result, run_tests

_MAX_BYTES = 16 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    check = actions.add_parser("check", help="find what is wrong with templates")
    test = actions.add_parser("test", help="run the tests that stand in templates")
    new = actions.add_parser("new", help="write a new template, with tests")
    new.add_argument("kind", choices=KINDS)
    new.add_argument("path", metavar="FILE", help="the file to write: templates/acme.tpl")
    for action in (check, test):
        action.add_argument("paths", metavar="PATH", nargs="+", help="a .tpl file, or a folder of them")
        action.add_argument("--quiet", action="store_true", help="only what is wrong, and the last line")
    test.add_argument("--filter", default="", metavar="TEXT", help="only tests whose name holds this text")
    test.add_argument("--watch", action="store_true", help="run again when a file changes, until Ctrl-C")
    test.add_argument("--junit", metavar="FILE", help="also write the results for a CI server")


def run(arguments: argparse.Namespace) -> int:
    """Check, test, or write a new one."""
    if arguments.action == "new":
        return _new(arguments.kind, Path(arguments.path))
    files = list(_files(arguments.paths))
    if not files:
        raise SettingsError("there is no .tpl file", where=", ".join(arguments.paths), mend="name one")
    if arguments.action == "check":
        return _check(files, arguments)
    return _watch(arguments) if arguments.watch else _test(files, arguments)


def _files(paths: list[str]) -> Iterator[Path]:
    for name in paths:
        path = Path(name)
        if path.is_dir():
            yield from sorted(path.rglob("*.tpl"))
        elif path.is_file():
            yield path
        else:
            raise SettingsError("there is no such file", where=name, mend="look at the path")


def _text(file: Path) -> str:
    if file.stat().st_size > _MAX_BYTES:
        raise SettingsError("is too large for a template", where=str(file), mend="is it one?")
    return file.read_text(encoding="utf-8", errors="replace")


# -- new ---------------------------------------------------------------------------------------------


def _new(kind: str, path: Path) -> int:
    name = path.stem
    if path.suffix != ".tpl" or not _NAME.fullmatch(name):
        raise SettingsError(
            "is no name for a template",
            where=str(path),
            mend="use lower case letters, digits and _: acme.tpl",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template_text(kind, name))
    except FileExistsError:
        raise SettingsError("is there already", where=str(path), mend="choose another name") from None
    print(f"wrote {path}; a container uses it so:\n\n{container_snippet(kind, name, str(path))}")
    print(f"next: change it, and run `sgtm template test {path} --watch`")
    return 0


_NAME = re.compile("[a-z][a-z0-9_]*")


# -- watch -------------------------------------------------------------------------------------------


def _watch(arguments: argparse.Namespace) -> int:
    """Run the tests whenever a file has changed, until somebody ends it."""
    seen: dict[Path, int] = {}
    status = 0
    try:
        while True:
            now = {file: file.stat().st_mtime_ns for file in _files(arguments.paths)}
            changed = [file for file, at in now.items() if seen.get(file) != at]
            if changed:
                seen = now
                try:
                    status = _test(changed, arguments)
                except SettingsError as error:
                    print(error)
                print("-- waiting for changes, Ctrl-C ends it --", flush=True)
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        return status


_LOOK_EVERY_S = 0.3


# -- check -------------------------------------------------------------------------------------------


def _check(files: list[Path], arguments: argparse.Namespace) -> int:
    errors = warnings = 0
    for file in files:
        problems = check_template(_text(file), file.name)
        errors += sum(problem.severity == "error" for problem in problems)
        warnings += sum(problem.severity == "warning" for problem in problems)
        if problems or not arguments.quiet:
            print(f"{file}: {'good' if not problems else ''}".rstrip(": ") if not problems else f"{file}:")
        for problem in problems:
            print(f"  {problem}")
    print(f"{_count(len(files), 'template')}, {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return 1 if errors else 0


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


# -- test --------------------------------------------------------------------------------------------


class _Done(Struct):
    """One test that ran."""

    file: str
    result: Result
    seconds: float


def _test(files: list[Path], arguments: argparse.Namespace) -> int:
    done: list[_Done] = []
    for file in files:
        done += _run_file(file, arguments)
    if not done:
        raise SettingsError(
            "there is no test" + (f" called like {arguments.filter!r}" if arguments.filter else ""),
            where=", ".join(arguments.paths),
            mend="a template's tests stand in its section ___TESTS___",
        )
    failed = sum(bool(one.result.problem) for one in done)
    print(
        f"{_count(len(done), 'test')}, {failed} failed" if failed else f"{_count(len(done), 'test')} passed"
    )
    if arguments.junit:
        Path(arguments.junit).write_bytes(_junit(done))
    return 1 if failed else 0


def _run_file(file: Path, arguments: argparse.Namespace) -> Iterator[_Done]:
    began = time.perf_counter()
    try:
        for result in run_tests(read_template(_text(file), file.name), arguments.filter):
            one = _Done(str(file), result, time.perf_counter() - began)
            _tell(one, is_quiet=arguments.quiet)
            yield one
            began = time.perf_counter()
    except (TemplateFileError, ScriptSyntaxError) as error:
        one = _Done(str(file), Result("the template can be read", str(error), []), 0)
        _tell(one, is_quiet=arguments.quiet)
        yield one


def _tell(one: _Done, *, is_quiet: bool) -> None:
    failed = bool(one.result.problem)
    if failed or not is_quiet:
        print(f"{'FAILED' if failed else 'passed'}  {Path(one.file).name}: {one.result.scenario}", flush=True)
    if failed:
        print(f"        {one.result.problem}")
        for line in one.result.log[-5:]:
            print(f"        log: {line[:300]}")


def _junit(done: list[_Done]) -> bytes:
    """The form that CI servers read: one test suite per template."""
    top = XML.Element("testsuites")
    suites: dict[str, XML.Element] = {}
    for one in done:
        if one.file not in suites:
            suites[one.file] = XML.SubElement(top, "testsuite", name=one.file)
        case = XML.SubElement(
            suites[one.file],
            "testcase",
            name=_printable(one.result.scenario),
            classname=one.file,
            time=f"{one.seconds:.3f}",
        )
        if one.result.problem:
            problem = _printable(one.result.problem)
            XML.SubElement(case, "failure", message=problem.partition("\n")[0]).text = problem
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
    return bytes(XML.tostring(top, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """XML holds no control characters."""
    return "".join(letter if letter in "\t\n" or letter.isprintable() else "\ufffd" for letter in text)
