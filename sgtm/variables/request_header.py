"""Request Header: a header of the HTTP request that the event came with."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which header."""

    header_name: Annotated[
        str,
        Meta(
            pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            description="Name of the header; upper and lower case are the same.",
            examples=["User-Agent", "X-Gclb-Country"],
        ),
    ]
    default: Annotated[Any, Meta(description="Value where the request has no such header.")] = UNSET


@variable("request_header", aliases=("rh",))
def resolve(event: Event, parameters: Parameters) -> Any:
    """A header of the request; a repeated one is joined with `, `.

    SPEC: sandbox-api 5.5 (rh), 1.1 (getRequestHeader)."""
    name = parameters.header_name.lower().encode()
    values = [value.decode("utf-8", "replace") for key, value in event.request.headers if key == name]
    return ", ".join(values) if values else parameters.default
