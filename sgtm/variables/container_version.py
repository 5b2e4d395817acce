"""Container Version: which version of the container the event runs through.

It is the container's `version_name` or, without one, the hash of its file.
"""

from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Filled in by the container."""

    container_version: Annotated[str, Meta(description="Unsaid: the container's own.")] = ""


@variable("container_version", aliases=("ctv",))
def resolve(event: Event, parameters: Parameters) -> str:
    """The version, as text.

    SPEC: sandbox-api 5.5 (ctv), 1.3 (getContainerVersion)."""
    return parameters.container_version
