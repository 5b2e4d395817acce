"""Stape's Data Tag protocol: what the Data Tag of a web container, and its kin for servers, send to `/data`.

SPEC: vendor-tags 5.6; ga4-protocol 11.2 (the Node sender).

    GET   query parameters; in `dtdc` base64 of a JSON object, in `dtcd` the object itself
    POST  a JSON object, a list of them, or a form whose names have dots (`user.name=Jane`) and whose
          values are JSON where they can be read so; whatever the content type says

What the body says wins over the query. Names of other senders are *added* to under Google's (`url` is
also `page_location`); nothing that was sent is taken away but the protocol's own parameters.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from sgtm.event import to_number
from sgtm.messages import EventData, IncomingRequest
from sgtm.protocols.bodies import BOM, Unreadable, read_body, unpack
from sgtm.protocols.measurement_protocol import scalar_text
from sgtm.protocols.query import MAX_PARAMETERS, read_query

MAX_STEPS = 16
"""Of a dotted name in a form; what follows is part of the last one."""
MAX_VALUE = 1e15
"""A sum of prices that is larger is nobody's."""
_OWN = ("dtdc", "dtcd", "richsstsse")
EVENT_NAMES = ("event_name", "eventName", "event", "e_n")
DEFAULT_NAME = "Data"
CLIENT_IDS = ("client_id", "data_client_id", "_dcid")

_ALIASES = {
    "ip_override": ("ip", "ipOverride"),
    "user_agent": ("userAgent",),
    "page_hostname": ("pageHostname", "hostname"),
    "page_location": ("pageLocation", "url", "href"),
    "page_referrer": ("pageReferrer", "referrer", "urlref"),
    "page_encoding": ("pageEncoding",),
    "page_path": ("pagePath",),
    "page_title": ("pageTitle",),
    "screen_resolution": ("screenResolution",),
    "viewport_size": ("viewportSize",),
    "user_id": ("userId",),
    "value": ("e_v",),
}
_PERSON = {
    "email_address": ("userEmail", "email_address", "email", "mail"),
    "phone_number": ("userPhoneNumber", "phone_number", "phoneNumber", "phone"),
}
_ADDRESS = {
    "first_name": ("userFirstName", "first_name", "firstName", "name"),
    "last_name": ("userLastName", "last_name", "lastName", "surname", "family_name", "familyName"),
    "street": ("street",),
    "city": ("city",),
    "region": ("region", "state"),
    "postal_code": ("postal_code", "postalCode", "zip"),
    "country": ("country",),
}
_OF_ONE_ITEM = {
    "item_id": "item_id",
    "item_name": "item_name",
    "item_brand": "item_brand",
    "item_category": "item_category",
    "quantity": "item_quantity",
    "price": "item_price",
}


def read_events(request: IncomingRequest, max_events: int) -> tuple[list[EventData], int | None]:
    """The events as they came, each a dict of its own; of a list also how many of its entries are no
    objects and left out, None where it was none.

    Raises Unreadable: 400 where nothing can be read, 413 for more than `max_events`."""
    shared = _of_query(request)
    body = unpack(request.body).removeprefix(BOM).strip()
    if not body or request.method == "GET":
        if not shared:
            raise Unreadable(400, "neither a body nor query parameters")
        return [shared], None
    said = read_body(body, ("json",)) if body[:1] in (b"{", b"[") else _read_form(body)
    entries = said if isinstance(said, list) else [said]
    if len(entries) > max_events:
        raise Unreadable(413, f"too many events in one request: {len(entries)}, {max_events} allowed")
    objects = [{**shared, **entry} for entry in entries if isinstance(entry, dict)]
    if not objects:
        raise Unreadable(400, "the body is JSON but holds no object")
    return objects, len(entries) - len(objects) if isinstance(said, list) else None


def _of_query(request: IncomingRequest) -> EventData:
    query = read_query(request.query)
    data: EventData = {key: value for key, value in query.items() if key not in _OWN}
    if request.method == "GET":
        for key in ("dtcd", "dtdc"):
            data |= _packed(query[key], is_base64=key == "dtdc") if query.get(key) else {}
    return data


def _packed(text: str, *, is_base64: bool) -> EventData:
    try:
        # a `+` that was not escaped came as a space; padding is often left out
        raw = b64decode(text.replace(" ", "+") + "=" * (-len(text) % 4)) if is_base64 else text.encode()
        said = msgspec.json.decode(raw)
    except (ValueError, binascii.Error, RecursionError):
        raise Unreadable(400, "dtdc or dtcd cannot be read") from None
    if not isinstance(said, dict):
        raise Unreadable(400, "dtdc or dtcd holds no object")
    return said


# -- forms -------------------------------------------------------------------------------------


def _read_form(body: bytes) -> EventData:
    found: EventData = {}
    for pair in body.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, equals, value = pair.decode("utf-8", "replace").partition("=")
        if name and equals:
            _put(found, name.split(".", MAX_STEPS - 1), _form_value(unquote_plus(value)))
    if not found:
        raise Unreadable(400, "the body is neither JSON nor a form")
    return {key: _with_lists(value) for key, value in found.items()}


def _form_value(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return text


def _put(found: dict[str, Any], steps: list[str], value: Any) -> None:
    *parents, last = [unquote_plus(step) for step in steps]
    for step in parents:
        inside = found.setdefault(step, {})
        if not isinstance(inside, dict):
            return  # a name says that it is a value, and that it is not
        found = inside
    found[last] = value


def _with_lists(value: Any, depth: int = 0) -> Any:
    """Mappings whose keys run 0..n are lists."""
    if not isinstance(value, dict) or depth > MAX_STEPS:
        return value
    inside = {key: _with_lists(one, depth + 1) for key, one in value.items()}
    is_list = bool(inside) and list(inside) == [str(index) for index in range(len(inside))]
    return list(inside.values()) if is_list else inside


# -- under Google's names ----------------------------------------------------------------------


def name_of(data: EventData) -> str:
    """The event's name; `Data` where it says none."""
    return next(
        (name for key in EVENT_NAMES if isinstance(name := data.get(key), str) and name), DEFAULT_NAME
    )


def client_id_of(data: EventData) -> str:
    """The visitor's id in the event; empty where it has none."""
    ids = (scalar_text(data.get(key)) for key in CLIENT_IDS)
    return next((id_ for id_ in ids if id_), "")


def add_common_keys(data: EventData) -> None:
    """Add what other names say under Google's, where they say nothing yet."""
    version = scalar_text(data.get("v"))
    if version:
        del data["v"]
        data.setdefault("x-ga-protocol_version", version)
    data |= _found(data, _ALIASES)
    if not data.get("user_data"):
        user_data = _found(data, _PERSON, is_new=True)
        address = _found(data, _ADDRESS, is_new=True)
        user_data |= {"address": address} if address else {}
        data |= {"user_data": user_data} if user_data else {}
    items = data.get("items")
    if isinstance(items, list) and items and all(isinstance(item, dict) for item in items):
        _add_of_items(data, items)


def _found(data: EventData, names: Mapping[str, tuple[str, ...]], *, is_new: bool = False) -> dict[str, Any]:
    """Key -> the first of its names that says something; keys that `data` has already only if `is_new`."""
    found = {}
    for key, aliases in names.items():
        if is_new or not data.get(key):
            value = next((data[alias] for alias in aliases if data.get(alias)), None)
            if value is not None:
                found[key] = value
    return found


def _add_of_items(data: EventData, items: list[dict[str, Any]]) -> None:
    first = items[0]
    found = {"currency": first.get("currency")}
    if len(items) == 1:
        found |= {key: first.get(name) for name, key in _OF_ONE_ITEM.items()}
    prices = [(to_number(item.get("price")) or 0) * (to_number(item.get("quantity")) or 1) for item in items]
    total = to_number(sum(prices))
    found["value"] = total if total is not None and abs(total) < MAX_VALUE else None
    data |= {key: value for key, value in found.items() if value and not data.get(key)}
