"""Segment's tracking API: calls of its libraries (and RudderStack's, Jitsu's) to event data.

SPEC: vendor-tags 5.5 (shape of a call, clock skew, names); ga4-protocol 11.2 (real senders).

| call | event data |
|---|---|
| `track` | its event under GA4's name (EVENT_NAMES), `properties` as they are, what a shop says renamed |
| `page`, `screen` | `page_view`, `screen_view`; `properties.url`, `context.page.url`: `page_location`, ... |
| `identify`, `group`, `alias` | the type itself; `traits` as `x-sst-segment_traits` |
| `anonymousId`, `userId`, `messageId` | `client_id`, `user_id`, `event_id` |
| `traits`, `context.traits` | `user_data`, and what names nobody as `x-ga-mp2-user_properties` |
| `context.ip`, `.userAgent`, `.locale` | `ip_override`, `user_agent`, `language` |
| `context.screen`, `.app`, `.campaign` | `screen_resolution`, `app_name`, `campaign_source`, ... |
| `products`, or one product in `properties` | `items` |
| `timestamp` | `timestamp_micros`, corrected by `sentAt` |
| `context`, `integrations` of the call | `x-sst-segment_context`, `x-sst-segment_integrations` |
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sgtm.consent import CONSENT_TYPES, ConsentType
from sgtm.event import to_number
from sgtm.messages import EventData
from sgtm.protocols.measurement_protocol import scalar_text

TYPES = ("track", "page", "screen", "identify", "group", "alias")
MAX_ITEMS = 200
"""Products of one call; what follows is left out (Google reads as many items)."""

EVENT_NAMES = {
    "Products Searched": "search",
    "Product List Viewed": "view_item_list",
    "Product Viewed": "view_item",
    "Product Clicked": "select_item",
    "Product Added": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Product Added to Wishlist": "add_to_wishlist",
    "Cart Viewed": "view_cart",
    "Checkout Started": "begin_checkout",
    "Checkout Step Completed": "add_shipping_info",
    "Payment Info Entered": "add_payment_info",
    "Order Completed": "purchase",
    "Order Refunded": "refund",
    "Promotion Viewed": "view_promotion",
    "Promotion Clicked": "select_promotion",
    "Signed Up": "sign_up",
    "Signed In": "login",
}
_ONE_PRODUCT = frozenset({"view_item", "select_item", "add_to_cart", "remove_from_cart", "add_to_wishlist"})
_SHOP = frozenset(EVENT_NAMES.values()) - {"sign_up", "login"}
_ITEM_TEXTS = {
    "name": "item_name",
    "brand": "item_brand",
    "category": "item_category",
    "variant": "item_variant",
    "coupon": "coupon",
}
_ITEM_NUMBERS = {"price": "price", "quantity": "quantity", "position": "index"}
_IN_ITEM = frozenset({"product_id", "sku", *_ITEM_TEXTS, *_ITEM_NUMBERS})
_PROPERTIES = {
    "order_id": "transaction_id",
    "query": "search_term",
    "list_id": "item_list_id",
    "payment_method": "payment_type",
    "shipping_method": "shipping_tier",
}
_PROMOTION = {"name": "promotion_name", "creative": "creative_name", "position": "creative_slot"}
_PAGE = {
    "url": "page_location",
    "path": "page_path",
    "referrer": "page_referrer",
    "title": "page_title",
}
_APP = {"name": "app_name", "version": "app_version", "namespace": "app_id"}
_USER_DATA = {"email": "email_address", "phone": "phone_number"}
_NAMES = {"firstName": "first_name", "lastName": "last_name"}
_ADDRESS = {
    "street": "street",
    "city": "city",
    "state": "region",
    "postalCode": "postal_code",
    "country": "country",
}
_NOT_PROPERTIES = frozenset(
    {*_USER_DATA, *_NAMES, "address", "name", "birthday", "username", "avatar", "description", "website"}
)
"""Traits that tell who somebody is: they never become user properties, which analytics may not hold."""

Call = Mapping[str, Any]


def event_of_call(call: Call, type_: str, *, names: Mapping[str, str], snake_case: bool) -> EventData | None:
    """Event data of one call of this type, its time left out; None where a `track` has no event.

    `names` goes before EVENT_NAMES; with `snake_case` what neither knows is written as GA4 writes names."""
    name = type_
    if type_ == "track":
        name = _event_name(scalar_text(call.get("event")), names, snake_case)
        if not name:
            return None
    elif type_ in ("page", "screen"):
        name = f"{type_}_view"
    context, properties = _mapping(call.get("context")), _mapping(call.get("properties"))
    data: EventData = {"event_name": name}
    data |= _of_properties(name, properties)
    page = {**_mapping(context.get("page")), **(properties if type_ == "page" else {})}
    data |= _renamed(page, _PAGE)
    title = scalar_text(call.get("name"))
    if title and type_ in ("page", "screen"):
        data[f"{type_}_name"] = title
    data |= _of_context(context)
    data |= _of_person(call, context, type_)
    for key in ("context", "integrations"):
        if isinstance(call.get(key), dict) and call[key]:
            data[f"x-sst-segment_{key}"] = call[key]
    return data


def _event_name(said: str, names: Mapping[str, str], snake_case: bool) -> str:
    name = names.get(said) or EVENT_NAMES.get(said) or said
    return "_".join(name.replace("-", " ").lower().split()) if snake_case and name == said else name


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _renamed(said: Mapping[str, Any], names: Mapping[str, str]) -> EventData:
    """The texts and numbers of `said` that have a name here, as text."""
    texts = {key: scalar_text(said.get(name)) for name, key in names.items()}
    return {key: text for key, text in texts.items() if text}


# -- what happened -----------------------------------------------------------------------------


def _of_properties(name: str, properties: dict[str, Any]) -> EventData:
    """`properties` as they are; where a shop's event is told, under GA4's names."""
    data = {
        key: value
        for key, value in properties.items()
        if key not in ("event_name", "products")
        and not key.startswith("x-")
        and not (name == "page_view" and key in _PAGE)
    }
    if name in _SHOP:
        data = _of_shop(name, data, properties)
    elif "products" in properties:
        data["products"] = properties["products"]
    return data


def _of_shop(name: str, data: EventData, properties: dict[str, Any]) -> EventData:
    products = properties.get("products")
    if isinstance(products, list):
        found = [_item(one) for one in products[:MAX_ITEMS] if isinstance(one, dict)]
    elif name in _ONE_PRODUCT and not _IN_ITEM.isdisjoint(data):
        found = [_item({key: data.pop(key) for key in [*data] if key in _IN_ITEM})]
    else:
        found = []
    names = _PROPERTIES | (_PROMOTION if name.endswith("_promotion") else {})
    data = {names.get(key, key): value for key, value in data.items()}
    for key in ("revenue", "total", "value"):
        number = to_number(data.get(key))
        if number is not None:
            data["value"] = number
            break
    for key in ("tax", "shipping", "discount"):
        if (number := to_number(data.get(key))) is not None:
            data[key] = number
    if isinstance(data.get("currency"), str):
        data["currency"] = data["currency"].upper()
    return {**data, **({"items": found} if found else {})}


def _item(product: Mapping[str, Any]) -> dict[str, Any]:
    """SPEC: vendor-tags 5.5: `products[]`; what GA4 has no name for keeps its own."""
    item: dict[str, Any] = {}
    id_ = scalar_text(product.get("product_id")) or scalar_text(product.get("sku"))
    if id_:
        item["item_id"] = id_
    for key, value in product.items():
        number = to_number(value) if key in _ITEM_NUMBERS else None
        if number is not None:
            item[_ITEM_NUMBERS[key]] = number
        elif key not in ("product_id", "sku"):
            item[_ITEM_TEXTS.get(key, key)] = value
    return item


# -- where, and who ----------------------------------------------------------------------------


def _of_context(context: Call) -> EventData:
    data = _renamed(context, {"ip": "ip_override", "userAgent": "user_agent", "locale": "language"})
    data |= _renamed(_mapping(context.get("app")), _APP)
    screen = _mapping(context.get("screen"))
    size = [scalar_text(screen.get(side)) for side in ("width", "height")]
    if all(size):
        data["screen_resolution"] = "x".join(size)
    campaign = _mapping(context.get("campaign"))
    return data | _renamed(
        campaign, {key: f"campaign_{key}" for key in ("source", "medium", "name", "term", "content")}
    )


def _of_person(call: Call, context: Call, type_: str) -> EventData:
    data = _renamed(
        call,
        {
            "anonymousId": "client_id",
            "userId": "user_id",
            "messageId": "event_id",
            "groupId": "group_id",
            "previousId": "previous_id",
        },
    )
    own = _mapping(call.get("traits"))
    # a group's traits are those of a company
    traits = {**_mapping(context.get("traits")), **({} if type_ == "group" else own)}
    if own:
        data["x-sst-segment_traits"] = own
    address = _renamed(traits, _NAMES) | _renamed(_mapping(traits.get("address")), _ADDRESS)
    user_data: dict[str, Any] = _renamed(traits, _USER_DATA)
    if address:
        user_data["address"] = address
    if user_data:
        data["user_data"] = user_data
    properties = {
        key: value
        for key, value in traits.items()
        if key not in _NOT_PROPERTIES and isinstance(value, (str, int, float))
    }
    return {**data, **({"x-ga-mp2-user_properties": properties} if properties else {})}


def consent_of(
    context: Mapping[str, Any], categories: Mapping[str, Sequence[ConsentType]]
) -> dict[ConsentType, bool]:
    """What `context.consent.categoryPreferences` says; a type of several categories needs all of them."""
    preferences = _mapping(_mapping(context.get("consent")).get("categoryPreferences"))
    said = [(types, preferences.get(category)) for category, types in categories.items()]
    found: dict[ConsentType, bool] = {}
    for types, is_granted in said:
        if isinstance(is_granted, bool):
            found |= {type_: found.get(type_, True) and is_granted for type_ in types}
    return {type_: found[type_] for type_ in CONSENT_TYPES if type_ in found}


# -- when --------------------------------------------------------------------------------------


def moment(text: Any) -> int | None:
    """Unix microseconds of an ISO 8601 text, without a zone in UTC; None for anything else."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        return (found - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
    except OverflowError:
        return None


_MICROSECOND = datetime.resolution


def corrected_micros(call: Call, sent_micros: int | None, received_micros: int) -> int | None:
    """When the call was made, by this server's clock: receipt - (sentAt - timestamp), never later than the
    receipt (SPEC: vendor-tags 5.5). None where it says no time."""
    made = moment(call.get("originalTimestamp"))
    if made is None:
        made = moment(call.get("timestamp"))
    if made is None:
        return None
    ago = (sent_micros if sent_micros is not None else received_micros) - made
    return max(received_micros - max(ago, 0), 0)
