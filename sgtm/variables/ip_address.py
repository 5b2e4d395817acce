"""IP Address: the address of the visitor.

Where a client of the container has set one (`ip_override`, which transformations may redact), it is
that; the address of the connection is used where the event has none, or when asked for.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose."""

    source: Annotated[
        Literal["event", "request"],
        Meta(
            description="`event`: `ip_override`, else that of the request; `request`: who sent the request, "
            "trusted proxies taken away."
        ),
    ] = "event"


@variable("ip_address")
def resolve(event: Event, parameters: Parameters) -> str:
    """The address as text.

    SPEC: sandbox-api 1.1 (getRemoteAddress); requirements R149."""
    override = event.text("ip_override") if parameters.source == "event" else None
    return override or event.request.remote_address
