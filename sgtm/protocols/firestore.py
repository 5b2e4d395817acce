"""Values as Firestore's REST interface writes them: each with its type.

SPEC: Firestore REST reference, v1 `Value`: integers are texts, bytes base64, times RFC 3339.
"""

from typing import Any

from sgtm.event import undefined

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
