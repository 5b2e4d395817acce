"""Places: where in a webhook a value stands, as a text.

data.object.id            from the event (inside `each`: from the item)
line_items.0.price        the first of a list;  line_items.*.price: a list of all prices
meta_data.key=_fbp.value  of a list, the first entry whose `key` is `_fbp`
header:X-Shopify-Topic    query:shop    event:id    body:batch_id    text:a constant
"""

from functools import lru_cache
from typing import Any

from msgspec import Struct

from sgtm.event import undefined
from sgtm.javascript import text_of
from sgtm.messages import IncomingRequest
from sgtm.protocols.query import read_query

_PREFIXES = ("header", "query", "event", "body", "text")


class Scope(Struct):
    """What places are read in."""

    request: IncomingRequest
    body: Any
    event: Any
    item: Any


def read_place(place: str, scope: Scope) -> Any:
    """What stands there; `undefined` for what is missing, empty or null."""
    kind, steps = _parsed(place)
    match kind:
        case "header":
            value: Any = scope.request.header(steps[0].lower().encode())
        case "query":
            value = read_query(scope.request.query).get(steps[0])
        case "text":
            value = steps[0]
        case "body":
            value = _walk(scope.body, steps)
        case "event":
            value = _walk(scope.event, steps)
        case _:
            value = _walk(scope.item, steps)
    return undefined if value is None or value in ("", [], {}) else value


def is_constant(place: str) -> bool:
    """Whether it says itself what the value is."""
    return place.startswith("text:")


def holds(conditions: dict[str, Any], scope: Scope) -> bool:
    """Whether at each place there is the value, or one of the values, that belongs to it; of a list that
    `*` gave any member. Compared as text: `true`, `7`; what is missing is `undefined`."""
    return all(
        not {text_of(one) for one in _listed(wanted)}.isdisjoint(
            scalar_text(one) for one in _listed(read_place(place, scope))
        )
        for place, wanted in conditions.items()
    )


def scalar_text(value: Any) -> str | None:
    """A single value as text; None for a mapping or a list."""
    return None if isinstance(value, (dict, list)) else text_of(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=4096)
def _parsed(place: str) -> tuple[str, tuple[str, ...]]:
    """(kind, steps). PERF: containers hold few places, and each is read for every webhook."""
    prefix, colon, rest = place.partition(":")
    if not colon or prefix not in _PREFIXES:
        return "item", tuple(place.split("."))
    if prefix in ("event", "body"):
        return prefix, tuple(rest.split("."))
    return prefix, (rest,)


def _walk(value: Any, steps: tuple[str, ...]) -> Any:
    for position, step in enumerate(steps):
        if step == "*" and isinstance(value, list):
            found = [_walk(one, steps[position + 1 :]) for one in value]
            return [one for one in found if one is not undefined and one is not None]
        value = _step(value, step)
        if value is undefined:
            break
    return value


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, undefined)
    if not isinstance(value, list):
        return undefined
    if step.isdecimal():
        return value[int(step)] if len(step) < 10 and int(step) < len(value) else undefined
    key, equals, wanted = step.partition("=")
    if not equals:
        return undefined
    entries = (
        one for one in value if isinstance(one, dict) and scalar_text(one.get(key, undefined)) == wanted
    )
    return next(entries, undefined)
