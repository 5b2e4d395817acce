"""Universal Analytics: hits of analytics.js, of old tags and of servers that still speak `v=1`.

Claims `GET` and `POST` of `/collect`, `/r/collect`, `/j/collect` and `/batch`, whatever host they were
written for: point the sender to this server and leave it as it is. One hit is one event, in a batch one
per line, twenty at most. The hit may stand in the URL or in the body.

    curl -i 'https://sst.example/collect?v=1&tid=UA-1-1&cid=555&t=pageview&dl=https%3A%2F%2Fshop.example%2F'

Names are GA4's: `page_view` for a page view, the action (`ea`) for an event. What a hit says of the shop
(enhanced ecommerce, transactions) becomes an event of its own behind it, so that tags made for GA4 fire:
`page_view`, then `purchase` with `transaction_id`, `value` and `items`. Custom dimensions and whatever else
has no name in GA4 stay under `x-ga-mp1-cd1` and its like; `names` gives them better ones.

A hit with `aip` loses the last part of its address before anything sees the event, and `qt` dates it back.

SPEC: requirements R35, R65; ga4-protocol 4 and 11.2; reliability 5.1.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sgtm.clients import _server_managed as visitors
from sgtm.clients.ga4 import ANSWERS
from sgtm.component import client
from sgtm.event import to_number
from sgtm.messages import Answer, Claimed, Declined, EventData, IncomingRequest, Refused
from sgtm.protocols.gtag import only_tag_id
from sgtm.protocols.universal_analytics import MAX_HITS, events_from_mpv1, why_not_a_hit

METHODS = ("GET", "POST")
_NO_MORE_TO_SEND = Answer(200, (("Content-Type", "text/plain"),), b"1")
"""What analytics.js reads at `/j/collect`: it has nothing further to ask for."""


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which hits the client takes, how it names what they say, and how it answers."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(min_length=1, description="Exact paths that the client claims."),
    ] = ("/collect", "/r/collect", "/j/collect", "/batch")
    tracking_ids: Annotated[
        tuple[str, ...],
        Meta(
            description="Properties that are yours; hits of others are answered like these and make no "
            "event. Empty: all.",
            examples=[["UA-12345-1"]],
        ),
    ] = ()
    splits_ecommerce: Annotated[
        bool,
        Meta(
            description="What a hit says of the shop becomes an event of its own (`purchase`, "
            "`add_to_cart`, ...). Otherwise it stands in the event of the hit."
        ),
    ] = True
    names: Annotated[
        dict[Annotated[str, Meta(pattern="^[A-Za-z0-9_]+$")], Annotated[str, Meta(min_length=1)]],
        Meta(
            description="Parameters of the hit -> keys of the event, for those that GA4 has no name for. "
            "A metric (`cm1`) becomes a number.",
            examples=[{"cd1": "plan", "cm1": "score"}],
        ),
    ] = {}
    adds_request_data: Annotated[
        bool,
        Meta(
            description="Take `ip_override` and `user_agent` from the request where the hit has none. "
            "`false` where the senders are servers: theirs say nothing about the visitor."
        ),
    ] = True
    answer: Annotated[Literal[200, 204, "gif"], Meta(description="Status of the answer, or the image.")] = (
        "gif"
    )


def refuse(request: IncomingRequest, parameters: Parameters) -> Refused | None:
    """Hits of other people's properties, where that can be told without parsing (SPEC: reliability 5.1)."""
    if not parameters.tracking_ids or request.method not in METHODS or why_not_a_hit(request):
        return None
    tag_id = only_tag_id(request)
    if tag_id is None or tag_id in parameters.tracking_ids:
        return None
    return Refused(_answer(request, parameters), "measurement id not listed")


@client(
    "universal_analytics",
    aliases=("ua_client",),
    paths=lambda parameters: parameters.paths,
    methods=METHODS,
    refuse=refuse,
    collect_paths=lambda parameters: parameters.paths,
    client_id_key=b"cid",
    measurement_id_key=b"tid",
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Turn the hits of a request into events."""
    if request.path not in parameters.paths:
        return Declined("the path is none of this client's")
    if request.method not in METHODS:
        return Declined("the method is neither GET nor POST")
    reason = why_not_a_hit(request)
    if reason is not None:
        return Declined(reason)
    events = events_from_mpv1(
        request,
        splits_ecommerce=parameters.splits_ecommerce,
        adds_request_data=parameters.adds_request_data,
    )
    if not events:
        return Claimed([], Answer(400), warnings=("the request holds no hit with v=1 and tid",))
    warnings = []
    if request.body.strip().count(b"\n") >= MAX_HITS:
        warnings.append(f"hits behind the first {MAX_HITS} are not read")
    known = [data for data in events if _is_ours(data, parameters)]
    if len(known) < len(events):
        warnings.append("the tracking id is not one of tracking_ids: no event")
    if any(not data["event_name"] for data in known):
        warnings.append("a hit has no type (t): its event has no name")
    for data in known:
        _rename(data, parameters.names)
        if not data.get("client_id") and not data.get("user_id"):
            data["client_id"] = visitors.script_id(request, None) or visitors.new_script_id(request)
    return Claimed(known, _answer(request, parameters), warnings=tuple(warnings))


def _is_ours(data: EventData, parameters: Parameters) -> bool:
    return not parameters.tracking_ids or data["x-ga-measurement_id"] in parameters.tracking_ids


def _rename(data: EventData, names: dict[str, str]) -> None:
    """Put custom parameters under their own names, where the event has no such key yet."""
    for wire_name, key in names.items():
        if f"x-ga-mp1-{wire_name}" in data and key not in data:
            value = data.pop(f"x-ga-mp1-{wire_name}")
            number = to_number(value) if wire_name.startswith("cm") else None
            data[key] = value if number is None else number


def _answer(request: IncomingRequest, parameters: Parameters) -> Answer:
    return _NO_MORE_TO_SEND if request.path.endswith("/j/collect") else ANSWERS[parameters.answer]
