"""Geo: the visitor's country, region or city.

Headers that a trusted proxy or CDN has written are believed first; where there is none, a database of
addresses is asked, if there is one. See `docs/geo.md`.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, undefined
from sgtm.variables._defaults import Default, or_default
from sgtm.variables._places import PlaceParameters, check_places, place_of


class Parameters(PlaceParameters, Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is wanted, and where to look."""

    part: Annotated[
        Literal["country", "region", "city"],
        Meta(
            description="`country` as `DE`, `region` as `BE` (ISO 3166-2, without the country), `city` as "
            "its name."
        ),
    ] = "country"
    default: Default = UNSET


@variable("geo", check=check_places)
def resolve(event: Event, parameters: Parameters) -> Any:
    """One part of where the visitor is.

    SPEC: requirements R149, R316."""
    place = place_of(event, parameters)
    value = "" if place is None else getattr(place, parameters.part)
    return or_default(value or undefined, parameters.default)
