"""Cookie: a cookie of the HTTP request that the event came with.

Of several cookies of one name the first counts: browsers send the one with the longest path first.
"""

from typing import Annotated, Any
from urllib.parse import unquote

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.cookies import read_cookie
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which cookie."""

    name: Annotated[
        str, Meta(min_length=1, description="Name of the cookie, exactly.", examples=["_fbp", "FPID"])
    ]
    decode: Annotated[
        bool, Meta(description="Percent-decode the value; `+` stays, a broken escape stays as it is.")
    ] = False
    default: Annotated[Any, Meta(description="Value where the request has no such cookie.")] = UNSET


@variable("cookie_value", aliases=("k", "sgtmk"))
def resolve(event: Event, parameters: Parameters) -> Any:
    """The first cookie of that name.

    SPEC: sandbox-api 5.5 (k: name, decodeCookie), 5.10.1 W4 (sgtmk)."""
    value = read_cookie(event.request, parameters.name)
    if value is None:
        return parameters.default
    return unquote(value) if parameters.decode else value
