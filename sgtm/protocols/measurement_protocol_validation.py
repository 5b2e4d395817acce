"""What Google's validation server would say about a Measurement Protocol payload.

SPEC: ga4-protocol 3.2 (limits, reserved names), 3.3 (codes and form of the answer). Texts name the
place (`events[0].params.price`), never a value: they go into logs and previews.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sgtm.protocols.measurement_protocol import read_micros

MAX_EVENTS = 25
MAX_PARAMETERS = 25
MAX_USER_PROPERTIES = 25
MAX_ITEMS = 200
MAX_CUSTOM_ITEM_PARAMETERS = 10
MAX_NAME = 40
MAX_VALUE = 100
MAX_USER_PROPERTY_NAME = 24
MAX_USER_PROPERTY_VALUE = 36
MAX_USER_ID = 256
MAX_BODY_BYTES = 130_000
MAX_WARNINGS = 10
BACKDATING_MICROS = 72 * 3600 * 1_000_000
"""Google dates an older event 72 hours back (RELAXED) or refuses it (ENFORCE_RECOMMENDATIONS)."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LONGER_VALUES = {"page_title": 300, "page_referrer": 420, "page_location": 1000}
_FREE_OF_LIMIT = frozenset({"session_id", "session_number"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED_EVENTS = _words(
    """ad_activeview ad_click ad_exposure ad_query ad_reward adunit_exposure app_clear_data app_exception
    app_install app_remove app_store_refund app_store_subscription_cancel app_store_subscription_convert
    app_store_subscription_renew app_update app_upgrade dynamic_link_app_open dynamic_link_app_update
    dynamic_link_first_open error firebase_campaign firebase_in_app_message_action
    firebase_in_app_message_dismiss firebase_in_app_message_impression first_open first_visit
    in_app_purchase notification_dismiss notification_foreground notification_open notification_receive
    notification_send os_update session_start user_engagement"""
)
_RESERVED_ON_THE_WEB = frozenset({"screen_view"})
_RESERVED_PARAMETERS = frozenset({"firebase_conversion"})
_RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_", "gtag.")
_RESERVED_PROPERTIES = frozenset(
    {"first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install"}
)
_RESERVED_PROPERTY_PREFIXES = ("google_", "ga_", "firebase_")
_ITEM_KEYS = _words(
    """item_id item_name item_brand item_variant item_category item_category2 item_category3 item_category4
    item_category5 item_list_id item_list_name affiliation coupon creative_name creative_slot discount
    index location_id price promotion_id promotion_name quantity currency"""
)
_KEYS = _words(
    """client_id app_instance_id user_id timestamp_micros user_properties user_data consent
    non_personalized_ads user_location ip_override user_agent device validation_behavior events"""
)


class ValidationMessage(Struct, frozen=True, rename="camel"):
    """One finding, in the form in which Google's validation server writes it."""

    field_path: str
    description: str
    validation_code: str


class ValidationAnswer(Struct, frozen=True, rename="camel"):
    """Body of an answer of `/debug/mp/collect`; no messages: valid."""

    validation_messages: list[ValidationMessage]


def validate_body(
    body: bytes, payload: dict[str, Any] | None, *, received_micros: int
) -> list[ValidationMessage]:
    """As `validate`, and what only the bytes of the body show: its size and names given twice."""
    messages = validate(payload, received_micros=received_micros)
    if len(body) > MAX_BODY_BYTES:
        messages.append(
            ValidationMessage("", f"The body has more than {MAX_BODY_BYTES} bytes.", "VALUE_OUT_OF_BOUNDS")
        )
    return [*messages, *_duplicates(body)]


def _duplicates(body: bytes) -> list[ValidationMessage]:
    """One message for each name that stands twice in one JSON object of the body."""
    duplicated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                duplicated.append(name)
            seen.add(name)

    try:
        json.loads(body.decode("utf-8-sig", "replace"), object_pairs_hook=note)
    except (ValueError, RecursionError):
        return []
    return [
        ValidationMessage(_shown(name), "The name stands twice in one object.", "NAME_DUPLICATED")
        for name in duplicated
    ]


def validate(payload: dict[str, Any] | None, *, received_micros: int) -> list[ValidationMessage]:
    """Everything that Google would find wrong with `payload`, in its order. Never raises.

    None stands for a body that is no JSON object. A timestamp that is too old is reported only under
    `validation_behavior: ENFORCE_RECOMMENDATIONS`, as otherwise Google accepts it.
    """
    if payload is None:
        return [ValidationMessage("", "The body is not a JSON object.", "VALUE_INVALID")]
    is_enforced = payload.get("validation_behavior") == "ENFORCE_RECOMMENDATIONS"
    oldest = received_micros - BACKDATING_MICROS if is_enforced else None
    messages = [*_top_level(payload), *_timestamp(payload, "", oldest), *_user_properties(payload)]
    return [*messages, *_events(payload, oldest)]


def as_warnings(messages: list[ValidationMessage]) -> tuple[str, ...]:
    """The messages as warnings of a client or tag: the first few of many, one line each."""
    texts = [f"{one.field_path or 'body'}: {one.description} ({one.validation_code})" for one in messages]
    rest = len(texts) - MAX_WARNINGS
    return (*texts[:MAX_WARNINGS], *([f"and {rest} more"] if rest > 0 else ()))


def _top_level(payload: dict[str, Any]) -> Iterator[ValidationMessage]:
    for key in payload:
        if key not in _KEYS:
            yield ValidationMessage(_shown(key), "Unknown key of the payload.", "VALUE_INVALID")
    if not (_is_id(payload.get("client_id")) or _is_id(payload.get("app_instance_id"))):
        yield ValidationMessage(
            "client_id", "The payload needs a client_id or an app_instance_id.", "VALUE_REQUIRED"
        )
    user_id = payload.get("user_id")
    if isinstance(user_id, str) and len(user_id) > MAX_USER_ID:
        yield _too_long("user_id", MAX_USER_ID)
    yield from _objects(payload)
    yield from _consent(payload.get("consent", {}))
    if payload.get("validation_behavior", "RELAXED") not in ("RELAXED", "ENFORCE_RECOMMENDATIONS"):
        yield ValidationMessage(
            "validation_behavior", "Must be RELAXED or ENFORCE_RECOMMENDATIONS.", "VALUE_INVALID"
        )


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _objects(payload: dict[str, Any]) -> Iterator[ValidationMessage]:
    for key in ("user_data", "user_location", "device", "user_properties"):
        if key in payload and not isinstance(payload[key], dict):
            yield ValidationMessage(key, "Must be an object.", "VALUE_INVALID")
    for key in ("user_id", "ip_override", "user_agent", "client_id", "app_instance_id"):
        if key in payload and not isinstance(payload[key], str):
            yield ValidationMessage(key, "Must be a text.", "VALUE_INVALID")
    for key in ("user_location", "device"):
        members = payload.get(key)
        for name, value in members.items() if isinstance(members, dict) else ():
            if not isinstance(value, str):
                yield ValidationMessage(f"{key}.{_shown(name)}", "Must be a text.", "VALUE_INVALID")


def _consent(consent: Any) -> Iterator[ValidationMessage]:
    if not isinstance(consent, dict):
        yield ValidationMessage("consent", "Must be an object.", "VALUE_INVALID")
        return
    for name, state in consent.items():
        path = f"consent.{_shown(name)}"
        if name not in ("ad_user_data", "ad_personalization"):
            yield ValidationMessage(path, "Unknown consent type.", "VALUE_INVALID")
        elif state not in ("GRANTED", "DENIED"):
            yield ValidationMessage(path, "Must be GRANTED or DENIED.", "VALUE_INVALID")


def _timestamp(holder: dict[str, Any], path: str, oldest: int | None) -> Iterator[ValidationMessage]:
    if "timestamp_micros" not in holder:
        return
    path = f"{path}timestamp_micros"
    micros = read_micros(holder["timestamp_micros"])
    if micros is None:
        yield ValidationMessage(path, "Must be Unix time in microseconds.", "VALUE_INVALID")
    elif oldest is not None and micros < oldest:
        yield ValidationMessage(path, "More than 72 hours in the past.", "VALUE_OUT_OF_BOUNDS")


def _user_properties(payload: dict[str, Any]) -> Iterator[ValidationMessage]:
    properties = payload.get("user_properties")
    if not isinstance(properties, dict):
        return
    if len(properties) > MAX_USER_PROPERTIES:
        yield _too_many("user_properties", len(properties), MAX_USER_PROPERTIES)
    for name, wrapped in properties.items():
        path = f"user_properties.{_shown(name)}"
        if name in _RESERVED_PROPERTIES or name.startswith(_RESERVED_PROPERTY_PREFIXES):
            yield ValidationMessage(path, "The name is reserved.", "NAME_RESERVED")
        else:
            yield from _name(path, name, MAX_USER_PROPERTY_NAME)
        if not isinstance(wrapped, dict) or "value" not in wrapped:
            yield ValidationMessage(path, 'Must be an object: {"value": ...}.', "VALUE_INVALID")
        elif isinstance(wrapped["value"], str) and len(wrapped["value"]) > MAX_USER_PROPERTY_VALUE:
            yield _too_long(path, MAX_USER_PROPERTY_VALUE)


def _events(payload: dict[str, Any], oldest: int | None) -> Iterator[ValidationMessage]:
    events = payload.get("events")
    if isinstance(events, dict):
        yield ValidationMessage("events", "Must be a list; taken as one event.", "VALUE_INVALID")
        events = [events]
    if events in (None, []):
        yield ValidationMessage("events", "The payload needs at least one event.", "VALUE_REQUIRED")
        return
    if not isinstance(events, list):
        yield ValidationMessage("events", "Must be a list.", "VALUE_INVALID")
        return
    if len(events) > MAX_EVENTS:
        yield _too_many("events", len(events), MAX_EVENTS)
    is_app = _is_id(payload.get("app_instance_id"))
    for index, event in enumerate(events):
        if isinstance(event, dict):
            yield from _event(event, f"events[{index}]", is_app=is_app, oldest=oldest)
        else:
            yield ValidationMessage(f"events[{index}]", "Must be an object.", "VALUE_INVALID")


def _event(
    event: dict[str, Any], path: str, *, is_app: bool, oldest: int | None
) -> Iterator[ValidationMessage]:
    name = event.get("name")
    if not isinstance(name, str) or not name:
        yield ValidationMessage(f"{path}.name", "The event needs a name.", "VALUE_REQUIRED")
    elif (
        name in _RESERVED_EVENTS
        or name.startswith(_RESERVED_PREFIXES)
        or (name in _RESERVED_ON_THE_WEB and not is_app)
    ):
        yield ValidationMessage(f"{path}.name", "The event name is reserved.", "NAME_RESERVED")
    else:
        yield from _name(f"{path}.name", name, MAX_NAME)
    yield from _timestamp(event, f"{path}.", oldest)
    params = event.get("params", {})
    if not isinstance(params, dict):
        yield ValidationMessage(f"{path}.params", "Must be an object.", "VALUE_INVALID")
        return
    if len(params) > MAX_PARAMETERS:
        yield _too_many(f"{path}.params", len(params), MAX_PARAMETERS)
    for key, value in params.items():
        yield from _parameter(key, value, f"{path}.params.{_shown(key)}")


def _parameter(key: str, value: Any, path: str) -> Iterator[ValidationMessage]:
    if key in _RESERVED_PARAMETERS or key.startswith(_RESERVED_PREFIXES):
        yield ValidationMessage(path, "The parameter name is reserved.", "NAME_RESERVED")
    else:
        yield from _name(path, key, MAX_NAME)
    if key == "items":
        yield from _items(value, path)
    elif key not in _FREE_OF_LIMIT:
        yield from _value(value, path, _LONGER_VALUES.get(key, MAX_VALUE))


def _items(items: Any, path: str) -> Iterator[ValidationMessage]:
    if not isinstance(items, list):
        yield ValidationMessage(path, "Must be a list of items.", "VALUE_INVALID")
        return
    if len(items) > MAX_ITEMS:
        yield _too_many(path, len(items), MAX_ITEMS)
    for index, item in enumerate(items):
        place = f"{path}[{index}]"
        if not isinstance(item, dict):
            yield ValidationMessage(place, "Must be an object.", "VALUE_INVALID")
            continue
        if not (item.get("item_id") or item.get("item_name")):
            yield ValidationMessage(place, "The item needs an item_id or item_name.", "VALUE_REQUIRED")
        custom = len(item.keys() - _ITEM_KEYS)
        if custom > MAX_CUSTOM_ITEM_PARAMETERS:
            yield _too_many(place, custom, MAX_CUSTOM_ITEM_PARAMETERS)
        for key, value in item.items():
            yield from _name(f"{place}.{_shown(key)}", key, MAX_NAME)
            yield from _value(value, f"{place}.{_shown(key)}", MAX_VALUE)


def _value(value: Any, path: str, limit: int) -> Iterator[ValidationMessage]:
    if isinstance(value, str):
        if len(value) > limit:
            yield _too_long(path, limit)
    elif not isinstance(value, (int, float)):
        yield ValidationMessage(path, "Must be a text or a number.", "VALUE_INVALID")


def _name(path: str, name: str, limit: int) -> Iterator[ValidationMessage]:
    if len(name) > limit:
        yield ValidationMessage(path, f"The name is longer than {limit} characters.", "NAME_INVALID")
    elif not _NAME.fullmatch(name):
        yield ValidationMessage(
            path, "A name begins with a letter; letters, digits and underscores follow.", "NAME_INVALID"
        )


def _too_long(path: str, limit: int) -> ValidationMessage:
    return ValidationMessage(path, f"The value is longer than {limit} characters.", "VALUE_OUT_OF_BOUNDS")


def _too_many(path: str, count: int, limit: int) -> ValidationMessage:
    return ValidationMessage(path, f"{count} members, at most {limit} are allowed.", "EXCEEDED_MAX_ENTITIES")


def _shown(name: str) -> str:
    """A name of the sender's choice, short and printable enough for a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[: MAX_NAME + 1])
