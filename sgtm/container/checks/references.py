"""References: variables that are not there, that go in a circle, that nobody uses."""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import asdict

from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.circles import circles
from sgtm.container.document import Path
from sgtm.container.native import Reading
from sgtm.container.references import references_in, references_of
from sgtm.container.report import KINDS
from sgtm.container.variables import EVENT_NAME


def check_references(reading: Reading) -> None:
    """Report references that lead nowhere, and variables that lead back to themselves."""
    known = {*reading.declared("variables"), *BUILT_IN_VARIABLES, EVENT_NAME}
    for kind in KINDS:
        for entity, path in reading.entities(kind):
            for place, name in _places_of_references(written_of(entity), path):
                _reference(reading, place, name, known)
    _cycles(reading)


def written_of(entity: Any) -> dict[str, Any]:
    """All of an entity in which references may stand."""
    written: dict[str, Any] = {"parameters": getattr(entity, "parameters", {})}
    if getattr(entity, "format_value", None) is not None:
        written["format_value"] = asdict(entity.format_value)
    written["conditions"] = [
        {"value": condition.value, "compare_with": condition.compare_with}
        for condition in getattr(entity, "conditions", ())
    ]
    return written


def _reference(reading: Reading, place: Path, name: str, known: set[str]) -> None:
    if not name:
        mend = "write {{Name}}, the name without braces"
        reading.report.error(place, "a {{ begins no {{reference}}", mend)
    elif name not in known:
        what, otherwise = f"there is no variable {name!r}", "declare it under `variables:`"
        reading.report.unknown(place, what, name, known, otherwise=otherwise)


def _cycles(reading: Reading) -> None:
    """Variables that refer to each other in a circle (SPEC: sandbox-api 5.10.4, A13)."""
    refers_to = {variable.name: set(references_of(variable)) for variable in reading.model.variables}
    places = ((variable.name, path) for variable, path in reading.entities("variables"))
    for path, circle in circles(refers_to, places):
        what = f"refers to itself: {' -> '.join(circle)}"
        reading.report.error((*path, "parameters"), what, "break the circle: it would be undefined")


def _places_of_references(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Each reference, and "" for a `{{` that begins none."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from ((path, name) for name in references_in(key))
            yield from _places_of_references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places_of_references(item, (*path, index))
    else:
        names = list(references_in(value))
        yield from ((path, name) for name in names)
        if isinstance(value, str) and value.count("{{") > len(names):
            yield path, ""
