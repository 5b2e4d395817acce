"""Container ID: the public id of the container, `GTM-XXXX`."""

from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, undefined


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Filled in by the container."""

    container_id: Annotated[str, Meta(description="Unsaid: the container's own.")] = ""


@variable("container_id", aliases=("cid",))
def resolve(event: Event, parameters: Parameters) -> object:
    """The id, as text; undefined where the container says none.

    SPEC: sandbox-api 5.5 (cid), 1.3 (getContainerVersion)."""
    return parameters.container_id or undefined
