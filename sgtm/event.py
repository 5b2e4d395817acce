"""Event: name, event data, consent, and the request it came from.

Event data stand under Google's exact key names (`page_location`, `user_data`, `items`, `x-ga-...`).
Key paths read them: `items.0.price`, `user_data.address.0.city`. What is missing is `undefined`:
never "", 0 or None.
"""

import hashlib
import math
import re
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from sgtm.consent import Consent, read_consent
from sgtm.messages import EventData, IncomingRequest

undefined = UNSET
Undefined = UnsetType


class Event(Struct):
    """One event on its way through the container. Nobody changes `data` in place: a transformation
    makes a new Event (`set_value` and `delete_value` return new data)."""

    name: str
    data: EventData
    consent: Consent
    request: IncomingRequest
    client_name: str = ""
    index: int = 0
    """Place among the events of its request; part of every id made for this event."""

    def get(self, key_path: str) -> Any:
        """Value at `key_path`, or `undefined`."""
        return read_key_path(self.data, key_path)

    def text(self, key_path: str) -> str | None:
        """Value as text, or None where it is missing, empty or not a scalar.

        The texts `undefined`, `null` and `(not set)` count as missing (meta-capi 4.6, T6)."""
        value = read_key_path(self.data, key_path)
        if isinstance(value, str):
            return None if value.strip() in _NOTHING else value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return number_text(value)
        return None

    def number(self, key_path: str) -> int | float | None:
        """Value as a finite number, also when it came as text (`"99.99"`); else None."""
        return to_number(read_key_path(self.data, key_path))

    def chance(self, purpose: str, size: int = 16) -> bytes:
        """`size` (<= 64) random bytes, always the same for this event and purpose."""
        return hashlib.blake2b(
            self.request.chance(f"event {self.index}", 32), digest_size=size, key=purpose.encode()[:64]
        ).digest()


_NOTHING = frozenset({"", "undefined", "null", "(not set)"})


def make_event(data: EventData, request: IncomingRequest, client_name: str, index: int) -> Event:
    """The Event of one dict of event data, its consent read once."""
    name = data.get("event_name")
    return Event(name if isinstance(name, str) else "", data, read_consent(data), request, client_name, index)


def to_number(value: Any) -> int | float | None:
    """A finite number out of a number or an ASCII text; None for everything else.

    Python's own reading of a text is wider (`1_000`, digits of other scripts, `inf`): not here.
    """
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return None
        value = float(text) if text.strip("+-0123456789") else int(text)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None


_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,4})?", re.ASCII)


def number_text(value: int | float) -> str:
    """A number as JavaScript writes it: 10.0 is `10`, 1e-7 is `1e-7`. Whole numbers keep their digits, up
    to 128 bits."""
    if isinstance(value, int):
        if value.bit_length() <= 128:
            return str(value)
        try:
            value = float(value)
        except OverflowError:
            value = math.copysign(math.inf, 1 if value > 0 else -1)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    text = repr(value).removesuffix(".0")
    if "e" not in text:
        return text
    if 1e-6 <= abs(value) < 1e21:  # Python changes to exponents below 1e-4
        return format(Decimal(text), "f")
    return _ZEROS_OF_EXPONENT.sub(r"\1", text)


_ZEROS_OF_EXPONENT = re.compile(r"(?<=e)([+-])0+")


def read_key_path(data: Any, key_path: str) -> Any:
    """Read `a.0.b` in nested dicts and lists; `undefined` where a step leads nowhere.

    A key that contains dots itself (`ep.a.b` becomes `a.b`) is found by its whole name first.
    """
    if isinstance(data, dict):
        if key_path in data:
            return data[key_path]
        if "." not in key_path:
            return undefined
    for step in key_path.split("."):
        if isinstance(data, dict):
            data = data.get(step, undefined)
        elif isinstance(data, list) and step.isdecimal() and int(step) < len(data):
            data = data[int(step)]
        else:
            return undefined
    return data


def set_value(data: EventData, key_path: str, value: Any) -> EventData:
    """New event data with `value` at `key_path`; writing a parent replaces the subtree, writing a
    leaf touches only the leaf. Only the dicts and lists on the way are copied."""
    head, _, rest = key_path.partition(".")
    if not rest or key_path in data:
        return {**data, key_path: value}
    return {**data, head: _set_inside(data.get(head), rest, value)}


def _set_inside(parent: Any, key_path: str, value: Any) -> Any:
    head, _, rest = key_path.partition(".")
    if isinstance(parent, list) and head.isdecimal() and int(head) <= len(parent):
        copy = [*parent]
        index = int(head)
        child = _set_inside(copy[index] if index < len(copy) else None, rest, value) if rest else value
        copy[index : index + 1] = [child]
        return copy
    base = parent if isinstance(parent, dict) else {}
    return {**base, head: _set_inside(base.get(head), rest, value) if rest else value}


def delete_value(data: EventData, key_path: str) -> EventData:
    """New event data without what stands at `key_path` (the same data if there is nothing)."""
    if key_path in data:
        return {key: value for key, value in data.items() if key != key_path}
    head, _, rest = key_path.partition(".")
    if not rest or head not in data:
        return data
    return {**data, head: _delete_inside(data[head], rest)}


def _delete_inside(parent: Any, key_path: str) -> Any:
    head, _, rest = key_path.partition(".")
    if isinstance(parent, dict) and head in parent:
        if rest:
            return {**parent, head: _delete_inside(parent[head], rest)}
        return {key: value for key, value in parent.items() if key != head}
    if isinstance(parent, list) and head.isdecimal() and int(head) < len(parent):
        index = int(head)
        tail = [_delete_inside(parent[index], rest)] if rest else []
        return [*parent[:index], *tail, *parent[index + 1 :]]
    return parent
