"""Transformations and preparations: whom they reach."""

from sgtm.component import components, find
from sgtm.container.document import Path
from sgtm.container.model import Transformation, Variable
from sgtm.container.native import Reading
from sgtm.container.report import listed
from sgtm.container.tags import LookupOrder
from sgtm.container.transformations import affected


def check_transformations(reading: Reading) -> None:
    """Report those that reach nobody, or more than somebody can have meant."""
    declared: dict[str, Variable] = {variable.name: variable for variable in reading.model.variables}
    lookups = LookupOrder(declared, {name: slot for slot, name in enumerate(declared)}, reading.templates)
    for entity, path in reading.entities("preparations"):
        if lookups.needed_by(entity.parameters):
            what = "needs a value that is looked up elsewhere: nothing waits here, it has its default"
            reading.report.warning((*path, "parameters"), what, "read it in a transformation or in the tag")
    for transformation, path in reading.entities("transformations"):
        _tags(reading, transformation, path)
        _types(reading, transformation, path)
        if not reading.report.has_errors and not affected(
            transformation, reading.model.tags, reading.templates.type_of
        ):
            what, mend = "affects no tag", "name tags in `affected_tags:`, or write `all_tags_except: true`"
            reading.report.warning(path, what, mend)
    for preparation, path in reading.entities("preparations"):
        component = find("transformation", preparation.type)
        drops = component is not None and component.only_prepares and not preparation.is_paused
        if drops and not preparation.conditions:
            what, mend = "drops every event", "write `conditions:` that say which"
            reading.report.warning(path, what, mend)


def _tags(reading: Reading, transformation: Transformation, path: Path) -> None:
    known = reading.declared("tags")
    named = [
        ((*path, "affected_tags", index), name) for index, name in enumerate(transformation.affected_tags)
    ]
    for row, one in enumerate(transformation.affected_tag_types):
        place = (*path, "affected_tag_types", row, "except_tags")
        named += [((*place, index), name) for index, name in enumerate(one.except_tags)]
    for at, name in named:
        if name not in known:
            what = f"there is no tag {name!r}"
            reading.report.unknown(at, what, name, known, otherwise="declare it under `tags:`")


def _types(reading: Reading, transformation: Transformation, path: Path) -> None:
    type_of = reading.templates.type_of
    present = {type_of(tag.type) for tag in reading.model.tags}
    known = [component.type for component in components("tag")] + reading.templates.names("tag")
    for row, one in enumerate(transformation.affected_tag_types):
        place = (*path, "affected_tag_types", row, "type")
        if type_of(one.type) in present:
            continue
        if find("tag", one.type) is None and one.type not in known:
            what = f"{one.type!r} is not a type of tag"
            reading.report.unknown(place, what, one.type, known, otherwise=f"write one of: {listed(known)}")
        else:
            what = f"there is no tag of type {one.type!r}"
            reading.report.warning(place, what, "remove it, or declare such a tag")
