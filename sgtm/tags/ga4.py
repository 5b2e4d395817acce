"""GA4: sends the event on to Google Analytics 4.

**How.** By default in the protocol of the browser (`/g/collect`), as Google's own server tag does: no
secret is needed, and whatever the browser's hit said reaches Google, consent, session and flags included.
`protocol: measurement_protocol` sends JSON with an `api_secret` instead; choose it for events that were
not measured in a browser and must keep their own time (up to 72 hours back) or belong to an app.
Rules: ga4-protocol 6 and 3, google-runtime 6;
https://developers.google.com/analytics/devguides/collection/protocol/ga4

**The request** is a POST. All parameters stand in the URL and the body is empty, until the URL would have
more than 2,048 characters: then the event (`en` and all that follows) moves into the body, as gtag does
towards a server. The visitor's user agent goes along as the header.

**The visitor's address** goes along as `_uip`. With `redact_visitor_ip`, and where no address is known
(a webhook), `_uip=::` says so; otherwise Google would place the visitor where this server stands.

**Events that no browser measured** (a webhook, a JSON event) lack what a GA4 hit needs. It is made from
the moment and the chance of the request, so the same record always gives the same hit: `client_id` (if
missing; from `app_instance_id` if there is one), `ga_session_id` (the second of receipt),
`ga_session_number` 1, `engagement_time_msec` 1, page id and hit number. A made client id is a new user to
GA4, so there is a warning: map the visitor's `client_id` into the event if you can. A consent state that
came in other words (`consent_state`) is told Google as `gcs`, `gcd` and `npa`.

**User data** (`user_data` of the event) leave as the hashed `em`, as gtag sends them to Google, and not
at all where `ad_user_data` is denied. `user_data: as_is` sends them on as they came, for another server
container.

**No double counting.** If the browser sends to Google directly as well, GA4 counts everything twice. Send
every measurement id one way: point the web container at this server (`server_container_url`) and remove
its direct GA4 tag in the same step. Purchases with the same `transaction_id` are counted once by GA4.
"""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sgtm._fast.mapping import TEXT, convert
from sgtm.component import Secret, read_status, tag
from sgtm.consent import CONSENT_TYPES, Consent, gcd_text
from sgtm.errors import Problem
from sgtm.event import Event, delete_value, read_key_path, set_value, undefined
from sgtm.messages import (
    DONE,
    CredentialUse,
    EventData,
    Outcome,
    OutgoingRequest,
    TagResult,
    VendorAnswer,
)
from sgtm.protocols.gtag import encode_hit
from sgtm.protocols.measurement_protocol import payload_of_event, read_micros, scalar_text
from sgtm.protocols.measurement_protocol_validation import BACKDATING_MICROS, as_warnings, validate
from sgtm.tags._google_user_data import em_text, hashed_user_data

MAX_ITEMS = 200
MAX_REMEMBERED = 512
"""Characters of a user agent whose headers are kept; browsers have fewer, a JSON event has room for more."""
HOSTS = {"global": "www.google-analytics.com", "eu": "region1.google-analytics.com"}
PATHS = {"gtag": "/g/collect", "measurement_protocol": "/mp/collect"}
USER_PROPERTIES = "x-ga-mp2-user_properties"
REDACTED = "::"
NOT_EVENT_PARAMETERS = frozenset(
    {
        *("event_name", "client_id", "user_id", "ga_session_id", "ga_session_number"),
        *("engagement_time_msec", "ip_override", "user_agent", "client_hints", "event_location"),
        *("language", "screen_resolution", "viewport_size", "page_location", "page_referrer"),
        *("page_title", "page_path", "page_hostname", "page_encoding"),
    }
)
"""What `include_event_parameters` other than `all` leaves: visitor,
session, device and page; and all `x-` keys."""
_ONLY_IN_PAYLOADS = (
    "consent_state",
    "timestamp_micros",
    "app_instance_id",
    "firebase_app_id",
    "device",
    "user_location",
    "x-webhook-type",
    "x-webhook-id",
)
"""Keys that the gtag protocol has no parameter for and that are no event parameters either."""
_MEASUREMENT_ID = re.compile("(?!UA-)[A-Za-z]+-[A-Za-z0-9]+")
_OPEN = re.compile(r"\A\Z|\{\{|\$\{")
"""A parameter that is empty or whose value is known later."""
_APP_ID = re.compile("[0-9A-Za-z:._-]+")
_NOT_IN_HEADERS = re.compile("[^ -~]+")


class Parameters(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What is sent, and where."""

    measurement_id: Annotated[
        str, Meta(description="GA4 measurement id; empty: the one of the event.", examples=["G-ABC123"])
    ] = ""
    event_name: Annotated[str, Meta(description="Another event name; empty: that of the event.")] = ""
    protocol: Annotated[
        Literal["gtag", "measurement_protocol"],
        Meta(description="The browser's protocol, or JSON with an `api_secret`."),
    ] = "gtag"
    api_secret: Annotated[
        Secret | None,
        Meta(description="Measurement Protocol secret of the data stream, as `${ENV}` or file."),
    ] = None
    firebase_app_id: Annotated[
        str, Meta(description="App stream (measurement_protocol only); empty: the one of the event.")
    ] = ""
    region: Annotated[
        Literal["auto", "global", "eu"],
        Meta(description="Google's collecting host; `auto`: `eu` where the browser says so (`sst.gcsub`)."),
    ] = "auto"
    endpoint: Annotated[
        str,
        Meta(
            description="URL instead of Google's, for tests and proxies; without a path, the protocol's.",
            pattern="^(https?://[!-~]+)?$",
            examples=["http://127.0.0.1:9090"],
        ),
    ] = ""
    user_data: Annotated[
        Literal["hashed", "as_is", "none"],
        Meta(
            description="User data in the gtag protocol; the Measurement Protocol always takes them hashed."
        ),
    ] = "hashed"
    redact_visitor_ip: Annotated[bool, Meta(description="Do not tell Google the visitor's address.")] = False
    include_event_parameters: Annotated[
        Literal["all", "none", "listed"],
        Meta(description="Event parameters of the event to send; `listed`: those that are listed."),
    ] = "all"
    listed_event_parameters: Annotated[
        list[str],
        Meta(description="For `listed`: event data keys; `user_data.email` reaches inside objects."),
    ] = []
    exclude_event_parameters: Annotated[
        list[str], Meta(description="Event data keys to leave out; `user_data.email` reaches inside objects.")
    ] = []
    event_parameters: Annotated[
        dict[str, Any], Meta(description="Event parameters to add or replace; undefined ones change nothing.")
    ] = {}
    include_user_properties: Annotated[
        Literal["all", "none", "listed"],
        Meta(description="User properties of the event to send; `listed`: those that are listed."),
    ] = "all"
    listed_user_properties: Annotated[list[str], Meta(description="For `listed`: user properties.")] = []
    exclude_user_properties: Annotated[list[str], Meta(description="User properties to leave out.")] = []
    user_properties: Annotated[
        dict[str, Any], Meta(description="User properties to add or replace; undefined ones change nothing.")
    ] = {}

    @cached_property
    def own_endpoint(self) -> str:
        """`endpoint`, with the protocol's path where it has none."""
        return self.endpoint if self.endpoint.count("/") > 2 else self.endpoint + PATHS[self.protocol]


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """A Measurement Protocol tag needs its secret, a gtag one has no use for it; the id is one of GA4."""
    problems = []
    is_payload = parameters.get("protocol") == "measurement_protocol"
    if is_payload and not parameters.get("api_secret"):
        mend = "write `api_secret: ${GA4_API_SECRET}` (Admin, Data streams, Measurement Protocol API secrets)"
        problems.append(Problem("error", "protocol 'measurement_protocol' needs an api_secret", where, mend))
    for name in ("api_secret", "firebase_app_id"):
        if parameters.get(name) and not is_payload:
            mend = "write `protocol: measurement_protocol`, or remove it"
            problems.append(Problem("error", "is not used by protocol 'gtag'", f"{where}.{name}", mend))
    given = parameters.get("measurement_id")
    if isinstance(given, str) and not _OPEN.search(given) and not is_measurement_id(given):
        mend = "write the id of a GA4 web stream, as G-ABC123"
        problems.append(Problem("error", f"{given!r} is no measurement id", f"{where}.measurement_id", mend))
    return problems


def is_measurement_id(value: Any) -> bool:
    """Whether this is the id of a GA4 web stream, as `G-ABC123`; `UA-` ids are of an older product."""
    return isinstance(value, str) and _MEASUREMENT_ID.fullmatch(value) is not None


def read(answer: VendorAnswer, requests: Sequence[OutgoingRequest]) -> Outcome:
    """By status; and what a validation server finds wrong in a 200 will never be accepted (R303)."""
    outcome = read_status(answer, requests)
    if outcome is not DONE or b"validationMessages" not in answer.body:
        return outcome
    try:
        found = msgspec.json.decode(answer.body)["validationMessages"]
        codes = [f"{one['fieldPath']} {one['validationCode']}" for one in found]
    except (msgspec.DecodeError, KeyError, TypeError):
        return outcome
    return Outcome("dead", "; ".join(codes)[:500]) if codes else outcome


@tag(
    "ga4",
    aliases=("sgtmgaaw",),
    vendor="google_analytics",
    hosts=tuple(HOSTS.values()),
    is_consent_aware=True,
    check=check,
    read=read,
    late="GA4 counts a hit when it arrives: its gtag protocol cannot be backdated. As `measurement_protocol` "
    "it takes events of the last 72 hours; older ones are passed over.",
    expires_after_s=BACKDATING_MICROS / 1_000_000,
)
def build(event: Event, parameters: Parameters) -> TagResult:
    """Send the event to Google Analytics 4."""
    data, warnings = _outgoing_data(event, parameters)
    measurement_id = data.get("x-ga-measurement_id")
    app_id = parameters.firebase_app_id or data.get("firebase_app_id")
    is_web = is_measurement_id(measurement_id)
    if not (isinstance(data.get("event_name"), str) and data["event_name"]):
        return TagResult(sends_nothing_because="the event has no name")
    if parameters.protocol == "measurement_protocol":
        if is_web and not parameters.firebase_app_id:
            return _send_payload(event, data, parameters, f"measurement_id={measurement_id}", warnings)
        if isinstance(app_id, str) and _APP_ID.fullmatch(app_id):
            return _send_payload(event, data, parameters, f"firebase_app_id={app_id}", warnings)
    elif is_web:
        return _send_hit(event, data, parameters, warnings)
    return TagResult(sends_nothing_because="neither the tag nor the event has a measurement id like G-ABC123")


# -- what is sent -------------------------------------------------------------------------------


def _outgoing_data(event: Event, parameters: Parameters) -> tuple[EventData, list[str]]:
    """Event data as GA4 shall get them, and warnings."""
    data = _chosen_parameters(event.data, parameters)
    properties = _chosen_properties(event.data.get(USER_PROPERTIES), parameters)
    if properties is not None:
        data[USER_PROPERTIES] = properties
    data["x-ga-protocol_version"] = "2"
    if parameters.measurement_id:
        data["x-ga-measurement_id"] = parameters.measurement_id
    if parameters.event_name:
        data["event_name"] = parameters.event_name
    warnings = _complete(data, event)
    _tell_consent(data, event.consent)
    items = data.get("items")
    if isinstance(items, list) and len(items) > MAX_ITEMS:
        warnings.append(f"{len(items)} items; GA4 takes the first {MAX_ITEMS}")
    return data, warnings


def _chosen_parameters(data: EventData, parameters: Parameters) -> EventData:
    if parameters.include_event_parameters == "all":
        chosen = data.copy()
    else:
        chosen = {
            key: value
            for key, value in data.items()
            if key in NOT_EVENT_PARAMETERS or key in _ONLY_IN_PAYLOADS or key.startswith("x-")
        }
        if parameters.include_event_parameters == "listed":
            chosen = _with_listed(chosen, data, parameters.listed_event_parameters)
    for name in parameters.exclude_event_parameters:
        chosen = delete_value(chosen, name)
    for name, value in parameters.event_parameters.items():
        chosen = set_value(chosen, name, value) if name.startswith("user_data.") else {**chosen, name: value}
    return chosen


def _with_listed(chosen: EventData, data: EventData, names: Sequence[str]) -> EventData:
    for name in names:
        value = read_key_path(data, name)
        if name in data:
            chosen = {**chosen, name: value}
        elif value is not undefined:
            chosen = set_value(chosen, name, value)
    return chosen


def _chosen_properties(properties: Any, parameters: Parameters) -> EventData | None:
    """The user properties to send; None: whatever the event has stays as it is."""
    include, listed = parameters.include_user_properties, parameters.listed_user_properties
    if include == "all" and not parameters.exclude_user_properties and not parameters.user_properties:
        return None
    kept = properties if include != "none" and isinstance(properties, dict) else {}
    left_out = parameters.exclude_user_properties
    chosen = {
        name: value
        for name, value in kept.items()
        if name not in left_out and (include == "all" or name in listed)
    }
    return chosen | parameters.user_properties


def _complete(data: EventData, event: Event) -> list[str]:
    """Add what a GA4 hit needs and an event from elsewhere lacks (R121); see the module's docstring."""
    warnings = []
    micros = event.request.received_micros
    seconds = micros // 1_000_000
    if not scalar_text(data.get("client_id")):
        if isinstance(data.get("app_instance_id"), str) and data["app_instance_id"]:
            data["client_id"] = data["app_instance_id"]
        else:
            number = int.from_bytes(event.chance("ga4 client_id", 4), "big") >> 1
            data["client_id"] = f"{number}.{seconds}"
            warnings.append("the event has no client_id: a new one was made, so GA4 sees a new user")
    if "x-ga-page_id" not in data:
        made = {
            "x-ga-page_id": micros // 1000,
            "x-ga-request_count": event.index + 1,
            "ga_session_id": str(seconds),
            "ga_session_number": 1,
            "engagement_time_msec": 1,
        }
        data |= {key: value for key, value in made.items() if not scalar_text(data.get(key))}
    return warnings


def _tell_consent(data: EventData, consent: Consent) -> None:
    """Consent that came in other words than Google's, in Google's (R119)."""
    if "x-ga-gcs" not in data and "x-ga-gcd" not in data:
        storages = (consent.ad_storage, consent.analytics_storage)
        if storages != (None, None):
            data["x-ga-gcs"] = "G1" + "".join("-" if one is None else str(int(one)) for one in storages)
        if consent.ad_personalization is False:
            data.setdefault("x-ga-npa", "1")
        if any(getattr(consent, name) is not None for name in CONSENT_TYPES):
            data["x-ga-gcd"] = gcd_text(consent)


# -- the gtag protocol --------------------------------------------------------------------------


def _send_hit(event: Event, data: EventData, parameters: Parameters, warnings: list[str]) -> TagResult:
    if "timestamp_micros" in data:
        warnings.append("the gtag protocol has no time of its own: GA4 dates the event at its arrival")
    for key in _ONLY_IN_PAYLOADS:
        data.pop(key, None)
    system = data.get("x-ga-system_properties")
    of_hit = system.get("uip") if isinstance(system, dict) else None
    if parameters.redact_visitor_ip or not (scalar_text(data.get("ip_override")) or scalar_text(of_hit)):
        data["ip_override"] = REDACTED
    if parameters.user_data != "as_is":
        _hash_user_data(
            data, is_wanted=parameters.user_data == "hashed" and event.consent.ad_user_data is not False
        )
    url, body = encode_hit(data, _endpoint(data, parameters))
    agent = convert(event.data.get("user_agent"), TEXT) or ""
    headers = _known_headers(agent) if len(agent) <= MAX_REMEMBERED else _headers(agent)
    return TagResult((OutgoingRequest("POST", url, headers, body),), warnings=tuple(warnings))


def _headers(agent: str) -> tuple[tuple[str, str], ...]:
    of_body = ("Content-Type", "text/plain;charset=UTF-8")
    agent = _NOT_IN_HEADERS.sub("", agent).strip()
    return (of_body, ("User-Agent", agent)) if agent else (of_body,)


_known_headers = lru_cache(maxsize=1024)(_headers)
"""PERF: a visitor sends many hits by one user agent; judging its characters costs ten times a look-up."""


def _hash_user_data(data: EventData, *, is_wanted: bool) -> None:
    """`em` in place of readable user data (R268); what only describes them (`_tag_mode`) stays."""
    user_data = data.pop("user_data", None)
    if isinstance(user_data, dict):
        described = {name: value for name, value in user_data.items() if name.startswith("_")}
        data |= {"user_data": described} if described else {}
    if not is_wanted:
        data.pop("x-ga-em", None)
    elif user_data and "x-ga-em" not in data and (em := em_text(user_data)):
        data["x-ga-em"] = em


def _endpoint(data: EventData, parameters: Parameters) -> str:
    if parameters.endpoint:
        return parameters.own_endpoint
    region = parameters.region
    if region == "auto":
        system = data.get("x-sst-system_properties")
        is_eu = isinstance(system, dict) and system.get("gcsub") == "region1"
        region = "eu" if is_eu else "global"
    return f"https://{HOSTS[region]}{PATHS[parameters.protocol]}"


# -- the Measurement Protocol -------------------------------------------------------------------


def _send_payload(
    event: Event, data: EventData, parameters: Parameters, stream: str, warnings: list[str]
) -> TagResult:
    """One event as JSON. Nothing is cut: what is over Google's limits is a warning (R70, R122)."""
    if parameters.api_secret is None:
        return TagResult(sends_nothing_because="the tag has no api_secret")
    is_app = stream.startswith("firebase")
    if is_app and not data.get("app_instance_id"):
        return TagResult(sends_nothing_because="the event has no app_instance_id, which an app stream needs")
    data.pop("client_id" if is_app else "app_instance_id", None)
    if parameters.redact_visitor_ip:
        data.pop("ip_override", None)
    received = event.request.received_micros
    micros = data["timestamp_micros"] = read_micros(data.get("timestamp_micros")) or received
    is_late = micros < received - BACKDATING_MICROS
    if is_late:
        warnings.append("the event is older than 72 hours: Google dates it 72 hours back")
    payload = payload_of_event(data, user_data=hashed_user_data(data.get("user_data")))
    findings = as_warnings(validate(msgspec.to_builtins(payload), received_micros=received))
    endpoint = _endpoint(data, parameters)
    request = OutgoingRequest(
        "POST",
        f"{endpoint}{'&' if '?' in endpoint else '?'}{stream}",
        (("Content-Type", "application/json"),),
        msgspec.json.encode(payload),
        CredentialUse(parameters.api_secret.name, "query", "api_secret"),
        expires_micros=None if is_late else micros + BACKDATING_MICROS,
    )
    return TagResult((request,), warnings=(*warnings, *findings))
