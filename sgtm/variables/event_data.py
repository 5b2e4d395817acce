"""Event Data: a value of the event, by key path.

`items.0.price` goes through lists and dicts; a key that contains dots itself is found by its whole
name first. What is missing is undefined, never an empty text.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, undefined


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


@variable("event_data", aliases=("ed",))
def resolve(event: Event, parameters: Parameters) -> Any:
    """A value of the event, by key path.

    SPEC: sandbox-api 5.5 (ed), 5.10.4 A5 (the default replaces undefined only)."""
    value = event.get(parameters.key_path)
    return parameters.default if value is undefined else value
