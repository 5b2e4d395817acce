"""JSON Schema of container.yaml, from the same structs that read it.

Each component type's parameters are a branch by `type`. Wherever a parameter is not a text anyway,
a text with a `{{variable}}` or an `${ENV}` in it may stand instead; clients take no variables.
"""

from typing import Any

import msgspec
from msgspec import Struct

from sgtm.component import Component, Kind, Secret, components
from sgtm.container.fields import fields_of
from sgtm.container.model import FORMAT_VERSION, ConsentPolicy, ContainerVersion
from sgtm.container.native import COMPONENTS, STRUCTS, TRIGGERS
from sgtm.container.report import KINDS
from sgtm.delivery.context.rules import ContextRules
from sgtm.delivery.delivery import DeliveryRules

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_SECRET: Schema = {
    "description": "A secret: the name of an environment variable, or a file.",
    "anyOf": [
        {"type": "string", "minLength": 1, "examples": ["${NAME}"]},
        {
            "type": "object",
            "properties": {"file": {"type": "string", "minLength": 1}},
            "required": ["file"],
            "additionalProperties": False,
        },
    ],
}
_ANNOTATIONS = frozenset({"description", "default", "examples"})
_PLACEHOLDER: Schema = {"type": "string", "pattern": r"\{\{.+\}\}|\$\{.+\}"}
_ENVIRONMENT: Schema = {"type": "string", "pattern": r"\$\{.+\}"}


def container_schema() -> Schema:
    """The schema of a whole container file."""
    definitions: dict[str, Schema] = {}
    top = _struct_schema(ContainerVersion, "container", definitions)
    properties = {
        "sgtm": {"const": FORMAT_VERSION, "description": "Version of this format; the first line."},
        **top["properties"],
        "consent": {"$ref": "#/$defs/consent"},
        "context": {"$ref": "#/$defs/context"},
        "tests": {
            "type": "array",
            "description": "Tests that `sgtm test` runs.",
            "items": {"type": "object"},
        },
        "triggers": _list_of({"$ref": "#/$defs/trigger"}),
    }
    definitions["consent"] = _struct_schema(ConsentPolicy, "consent", definitions)
    definitions["context"] = _struct_schema(ContextRules, "context", definitions)
    definitions["delivery"] = _struct_schema(DeliveryRules, "delivery", definitions)
    definitions["trigger"] = {
        "oneOf": [
            _struct_schema(struct, f"trigger.{type_}", definitions) for type_, struct in TRIGGERS.items()
        ]
    }
    for key, kind in COMPONENTS.items():
        definitions[KINDS[key]] = _entity_schema(KINDS[key], kind, STRUCTS[key], definitions)
        properties[key] = _list_of({"$ref": f"#/$defs/{KINDS[key]}"})
    return {
        "$schema": DIALECT,
        "title": "sgtm container",
        "type": "object",
        "properties": properties,
        "required": ["sgtm"],
        "additionalProperties": False,
        "if": {"not": {"required": ["custom_templates"]}},
        "then": {"properties": {key: _installed(key) for key in COMPONENTS}},
        "$defs": dict(sorted(definitions.items())),
    }


def _installed(key: str) -> Schema:
    """Entities whose types are installed: all of a container without templates of its own."""
    names = [name for one in components(COMPONENTS[key]) for name in (one.type, *one.aliases)]
    return {"items": {"properties": {"type": {"enum": names}}}}


def _entity_schema(
    word: str, kind: Kind, struct_type: type[Struct], definitions: dict[str, Schema]
) -> Schema:
    schema = _struct_schema(struct_type, word, definitions)
    branches = []
    types: list[str] = []
    for component in components(kind):
        if component.only_prepares and word != "preparation":
            continue
        name = f"{word}.{component.type}"
        definitions[name] = _parameters_schema(component, name, definitions)
        names = [component.type, *component.aliases]
        types += names
        required = ["parameters"] if definitions[name].get("required") else []
        branches.append(
            {
                "if": {"properties": {"type": {"enum": names}}},
                "then": {"properties": {"parameters": {"$ref": f"#/$defs/{name}"}}, "required": required},
            }
        )
    for key in ("priority", "is_paused"):
        if key in schema["properties"]:
            schema["properties"][key] = _as_written(schema["properties"][key], _ENVIRONMENT)
    schema["properties"]["type"] = _type_schema(schema["properties"]["type"], kind, types)
    if "delivery" in schema["properties"]:
        schema["properties"]["delivery"] = {"$ref": "#/$defs/delivery"}
    return {**schema, "allOf": branches}


def _type_schema(schema: Schema, kind: Kind, types: list[str]) -> Schema:
    """What is installed; of what a template can be, also the name of one under `custom_templates`."""
    if kind == "transformation":
        return {**schema, "enum": types}
    named = {"type": "string", "minLength": 1, "description": "Name of a template of `custom_templates`."}
    kept = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    return {**kept, "anyOf": [{"enum": types}, named]}


def _parameters_schema(component: Component, name: str, definitions: dict[str, Schema]) -> Schema:
    schema = _struct_schema(component.parameters_type, name, definitions)
    placeholder = _ENVIRONMENT if component.kind == "client" else _PLACEHOLDER
    inner = [part for key, part in definitions.items() if key.startswith(f"{name}.") and "properties" in part]
    for part in (schema, *inner):
        properties = part["properties"].items()
        part["properties"] = {key: _as_written(property_, placeholder) for key, property_ in properties}
    schema["description"] = component.documentation.partition("\n")[0]
    return schema


def _as_written(schema: Schema, placeholder: Schema) -> Schema:
    """How a value may be written: itself, or a text that becomes one; for a text also a number without
    quotes. The same inside lists and mappings."""
    bare = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    kept = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    if not bare or schema.get("$ref", "").endswith(f".{Secret.__name__}"):
        return schema
    if bare == {"type": "string"}:
        return {**kept, "type": ["string", "number"]}
    for key in ("items", "additionalProperties"):
        if isinstance(bare.get(key), dict):
            bare[key] = _as_written(bare[key], placeholder)
    if bare.get("type") == "string":
        bare["type"] = ["string", "number"]
    alternatives = bare["anyOf"] if list(bare) == ["anyOf"] else [bare]
    return {**kept, "anyOf": [*alternatives, placeholder]}


def _struct_schema(struct_type: type[Struct], name: str, definitions: dict[str, Schema]) -> Schema:
    """Schema of one struct; structs inside it go to `definitions` under names of their own."""
    (_,), parts = msgspec.json.schema_components([struct_type], ref_template=f"#/$defs/{name}.{{name}}")
    own: Schema = parts.pop(struct_type.__name__)
    for part_name, part in parts.items():
        is_secret = part_name == Secret.__name__
        definitions[f"{name}.{part_name}"] = _SECRET if is_secret else part
    own.pop("title", None)
    own["additionalProperties"] = False
    fields = {field.name: field for field in fields_of(struct_type)}
    for key, schema in own["properties"].items():
        if key in fields and not _is_plain(fields[key].default):
            schema.pop("default", None)
    return own


def _is_plain(value: Any) -> bool:
    """Whether a default can be written into a schema as it is and says something."""
    return isinstance(value, (str, int, float, bool))


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}
