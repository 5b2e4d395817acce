"""Visitor Region: the visitor's country and region as one code, `US-CA`.

This is what regions of consent settings are written in, and what Google's clients put into scripts. See
`docs/geo.md` for where it comes from.
"""

from typing import Any

from msgspec import UNSET, Struct

from sgtm.component import variable
from sgtm.event import Event, undefined
from sgtm.variables._defaults import Default, or_default
from sgtm.variables._places import PlaceParameters, check_places, place_of


class Parameters(PlaceParameters, Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to look."""

    default: Default = UNSET


@variable("visitor_region", aliases=("vr",), check=check_places)
def resolve(event: Event, parameters: Parameters) -> Any:
    """ISO 3166-2, or the country alone where the region is unknown.

    SPEC: sandbox-api 5.5 (vr: resolutionOptions = requestHeaders), 5.10.2 (K8, K24)."""
    place = place_of(event, parameters)
    return or_default(undefined if place is None else place.code, parameters.default)
