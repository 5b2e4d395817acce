"""Environment: the value of an environment variable of the process.

For what differs between stages: an id, a host, a switch. Secrets do not belong here: a tag's secret
parameter is read by the sender alone, a variable's value can reach any field.
"""

import os
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which environment variable."""

    name: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z_][A-Za-z0-9_]*$",
            description="Name of the environment variable.",
            examples=["STAGE"],
        ),
    ]
    default: Annotated[Any, Meta(description="Value where the environment has none.")] = UNSET


@variable("environment")
def resolve(event: Event, parameters: Parameters) -> Any:
    """An environment variable of the process, as text; set but empty is an empty text."""
    return os.environ.get(parameters.name, parameters.default)
