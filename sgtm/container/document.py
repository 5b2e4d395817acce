"""YAML text -> plain data, with the line of every value.

The parser's events are read directly, so nothing is ever constructed from a tag, and limits hold
while reading: size, depth, number of values (an alias counts as often as it is used).

Plain scalars mean what they mean in JSON, everything else is text: `no`, `on`, `1e3x`, `0123`,
`12:30` and `2026-01-01` are texts here, whatever YAML 1.1 made of them. The text of a number is
kept, so that an id written without quotes keeps its leading digits and its length.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml
from msgspec import Struct

Path: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 4_000_000
MAX_DEPTH = 40
MAX_VALUES = 200_000

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_MAX_DIGITS = 300


class Flaw(Struct, frozen=True):
    """Something in the text that no container can mean: where, what, how to mend."""

    line: int
    path: Path
    what: str
    mend: str


class Document(Struct):
    """Plain data (dict, list, str, int, float, bool, None) and where each value stands."""

    data: Any = None
    lines: dict[Path, int] = {}
    """Line (from 1) of each value; a value that came through an alias has none of its own."""
    texts: dict[Path, str] = {}
    """The text as written of each plain scalar that is not a text."""
    flaws: list[Flaw] = []

    def line(self, path: Path) -> int:
        """Line of the value at `path`, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Path) -> Any:
        """What is written at `path`, or None."""
        value = self.data
        for step in path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value


def read_document(content: bytes) -> Document:
    """Read one YAML document. Never raises: what is wrong stands in `flaws`."""
    document = Document(lines={}, texts={}, flaws=[])
    try:
        if len(content) > MAX_BYTES:
            raise _Unreadable(1, f"has more than {MAX_BYTES:,} bytes", "a container file is far smaller")
        document.data = _Reader(content.decode("utf-8-sig"), document).read()
    except _Unreadable as error:
        document.flaws.append(Flaw(error.line, (), error.what, error.mend))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.flaws.append(Flaw(line, (), "is not UTF-8 text", "save the file as UTF-8"))
    except yaml.YAMLError as error:
        document.flaws.append(_syntax_flaw(error))
    return document


class _Unreadable(Exception):
    def __init__(self, line: int, what: str, mend: str) -> None:
        super().__init__(what)
        self.line, self.what, self.mend = line, what, mend


def _syntax_flaw(error: yaml.YAMLError) -> Flaw:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else 1
    problem = str(getattr(error, "problem", "") or getattr(error, "reason", "") or "the text cannot be read")
    if "'\\t'" in problem:
        return Flaw(line, (), "a tab stands where spaces belong", "indent with spaces, two for each level")
    if "special characters" in problem:
        return Flaw(line, (), "holds a character that no text file may hold", "remove it")
    mend = next(
        (mend for part, mend in _SYNTAX_MENDS.items() if part in problem), "mend the line, or the one above"
    )
    return Flaw(line, (), f"is not YAML: {problem}", mend)


_SYNTAX_MENDS = {
    "mapping values are not allowed": "put a text with a colon in quotes, or indent as the lines around it",
    "could not find expected ':'": "write `key: value`",
    "expected <block end>": "indent as the lines around it; a comment begins with #",
    "cannot start any token": "put the text in quotes",
}


class _Reader:
    """Recursive descent over the parser's events; MAX_DEPTH bounds the recursion."""

    def __init__(self, text: str, document: Document) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._document = document
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        """Name -> (value, how many values it holds, how deep it is)."""
        self._count = 0
        self._reach = 0

    def read(self) -> Any:
        data: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    raise _Unreadable(_line(event), "a second document begins", "keep one `---` at most")
                data = self._value(next(self._events), ())
        return data

    def _value(self, event: Any, path: Path) -> Any:
        self._add(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._reach_to(len(path), event)
        count, reach, self._reach = self._count, self._reach, len(path)
        self._document.lines.setdefault(path, _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            _refuse_tag(event, "map")
            value: Any = self._mapping(path)
        elif isinstance(event, yaml.SequenceStartEvent):
            _refuse_tag(event, "seq")
            value = self._sequence(path)
        else:
            value = self._scalar(event, path)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._count - count + 1, self._reach - len(path))
        self._reach = max(reach, self._reach)
        return value

    def _reach_to(self, depth: int, event: Any) -> None:
        self._reach = max(self._reach, depth)
        if depth > MAX_DEPTH:
            raise _Unreadable(_line(event), f"is nested more than {MAX_DEPTH} deep", "flatten it")

    def _alias(self, event: Any, path: Path) -> Any:
        if event.anchor not in self._anchors:
            raise _Unreadable(
                _line(event), f"*{event.anchor} has no anchor above it", f"write &{event.anchor}"
            )
        value, count, depth = self._anchors[event.anchor]
        self._add(count, event)
        self._reach_to(len(path) + depth, event)
        return value

    def _add(self, count: int, event: Any) -> None:
        self._count += count
        if self._count > MAX_VALUES:
            raise _Unreadable(
                _line(event),
                f"holds more than {MAX_VALUES:,} values",
                "aliases count as often as they are used",
            )

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        merged: list[Any] = []
        while not isinstance(key_event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key_event, yaml.ScalarEvent):
                what = "a { or [ begins a key, as an unquoted {{reference}} would"
                raise _Unreadable(_line(key_event), what, 'write "{{Name}}" in quotes')
            key, line = key_event.value, _line(key_event)
            inside = (*path, key)
            if key == "<<" and key_event.implicit[0]:
                merged.append(self._value(next(self._events), inside))
                continue
            if key in items:
                first = self._document.lines[inside]
                self._document.flaws.append(
                    Flaw(
                        line,
                        inside,
                        f"stands here a second time, first in line {first}",
                        "remove one of the two",
                    )
                )
                self._value(next(self._events), (*path, f"{key} (again)"))
                continue
            self._document.lines[inside] = line
            items[key] = self._value(next(self._events), inside)
        return _merge(items, merged)

    def _scalar(self, event: Any, path: Path) -> Any:
        text = str(event.value)
        if event.tag not in (None, "!"):
            _refuse_tag(event, "str")
            return text
        if not event.implicit[0]:
            return text
        value = plain_value(text)
        if not isinstance(value, str):
            self._document.texts[path] = text
        return value


def plain_value(text: str) -> Any:
    """What a text without quotes means: a number, true, false, null, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_DIGITS and (match := _NUMBER.fullmatch(text)):
        if match.group(2) is None and match.group(3) is None:
            return int(text)
        number = float(text)
        return number if number - number == 0.0 else text
    return text


def _merge(items: dict[str, Any], merged: list[Any]) -> dict[str, Any]:
    """`<<: *defaults`: keys that the mapping does not have itself."""
    for value in merged:
        for source in value if isinstance(value, list) else [value]:
            if isinstance(source, dict):
                items = {**source, **items}
    return items


def _refuse_tag(event: Any, allowed: str) -> None:
    if event.tag not in (None, "!", f"tag:yaml.org,2002:{allowed}"):
        raise _Unreadable(
            _line(event), f"has the YAML tag {event.tag!r}", "leave it out: only plain values are read"
        )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
