"""Triggers of an export, and its conditions, which transformations have too.

A trigger that cannot be understood never fires, and as an exception it always blocks: whatever it was
to keep from happening does not happen. SPEC: sandbox-api 5.4, 5.10.2 (K21 to K23), 5.10.4 (A12).
"""

from typing import Any

from sgtm.container.google.export import Entity, Export, parameters_of, text_of, texts, upper_snake
from sgtm.triggers.trigger import ALL_EVENTS

ALL_EVENTS_ID = "2147479574"
EVENT_NAME = "{{Event Name}}"
OPERATORS = {
    "EQUALS": "equals",
    "CONTAINS": "contains",
    "STARTS_WITH": "starts_with",
    "ENDS_WITH": "ends_with",
    "MATCH_REGEX": "matches_regex",
    "REGEX": "matches_regex",
    "MATCHES_REGEX": "matches_regex",
    "GREATER": "greater",
    "GREATER_OR_EQUALS": "greater_or_equals",
    "LESS": "less",
    "LESS_OR_EQUALS": "less_or_equals",
    "URL_MATCHES": "url_matches",
    "CSS_SELECTOR": "css_selector",
}
"""Google's operators -> ours. REGEX is what tables of transformations call it."""
TYPES = ("ALWAYS", "CUSTOM_EVENT", "SERVER_PAGEVIEW")
_ANY_NAME = (".*", "^.*$", ".+", "^.+$")

Condition = dict[str, Any]


def never(why: str) -> list[Condition]:
    """A condition that does not hold, and says why."""
    return [{"value": why, "operator": "equals", "compare_with": ""}]


def triggers(export: Export) -> list[dict[str, Any]]:
    """The triggers of container.yaml."""
    return [_trigger(export, entity) for entity in export.entities["triggers"]]


def trigger_names(export: Export) -> dict[str, str]:
    """Id -> name, with the built-in one."""
    return {ALL_EVENTS_ID: ALL_EVENTS, **export.names("triggers")}


def _trigger(export: Export, entity: Entity) -> dict[str, Any]:
    if entity.name == ALL_EVENTS:
        entity.name = f"{ALL_EVENTS} ({entity.id})"  # the built-in one has this name
    type_ = upper_snake(entity.type)
    names: list[str] = []
    if type_ not in TYPES:
        what = f"no server container has triggers of type {entity.type or '(none)'}: it never fires"
        export.remark(entity, what, "use a Custom Event trigger")
        conditions = never(f"trigger type {entity.type} is not known")
    elif (
        type_ == "CUSTOM_EVENT"
        and not _written(entity, "customEventFilter")
        and not _written(entity, "filter")
    ):
        what = "is a Custom Event trigger without an event name: it never fires"
        export.remark(entity, what, "give it one in Tag Manager, and export it again")
        conditions = never("the trigger names no event")
    else:
        names, conditions = _conditions(export, entity, type_)
    found: dict[str, Any] = {"name": entity.name, "type": "custom_event" if names else "all_events"}
    found |= {"event_names": names} if names else {}
    return found | ({"conditions": conditions} if conditions else {})


def _conditions(export: Export, entity: Entity, type_: str) -> tuple[list[str], list[Condition]]:
    names = ["page_view"] if type_ == "SERVER_PAGEVIEW" else []
    conditions = []
    for written in (*_written(entity, "customEventFilter"), *_written(entity, "filter")):
        condition = _condition(export, entity, written)
        if condition["value"] == "{{_event}}":
            condition["value"] = EVENT_NAME
            if _is_name(condition) and not names:
                names = [condition["compare_with"]]
                continue
            if _is_any_name(condition):
                continue
        conditions.append(condition)
    return names, conditions


def _is_any_name(condition: Condition) -> bool:
    is_pattern = condition["operator"] == "matches_regex" and not condition.get("negate")
    return is_pattern and condition["compare_with"] in _ANY_NAME


def _is_name(condition: Condition) -> bool:
    name = condition["compare_with"]
    is_plain = isinstance(name, str) and name != "" and "{{" not in name
    return condition["operator"] == "equals" and is_plain and not condition.get("negate")


def _written(entity: Entity, key: str) -> list[dict[str, Any]]:
    written = entity.data.get(key)
    return [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []


def _condition(export: Export, entity: Entity, written: dict[str, Any]) -> Condition:
    parameters = parameters_of(written.get("parameter"))
    return condition(
        export,
        entity,
        value=parameters.get("arg0", ""),
        operator=text_of(written.get("type")),
        compare_with=parameters.get("arg1", ""),
        negate=parameters.get("negate") is True,
        ignore_case=parameters.get("ignore_case") is True,
    )


def condition(
    export: Export,
    entity: Entity,
    *,
    value: Any,
    operator: str,
    compare_with: Any,
    negate: bool = False,
    ignore_case: bool = False,
) -> Condition:
    """One condition of container.yaml. An operator that nobody knows never holds."""
    word = upper_snake(operator)
    if word.startswith("NOT_") and word.removeprefix("NOT_") in OPERATORS:
        word, negate = word.removeprefix("NOT_"), not negate
        what = f"no export of Google's has the operator {operator}: it is read as its negation"
        export.remark(entity, what, f"write {word} with `negate`")
    ours = OPERATORS.get(word)
    if ours is None:
        what = f"nobody knows the operator {operator or '(none)'}: its condition never holds"
        export.remark(entity, what, "use another operator")
        return never(f"operator {operator} is not known")[0]
    found: Condition = {"value": text_of(value), "operator": ours, "compare_with": compare_with}
    if negate:
        found["negate"] = True
    if ignore_case and ours == "matches_regex":
        found["ignore_case"] = True
    return found


def firing(export: Export, entity: Entity, names: dict[str, str]) -> tuple[list[str], list[str]]:
    """Names of the triggers that fire a tag, and of those that block it."""
    fires, blocks = [], []
    for id_ in texts(entity.data.get("firingTriggerId")):
        if id_ in names:
            fires.append(names[id_])
        else:
            what = f"its trigger {id_} is not in the file, and is not {ALL_EVENTS}: that one never fires it"
            export.remark(entity, what, "export the trigger too, or write a trigger into the converted file")
    for id_ in texts(entity.data.get("blockingTriggerId")):
        blocks.append(names.get(id_, ALL_EVENTS))
        if id_ not in names:
            what = (
                f"its exception {id_} is not in the file, so nothing can say when it may fire: it never does"
            )
            export.remark(entity, what, "export the trigger too, or remove the exception from the tag")
    return list(dict.fromkeys(fires)), list(dict.fromkeys(blocks))
