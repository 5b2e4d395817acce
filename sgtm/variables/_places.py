"""Where the visitor of an event is: headers of trusted proxies first, then a database of addresses."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.errors import Problem
from sgtm.event import Event
from sgtm.geo_database import GeoDatabaseError, default_database, open_database, place_of_address
from sgtm.geo_headers import Names, Place, place_of_headers

HeaderName = Annotated[str, Meta(pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]*$")]


class PlaceParameters(Struct, frozen=True, kw_only=True):
    """Where to look."""

    country_header: Annotated[
        HeaderName,
        Meta(
            description="Header of a proxy of yours that holds the country; empty: those of the proxies that "
            "everybody knows."
        ),
    ] = ""
    region_header: Annotated[HeaderName, Meta(description="With `country_header`: that of the region.")] = ""
    city_header: Annotated[HeaderName, Meta(description="With `country_header`: that of the city.")] = ""
    database: Annotated[
        str,
        Meta(
            description="File in MaxMind's format that is asked where no header tells; empty: the process's "
            "(`--geo-database`), if it has one.",
            examples=["/var/lib/sgtm/GeoLite2-City.mmdb"],
        ),
    ] = ""


def check_places(parameters: dict[str, Any], where: str) -> list[Problem]:
    """A database that cannot be opened. Opens it, so that the first event need not."""
    problems = []
    for path, place in ((parameters.get("database"), f"{where}.database"), (default_database(), where)):
        if isinstance(path, str) and path and "{{" not in path:
            try:
                open_database(path)
            except GeoDatabaseError as error:
                problems.append(Problem("error", error.what, place, error.mend))
    return problems


def place_of(event: Event, parameters: PlaceParameters) -> Place | None:
    """Where the visitor is; None where nobody knows."""
    names = None
    if parameters.country_header:
        names = Names(
            parameters.country_header.lower(),
            parameters.region_header.lower(),
            parameters.city_header.lower(),
        )
    place = place_of_headers(event.request, names)
    if place is not None:
        return place
    path = parameters.database or default_database()
    if not path:
        return None
    return place_of_address(event.text("ip_override") or event.request.remote_address, path)
