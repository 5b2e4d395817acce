"""The gtag protocol: what GA4's browser library sends to `/g/collect`, and what it accepts as an answer.

SPEC: ga4-protocol 1, 2, 5.6 and 11; google-runtime 6 and 7.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec

from sgtm._fast.collect import add_request_data, find_parameter, parse_collect
from sgtm._fast.encode import encode_request
from sgtm._fast.glance import leading_tag_id
from sgtm.messages import EventData, IncomingRequest

SYSTEM_PROPERTIES = "x-ga-system_properties"
MAX_URL = 2048
"""Characters of a URL; above, gtag moves the event into the body (SPEC: google-runtime 6.5, 11.1.2)."""


def why_not_a_hit(request: IncomingRequest) -> str | None:
    """Why this request is no GA4 hit, naming what is missing; None if it is one.

    A hit has `v=2` and a `tid`, in the URL or in the body (SPEC: ga4-protocol 1.2, 11.2). The path is not
    judged here."""
    if leading_tag_id(request.query):
        return None
    version = _parameter(request, b"v")
    if version is None:
        return "the parameter v is missing"
    if version == "1":
        return "v is 1, not 2: a Universal Analytics hit"
    if version != "2":
        return "v is not 2"
    tag_id = _parameter(request, b"tid")
    if not tag_id:
        return "the parameter tid is missing"
    return None if _is_tag_id(tag_id) else "tid is not a measurement id like G-ABC123"


def only_tag_id(request: IncomingRequest) -> str | None:
    """The `tid` of every event in the request, found without parsing; None where lines of the body may
    have ids of their own."""
    in_body = request.body.count(b"tid=") if request.body else 0
    if not in_body:
        return leading_tag_id(request.query) or find_parameter(request.query, b"tid")
    if in_body == 1 and b"\n" not in request.body and find_parameter(request.query, b"tid") is None:
        return find_parameter(request.body, b"tid")
    return None


def _parameter(request: IncomingRequest, name: bytes) -> str | None:
    found = find_parameter(request.query, name)
    return find_parameter(request.body, name) if found is None and request.body else found


def _is_tag_id(text: str) -> bool:
    prefix, _, rest = text.partition("-")
    return text.isascii() and prefix.isalpha() and rest.isalnum() and prefix != "UA"


def parse_events(request: IncomingRequest) -> list[EventData]:
    """Complete event data of every event in the request; empty if it names no event.

    `client_id` is the wire's `cid`: cookies and modes are the GA4 client's. SPEC: ga4-protocol 2 and 11.3.
    """
    events = parse_collect(request.query, request.body)
    add_request_data(events, request.headers, request.remote_address, request.received_micros)
    for data in events:
        system = data.get(SYSTEM_PROPERTIES)
        if type(system) is dict and "uip" in system:
            _apply_ip(data, system["uip"], request.is_peer_trusted)
        if type(data.get("items")) is str:
            _read_items(data)
    return events


def _apply_ip(data: EventData, address: str, is_peer_trusted: bool) -> None:
    """`_uip`: `::` says that the address shall not be known; an address counts only from a trusted peer
    (SPEC: ga4-protocol 11.3)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return
    if ip.is_unspecified:
        data.pop("ip_override", None)
    elif is_peer_trusted:
        data["ip_override"] = str(ip)


def _read_items(data: EventData) -> None:
    """`ep.items` in JSON, where no `prN` came; other text stays text (SPEC: requirements X7)."""
    try:
        data["items"] = msgspec.json.decode(data["items"], type=list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return


def is_resent(data: EventData) -> bool:
    """Whether the browser sent this hit because consent was given later: most have come before, with the
    same transaction id (SPEC: ga4-protocol 11.1.4; google-runtime 6.3, 7.5)."""
    return data.get("x-ga-gcu") == "1"


def command_stream(pixels: Sequence[str], body: str = "") -> bytes:
    """The 200 answer to a hit with `richsstsse`: asks the browser to fetch these pixels. `body` is what an
    ordinary answer would have held.

    Two lines per message and an empty one, LF only; gtag reads `send_pixel`, other readers end at
    `response` (SPEC: ga4-protocol 5.6, google-runtime 7.4). Content-Type: text/plain works everywhere."""
    commands: list[dict[str, Any]] = [{"send_pixel": list(pixels)}] if pixels else []
    commands.append({"response": {"status_code": 200, "body": body}})
    return b"".join(b"event: message\ndata: %b\n\n" % msgspec.json.encode(command) for command in commands)


def encode_hit(data: EventData, endpoint: str) -> tuple[str, bytes]:
    """(URL, body) of the POST that sends one event to `endpoint`; the reverse of `parse_events`.

    As gtag does: everything in the URL and no body, until the URL would have more than 2,048 characters;
    then the event block (`en` and what follows) is the body (SPEC: google-runtime 6.5). Never raises."""
    query, body = encode_request(data, MAX_URL - len(endpoint) - 1)
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query.decode('ascii')}", body
