"""Random Number: a whole number, drawn for each event.

It follows from the request: an event that is run again has the same number, and two variables of this
type with the same bounds have the same number in one event; give them another `purpose` for two.
"""

from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, to_number

LARGEST = 2_147_483_647


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Between what."""

    minimum: Annotated[
        int | float | str | None, Meta(description="Smallest number; together with `maximum`.")
    ] = None
    maximum: Annotated[int | float | str | None, Meta(description="Largest number, itself included.")] = None
    purpose: Annotated[str, Meta(description="Any text; other texts draw other numbers.")] = "Random Number"


@variable("random_number", aliases=("r",))
def resolve(event: Event, parameters: Parameters) -> int:
    """A whole number between both bounds, both included; missing, reversed or unreadable bounds are 0
    and 2147483647.

    SPEC: google-runtime 3 (random)."""
    low, high = to_number(parameters.minimum), to_number(parameters.maximum)
    if low is None or high is None or low > high:
        low, high = 0, LARGEST
    first, count = -int(-low // 1), int(high // 1) + int(-low // 1) + 1
    drawn = int.from_bytes(event.chance(parameters.purpose, 16), "big")
    return first + drawn % count if count > 0 else first
