"""Transformations of an export. SPEC: sandbox-api 5.8, 5.10.1 (W2), 5.10.2 (K17, K18, K25), 5.10.4 (A8)."""

from typing import Any

from sgtm.component import find
from sgtm.container.google.components import component_of, parameters
from sgtm.container.google.export import Entity, Export, column, integer, rows, text_of, texts
from sgtm.container.google.triggers import Condition, condition


def transformations(export: Export) -> list[dict[str, Any]]:
    """The transformations of container.yaml."""
    return [_transformation(export, entity) for entity in export.entities["transformations"]]


def _transformation(export: Export, entity: Entity) -> dict[str, Any]:
    component = component_of(export, entity, "transformation")
    written = dict(entity.parameters)
    found: dict[str, Any] = {
        "name": entity.name,
        "type": component.type,
        "priority": integer(entity.data.get("priority"), 0) or integer(written.pop("priority", 0), 0),
        "is_paused": entity.data.get("paused") in (True, "true"),
        "conditions": _conditions(export, entity, written),
        "affected_tags": _affected_tags(export, entity, written),
        "affected_tag_types": _affected_types(export, entity, written),
        "all_tags_except": written.pop("allTagsExcept", False) is True,
    }
    entity.parameters = written
    read = parameters(export, entity, component, _READ.get(entity.type))
    kept = {key: value for key, value in found.items() if value}
    return kept | ({"parameters": read} if read else {})


def _conditions(export: Export, entity: Entity, written: dict[str, Any]) -> list[Condition]:
    table = rows(written.pop("matchingConditionsTable", []))
    if written.pop("booleanExpressionString", ""):
        what = "its `booleanExpressionString` is not read: all of its conditions must hold"
        export.remark(entity, what, "write a transformation for each alternative")
    if written.pop("matchingConditionsEnabled", False) is not True:
        return []
    return [
        condition(
            export,
            entity,
            value=row.get("variableReference") or f"{{{{{text_of(row.get('variableName'))}}}}}",
            operator=text_of(row.get("expressionType")),
            compare_with=row.get("expressionValue", ""),
            negate=row.get("negate") is True,
        )
        for row in table
    ]


def _affected_tags(export: Export, entity: Entity, written: dict[str, Any]) -> list[str]:
    """A tag that is not there is affected by nothing, and never stands for all (SPEC: 5.10.3.5)."""
    tags = {tag.name for tag in export.entities["tags"]}
    named = column(written.pop("affectedTags", []), "tagReference")
    return [name for name in named if _is_there(export, entity, name in tags, f'tag "{name}"')]


def _affected_types(export: Export, entity: Entity, written: dict[str, Any]) -> list[dict[str, Any]]:
    types = {tag.type for tag in export.entities["tags"]}
    tags = {tag.name for tag in export.entities["tags"]}
    found = []
    for row in rows(written.pop("affectedTagTypes", [])):
        code = text_of(row.get("tagType"))
        if not _is_there(export, entity, code in types, f"a tag of type {code}"):
            continue
        component = find("tag", code)
        exceptions = row.get("tagTypeExceptions")
        named = column(exceptions, "tagReference") or texts(exceptions)
        kept = [name for name in named if _is_there(export, entity, name in tags, f'tag "{name}"')]
        one: dict[str, Any] = {"type": component.type if component else code}
        found.append(one | ({"except_tags": kept} if kept else {}))
    return found


def _is_there(export: Export, entity: Entity, is_there: bool, what: str) -> bool:
    if not is_there:
        export.remark(entity, f"names {what}, which is not in the file", "export it too, or remove it here")
    return is_there


def _allow(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    return {"names": column(written.pop("allowedParamsTable", []), "allowedParams")}


def _exclude(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    return {"names": column(written.pop("excludedParamsTable", []), "excludedParams")}


def _augment(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    table = rows(written.pop("augmentEventTable", []))
    named = {name: row.get("paramValue", "") for row in table if (name := text_of(row.get("paramName")))}
    if len(named) < len(table):
        what = "has a row without a name, or two of one name: the first is left out, the later one counts"
        export.remark(entity, what, "remove the row in Tag Manager")
    return {"parameters": named}


_READ = {"tf_allow_params": _allow, "tf_exclude_params": _exclude, "tf_augment_event": _augment}
