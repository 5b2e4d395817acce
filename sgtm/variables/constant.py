"""Constant: one value under a name, so that it is written once."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The value."""

    value: Annotated[
        Any,
        Meta(
            description="Any value: text, number, true or false, list or mapping. Secrets do not belong here."
        ),
    ]


@variable("constant", aliases=("c",))
def resolve(event: Event, parameters: Parameters) -> Any:
    """Always the same value.

    SPEC: sandbox-api 5.5 (c)."""
    return parameters.value
