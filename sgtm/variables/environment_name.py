"""Environment Name: for which environment the container is published.

It is the container's `environment_name`; for a variable of the process's environment see `environment`.
"""

from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Filled in by the container."""

    environment_name: Annotated[str, Meta(description="Unsaid: the container's own.")] = "Live"


@variable("environment_name")
def resolve(event: Event, parameters: Parameters) -> str:
    """The name, as text.

    SPEC: sandbox-api 5.5 (built-ins), 5.10.4 (A11: `Live` where nothing is said)."""
    return parameters.environment_name
