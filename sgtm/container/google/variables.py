"""Variables of an export, and the built-in ones that it names.

SPEC: sandbox-api 5.5, 5.10.1 (W4, W5), 5.10.2 (K11, K12), 5.10.4 (A15).
"""

from typing import Any

from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.google.components import component_of, parameters
from sgtm.container.google.export import Entity, Export, plain, rows, text_of, texts, upper_snake

BUILT_IN_NAMES = {
    "CLIENT_NAME": "Client Name",
    "CONTAINER_ID": "Container ID",
    "CONTAINER_VERSION": "Container Version",
    "DEBUG_MODE": "Debug Mode",
    "ENVIRONMENT_NAME": "Environment Name",
    "EVENT_NAME": "Event Name",
    "QUERY_STRING": "Query String",
    "RANDOM_NUMBER": "Random Number",
    "REQUEST_METHOD": "Request Method",
    "REQUEST_PATH": "Request Path",
    "VISITOR_REGION": "Visitor Region",
}
"""Types of built-in variables -> names under which they need no declaration."""
_REPLACEMENTS = {
    "convertNullToValue": "null_to",
    "convertUndefinedToValue": "undefined_to",
    "convertTrueToValue": "true_to",
    "convertFalseToValue": "false_to",
}


def variables(export: Export) -> list[dict[str, Any]]:
    """The variables of container.yaml, and one for each built-in variable of another name."""
    found = [_variable(export, entity) for entity in export.entities["variables"]]
    return found + _built_in(export, {variable["name"] for variable in found})


def _variable(export: Export, entity: Entity) -> dict[str, Any]:
    for key in ("enablingTriggerId", "disablingTriggerId"):
        if texts(entity.data.get(key)):
            what = f"has `{key}`, which servers do not have: it is always on"
            export.remark(entity, what, "put the condition into the triggers of the tags that use it")
    component = component_of(export, entity, "variable")
    read = parameters(export, entity, component, _SPECIAL.get(entity.type))
    found: dict[str, Any] = {"name": entity.name, "type": component.type}
    format_value = _format_value(entity.data.get("formatValue"))
    return (
        found
        | ({"parameters": read} if read else {})
        | ({"format_value": format_value} if format_value else {})
    )


def _format_value(written: Any) -> dict[str, Any]:
    if not isinstance(written, dict):
        return {}
    found: dict[str, Any] = {}
    case = upper_snake(written.get("caseConversionType"))
    if case in ("LOWERCASE", "UPPERCASE"):
        found["case"] = case.lower()
    for theirs, ours in _REPLACEMENTS.items():
        if written.get(theirs) is not None:
            found[ours] = plain(written[theirs])
    return found


def _default(written: dict[str, Any]) -> dict[str, Any]:
    """Google keeps the value of a default that is switched off."""
    value = written.pop("defaultValue", "")
    return {"default": value} if written.pop("setDefaultValue", False) is True else {}


def _event_data(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    return {"key_path": written.pop("keyPath", ""), **_default(written)}


def _constant(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    return {"value": written.pop("value", "")}


def _query_parameter(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    return {"name": written.pop("queryParamName", ""), **_default(written)}


def _request_header(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    return {"header_name": written.pop("headerName", ""), **_default(written)}


def _cookie(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    name = written.pop("name", "") or written.pop("cookieName", "")
    decode = written.pop("decodeCookie", False)
    return {"name": name, **({"decode": decode} if decode else {}), **_default(written)}


def _lookup_table(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    table = [
        {"key": row.get("key", ""), "value": row.get("value", "")} for row in rows(written.pop("map", []))
    ]
    return {"input": written.pop("input", ""), "rows": table, **_default(written)}


def _regex_table(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    table = [
        {"pattern": row.get("key", ""), "value": row.get("value", "")} for row in rows(written.pop("map", []))
    ]
    flags = {
        ours: True
        for ours, theirs in (
            ("full_match", "fullMatch"),
            ("ignore_case", "ignoreCase"),
            ("replace_after_match", "replaceAfterMatch"),
        )
        if written.pop(theirs, False) is True
    }
    return {"input": written.pop("input", ""), "rows": table, **flags, **_default(written)}


_OPERATORS = {
    "EQUAL": "==",
    "EQUALS": "==",
    "NOT_EQUAL": "!=",
    "NOT_EQUALS": "!=",
    "LESS_THAN": "<",
    "LESS": "<",
    "LESS_THAN_OR_EQUAL": "<=",
    "LESS_OR_EQUALS": "<=",
    "GREATER_THAN": ">",
    "GREATER": ">",
    "GREATER_THAN_OR_EQUAL": ">=",
    "GREATER_OR_EQUALS": ">=",
    "ARRAY_CONTAINS": "array-contains",
    "ARRAY_CONTAINS_ANY": "array-contains-any",
    "IN": "in",
    "NOT_IN": "not-in",
}
"""Spellings of Firestore's operators; exports have been seen with the table alone."""


def _firestore(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    """Google keeps what the other operation has asked for, and a project that is switched off."""
    table = rows(written.pop("queriesSimpleTable", []))
    collection, document = written.pop("collectionPath", ""), written.pop("documentPath", "")
    project = written.pop("projectId", "")
    found: dict[str, Any] = {}
    if text_of(written.pop("operation", "")) == "query":
        conditions = [
            {
                "key": row.get("queryKey", ""),
                "operator": _operator(row.get("queryOperator")),
                "value": row.get("queryValue", ""),
            }
            for row in table
        ]
        found = {"collection_path": collection} | ({"conditions": conditions} if conditions else {})
    else:
        found = {"document_path": document}
    if written.pop("setProjectId", False) is True:
        found["project"] = project
    export.remark(
        entity,
        "an export has no key for Firestore: it asks without one",
        "write `service_account: {file: ...}` into the settings file (`variables:`) or the converted file",
    )
    return found | {"key_path": written.pop("keyPath", ""), **_default(written)}


def _operator(written: Any) -> str:
    text = text_of(written).strip() or "=="
    return _OPERATORS.get(upper_snake(text), text)


def _visitor_region(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    """Its one known option is what ours does anyway: look at headers of the request."""
    if text_of(written.get("resolutionOptions")) == "requestHeaders":
        del written["resolutionOptions"]
    return _default(written)


_SPECIAL = {
    "fs": _firestore,
    "vr": _visitor_region,
    "smm": _lookup_table,
    "remm": _regex_table,
    "ed": _event_data,
    "c": _constant,
    "qp": _query_parameter,
    "rh": _request_header,
    "k": _cookie,
    "sgtmk": _cookie,
}


def _built_in(export: Export, taken: set[str]) -> list[dict[str, Any]]:
    """A built-in variable under a name of its own (Tag Manager in another language) is one that holds
    ours; an unlisted one needs nothing (SPEC: 5.10.3.1)."""
    found = []
    for one in rows(export.version.get("builtInVariable")):
        name = text_of(one.get("name")).strip()
        known = BUILT_IN_NAMES.get(upper_snake(one.get("type")))
        if not name or name in taken or name in BUILT_IN_VARIABLES or name == known:
            continue
        value = f"{{{{{known}}}}}" if known else ""
        if not known:
            export.remark_container(
                f'nobody knows the built-in variable "{name}" ({text_of(one.get("type"))}): it is undefined',
                "use an Event Data variable in its place",
            )
            continue
        found.append({"name": name, "type": "constant", "parameters": {"value": value}})
        taken.add(name)
    return found
