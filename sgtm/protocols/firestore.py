"""Firestore's REST interface: documents, queries, and values, each with its type.

SPEC: Firestore REST reference, v1 `Value`: integers are texts, bytes base64, times RFC 3339.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from sgtm.event import undefined
from sgtm.messages import OutgoingRequest

SCOPE = "https://www.googleapis.com/auth/datastore"
OPERATORS: Mapping[str, str] = {
    "==": "EQUAL",
    "!=": "NOT_EQUAL",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
    "array-contains": "ARRAY_CONTAINS",
    "array-contains-any": "ARRAY_CONTAINS_ANY",
    "in": "IN",
    "not-in": "NOT_IN",
}
"""Operators of conditions, as they are written, and their names in a query."""

_HEADERS = (("Content-Type", "application/json"), ("Accept", "application/json"))
_PLAIN_STEP = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def path_steps(path: str) -> list[str]:
    """The steps of a path, without a slash at its ends; those of a document are even in number.

    Raises ValueError for a step that is empty, `.` or `..`."""
    steps = path.strip("/").split("/")
    if not all(steps) or {".", ".."} & {*steps}:
        raise ValueError("a path has names between its slashes")
    return steps


def documents_name(project: str, database: str = "(default)") -> str:
    """The name below which all documents of a database stand."""
    return f"projects/{_step(project)}/databases/{_step(database)}/documents"


def _step(text: str) -> str:
    return quote(text, safe="()")


def read_request(base: str, steps: Sequence[str], transaction: str = "") -> OutgoingRequest:
    """Ask for a document; `base` is the endpoint with `/v1/` and the documents' name."""
    path = "/".join(_step(step) for step in steps)
    query = f"?transaction={quote(transaction, safe='')}" if transaction else ""
    return OutgoingRequest("GET", f"{base}/{path}{query}", (("Accept", "application/json"),))


def query_request(
    base: str,
    steps: Sequence[str],
    conditions: Iterable[tuple[str, str, Any]],
    *,
    limit: int = 1,
    transaction: str = "",
) -> OutgoingRequest:
    """Ask for the documents of a collection that all conditions (key path, operator, value) hold for.

    Raises KeyError for an unknown operator, TypeError for a value that is none."""
    *parent, collection = steps
    filters = [
        {
            "fieldFilter": {
                "field": {"fieldPath": key},
                "op": OPERATORS[operator],
                "value": encode_value(value),
            }
        }
        for key, operator, value in conditions
    ]
    query: dict[str, Any] = {"from": [{"collectionId": collection}], "limit": limit}
    if filters:
        query["where"] = {"compositeFilter": {"op": "AND", "filters": filters}}
    body = {"structuredQuery": query} | ({"transaction": transaction} if transaction else {})
    url = "/".join([base, *(_step(step) for step in parent)]) + ":runQuery"
    return OutgoingRequest("POST", url, _HEADERS, msgspec.json.encode(body))


def write_of(name: str, fields: Mapping[str, Any], *, merges: bool) -> dict[str, Any]:
    """One write of a commit: `name` is the document's, below `documents_name`. `merges`: what the document
    has besides stays. Raises TypeError."""
    write: dict[str, Any] = {
        "update": {"name": name, "fields": encode_value(dict(fields))["mapValue"]["fields"]}
    }
    if merges:
        write["updateMask"] = {"fieldPaths": _leaves(fields)}
    return write


def _leaves(fields: Mapping[str, Any]) -> list[str]:
    found = []
    for key, value in fields.items():
        step = (
            key if _PLAIN_STEP.fullmatch(key) else "`" + key.replace("\\", "\\\\").replace("`", "\\`") + "`"
        )
        if isinstance(value, dict) and value:
            found += [f"{step}.{leaf}" for leaf in _leaves(value)]
        else:
            found.append(step)
    return found


def commit_request(base: str, writes: Sequence[Mapping[str, Any]], transaction: str = "") -> OutgoingRequest:
    """Do these writes, all or none."""
    body: dict[str, Any] = {"writes": writes} | ({"transaction": transaction} if transaction else {})
    return OutgoingRequest("POST", f"{base}:commit", _HEADERS, msgspec.json.encode(body))


def begin_request(base: str, retries: str = "") -> OutgoingRequest:
    """Begin a transaction, in place of the one called `retries` if there was one."""
    options = {"readWrite": {"retryTransaction": retries} if retries else {}}
    return OutgoingRequest(
        "POST", f"{base}:beginTransaction", _HEADERS, msgspec.json.encode({"options": options})
    )


# -- values --------------------------------------------------------------------------------------------


_PLAIN = ("stringValue", "booleanValue", "timestampValue", "bytesValue", "referenceValue")


def decode_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a document. Raises ValueError for what is no value of Firestore's."""
    return {name: decode_value(value) for name, value in fields.items()}


def decode_value(value: dict[str, Any]) -> Any:
    """One value. A point is a mapping of latitude and longitude; times, bytes and references are texts."""
    ((kind, content),) = value.items()
    if kind in _PLAIN:
        return content
    match kind:
        case "nullValue":
            return None
        case "integerValue":
            return int(content)
        case "doubleValue":
            return float(content)  # also "NaN" and "Infinity"
        case "geoPointValue":
            return {"latitude": content.get("latitude", 0.0), "longitude": content.get("longitude", 0.0)}
        case "arrayValue":
            return [decode_value(item) for item in content.get("values", ())]
        case "mapValue":
            return decode_fields(content.get("fields", {}))
    raise ValueError("no type of Firestore's")


def encode_value(value: Any) -> dict[str, Any]:
    """A value with its type; undefined counts as null. Raises TypeError for what it cannot be."""
    if value is None or value is undefined:
        return {"nullValue": None}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"integerValue": str(value)} if value.bit_length() < 64 else {"doubleValue": float(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [encode_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"mapValue": {"fields": {str(key): encode_value(item) for key, item in value.items()}}}
    raise TypeError("no value of Firestore's")
