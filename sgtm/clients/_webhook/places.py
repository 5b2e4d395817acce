"""Places: where in a webhook a value stands, as a text.

data.object.id            from the event (inside `each`: from the item)
line_items.0.price        the first of a list;  line_items.*.price: a list of all prices
meta_data.key=_fbp.value  of a list, the first entry whose `key` is `_fbp`
header:X-Shopify-Topic    query:shop    event:id    body:batch_id    text:a constant
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
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


Read = Callable[[Scope], Any]
"""Gives what stands somewhere; `undefined` for what is missing, empty or null."""


def compile_place(place: str) -> Read:
    """How to read a place. PERF: a webhook has dozens, so what a place means is found out once."""
    prefix, colon, rest = place.partition(":")
    if not colon or prefix not in _PREFIXES:
        prefix, rest = "item", place
    if prefix == "text":
        return lambda scope: rest or undefined
    if prefix == "header":
        name = rest.lower().encode()
        return lambda scope: scope.request.header(name) or undefined
    if prefix == "query":
        return lambda scope: read_query(scope.request.query).get(rest) or undefined
    return _path(attrgetter(prefix), tuple(rest.split(".")))


def _path(whole: Read, steps: tuple[str, ...]) -> Read:
    """How to read a key path in what `whole` gives."""
    if "*" in steps:
        return lambda scope: _there(_walk(whole(scope), steps))

    def read(scope: Scope) -> Any:
        value = whole(scope)
        for step in steps:
            value = value.get(step, undefined) if isinstance(value, dict) else _member(value, step)
        return value or _there(value)

    return read


def is_constant(place: str) -> bool:
    """Whether it says itself what the value is."""
    return place.startswith("text:")


def compile_conditions(conditions: Mapping[str, Any]) -> Callable[[Scope], bool]:
    """Whether at each place there is the value, or one of the values, that belongs to it; of a list that
    `*` gave any member. Compared as text: `true`, `7`; what is missing is `undefined`."""
    tests = [
        (compile_place(place), {text_of(one) for one in _listed(wanted)})
        for place, wanted in conditions.items()
    ]

    def holds(scope: Scope) -> bool:
        return all(
            not wanted.isdisjoint(scalar_text(one) for one in _listed(read(scope))) for read, wanted in tests
        )

    return holds


def scalar_text(value: Any) -> str | None:
    """A single value as text; None for a mapping or a list."""
    return None if isinstance(value, (dict, list)) else text_of(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _there(value: Any) -> Any:
    if value or value is False:
        return value
    return value if isinstance(value, (int, float)) else undefined


def _walk(value: Any, steps: tuple[str, ...]) -> Any:
    for position, step in enumerate(steps):
        if isinstance(value, dict):
            value = value.get(step, undefined)
        elif step == "*" and isinstance(value, list):
            found = [_walk(one, steps[position + 1 :]) for one in value]
            return [one for one in found if one is not undefined and one is not None]
        else:
            value = _member(value, step)
        if value is undefined:
            break
    return value


def _member(value: Any, step: str) -> Any:
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
