"""Data Tag: what Stape's Data Tag and its libraries for servers send, so that a site moves without a change.

Claims `GET` and `POST` of `/data`. The protocol has no sender of its own: whatever posts JSON objects, lists
of them or forms may use it.

    curl -X POST 'https://sst.example/data?v=2' -d '{"event_name": "purchase", "value": 20.5}'

What other names say is added under Google's: `url` is also `page_location`, `email` is also
`user_data.email_address`; a single item is spread out, and a missing `value` is the sum of the items. Each
event gets `timestamp` (seconds) and `unique_event_id`, and the answer says them. The visitor is who the event
says, else who the cookie `_dcid` says, else new; with `sets_cookie` the cookie keeps the id where
`analytics_storage` is granted (without that it is not read either).

There is no authentication: any page can post. List `allowed_origins`, and mind the rates.

SPEC: requirements R326, R62, R66; vendor-tags 5.6; ga4-protocol 5.6, 11.2; reliability 5.4.
"""

from collections.abc import Collection
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct

from sgtm.clients._redirects import may_redirect
from sgtm.clients.ga4 import ANSWERS
from sgtm.component import client
from sgtm.consent import read_consent
from sgtm.cookies import MAX_AGE_CAP_S, read_cookie, registrable_domain
from sgtm.errors import Problem
from sgtm.messages import Answer, Claimed, Cookie, Declined, EventData, IncomingRequest, redirect
from sgtm.protocols.bodies import Unreadable
from sgtm.protocols.data_tag import add_common_keys, client_id_of, name_of, read_events
from sgtm.protocols.gtag import command_stream
from sgtm.protocols.query import read_query

METHODS = ("GET", "POST")
COOKIE, STORE = "_dcid", "stape"
_REDIRECTS = (301, 302)
_MAX_ID = 200


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests the client takes, how it knows visitors, and how it answers."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(min_length=1, description="Exact paths that the client claims."),
    ] = ("/data",)
    max_events: Annotated[
        int, Meta(ge=1, le=10_000, description="Events in one list; more are answered 413, none is taken.")
    ] = 25
    sets_cookie: Annotated[
        bool,
        Meta(
            description="A visitor without an id gets one, which the cookie `_dcid` keeps for 400 days; it "
            "moves with each event. Otherwise the event has no `client_id`, unless it brings one."
        ),
    ] = True
    prolongs_store: Annotated[
        bool,
        Meta(description="Give `stape`, the cookie of the Data Tag's store, a new life with each event."),
    ] = True
    cookie_http_only: Annotated[bool, Meta(description="Hide `_dcid` from scripts.")] = False
    unset_consent: Annotated[
        Literal["granted", "denied"],
        Meta(description="What unset consent counts as for cookies; without a word, as the container says."),
    ] = "denied"
    adds_request_data: Annotated[
        bool,
        Meta(
            description="Take `ip_override`, `user_agent` and `language` from the request where the event "
            "has none. `false` where the senders are servers."
        ),
    ] = True
    status: Annotated[
        Literal[200, 201, 204, 301, 302, 403, 404],
        Meta(description="Status of the answer to an event."),
    ] = 200
    answer_body: Annotated[
        Literal["timestamp", "event_data", "empty"],
        Meta(
            description="Body of the answer to a POST: time and id of the event, the whole event, or none. "
            "A GET is answered by an image."
        ),
    ] = "timestamp"
    redirect_to: Annotated[str, Meta(description="Where status 301 and 302 lead.")] = ""
    redirect_parameter: Annotated[
        str, Meta(description="Query parameter that may name another address. Empty: none.")
    ] = ""
    redirect_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts that it may name; `*.` in front stands for all below.",
            examples=[["*.example.com"]],
        ),
    ] = ()


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """Redirects that lead nowhere, or would lead anywhere."""
    problems = []
    if parameters.get("status") in _REDIRECTS and not parameters.get("redirect_to"):
        mend = "write `redirect_to: https://shop.example/`"
        problems.append(Problem("error", "redirects to nowhere", f"{where}.status", mend))
    if parameters.get("redirect_parameter") and not parameters.get("redirect_hosts"):
        mend = "list the hosts in `redirect_hosts`"
        problems.append(
            Problem("error", "would redirect to no host at all", f"{where}.redirect_parameter", mend)
        )
    return problems


@client(
    "data_tag",
    check=check,
    paths=lambda parameters: parameters.paths,
    methods=METHODS,
    allowed_headers=("x-robots-tag", "x-stape-preview", "x-stape-app-version"),
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Turn the objects of a request into events."""
    if request.path not in parameters.paths:
        return Declined("the path is none of this client's")
    if request.method not in METHODS:
        return Declined("the method is neither GET nor POST")
    try:
        objects, dropped = read_events(request, parameters.max_events)
    except Unreadable as error:
        return Claimed([], Answer(error.status), warnings=(error.reason,))
    warnings = [f"entries of the list that are no JSON objects: {dropped}"] if dropped else []
    denied = _denied(objects, parameters)
    client_id = _client_id(request, objects, denied, parameters)
    events = [_event(request, data, index, client_id, parameters) for index, data in enumerate(objects)]
    cookies = _cookies(request, events[0], denied, parameters)
    answer = _answer(request, events, dropped is not None, parameters, warnings)
    answer = Answer(answer.status, answer.headers, answer.body, cookies)
    asks = "richsstsse" in read_query(request.query) and answer.status in (200, 201, 204)
    return Claimed(
        events,
        answer,
        warnings=tuple(warnings),
        answer_with_pixels=partial(_ask_for_pixels, answer) if asks else None,
    )


def _event(
    request: IncomingRequest, data: EventData, index: int, client_id: str, parameters: Parameters
) -> EventData:
    """One event under Google's keys. SPEC: vendor-tags 5.6."""
    millis = request.received_micros // 1000
    number = 100_000_000 + int.from_bytes(request.chance(f"unique_event_id {index}", 8), "big") % 900_000_000
    made: EventData = {
        "event_name": name_of(data),
        "timestamp": millis // 1000,
        "unique_event_id": f"{millis}_{number}",
    }
    made |= {key: value for key, value in data.items() if key != "event_name"}
    add_common_keys(made)
    if parameters.adds_request_data:
        language = (request.header(b"accept-language") or "")[:2].lower()
        found = {
            "ip_override": request.remote_address,
            "user_agent": request.header(b"user-agent"),
            "language": language if language.isalpha() else None,
        }
        made |= {key: value for key, value in found.items() if value and not made.get(key)}
    if client_id:
        made["client_id"] = client_id
    return made


# -- who it is ---------------------------------------------------------------------------------


def _denied(objects: list[EventData], parameters: Parameters) -> frozenset[str]:
    """Consent that one of the events does not have: of no cookie's kind without it (R62, R281)."""
    is_unset_granted = parameters.unset_consent == "granted"
    consents = [read_consent(data) for data in objects]
    return frozenset(
        name
        for consent in consents
        for name in consent.missing(("ad_storage", "analytics_storage"), is_unset_granted=is_unset_granted)
    )


def _client_id(
    request: IncomingRequest, objects: list[EventData], denied: Collection[str], parameters: Parameters
) -> str:
    """SPEC: vendor-tags 5.6: of an event, of the cookie, or new."""
    for data in objects:
        if client_id := client_id_of(data):
            return client_id
    kept = read_cookie(request, COOKIE) if "analytics_storage" not in denied else None
    kept = unquote(kept) if kept and len(kept) <= _MAX_ID else None
    if kept and kept.isprintable():
        return kept
    if not parameters.sets_cookie:
        return ""
    number = 100_000_000 + int.from_bytes(request.chance("dcid", 8), "big") % 900_000_000
    return f"dcid.1.{request.received_micros // 1000}.{number}"


def _cookies(
    request: IncomingRequest, data: EventData, denied: Collection[str], parameters: Parameters
) -> tuple[Cookie, ...]:
    found = {}
    client_id = client_id_of(data)
    value = quote(client_id, errors="replace") if client_id.isprintable() else ""
    if parameters.sets_cookie and "analytics_storage" not in denied and 0 < len(value) <= _MAX_ID:
        found[COOKIE] = value
    store = read_cookie(request, STORE) if parameters.prolongs_store and "ad_storage" not in denied else None
    if store:
        found[STORE] = store
    same_site: Literal["Lax", "None"] = "None" if _is_of_other_site(request, data) else "Lax"
    return tuple(
        Cookie(
            name,
            value,
            MAX_AGE_CAP_S,
            is_http_only=name == COOKIE and parameters.cookie_http_only,
            same_site=same_site,
        )
        for name, value in found.items()
    )


def _is_of_other_site(request: IncomingRequest, data: EventData) -> bool:
    """Whether the page is on another site than this server: only `SameSite=None` comes back from there."""
    location = data.get("page_location")
    try:
        host = urlsplit(location).hostname if isinstance(location, str) else None
    except ValueError:
        return False
    page, own = registrable_domain(host) if host else None, registrable_domain(request.host)
    return page is not None and own is not None and page != own


# -- the answer --------------------------------------------------------------------------------


def _answer(
    request: IncomingRequest,
    events: list[EventData],
    is_list: bool,
    parameters: Parameters,
    warnings: list[str],
) -> Answer:
    status = parameters.status
    if status in _REDIRECTS:
        return redirect(_location(request, parameters, warnings), status)
    if status not in (200, 201) or (request.method == "POST" and parameters.answer_body == "empty"):
        return Answer(status)
    if request.method == "GET":
        return Answer(status, ANSWERS["gif"].headers, ANSWERS["gif"].body)
    said = events
    if parameters.answer_body == "timestamp":
        said = [{key: data.get(key) for key in ("timestamp", "unique_event_id")} for data in events]
    body = msgspec.json.encode(said if is_list else said[0])
    return Answer(status, (("Content-Type", "application/json"),), body)


def _location(request: IncomingRequest, parameters: Parameters, warnings: list[str]) -> str:
    """Where the browser goes: what it asks for only if that is on the list (R66)."""
    if parameters.redirect_parameter:
        asked = read_query(request.query).get(parameters.redirect_parameter)
        if asked and may_redirect(asked, parameters.redirect_hosts):
            return asked
        if asked:
            warnings.append("the address to redirect to is no URL of one of redirect_hosts")
    return parameters.redirect_to


def _ask_for_pixels(answer: Answer, pixels: tuple[str, ...]) -> Answer:
    """SPEC: ga4-protocol 5.6, vendor-tags 5.6: the event stream; what would have been answered is in it."""
    body = answer.body.decode() if answer.body.startswith((b"{", b"[")) else ""
    headers = (("Content-Type", "text/plain; charset=utf-8"),)
    return Answer(200, headers, command_stream(pixels, body), answer.cookies)
