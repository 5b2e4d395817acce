"""Drop event: the event ends here, before any trigger sees it.

Stands under `preparations:` only, with conditions that say which events: bots, tests, other people's
traffic. Each is counted, under the preparation's name.

SPEC: requirements R162, R163.
"""

from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import transformation
from sgtm.event import Event
from sgtm.messages import Dropped


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Annotated[
        str, Meta(description="Why, in words; shown where somebody looks at the event.", examples=["a bot"])
    ] = ""


@transformation("drop_event", only_prepares=True)
def transform(event: Event, parameters: Parameters) -> Dropped:
    """Drops an event."""
    return Dropped(parameters.reason)
