"""Query Parameter: a parameter of the URL that the HTTP request was sent to.

It is the query string of the request, also for a POST with several events in its body; the query
of the page stands in the event data (`page_location`).
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event
from sgtm.protocols.query import read_query


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which parameter."""

    name: Annotated[
        str, Meta(min_length=1, description="Name of the parameter, decoded.", examples=["tid", "utm_source"])
    ]
    default: Annotated[Any, Meta(description="Value where the query has no such parameter.")] = UNSET


@variable("query_parameter", aliases=("qp",))
def resolve(event: Event, parameters: Parameters) -> Any:
    """The first parameter of that name, decoded; `+` is a space, a name without `=` is an empty text.

    SPEC: sandbox-api 5.5 (qp), 1.1 (getRequestQueryParameter), 5.10.3.11."""
    return read_query(event.request.query).get(parameters.name, parameters.default)
