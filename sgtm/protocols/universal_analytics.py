"""Universal Analytics (`v=1`): hits of analytics.js and of the first Measurement Protocol to event data.

SPEC: ga4-protocol 4 (paths, parameters, the keys that were seen), 11.2 (real senders). Like
`sgtm.protocols.gtag` for `v=2`: `why_not_a_hit` says what a request lacks, `events_from_mpv1` reads it.

Which keys Google's client gives to all of it is not known. Ours:

| wire | event data |
|---|---|
| `t` | `event_name`: `page_view`, `screen_view`, the event's action (`ea`), else the type itself |
| what has a common key (`dl`, `dt`, `ul`, `cid`, ...) | that key |
| `ev`; `tr` | `value` as a number, and as text `x-ga-mp1-ev`, `x-ga-mp1-tr` |
| `ti` `ta` `tt` `ts` `tcc` `cu` | `transaction_id`, `affiliation`, `tax`, `shipping`, `coupon`, `currency` |
| `prN..`, `ilNpiM..`, `promoN..` | `items` |
| `qt` | `timestamp_micros`: so many milliseconds before the receipt |
| `ua`, `uip` | `user_agent`, `ip_override`, before what the request says |
| `aip`, whatever its value | the address without its last part |
| anything else, as `cd1`, `cm1`, `cg1` | `x-ga-mp1-<name>`, a text |
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sgtm._fast.collect import find_parameter
from sgtm.event import to_number
from sgtm.messages import EventData, IncomingRequest
from sgtm.protocols.query import read_query

MAX_HITS = 20
"""Of one request; Google took no more (SPEC: ga4-protocol 4)."""
MAX_QUEUE_MS = 30 * 86_400_000
"""A hit that says that it waited longer is dated at its receipt."""

_KEYS = {
    "v": "x-ga-protocol_version",
    "tid": "x-ga-measurement_id",
    "gtm": "x-ga-gtm_version",
    "cid": "client_id",
    "uid": "user_id",
    "dl": "page_location",
    "dh": "page_hostname",
    "dp": "page_path",
    "dr": "page_referrer",
    "dt": "page_title",
    "de": "page_encoding",
    "ul": "language",
    "sr": "screen_resolution",
    "vp": "viewport_size",
    "ec": "event_category",
    "ea": "event_action",
    "el": "event_label",
    "cd": "screen_name",
    "an": "app_name",
    "av": "app_version",
    "aid": "app_id",
    "exd": "description",
    "exf": "fatal",
    "gcs": "x-ga-gcs",
    "gcd": "x-ga-gcd",
    "npa": "x-ga-npa",
    "dma": "x-ga-dma",
    "dma_cps": "x-ga-dma_cps",
}
_SHOP_KEYS = {
    "ti": "transaction_id",
    "ta": "affiliation",
    "tcc": "coupon",
    "cu": "currency",
    "pal": "item_list_name",
    "cos": "checkout_step",
    "col": "checkout_option",
}
_SHOP_NUMBERS = {"tr": "value", "tt": "tax", "ts": "shipping"}
_NAMES = {"pageview": "page_view", "screenview": "screen_view", "timing": "timing_complete"}
_ACTIONS = {
    "detail": "view_item",
    "click": "select_item",
    "add": "add_to_cart",
    "remove": "remove_from_cart",
    "checkout": "begin_checkout",
    "checkout_option": "set_checkout_option",
    "purchase": "purchase",
    "refund": "refund",
}
_ITEM_TEXTS = {
    "id": "item_id",
    "nm": "item_name",
    "br": "item_brand",
    "va": "item_variant",
    "cc": "coupon",
}
_ITEM_NUMBERS = {"pr": "price", "qt": "quantity", "ps": "index"}
_PROMOTION = {"id": "promotion_id", "nm": "promotion_name", "cr": "creative_name", "ps": "creative_slot"}
_OLD_ITEM = {"ic": "id", "in": "nm", "iv": "ca", "ip": "pr", "iq": "qt"}
_DIMENSIONS = {"cd": "dimension", "cm": "metric"}
_ELSEWHERE = ("t", "ua", "uip")
"""Read by name; as they came they are not in event data."""
MAX_CATEGORIES = 5

_FIELD = "(id|nm|br|ca|va|cc|pr|qt|ps|c[dm][0-9]{1,3})"
_LISTED = re.compile(
    rf"pr([0-9]{{1,3}}){_FIELD}|il([0-9]{{1,3}})pi([0-9]{{1,3}}){_FIELD}|promo([0-9]{{1,3}})(id|nm|cr|ps)"
)
_LIST_NAME = re.compile("il([0-9]{1,3})nm")

Item = dict[str, Any]


class _Hit(Struct):
    """One hit, what it says of a shop kept apart from the rest."""

    data: EventData
    shop: EventData
    products: list[Item]
    impressions: list[Item]
    promotions: list[Item]
    wire: dict[str, str]


def why_not_a_hit(request: IncomingRequest) -> str | None:
    """Why this request is no Universal Analytics hit, naming what is missing; None if it is one.

    `v=1` and `tid` may stand in the URL or in the body. The path is not judged here."""
    version = _parameter(request, b"v")
    if version is None:
        return "the parameter v is missing"
    if version != "1":
        return "v is not 1"
    return None if _parameter(request, b"tid") else "the parameter tid is missing"


def _parameter(request: IncomingRequest, name: bytes) -> str | None:
    found = find_parameter(request.query, name)
    return find_parameter(request.body, name) if found is None and request.body else found


def events_from_mpv1(
    request: IncomingRequest, *, splits_ecommerce: bool = False, adds_request_data: bool = True
) -> list[EventData]:
    """Event data of every hit in the request; empty where it has none. Never raises.

    One event per hit, as `extractEventsFromMpv1` wants it. With `splits_ecommerce` what a hit says of a
    shop is an event of its own behind it, under GA4's name (`page_view`, then `purchase`), and a
    transaction takes in the items that come in the same request. `adds_request_data`: address and user
    agent of the request where the hit names none.
    """
    hits = [_read_hit(wire) for wire in _wires(request)]
    events = _split(hits) if splits_ecommerce else [(hit, _joined(hit)) for hit in hits]
    for hit, data in events:
        _add_request_data(data, hit.wire, request, adds_request_data)
    return [data for _, data in events]


def _wires(request: IncomingRequest) -> Iterator[dict[str, str]]:
    """Parameters of each hit: those of its line of the body, then those of the URL."""
    shared = read_query(request.query)
    lines = [line for line in request.body.split(b"\n", 2 * MAX_HITS)[: 2 * MAX_HITS] if line.strip()]
    for line in lines[:MAX_HITS] or [b""]:
        wire = read_query(line.strip()) if line else {}
        for name, value in shared.items():
            wire.setdefault(name, value)
        if wire.get("v") == "1" and wire.get("tid"):
            yield wire


# -- one hit -----------------------------------------------------------------------------------


def _read_hit(wire: dict[str, str]) -> _Hit:
    data: EventData = {}
    shop: EventData = {}
    items: dict[tuple[str, int, int], Item] = {}
    lists: dict[int, str] = {}
    for name, value in wire.items():
        if name in _KEYS:
            data[_KEYS[name]] = value
        elif name in _SHOP_KEYS:
            shop[_SHOP_KEYS[name]] = value
        elif name in _SHOP_NUMBERS or name == "pa":
            shop[f"x-ga-mp1-{name}"] = value
        elif match := _LISTED.fullmatch(name):
            _read_field(items, match, value)
        elif match := _LIST_NAME.fullmatch(name):
            lists[int(match[1])] = value
        elif name not in _ELSEWHERE and not (wire.get("t") == "item" and name in _OLD_ITEM):
            data[f"x-ga-mp1-{name}"] = value
    data["event_name"] = _event_name(wire)
    _put_number(data, "value", wire.get("ev"))
    for name, key in _SHOP_NUMBERS.items():
        _put_number(shop, key, wire.get(name))
    host, path = wire.get("dh", ""), wire.get("dp", "")
    if host and path.startswith("/"):
        data.setdefault("page_location", f"https://{host}{path}")
    return _Hit(data, shop, *_sorted_items(items, lists, wire), wire)


def _event_name(wire: dict[str, str]) -> str:
    """SPEC: ga4-protocol 4: the action of an event; `page_view` for a page view."""
    kind = wire.get("t", "")
    return wire.get("ea") or "event" if kind == "event" else _NAMES.get(kind, kind)


def _read_field(items: dict[tuple[str, int, int], Item], match: re.Match[str], value: str) -> None:
    """Put one `prN..`, `ilNpiM..` or `promoN..` into its item."""
    product, field, list_, place, of_place, promotion, of_promotion = match.groups()
    if promotion:
        items.setdefault(("promotion", 0, int(promotion)), {})[_PROMOTION[of_promotion]] = value
    elif product:
        _put_field(items.setdefault(("product", 0, int(product)), {}), field, value)
    else:
        _put_field(items.setdefault(("impression", int(list_), int(place)), {}), of_place, value)


def _put_field(item: Item, field: str, value: str) -> None:
    """SPEC: ga4-protocol 4 (names), 2.2 (`items`: numbers where GA4 has them)."""
    if field in _ITEM_TEXTS:
        item[_ITEM_TEXTS[field]] = value
    elif field in _ITEM_NUMBERS:
        _put_number(item, _ITEM_NUMBERS[field], value)
    elif field == "ca":
        for index, level in enumerate(value.split("/", MAX_CATEGORIES)[:MAX_CATEGORIES], 1):
            item[f"item_category{index if index > 1 else ''}"] = level
    elif field.startswith("cm"):
        _put_number(item, f"metric{field[2:]}", value)
    else:
        item[f"dimension{field[2:]}"] = value


def _put_number(data: dict[str, Any], key: str, text: str | None) -> None:
    number = to_number(text)
    if number is not None:
        data[key] = number


def _sorted_items(
    items: dict[tuple[str, int, int], Item], lists: dict[int, str], wire: dict[str, str]
) -> tuple[list[Item], list[Item], list[Item]]:
    """Products, impressions and promotions in the order of their numbers."""
    if wire.get("t") == "item":
        item = items.setdefault(("product", 0, 0), {})
        for name, field in _OLD_ITEM.items():
            if name in wire:
                _put_field(item, field, wire[name])
    by_kind: dict[str, list[Item]] = {"product": [], "impression": [], "promotion": []}
    for (kind, list_, _), item in sorted(items.items(), key=lambda pair: pair[0]):
        if kind == "impression" and list_ in lists:
            item["item_list_name"] = lists[list_]
        by_kind[kind].append(item)
    return by_kind["product"], by_kind["impression"], by_kind["promotion"]


# -- events of hits ----------------------------------------------------------------------------


def _joined(hit: _Hit) -> EventData:
    """Everything in one event."""
    items = hit.products or hit.impressions or hit.promotions
    return {**hit.data, **hit.shop, **({"items": items} if items else {})}


def _split(hits: list[_Hit]) -> list[tuple[_Hit, EventData]]:
    """The hit itself, then what it says of a shop, each under GA4's name for it."""
    transactions = {id_ for hit in hits if hit.wire.get("t") == "transaction" and (id_ := hit.wire.get("ti"))}
    items: dict[str, list[Item]] = {id_: [] for id_ in transactions}
    events: list[tuple[_Hit, EventData]] = []
    for hit in hits:
        kind, id_ = hit.wire.get("t"), hit.wire.get("ti", "")
        if kind == "item" and id_ in transactions:
            items[id_] += hit.products
        elif kind == "transaction":
            events.append((hit, {**hit.data, **hit.shop, "event_name": "purchase"}))
        elif kind == "item":
            events.append((hit, _joined(hit)))
        else:
            events += [(hit, data) for data in _hit_and_shop(hit)]
    for hit, data in events:
        if hit.wire.get("t") == "transaction" and (found := items.pop(hit.wire.get("ti", ""), None)):
            data["items"] = found
    return events


def _hit_and_shop(hit: _Hit) -> list[EventData]:
    action = _ACTIONS.get(hit.wire.get("pa", ""))
    if action == "begin_checkout" and hit.wire.get("cos", "1") not in ("", "1"):
        action = "checkout_progress"
    promotion = "select_promotion" if hit.wire.get("promoa") == "click" else "view_promotion"
    found = [(action, hit.shop, hit.products)] if action else []
    found += [("view_item_list", {}, hit.impressions)] if hit.impressions else []
    found += [(promotion, {}, hit.promotions)] if hit.promotions else []
    bare = {key: value for key, value in hit.data.items() if key not in ("value", "x-ga-mp1-ev")}
    events = [
        {**bare, **shop, "event_name": name, **({"items": items} if items else {})}
        for name, shop, items in found
    ]
    if any(data["event_name"] == hit.data["event_name"] for data in events):
        return events  # the hit is called as what it says
    currency = {"currency": hit.shop["currency"]} if "currency" in hit.shop and "value" in hit.data else {}
    return [{**hit.data, **currency}, *events]


# -- what the request adds ---------------------------------------------------------------------


def _add_request_data(
    data: EventData, wire: dict[str, str], request: IncomingRequest, adds_request_data: bool
) -> None:
    address = _address(wire.get("uip", "")) or (request.remote_address if adds_request_data else "")
    if "aip" in wire:
        address = without_last_part(address)
    if address:
        data["ip_override"] = address
    agent = wire.get("ua") or (request.header(b"user-agent") if adds_request_data else None)
    if agent:
        data["user_agent"] = agent
    waited_ms = to_number(wire.get("qt"))
    if isinstance(waited_ms, int) and 0 <= waited_ms <= MAX_QUEUE_MS:
        data["timestamp_micros"] = max(request.received_micros - 1000 * waited_ms, 0)
    if request.path.endswith("/collect"):
        data["x-ga-path"] = "c"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def without_last_part(address: str) -> str:
    """The address without what tells one visitor from another: the last byte of IPv4, the last ten of
    IPv6, as Google's `aip` did. Empty where it is none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False).network_address)
