"""Codes of errors: each is explained, means one thing, and is said somewhere (SPEC: requirements R241)."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sgtm.cli import main
from sgtm.error_codes import ALL, BY_CODE, code_of
from sgtm.error_codes.explanation import Explanation
from sgtm.errors import Problem
from sgtm.observability.logs import JsonFormatter, TextFormatter

ROOT = Path(__file__).parents[1]
SOURCES = [path for path in ROOT.glob("sgtm/**/*.py") if "error_codes" not in path.parts]


def texts_of(node: ast.AST) -> Iterator[str]:
    """Texts that may come of an expression, what varies as `x`."""
    if isinstance(node, ast.JoinedStr):
        parts = (
            str(part.value) if isinstance(part, ast.Constant) else ("'x'" if part.conversion == 114 else "x")  # type: ignore[attr-defined]
            for part in node.values
        )
        yield "".join(parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts_of(child)


@cache
def said() -> frozenset[str]:
    """Every text of the source."""
    return frozenset(text for path in SOURCES for text in texts_of(ast.parse(path.read_text())))


@cache
def logged() -> frozenset[str]:
    """Every constant message of a log line."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
                found.update(text for argument in node.args[:2] for text in texts_of(argument))
    return frozenset(found)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.code)
def test_a_code_is_explained_and_said_and_leads_somewhere(one: Explanation) -> None:
    assert re.fullmatch(r"SG-[CTSOD]\d{3}", one.code)
    assert one.says or one.lines
    assert all(text[-1] not in ".!" for text in (one.title, *one.says))
    assert min(len(one.cause), len(one.mend)) > 10
    for words in one.says:
        assert any(words in text for text in said()), words
    assert logged().issuperset(one.lines)
    page, _, anchor = one.page.partition("#")
    path = ROOT / "docs" / page
    if not page.startswith("reference/"):
        headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
        anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, one.page


def test_codes_are_unique_and_no_text_has_two() -> None:
    assert len(BY_CODE) == len(ALL)
    words = [text for one in ALL for text in one.says]
    lines = [text for one in ALL for text in one.lines]
    assert len(set(words)) == len(words)
    assert len(set(lines)) == len(lines)


def test_whatever_a_check_of_containers_finds_has_a_code() -> None:
    without: set[str] = set()
    for path in ROOT.glob("sgtm/container/checks/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and "what" in ast.unparse(node.targets[0]).split(", ")[0]:
                value = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
                without.update(text for text in texts_of(value) if " " in text and not code_of(text))
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                (".error", ".warning", ".unknown")
            ):
                found = texts_of(node.args[1]) if len(node.args) > 1 else ()
                without.update(text for text in found if " " in text and not code_of(text))
    # the rest of an expression, and a sentence whose every word varies; the last is SG-C014 by its words
    assert without == {"the pattern", "x (x)", "there is no x 'x'"}


def test_a_code_stands_behind_a_problem_and_in_a_line_of_the_log() -> None:
    problem = Problem("error", "there is no variable 'Order'", "container.yaml:3", "declare it")
    assert f"{problem}" == "error: container.yaml:3: there is no variable 'Order' [SG-C012]\n    declare it"
    assert not Problem("error", "something else", "", "").code
    record = logging.LogRecord("sgtm.delivery", logging.WARNING, "", 0, "destination shut", (), None)
    assert json.loads(JsonFormatter().format(record))["see"] == "SG-D001"
    assert "  see=SG-D001" in TextFormatter().format(record)


def test_a_code_can_be_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["code", "sg-c012"]) == 0
    assert "Mend:  Declare it" in capsys.readouterr().out
    assert main(["code"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ALL)
    assert main(["code", "SG-X999"]) == 2
    assert main(["check", "/no/such.yaml"]) == 2
    assert "[SG-C001]" in capsys.readouterr().out
