"""Redirect: counts a click on a link, and sends the browser on to one of your hosts.

Claims `GET` of its paths. The address to go on to stands in a query parameter; it must be a plain http or
https address of one of `hosts`, so that nobody can use this server to make a link of his look like yours.

    <a href="https://sst.example/go?url=https%3A%2F%2Fshop.example%2Foffer%3Fa%3D1&campaign_id=42">

The event is GA4's `click` with `link_url` and `link_domain`, and whatever else the address says. It is kept
before the answer leaves. An address that is not listed makes no event: 400, or on to `otherwise`.

SPEC: requirements R330, R66.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sgtm.clients import _query_events
from sgtm.clients._redirects import host_of, may_redirect
from sgtm.component import client
from sgtm.messages import Answer, Claimed, Declined, IncomingRequest, redirect
from sgtm.protocols.query import read_query


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which links the client is, where they may lead, and how their addresses are read."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(min_length=1, description="Exact paths that the client claims.", examples=[["/go"]]),
    ]
    hosts: Annotated[
        tuple[
            Annotated[str, Meta(pattern=r"^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$")],
            ...,
        ],
        Meta(
            min_length=1,
            description="Hosts that links may lead to, in small letters (names of other scripts as "
            "`xn--...`); `*.` in front stands for all below.",
            examples=[["shop.example", "*.shop.example"]],
        ),
    ]
    url_parameter: Annotated[
        str, Meta(min_length=1, description="Query parameter with the address to go on to.")
    ] = "url"
    otherwise: Annotated[
        str,
        Meta(
            pattern="^(https?://[!-~]+)?$",
            description="Where a link leads that names no listed address. Empty: it is answered 400.",
        ),
    ] = ""
    status: Annotated[
        Literal[302, 303, 307], Meta(description="Status of the answer. No browser keeps these in mind.")
    ] = 302
    event_name: Annotated[
        str, Meta(min_length=1, description="Name of an event whose address has no `event_name`.")
    ] = "click"
    names: _query_events.Names = {}
    numbers: _query_events.Numbers = ()
    only_listed: _query_events.OnlyListed = False
    adds_request_data: Annotated[
        bool,
        Meta(
            description="Take `ip_override`, `user_agent` and `page_location` (the page with the link) from "
            "the request where the address has none."
        ),
    ] = True


@client("redirect", paths=lambda parameters: parameters.paths, methods=("GET",))
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """One event from the query string, and the way on."""
    if request.path not in parameters.paths:
        return Declined("the path is none of this client's")
    if request.method != "GET":
        return Declined("the method is not GET")
    query = read_query(request.query)
    url = query.pop(parameters.url_parameter, "")
    if not may_redirect(url, parameters.hosts):
        warnings = (f"{parameters.url_parameter} is no http or https address of one of hosts",)
        answer = redirect(parameters.otherwise, parameters.status) if parameters.otherwise else Answer(400)
        return Claimed([], answer, warnings=warnings)
    data = _query_events.event_of_query(
        query, parameters.names, parameters.numbers, only_listed=parameters.only_listed
    )
    name = data.pop("event_name", None)
    data = {"event_name": str(name) if name else parameters.event_name, **data}
    data |= {"link_url": url, "link_domain": host_of(url)}
    if parameters.adds_request_data:
        _query_events.add_request_data(data, request)
    return Claimed([data], redirect(url, parameters.status))
