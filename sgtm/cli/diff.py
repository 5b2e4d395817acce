"""Say what differs between two containers by meaning, whatever their form and their order.

Each may be a container.yaml or an export of Google Tag Manager. Entities are matched by kind and name;
secrets are masked. Exit status: 0 if they mean the same, 1 if not, 2 if one of them cannot be read.
"""

import argparse
from collections import Counter

import msgspec

from sgtm.container.diff import Change, FieldChange, Names, diff
from sgtm.container.model import ContainerVersion
from sgtm.container.native import read_container
from sgtm.errors import ContainerError

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("before", metavar="A", help="path of a container.yaml or of an export")
    parser.add_argument("after", metavar="B", help="path of another one")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="text for people (default)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the differences."""
    changes = diff(_model(arguments.before), _model(arguments.after))
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(changes), indent=2).decode())
    else:
        print("\n".join(_lines(changes)))
    return 1 if changes else 0


def _model(path: str) -> ContainerVersion:
    reading = read_container(path, Names())
    if reading.report.has_errors:
        raise ContainerError(reading.report.in_line_order(), where=path)
    return reading.model


def _lines(changes: list[Change]) -> list[str]:
    lines: list[str] = []
    kind = ""
    for change in changes:
        if change.kind != kind:
            kind = change.kind
            lines.append(kind)
        if change.name:
            lines.append(f'  {_MARKS[change.change]} "{change.name}"')
        indent = "      " if change.name else "  ~ "
        lines += [indent + _field(field) for field in change.fields]
    counts = Counter[str](change.change for change in changes)
    said = [f"{counts[word]} {word}" for word in _MARKS if counts[word]]
    return [*lines, ", ".join(said) or "they mean the same"]


def _field(field: FieldChange) -> str:
    before, after = (_text(value) for value in (field.before, field.after))
    if before == after:
        after = f"another one: {after}"  # two secrets
    return f"{field.field}: {before} -> {after}"


def _text(value: object) -> str:
    return "nothing" if value is msgspec.UNSET or value is None else msgspec.json.encode(value).decode()
