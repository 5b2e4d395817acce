"""Request Method: the method of the HTTP request that the event came with."""

from msgspec import Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


@variable("request_method", aliases=("rm",))
def resolve(event: Event, parameters: Parameters) -> str:
    """The method in capitals, `POST`.

    SPEC: sandbox-api 1.1 (getRequestMethod)."""
    return event.request.method
