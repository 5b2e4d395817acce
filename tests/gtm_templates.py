"""Templates for tests, written like those of the gallery: sections, fields, permissions, code."""

import json
from typing import Any

URLS = {"send_http": {"allowedUrls": "any"}}
EVENT = {"read_event_data": {"eventDataAccess": "any"}}
LOG = {"logging": {"environments": "all"}}
REQUEST = {"read_request": {"requestAccess": "any"}}
RESPONSE = {"access_response": {"writeResponseAccess": "any"}, "return_response": {}}
CLIENT = {**REQUEST, **RESPONSE, "run_container": {}}


def template(
    kind: str, code: str, *permissions: dict[str, dict[str, Any]], fields: list[dict[str, Any]] | None = None
) -> str:
    """Text of a .tpl file. `kind` is TAG, CLIENT or MACRO."""
    granted = {name: parameters for one in permissions for name, parameters in one.items()}
    sections = {
        "INFO": {"type": kind, "displayName": "Test", "containerContexts": ["SERVER"]},
        "TEMPLATE_PARAMETERS": fields or [],
        "SERVER_PERMISSIONS": [_permission(name, given) for name, given in granted.items()],
    }
    text = "".join(f"___{name}___\n\n{json.dumps(value, indent=2)}\n\n" for name, value in sections.items())
    return f"{text}___SANDBOXED_JS_FOR_SERVER___\n\n{code}\n"


def text_field(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "TEXT", "name": name, "displayName": name, "simpleValueType": True, **more}


def _permission(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    param = [{"key": key, "value": _typed(value)} for key, value in parameters.items()]
    return {"instance": {"key": {"publicId": name, "versionId": "1"}, "param": param}, "isRequired": True}


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": 8, "boolean": value}
    if isinstance(value, str):
        return {"type": 1, "string": value}
    if isinstance(value, list):
        return {"type": 2, "listItem": [_typed(one) for one in value]}
    keys, values = [_typed(key) for key in value], [_typed(member) for member in value.values()]
    return {"type": 3, "mapKey": keys, "mapValue": values}
