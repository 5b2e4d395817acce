"""Values of event data as a JSON payload can carry them."""

from typing import Any

MAX_DEPTH = 16
"""Nesting of values that is followed; what stands deeper is left out (no event is that deep)."""
LARGEST_INT = 1 << 63


def clean_text(text: str) -> str:
    """Text that UTF-8 can hold: surrogate pairs joined, lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def plain_value(value: Any, depth: int = 0) -> Any:
    """`value` as JSON can carry it; None for what it cannot (undefined, NaN, too deep, foreign)."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return value if isinstance(value, bool) or -LARGEST_INT <= value < LARGEST_INT else _as_float(value)
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if depth < MAX_DEPTH and isinstance(value, (list, tuple)):
        return [plain for plain in (plain_value(member, depth + 1) for member in value) if plain is not None]
    if depth < MAX_DEPTH and isinstance(value, dict):
        members = {
            clean_text(key): plain_value(member, depth + 1)
            for key, member in value.items()
            if isinstance(key, str)
        }
        return {key: member for key, member in members.items() if member is not None}
    return None


def copied(value: Any, depth: int = 0) -> Any:
    """A copy of objects and lists, so that two events never share one; deeper ones stay shared."""
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {key: copied(member, depth + 1) for key, member in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list):
        return [copied(member, depth + 1) for member in value]
    return value


def _as_float(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None
