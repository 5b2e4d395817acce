"""GA4 Measurement Protocol, both directions: JSON payload -> event data, event data -> JSON payload.

SPEC: ga4-protocol 3 (request and body), 3.4 (the client's mapping), 11.2 (what real senders do).
The limits and reserved names stand in `measurement_protocol_validation.py`.

The keys that Google's client gives to event data are not known for all of the payload. Ours:

| payload | event data |
|---|---|
| `client_id`, `user_id`, `app_instance_id`, `ip_override`, `user_agent`, `user_data` | the same key |
| `events[].name` / `.params.X` | `event_name` / `X`, JSON types kept |
| `params.session_id` / `.session_number` | `ga_session_id` (text) / `ga_session_number` |
| `timestamp_micros` of the event, else of the request | `timestamp_micros` (int, Unix microseconds) |
| `user_properties.X` or `.X.value` | `x-ga-mp2-user_properties.X` |
| `consent` GRANTED / DENIED | `consent_state` true / false |
| `non_personalized_ads: true` | `x-ga-npa` "1" |
| `user_location` | `user_location` as it is; its country and region also as `event_location` |
| `device` | `device` as it is; its language and screen also as `language`, `screen_resolution` |
"""

import json
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from sgtm.consent import Consent, read_consent
from sgtm.messages import EventData
from sgtm.protocols._json_values import LARGEST_INT, clean_text, copied, plain_value

MAX_EVENTS_READ = 100
"""Of one payload; Google takes 25. Each event has its own copy of what they have in common: without a bound
the work of a body would grow with the square of its size."""
_NOT_PARAMETERS = frozenset(
    {
        "event_name",
        "client_id",
        "user_id",
        "app_instance_id",
        "firebase_app_id",
        "ga_session_id",
        "ga_session_number",
        "timestamp_micros",
        "ip_override",
        "user_agent",
        "user_data",
        "user_location",
        "device",
        "client_hints",
        "event_location",
        "consent_state",
        "language",
        "screen_resolution",
    }
)
"""Keys of event data that have a place of their own in the payload."""


class MpConsent(Struct, frozen=True, omit_defaults=True):
    """`consent` of a payload; each `GRANTED` or `DENIED`."""

    ad_user_data: str | UnsetType = UNSET
    ad_personalization: str | UnsetType = UNSET


class MpEvent(Struct, frozen=True, omit_defaults=True):
    """One of the `events` of a payload."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)


class MpPayload(Struct, frozen=True, omit_defaults=True):
    """Body of a request to `/mp/collect` (ga4-protocol 3.1)."""

    client_id: str | UnsetType = UNSET
    app_instance_id: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    timestamp_micros: int | UnsetType = UNSET
    user_properties: dict[str, Any] | UnsetType = UNSET
    user_data: dict[str, Any] | UnsetType = UNSET
    consent: MpConsent | UnsetType = UNSET
    user_location: dict[str, Any] | UnsetType = UNSET
    ip_override: str | UnsetType = UNSET
    user_agent: str | UnsetType = UNSET
    device: dict[str, Any] | UnsetType = UNSET
    events: list[MpEvent] = field(default_factory=list)


# -- reading ------------------------------------------------------------------------------------


def read_payload(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`, or None where there is none. Never raises.

    Invalid UTF-8, a byte order mark, lone surrogates and NaN do not lose the payload.
    """
    payload: Any
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            payload = json.loads(body.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            return None
    return payload if isinstance(payload, dict) else None


def events_of_payload(
    payload: dict[str, Any], *, measurement_id: str = "", firebase_app_id: str = ""
) -> list[EventData]:
    """Event data of each event in `payload`; events without a name are left out. Never raises.

    `events` may be one object instead of a list (11.2), read are MAX_EVENTS_READ. Each event is a dict of
    its own.
    """
    events = payload.get("events")
    if isinstance(events, dict):
        events = [events]
    if not isinstance(events, list):
        return []
    shared = _shared_data(payload, measurement_id, firebase_app_id)
    return [
        _event_data(event, payload, shared)
        for event in events[:MAX_EVENTS_READ]
        if isinstance(event, dict) and isinstance(event.get("name"), str) and event["name"]
    ]


def _shared_data(payload: dict[str, Any], measurement_id: str, firebase_app_id: str) -> EventData:
    """What all events of the payload have in common."""
    data: EventData = {"x-ga-protocol_version": "2"}
    if measurement_id:
        data["x-ga-measurement_id"] = measurement_id
    if firebase_app_id:
        data["firebase_app_id"] = firebase_app_id
    for key in ("client_id", "app_instance_id", "user_id", "ip_override", "user_agent"):
        text = scalar_text(payload.get(key))
        if text:
            data[key] = text
    for key in ("user_data", "user_location", "device"):
        if isinstance(payload.get(key), dict):
            data[key] = payload[key]
    data |= _promoted(payload)
    consent = payload.get("consent")
    if isinstance(consent, dict):
        data["consent_state"] = {
            name: state == "GRANTED" for name, state in consent.items() if state in ("GRANTED", "DENIED")
        }
    if payload.get("non_personalized_ads") is True:
        data["x-ga-npa"] = "1"
    properties = _unwrapped_properties(payload.get("user_properties"))
    if properties:
        data["x-ga-mp2-user_properties"] = properties
    return data


def _promoted(payload: dict[str, Any]) -> EventData:
    """Members of `device` and `user_location` that have a key of their own in event data."""
    data: EventData = {}
    device, location = payload.get("device"), payload.get("user_location")
    if isinstance(device, dict):
        data |= {
            key: device[key]
            for key in ("language", "screen_resolution")
            if isinstance(device.get(key), str) and device[key]
        }
    if isinstance(location, dict):
        country, region = scalar_text(location.get("country_id")), scalar_text(location.get("region_id"))
        place = {"country": country, "region": region.rpartition("-")[2]}
        if country:
            data["event_location"] = {key: value for key, value in place.items() if value}
    return data


def _unwrapped_properties(properties: Any) -> dict[str, Any]:
    """User properties without their `{value: ...}`; bare values are taken as they are (11.2)."""
    if not isinstance(properties, dict):
        return {}
    bare = {
        name: wrapped.get("value") if isinstance(wrapped, dict) else wrapped
        for name, wrapped in properties.items()
    }
    return {name: value for name, value in bare.items() if value is not None}


def _event_data(event: dict[str, Any], payload: dict[str, Any], shared: EventData) -> EventData:
    data: EventData = {"event_name": event["name"]}
    params = event.get("params")
    for name, value in params.items() if isinstance(params, dict) else ():
        # Internal keys come from the request, never from a parameter of that name.
        if name == "session_id":
            text = scalar_text(value)
            data |= {"ga_session_id": text} if text else {}
        elif name == "session_number":
            data["ga_session_number"] = value
        elif name != "event_name" and not name.startswith("x-"):
            data[name] = value
    data |= copied(shared)
    micros = read_micros(event.get("timestamp_micros"))
    if micros is None:
        micros = read_micros(payload.get("timestamp_micros"))
    if micros is not None:
        data["timestamp_micros"] = micros
    return data


def read_micros(value: Any) -> int | None:
    """A timestamp as number or numeric text, in Unix microseconds; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value == value and 0 <= value < LARGEST_INT:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_INT:
        return value
    return None


def scalar_text(value: Any) -> str:
    """A text or number as text, everything else as empty text (`session_id` comes as both, 11.2)."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    return str(value) if isinstance(value, float) or abs(value) < 1 << 128 else ""


# -- writing ------------------------------------------------------------------------------------


def payload_of_event(data: EventData, *, user_data: dict[str, Any] | None = None) -> MpPayload:
    """Event data as a payload with one event. Never raises; nothing is cut (see `validate`).

    `user_data` is what may be sent of `data["user_data"]`: already hashed by the caller. Keys that
    begin with `x-` stay at home; `ga_session_id` becomes `session_id`, `x-ga-mp2-user_properties`
    the wrapped `user_properties`, consent the `consent` object.
    """
    properties = data.get("x-ga-mp2-user_properties")
    micros = read_micros(data.get("timestamp_micros"))
    return MpPayload(
        client_id=_text_or_unset(data.get("client_id")),
        app_instance_id=_text_or_unset(data.get("app_instance_id")),
        user_id=_text_or_unset(data.get("user_id")),
        timestamp_micros=UNSET if micros is None else micros,
        user_properties=_wrapped_properties(properties) if isinstance(properties, dict) else UNSET,
        user_data=plain_value(user_data) or UNSET if user_data else UNSET,
        consent=_consent_object(read_consent(data)),
        user_location=_user_location(data) or UNSET,
        ip_override=_text_or_unset(data.get("ip_override")),
        user_agent=_text_or_unset(data.get("user_agent")),
        device=_device(data) or UNSET,
        events=[MpEvent(clean_text(scalar_text(data.get("event_name"))), _params(data))],
    )


def _params(data: EventData) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(key, str) and key not in _NOT_PARAMETERS and not key.startswith("x-"):
            plain = plain_value(value)
            if plain is not None:
                params[clean_text(key)] = plain
    session_id = scalar_text(data.get("ga_session_id"))
    if session_id:
        params["session_id"] = clean_text(session_id)
    number = plain_value(data.get("ga_session_number"))
    if number is not None:
        params["session_number"] = number
    system = data.get("x-ga-system_properties")
    if isinstance(system, dict) and system.get("dbg"):
        params.setdefault("debug_mode", 1)
    return params


def _wrapped_properties(properties: dict[str, Any]) -> dict[str, Any] | UnsetType:
    plain = {name: plain_value(value) for name, value in properties.items() if isinstance(name, str)}
    return {clean_text(name): {"value": value} for name, value in plain.items() if value is not None} or UNSET


def _consent_object(consent: Consent) -> MpConsent | UnsetType:
    words: dict[bool | None, str | UnsetType] = {True: "GRANTED", False: "DENIED", None: UNSET}
    said = MpConsent(words[consent.ad_user_data], words[consent.ad_personalization])
    return UNSET if said == MpConsent() else said


def _user_location(data: EventData) -> dict[str, Any]:
    """`user_location` as it came, else made from `event_location` (country and region)."""
    location = data.get("user_location")
    if isinstance(location, dict):
        plain: dict[str, Any] = plain_value(location)
        return plain
    place = data.get("event_location")
    if not isinstance(place, dict):
        return {}
    country, region = (
        clean_text(scalar_text(place.get("country"))),
        clean_text(scalar_text(place.get("region"))),
    )
    made = {"country_id": country, "region_id": f"{country}-{region}" if country and region else ""}
    return {key: value for key, value in made.items() if value}


def _device(data: EventData) -> dict[str, Any]:
    """`device` as it came, else made from the client hints; language and screen from their keys."""
    device = data.get("device")
    made: dict[str, Any] = plain_value(device) if isinstance(device, dict) else {}
    hints = data.get("client_hints")
    if isinstance(hints, dict) and not made:
        if isinstance(hints.get("mobile"), bool):
            made["category"] = "mobile" if hints["mobile"] else "desktop"
        for name, hint in _HINTS.items():
            # Hints that came as a header keep its quotes: "\"macOS\"" (2.5).
            made[name] = clean_text(scalar_text(hints.get(hint))).strip('"')
    for key in ("language", "screen_resolution"):
        if key in data:
            made[key] = clean_text(scalar_text(data[key]))
    return {key: value for key, value in made.items() if value not in ("", None)}


_HINTS = {"operating_system": "platform", "operating_system_version": "platform_version", "model": "model"}


def _text_or_unset(value: Any) -> str | UnsetType:
    return clean_text(scalar_text(value)) or UNSET
