"""Event Data: a value of the event, by key path.

`items.0.price` goes through lists and dicts; a key that contains dots itself is found by its whole
name first, or written with `\\.` for its dots. What is missing is undefined, never an empty text.
"""

import re
from functools import lru_cache
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, read_key_path, undefined


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which value of the event."""

    key_path: Annotated[
        str,
        Meta(
            min_length=1,
            description="Path of the value in the event data: keys and list positions joined by dots.",
            examples=["page_location", "items.0.price", "user_data.address.city"],
        ),
    ]
    default: Annotated[
        Any, Meta(description="Value where the event has none. null and empty texts are values and stay.")
    ] = UNSET
    default_for_empty: Annotated[
        bool, Meta(description="The default takes the place of null and of an empty text too.")
    ] = False


@variable("event_data", aliases=("ed",))
def resolve(event: Event, parameters: Parameters) -> Any:
    """A value of the event, by key path.

    SPEC: sandbox-api 5.5 (ed), 5.10.4 A5 (the default replaces undefined only); requirements R154 (or null
    and empty texts too); google-runtime 3 (`\\.` is a dot inside a step)."""
    path = parameters.key_path
    value = _read_escaped(event.data, path) if "\\" in path else event.get(path)
    is_nothing = value is undefined or (parameters.default_for_empty and (value is None or value == ""))
    return parameters.default if is_nothing else value


_STEP = re.compile(r"(?:[^.\\]|\\.|\\$)*", re.DOTALL)


def _read_escaped(value: Any, path: str) -> Any:
    """The value at a path in which a backslash takes the meaning of the character behind it away."""
    for step in _steps(path):
        if isinstance(value, dict):
            value = value.get(step, undefined)
        else:
            value = read_key_path(value, step) if step.isdecimal() else undefined
        if value is undefined:
            break
    return value


@lru_cache(maxsize=1024)  # paths stand in the container
def _steps(path: str) -> list[str]:
    at, steps = 0, []
    while at <= len(path):
        found = _STEP.match(path, at)
        text = found.group() if found else ""
        steps.append(re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL))
        at += len(text) + 1
    return steps
