"""Event data -> Meta's custom_data: value, products, and what the event says about itself.

SPEC: meta-capi 7; requirements R129. Overrides stand under `x-fb-cd-*`.
"""

from typing import Any

import msgspec

from sgtm._fast.mapping import AS_IS, NUMBER, PLAIN_TEXT, TEXT, Field, Mapping, convert
from sgtm.messages import EventData

MAX_DEPTH = 8
"""Trees from event data are cut here; nothing that Meta documents is as deep."""
VALUE = Mapping(Field("value", NUMBER, "value"), Field("currency", TEXT, "currency"))
PRODUCT = Mapping(
    Field("id", PLAIN_TEXT, "item_id"),
    Field("quantity", NUMBER, "quantity", default=1),
    Field("item_price", NUMBER, "price"),
    Field("title", PLAIN_TEXT, "item_name"),
    Field("description", PLAIN_TEXT, "description"),
    Field("brand", PLAIN_TEXT, "item_brand"),
    Field("category", PLAIN_TEXT, "item_category"),
    Field("delivery_category", PLAIN_TEXT, "delivery_category"),
)
"""One product. A price of 0 is a price; quantity is 1 where it is not said, as in GA4."""
OF_PRODUCTS = Mapping(
    Field("contents", AS_IS, "x-fb-cd-contents"),
    Field("content_ids", AS_IS, "x-fb-cd-content_ids"),
    Field("content_type", PLAIN_TEXT, "x-fb-cd-content_type"),
    Field("num_items", NUMBER, "x-fb-cd-num_items"),
)
"""What the event says itself instead of its products."""
ONLY_PRODUCT = Mapping(
    Field("content_name", PLAIN_TEXT, "item_name"), Field("content_category", PLAIN_TEXT, "item_category")
)
"""What an event with a single product says of it, unless the event says it itself."""
DETAILS = Mapping(
    Field("order_id", TEXT, "transaction_id"),
    Field("search_string", TEXT, "search_term"),
    *(
        Field(key, PLAIN_TEXT, f"x-fb-cd-{key}")
        for key in ("content_name", "content_category", "status", "delivery_category", "item_number")
    ),
    *(Field(key, NUMBER, f"x-fb-cd-{key}") for key in ("predicted_ltv", "net_revenue")),
)


def custom_data(data: EventData, warnings: list[str]) -> dict[str, Any]:
    """custom_data without undefined keys. Own keys of the site (`custom_properties`) fill up what is
    left; they never take the place of a key that Meta knows."""
    items = [item for item in _list(data["items"]) if isinstance(item, dict)] if "items" in data else []
    found = VALUE.read(data)
    if "value" not in found and "value" in data and convert(data["value"], TEXT) is not None:
        warnings.append("value is not a number; it is left out")
    said = found.pop("currency", None) or (convert(items[0].get("currency"), PLAIN_TEXT) if items else None)
    if said is not None and (currency := _currency(said, warnings)):
        found["currency"] = currency
    overrides = OF_PRODUCTS.read(data)
    if items or overrides:
        found |= _products(items, overrides)
    details = DETAILS.read(data)
    if len(items) == 1:
        details = _with_names(details, ONLY_PRODUCT.read(items[0]))
    found |= details
    if "custom_properties" in data:
        own = _properties(data["custom_properties"])
        found |= {key: value for key, value in own.items() if key not in found}
    return found


def json_tree(value: Any, depth: int = MAX_DEPTH) -> Any:
    """`value` as plain JSON (None: nothing of it is): finite numbers, texts, lists, dicts."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return number(value)
    if depth == 0:
        return None
    if isinstance(value, dict):
        pairs = ((key, json_tree(item, depth - 1)) for key, item in value.items() if isinstance(key, str))
        return {key: item for key, item in pairs if item is not None}
    if isinstance(value, (list, tuple)):
        return [item for one in value if (item := json_tree(one, depth - 1)) is not None]
    return None


def number(value: Any) -> int | float | None:
    """A finite number, also out of a text; None for all else, and for what no price or time can be."""
    found: int | float | None = convert(value, NUMBER)
    return found


def _currency(said: str, warnings: list[str]) -> str | None:
    """ISO 4217 in upper case."""
    currency = said.strip().upper()
    if len(currency) == 3 and currency.isascii() and currency.isalpha():
        return currency
    warnings.append("currency is not a code of ISO 4217; it is left out")
    return None


def _products(items: list[dict[str, Any]], overrides: dict[str, Any]) -> dict[str, Any]:
    """contents, content_ids, content_type and num_items."""
    products = [PRODUCT.read(item) for item in items]
    said = [json_tree(one) for one in _list(overrides.get("contents")) if isinstance(one, dict)]
    contents = said or _contents(products)
    quantity = sum(product["quantity"] for product in products)
    found = {
        "contents": contents,
        "content_ids": _texts(overrides.get("content_ids")) or _texts([one.get("id") for one in contents]),
        "content_type": overrides.get("content_type") or ("product" if items else None),
        "num_items": _whole(overrides.get("num_items")) or _whole(quantity),
    }
    return {key: value for key, value in found.items() if value}


def _contents(products: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that have an id; a name stands in for it."""
    contents = []
    for product in products:
        if "id" in product:
            contents.append(product)
        elif "title" in product:
            contents.append({"id": product.pop("title"), **product})
    return contents


def _texts(value: Any) -> list[str]:
    return [text for one in _list(value) if (text := convert(one, PLAIN_TEXT))]


def _with_names(details: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """`details` with these names behind what every order says."""
    known = {**names, **details}
    first = ("order_id", "search_string", "content_name", "content_category")
    return {key: known[key] for key in first if key in known} | details


def _whole(found: float | None) -> int | None:
    return int(found) if found is not None and abs(found) < 1e15 else None


def _properties(said: Any) -> dict[str, Any]:
    tree = json_tree(decoded(said) if isinstance(said, str) else said)
    return tree if isinstance(tree, dict) else {}


def _list(value: Any) -> list[Any]:
    """A list, the list that a JSON text holds, or a single text or number as one."""
    if value is None:
        return []
    if isinstance(value, str):
        tree = decoded(value)
        if tree is not None:
            return tree if isinstance(tree, list) else [tree]
        return [] if value.strip() == "[object Object]" else [value]
    return value if isinstance(value, list) else [value]


def decoded(text: str) -> Any:
    """The list or dict that a JSON text holds, or None."""
    if text.strip()[:1] not in ("[", "{"):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def missing_of_purchase(data: dict[str, Any]) -> list[str]:
    """What a Purchase must have and this one has not."""
    return [key for key in ("value", "currency") if key not in data]
