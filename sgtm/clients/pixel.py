"""Pixel: an event from the address of an image, for mails, partners' pages and whatever runs no script.

Claims `GET` of its paths; the query parameters are the event, the answer is an image of one pixel that
nobody caches. It sets and reads no cookie: who the visitor is has to stand in the address.

    <img src="https://sst.example/pixel.gif?event_name=open&campaign_id=42&client_id=555.1" alt="">

The page that shows the image is `page_location`, as far as its browser says (`Referer`). Consent may come as
`gcs` and `gcd`.

SPEC: requirements R330.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sgtm.clients import _query_events
from sgtm.clients.ga4 import ANSWERS
from sgtm.component import client
from sgtm.messages import Claimed, Declined, IncomingRequest
from sgtm.protocols.query import read_query


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which images the client is, and how their addresses are read."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(min_length=1, description="Exact paths that the client claims.", examples=[["/pixel.gif"]]),
    ]
    event_name: Annotated[
        str, Meta(min_length=1, description="Name of an event whose address has no `event_name`.")
    ] = "pixel"
    names: _query_events.Names = {}
    numbers: _query_events.Numbers = ()
    only_listed: _query_events.OnlyListed = False
    adds_request_data: Annotated[
        bool,
        Meta(
            description="Take `ip_override`, `user_agent` and `page_location` from the request where the "
            "address has none."
        ),
    ] = True
    answer: Annotated[Literal[204, "gif"], Meta(description="Status of the answer, or the image.")] = "gif"


@client(
    "pixel",
    paths=lambda parameters: parameters.paths,
    methods=("GET",),
    collect_paths=lambda parameters: parameters.paths,
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """One event from the query string."""
    if request.path not in parameters.paths:
        return Declined("the path is none of this client's")
    if request.method != "GET":
        return Declined("the method is not GET")
    data = _query_events.event_of_query(
        read_query(request.query), parameters.names, parameters.numbers, only_listed=parameters.only_listed
    )
    name = data.pop("event_name", None)
    data = {"event_name": str(name) if name else parameters.event_name, **data}
    if parameters.adds_request_data:
        _query_events.add_request_data(data, request)
    return Claimed([data], ANSWERS[parameters.answer])
