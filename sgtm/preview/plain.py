"""Values as a page can hold them: dicts, lists and scalars, bounded, with words for what JSON lacks."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from sgtm.event import undefined
from sgtm.messages import EventData

MOST_TEXT = 32 * 1024
MOST_ITEMS = 1_000
MOST_DEPTH = 30


def differences(before: EventData, after: EventData) -> Iterator[tuple[Any, str, Any, Any]]:
    """What a step changed: (added, removed or changed; key path; value before; value after)."""
    return _differences(before, after, "")


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[Any, str, Any, Any]]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*before, *(key for key in after if key not in before)):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key, undefined), after.get(key, undefined), inner)
    elif after is undefined:
        yield "removed", path, before, undefined
    elif before is undefined:
        yield "added", path, undefined, after
    elif type(before) is not type(after) or before != after:
        yield "changed", path, before, after


def type_name(value: Any) -> str:
    """The type of a value, as JavaScript names it."""
    if value is undefined:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, (list, tuple)):
        return "array"
    return "string" if isinstance(value, (str, bytes)) else "object"


def bounded(value: Any, depth: int = 0) -> Any:
    """Dicts, lists and scalars only, of a size that a page can hold."""
    if isinstance(value, dict):
        if depth > MOST_DEPTH:
            return {"$cut": len(value)}
        items = list(value.items())
        shown = {str(key): bounded(item, depth + 1) for key, item in items[:MOST_ITEMS]}
        return shown if len(items) <= MOST_ITEMS else {**shown, "$cut": len(items) - MOST_ITEMS}
    if isinstance(value, (list, tuple)):
        if depth > MOST_DEPTH:
            return [{"$cut": len(value)}]
        shown_items = [bounded(item, depth + 1) for item in value[:MOST_ITEMS]]
        return shown_items if len(value) <= MOST_ITEMS else [*shown_items, {"$cut": len(value) - MOST_ITEMS}]
    if isinstance(value, str):
        return cut(value, MOST_TEXT)
    if isinstance(value, bytes):
        return {"$bytes": cut(as_text(value), MOST_TEXT)}
    if value is None or value is UNSET or isinstance(value, (bool, int, float)):
        return value
    return _of_struct(value, depth) if isinstance(value, Struct) else f"<{type(value).__name__}>"


def _of_struct(value: Struct, depth: int) -> Any:
    try:
        return bounded(msgspec.structs.asdict(value), depth)
    except Exception:
        return f"<{type(value).__name__}>"


def plain(value: Any) -> Any:
    """The same with an object of one `$` key where JSON has no word."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is undefined:
        return {"$undefined": True}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$number": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return {"$number": str(value) if value.bit_length() < 1_000 else "…"}
    return value


def cut(text: str, most: int) -> str:
    """The beginning of a long text, which says so; half of a pair of surrogates is none."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


def as_text(raw: bytes | str) -> str:
    """Bytes as text; what is no UTF-8 becomes U+FFFD."""
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
