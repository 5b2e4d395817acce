"""Component types and their parameters."""

from msgspec import ValidationError, convert

from sgtm.component import Component, components
from sgtm.container.clients import constants_of
from sgtm.container.document import Path
from sgtm.container.environment import with_secret_names
from sgtm.container.fields import read_fields
from sgtm.container.native import COMPONENTS, Reading
from sgtm.container.parameters import Entity
from sgtm.container.references import references_in
from sgtm.container.report import listed

_NO_REFERENCES = "write the value itself, or a constant: a client acts before there is an event"


def check_components(reading: Reading) -> None:
    """Report types that nobody knows, and parameters that do not fit."""
    for kind in COMPONENTS:
        for entity, path in reading.entities(kind):
            _component(reading, kind, entity, path)


def _component(reading: Reading, kind: str, entity: Entity, path: Path) -> None:
    word = COMPONENTS[kind]
    component = reading.templates.find(word, entity.type, entity.name)
    trouble = reading.templates.trouble(word, entity.type)
    if trouble is not None:
        reading.report.error((*path, "type"), trouble.what, trouble.mend)
    elif component is None:
        known = [component.type for component in components(word)] + reading.templates.names(word)
        what = f"{entity.type!r} is not a type of {word}"
        reading.report.unknown(
            (*path, "type"), what, entity.type, known, otherwise=f"write one of: {listed(known)}"
        )
    elif component.only_prepares and kind != "preparations":
        what = f"{component.type!r} concerns the whole event, before triggers see it"
        reading.report.error((*path, "type"), what, "move it to `preparations:`")
    else:
        _parameters(reading, kind, entity, component, (*path, "parameters"))


def _parameters(reading: Reading, kind: str, entity: Entity, component: Component, path: Path) -> None:
    written = with_secret_names(entity.parameters, f"{kind}.{entity.name}", {})
    needs_values = kind == "clients" and not constants_of(reading.model.variables).issuperset(
        references_in(written)
    )
    values = read_fields(
        component.parameters_type,
        written,
        path,
        reading.report,
        no_references=_NO_REFERENCES if needs_values else "",
    )
    if values is None or values.keys() != written.keys():
        return
    if not any(references_in(written)):
        try:
            convert(written, component.parameters_type)
        except ValidationError as error:
            reading.report.error(path, str(error), f"see the page of the {component.kind} `{component.type}`")
            return
    if component.check is not None:
        where = reading.report.words(path)
        reading.report.adopt(component.check(written, where), path, where)
