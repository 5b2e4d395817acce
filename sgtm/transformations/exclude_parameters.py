"""Exclude parameters: these parameters are taken out of an event.

Dotted names reach inside (`user_data.email_address`, `items.0.price`); what is not there is no matter.
No variable can bring them back, since a tag's variables see the event as its transformations leave it.

SPEC: sandbox-api 5.8; 5.10.1, W1; 5.10.4, A8.
"""

from functools import reduce
from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import transformation
from sgtm.event import Event, delete_value
from sgtm.messages import EventData


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is taken out."""

    names: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(description="Names of event parameters; dots reach inside.", examples=[["user_data"]]),
    ]


@transformation("exclude_parameters", aliases=("tf_exclude_params",))
def transform(event: Event, parameters: Parameters) -> EventData:
    """Takes some parameters out of an event."""
    return reduce(_without, parameters.names, event.data)


def _without(data: EventData, name: str) -> EventData:
    """`data` without what stands under the whole name, and at the path."""
    while name in data:
        data = delete_value(data, name)
    return delete_value(data, name)
