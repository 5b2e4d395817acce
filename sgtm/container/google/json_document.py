"""JSON text -> plain data, with the line of each entity of an export."""

import json
import re
from typing import Any

from sgtm.container.document import Document, Flaw, Path

MAX_BYTES = 20_000_000
"""Exports carry the code of their templates; the largest public one has 1 MB."""
MAX_DEPTH = 60
MAX_LINE_DEPTH = 3
"""Paths of `containerVersion`, its lists, and their items have lines; what is inside an item has its."""

_MARK = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],\n]', re.DOTALL)


def read_json(content: bytes) -> Document:
    """Read one JSON document. Never raises: what is wrong stands in `flaws`."""
    document = Document(lines={}, texts={}, flaws=[])
    flaw = _read(content, document)
    if flaw is not None:
        document.data = None
        document.flaws.append(flaw)
    return document


def _read(content: bytes, document: Document) -> Flaw | None:
    if len(content) > MAX_BYTES:
        return Flaw(1, (), f"has more than {MAX_BYTES:,} bytes", "an export is far smaller")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Flaw(line, (), "is not UTF-8 text", "export it again from Tag Manager")
    try:
        document.data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        what = f"is not JSON: {error.msg} in column {error.colno}"
        mend = "export it again from Tag Manager, or mend the line, or the one above"
        return Flaw(error.lineno, (), what, mend)
    except (RecursionError, ValueError):
        return Flaw(
            1, (), "is not JSON that can be read: nested too deep, or a number too long", "export it again"
        )
    return _find_lines(text, document.lines)


def _refuse_constant(word: str) -> Any:
    raise ValueError(word)


def _find_lines(text: str, lines: dict[Path, int]) -> Flaw | None:
    """Note the line of each object and list near the top. The text is sound JSON."""
    line = 1
    steps: list[str | int] = []
    """Key or index of what is being read, one for each object or list around it."""
    is_key = False
    for match in _MARK.finditer(text):
        mark = match.group()
        if mark == "\n":
            line += 1
        elif mark in "{[":
            if len(steps) > MAX_DEPTH:
                return Flaw(line, (), f"is nested more than {MAX_DEPTH} deep", "no export is")
            if len(steps) <= MAX_LINE_DEPTH:
                lines[tuple(steps)] = line
            steps.append("" if mark == "{" else 0)
        elif mark in "}]":
            steps.pop()
        elif mark == "," and isinstance(last := steps[-1], int):
            steps[-1] = last + 1
        elif mark[0] == '"' and is_key:
            steps[-1] = json.loads(mark)
        if mark != "\n":
            is_key = mark == "{" or (mark == "," and isinstance(steps[-1], str))
    return None
