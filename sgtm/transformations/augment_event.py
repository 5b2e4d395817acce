"""Augment event: parameters are added to an event, or get another value.

Dotted names reach inside (`user_data.address.city`): a leaf changes only itself, a parent replaces all
below it. Values may hold `{{variables}}`, read before any of them is set; where a value is undefined,
the parameter is taken out, so that nothing stays that was to be replaced. With a lookup table as the
variable this is also how events are enriched.

SPEC: sandbox-api 5.8; 5.10.4, A8; requirements R166.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.component import transformation
from sgtm.event import Event, delete_value, set_value, undefined
from sgtm.messages import EventData


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is set."""

    parameters: Annotated[
        dict[Annotated[str, Meta(min_length=1)], Any],
        Meta(
            description="Name of each event parameter (dots reach inside) and its value.",
            examples=[{"currency": "EUR"}],
            extra={"keeps_undefined": True},
        ),
    ]


@transformation("augment_event", aliases=("tf_augment_event",))
def transform(event: Event, parameters: Parameters) -> EventData:
    """Adds parameters to an event, or changes them."""
    data = event.data
    for name, value in parameters.parameters.items():
        data = delete_value(data, name) if value is undefined else set_value(data, name, value)
    return data
