"""Meta Conversions API: sends events to a pixel (dataset) from the server.

Event names, products and user data are mapped from Google's keys; user data are normalised and hashed
before they leave (never twice). Events of one pixel travel together, up to 1,000 in a request; where
one of them is bad the others are sent again. An event that Meta would refuse is not sent, since it
would sink its batch: the tag says why.

Give the browser pixel the same `eventID` as the event's `event_id`: else Meta counts both. A missing
`event_id` is a warning and never invented. Fire this tag on conversions, or on all events if the pixel
in the browser is to be replaced.

The token goes in the header `Authorization`, so it stands in no URL, log or file.

Meta's rules: https://developers.facebook.com/docs/marketing-api/conversions-api/
SPEC: meta-capi; requirements R124-R140, R267-R269, R303.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from sgtm import __version__
from sgtm.component import Secret, tag
from sgtm.errors import Problem
from sgtm.event import Event
from sgtm.identifiers import hash_person, plain_text
from sgtm.messages import Cookie, CredentialProof, CredentialUse, OutgoingRequest, TagResult
from sgtm.tags._meta.answer import read
from sgtm.tags._meta.browser import browser, enhancement_cookie, read_enhancement
from sgtm.tags._meta.custom_data import custom_data, missing_of_purchase, number
from sgtm.tags._meta.event import EVENT_NAMES, SAID, ActionSource, ServerEvent, advice, encode_event, seconds
from sgtm.tags._meta.passed_on import limited_data_use, passed_on
from sgtm.tags._meta.user_data import ORDER, is_enough, known_person, verbatim_ids

__all__ = ["Parameters", "build", "check", "envelope", "read"]

PARTNER_AGENT = f"sgtm-{__version__}".lower()
RENDER_BOT = "https://gtm-msr.appspot.com/"
MAX_EVENT_ID = 50
MAX_AGE_S = 7 * 86_400
MAX_AGE_OF_STORES_S = 62 * 86_400
MARGIN_S = 60
"""Meta refuses an event by its clock, on arrival: we give up this much earlier."""
_TEST_EVENT_CODE = re.compile("[A-Za-z0-9_-]{1,64}")
_HEADERS = (("Content-Type", "application/json"),)
_ACTION_SOURCES = frozenset(get_args(ActionSource))


class Parameters(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Which pixel, which token, and what may be added to the events."""

    pixel_id: Annotated[
        str,
        Meta(
            description="Id of the pixel, nowadays called dataset.",
            pattern="^[0-9]+$",
            examples=["1234567890"],
        ),
    ]
    access_token: Annotated[Secret, Meta(description="Token of the Conversions API; sent in a header.")]
    app_secret: Annotated[Secret | None, Meta(description="For apps that demand `appsecret_proof`.")] = None
    api_version: Annotated[
        str, Meta(description="Version of the Graph API.", pattern=r"^v[0-9]+\.[0-9]+$")
    ] = "v25.0"
    endpoint: Annotated[
        str,
        Meta(
            description="Where to send: another address for tests and gateways.", pattern="^https?://[^?#]+$"
        ),
    ] = "https://graph.facebook.com"
    action_source: Annotated[
        ActionSource, Meta(description="Where the events happen, unless an event says it in `action_source`.")
    ] = "website"
    event_name: Annotated[
        str, Meta(description="One name for all events of this tag; empty: by `event_names`.")
    ] = ""
    event_names: Annotated[
        dict[str, str], Meta(description="Event name -> Meta's name, beside and before the standard table.")
    ] = {}
    inherit_event_names: Annotated[
        bool,
        Meta(description="Use the standard table (purchase -> Purchase, ...); other names go unchanged."),
    ] = True
    extend_cookies: Annotated[
        bool, Meta(description="Write `_fbp` and `_fbc` (from `fbclid`) as first-party cookies for 90 days.")
    ] = False
    generate_fbp: Annotated[
        bool, Meta(description="Make an `_fbp` for browsers without one; needs `extend_cookies` to last.")
    ] = False
    enhance_events: Annotated[
        bool,
        Meta(description="Keep digests of user data in the cookie `_gtmeec` and add them to later events."),
    ] = False
    hash_external_id: Annotated[
        bool, Meta(description="False sends `external_id` raw, for pixels that have always got it raw.")
    ] = True
    default_country_calling_code: Annotated[
        str,
        Meta(
            description="Put before phone numbers that are written without one; empty: never.",
            pattern="^([1-9][0-9]{0,3})?$",
            examples=["49"],
        ),
    ] = ""
    opt_out: Annotated[
        bool, Meta(description="Use the events for attribution only, not to optimise delivery.")
    ] = False
    data_processing_options: Annotated[
        list[Literal["LDU"]] | None,
        Meta(description="[LDU] limits data use, [] says explicitly that nothing does."),
    ] = None
    data_processing_options_country: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="With LDU: 1 for the US, 0 lets Meta decide from the address."),
    ] = None
    data_processing_options_state: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="With LDU: 1000 for California, ...; 0 lets Meta decide."),
    ] = None
    repeats_without_event_id: Annotated[
        bool,
        Meta(
            description="Send an event without `event_id` again after a time-out in which it may have "
            "arrived: Meta would count a copy twice."
        ),
    ] = False
    test_event_code: Annotated[
        str, Meta(description="Shows the events under Test events; they count as real ones all the same.")
    ] = ""

    @cached_property
    def url(self) -> str:
        """Where events of this pixel go."""
        return f"{self.endpoint.rstrip('/')}/{self.api_version}/{self.pixel_id}/events"

    @cached_property
    def credential(self) -> CredentialUse:
        """The token in its header, and what an app demands beside it."""
        secret = self.app_secret
        proof = CredentialProof(secret.name, "query", "appsecret_proof") if secret else None
        return CredentialUse(self.access_token.name, "header", "Authorization", "Bearer ", proof=proof)


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What the struct alone cannot find: a test code left in (R269), a token sent where events say."""
    problems = []
    code = parameters.get("test_event_code")
    if code and "{{" not in str(code):
        mend = 'leave it out in production, or write "${META_TEST_EVENT_CODE:-}" and set that while you test'
        problems.append(
            Problem("warning", "every event is sent as a test event", f"{where}.test_event_code", mend)
        )
    if "{{" in str(parameters.get("endpoint", "")):
        mend = "write the address itself: an event must not choose who gets the token"
        problems.append(Problem("error", "comes from a variable", f"{where}.endpoint", mend))
    if parameters.get("generate_fbp") is True and not parameters.get("extend_cookies"):
        what = "makes a new browser id with every hit, since it is never written back"
        problems.append(Problem("warning", what, f"{where}.generate_fbp", "set `extend_cookies: true` too"))
    return problems


def envelope(requests: Sequence[OutgoingRequest]) -> OutgoingRequest:
    """One request of the events of many. Its `partner_agent` is the first one's.

    Test events never come here: they carry a body of their own and travel alone (meta-capi 11)."""
    first = requests[0]
    shared = msgspec.json.decode(first.body, type=dict[str, str]) if first.body else {}
    return msgspec.structs.replace(
        first, item=b"", body=_body([request.item for request in requests], shared)
    )


def _body(items: Sequence[bytes], shared: Mapping[str, str]) -> bytes:
    rest = msgspec.json.encode({"partner_agent": PARTNER_AGENT, **shared})
    return b'{"data":[' + b",".join(items) + b"]," + rest[1:]


@tag(
    "meta_conversions",
    vendor="meta",
    hosts=("graph.facebook.com",),
    is_advertising=True,
    consent=("ad_storage", "ad_user_data"),
    answers_browser=lambda written: bool(written.get("extend_cookies") or written.get("enhance_events")),
    check=check,
    envelope=envelope,
    read=read,
    max_batch=1_000,
    late="Meta takes events of the last 7 days (62 days from stores); older ones are passed over.",
)
def build(event: Event, parameters: Parameters) -> TagResult:
    """Send one event to Meta, or say why Meta would refuse it."""
    warnings: list[str] = []
    said = SAID.read(event.data)
    source = _action_source(said, parameters, warnings)
    time = _event_time(event, warnings)
    max_age_s = MAX_AGE_OF_STORES_S if source == "physical_store" else MAX_AGE_S
    expires_micros = (time + max_age_s - MARGIN_S) * 1_000_000
    name = _event_name(event, parameters)
    reason = _hopeless_from_the_start(event, said, name, expires_micros, max_age_s)
    if reason:
        return TagResult(sends_nothing_because=reason)
    user_data, cookies = _user_data(event, said, parameters, source, time)
    details = custom_data(event.data, warnings)
    reason = _refused_by_meta(name, user_data, details)
    if reason:
        return TagResult(cookies=cookies, warnings=tuple(warnings), sends_nothing_because=reason)
    is_of_browser = source != "business_messaging"
    fields = {
        "event_name": name,
        "event_time": time,
        "event_id": _event_id(said, name, warnings),
        "action_source": source if name != "AppendValue" else None,
        "event_source_url": said.get("page_location") if is_of_browser else None,
        "referrer_url": said.get("page_referrer") if is_of_browser else None,
        "user_data": user_data,
        "custom_data": details or None,
        "opt_out": parameters.opt_out or None,
    }
    passed = passed_on(said, source, warnings)
    server_event = {key: value for key, value in fields.items() if value is not None}
    server_event |= _limited_data_use(event, said, parameters)
    server_event |= passed
    warnings += advice(server_event)
    request = _request(said, parameters, server_event, expires_micros, warnings)
    return TagResult((request,), cookies=cookies, warnings=tuple(warnings), match_keys=tuple(user_data))


def _request(
    said: Mapping[str, Any],
    parameters: Parameters,
    server_event: ServerEvent,
    expires_micros: int,
    warnings: list[str],
) -> OutgoingRequest:
    """A test event is complete; others wait as items for their envelope, which finds in `body` what it
    shall hold beside the events."""
    item, body = encode_event(server_event, warnings), b""
    shared = {"partner_agent": f"{PARTNER_AGENT}-ee"} if parameters.enhance_events else {}
    of_event = said.get("test_event_code", "")
    is_code = of_event and _TEST_EVENT_CODE.fullmatch(of_event)
    test_event_code = of_event if is_code else parameters.test_event_code
    if test_event_code:
        body, item = _body([item], shared | {"test_event_code": test_event_code}), b""
    elif shared:
        body = msgspec.json.encode(shared)
    return OutgoingRequest(
        "POST",
        parameters.url,
        _HEADERS,
        body,
        parameters.credential,
        item,
        expires_micros,
        "event_id" in server_event or parameters.repeats_without_event_id,
    )


# -- the event ---------------------------------------------------------------------------------


def _event_name(event: Event, parameters: Parameters) -> str:
    if parameters.event_name:
        return parameters.event_name
    table = EVENT_NAMES if parameters.inherit_event_names else {}
    return parameters.event_names.get(event.name) or table.get(event.name, event.name)


def _action_source(said: Mapping[str, Any], parameters: Parameters, warnings: list[str]) -> str:
    source: str = said.get("action_source", parameters.action_source)
    if source in _ACTION_SOURCES:
        return source
    warnings.append(f"action_source of the event is none that Meta knows; {parameters.action_source} is sent")
    return parameters.action_source


def _event_time(event: Event, warnings: list[str]) -> int:
    """Seconds, never in the future: `event_time`, else `timestamp_micros` of senders that are no browser,
    else when the hit was received."""
    received = event.request.received_micros // 1_000_000
    said = event.data.get("event_time", event.data.get("timestamp_micros"))
    if said is None:
        return received
    time = number(said)
    if time is not None and time > 0:
        return min(seconds(time), received)
    if plain_text(said) is not None:
        warnings.append("event_time is not a Unix time; the time of receipt is sent")
    return received


def _event_id(said: Mapping[str, Any], name: str, warnings: list[str]) -> str | None:
    """The id that Meta compares with the pixel's `eventID`: never invented (R125)."""
    event_id: str | None = said.get("event_id")
    if event_id is None:
        event_id = said.get("transaction_id") if name == "Purchase" else None
        what = "; transaction_id stands in, if the pixel sends the same" if event_id else ""
        warnings.append(f"event_id is missing, so Meta cannot recognise the pixel's event{what}")
    if event_id is not None and len(event_id) > MAX_EVENT_ID:
        warnings.append(f"event_id has more than {MAX_EVENT_ID} characters")
    return event_id


def _limited_data_use(event: Event, said: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    in_event = said.get("data_processing_options")
    if in_event is None and parameters.data_processing_options is None:
        return {}
    return limited_data_use(
        event.data,
        in_event,
        parameters.data_processing_options,
        parameters.data_processing_options_country,
        parameters.data_processing_options_state,
    )


# -- who ---------------------------------------------------------------------------------------


def _user_data(
    event: Event, said: Mapping[str, Any], parameters: Parameters, source: str, time: int
) -> tuple[dict[str, Any], tuple[Cookie, ...]]:
    """user_data, and the cookies to set. Consent that denies ad_storage keeps cookies out of both."""
    raw = known_person(event.data, parameters.default_country_calling_code)
    raw_ids = [] if parameters.hash_external_id else raw.pop("external_id", [])
    user_data: dict[str, Any] = {}
    if raw:
        hashed = hash_person("meta", raw, year=datetime.fromtimestamp(time, UTC).year)
        user_data = {field: found[0] if len(found) == 1 else found for field, found in hashed.items()}
    if raw_ids:
        ids = list(dict.fromkeys((plain_text(one) or "").strip() for one in raw_ids))
        user_data["external_id"] = ids[0] if len(ids) == 1 else ids
    verbatim = dict(verbatim_ids(event.data))
    cookies: list[Cookie] = []
    consent = event.consent
    if parameters.enhance_events and consent.ad_storage is not False and consent.ad_user_data is not False:
        known_before = read_enhancement(event)
        cookie = enhancement_cookie(known_before, user_data | verbatim)
        cookies += [cookie] if cookie else []
        user_data = known_before | user_data
    if source != "business_messaging":
        found, browser_cookies = browser(
            event,
            said,
            may_store=consent.ad_storage is not False,
            extends_cookies=parameters.extend_cookies,
            generates_fbp=parameters.generate_fbp,
        )
        user_data |= found
        cookies += browser_cookies
    user_data |= verbatim
    if raw_ids or parameters.enhance_events:
        user_data = {key: user_data[key] for key in ORDER if key in user_data}
    return user_data, tuple(cookies)


# -- what Meta would refuse --------------------------------------------------------------------


def _hopeless_from_the_start(
    event: Event, said: Mapping[str, Any], name: str, expires_micros: int, max_age_s: int
) -> str:
    if not name:
        return "the event has no name"
    if said.get("page_location", "").startswith(RENDER_BOT):
        return "the page was opened by Google's own render bot"
    if expires_micros <= event.request.received_micros:
        return f"event_time is older than {max_age_s // 86_400} days: Meta would refuse it, and its batch"
    return ""


def _refused_by_meta(name: str, user_data: Mapping[str, Any], details: dict[str, Any]) -> str:
    """Why Meta would answer 100/2804050 or 100/2804009 to the whole batch. SPEC: meta-capi 4.7, 13."""
    if not is_enough(user_data):
        keys = ", ".join(sorted(user_data)) or "nothing"
        return f"not enough customer information for Meta: {keys}"
    missing = missing_of_purchase(details) if name == "Purchase" else []
    return f"a Purchase needs {' and '.join(missing)}, and none is invented" if missing else ""
