"""Client Name: which client of the container claimed the request."""

from msgspec import Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


@variable("client_name", aliases=("cn",))
def resolve(event: Event, parameters: Parameters) -> str:
    """The name that the container gives the client.

    SPEC: sandbox-api 5.10.1, W4 (cn); 1.2 (getClientName)."""
    return event.client_name
