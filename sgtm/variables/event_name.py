"""Event Name: what the event is called, as the one who asks sees it."""

from msgspec import Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


@variable("event_name", aliases=("e",))
def resolve(event: Event, parameters: Parameters) -> str:
    """The event's name, from the event's own data.

    SPEC: google-runtime 3 (e)."""
    return event.name
