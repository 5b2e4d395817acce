"""Event data -> Meta's custom_data: value, products, and what the event says about itself.

SPEC: meta-capi 7; requirements R129. Overrides stand under `x-fb-cd-*`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from sgtm.event import Event, to_number
from sgtm.identifiers import plain_text
from sgtm.tags._meta.event import Content

MAX_DEPTH = 8
"""Trees from event data are cut here; nothing that Meta documents is as deep."""
TEXTS = ("content_type", "content_name", "content_category", "status", "delivery_category", "item_number")
NUMBERS = ("predicted_ltv", "net_revenue")
_TEXTS = [(f"x-fb-cd-{key}", key) for key in TEXTS]
_NUMBERS = [(f"x-fb-cd-{key}", key) for key in NUMBERS]


def custom_data(event: Event, warnings: list[str]) -> dict[str, Any]:
    """custom_data without undefined keys. Own keys of the site (`custom_properties`) fill up what is
    left; they never take the place of a key that Meta knows."""
    items = [item for item in _list(event.data.get("items")) if isinstance(item, dict)]
    contents = _contents(event, items)
    ids = [text for one in _list(event.data.get("x-fb-cd-content_ids")) if (text := plain_text(one))]
    found: dict[str, Any] = {
        "value": _value(event, warnings),
        "currency": _currency(event, items, warnings),
        "contents": contents or None,
        "content_ids": ids or [text for one in contents if (text := plain_text(one.get("id")))] or None,
        "content_type": "product" if items else None,
        "num_items": _whole(number(event.data.get("x-fb-cd-num_items"))) or _quantity(items) or None,
        "order_id": event.text("transaction_id"),
        "search_string": event.text("search_term"),
    }
    if len(items) == 1:
        found |= {
            "content_name": plain_text(items[0].get("item_name")),
            "content_category": plain_text(items[0].get("item_category")),
        }
    data = event.data
    found |= {key: text for source, key in _TEXTS if source in data and (text := plain_text(data[source]))}
    found |= {key: number(data[source]) for source, key in _NUMBERS if source in data}
    known = {key: value for key, value in found.items() if value is not None}
    for key, value in _properties(event).items():
        known.setdefault(key, value)
    return known


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
    found = to_number(value)
    return found if found is not None and abs(found) < 1e300 else None


def _value(event: Event, warnings: list[str]) -> int | float | None:
    value = number(event.data.get("value"))
    if value is None and event.text("value") is not None:
        warnings.append("value is not a number; it is left out")
    return value


def _currency(event: Event, items: list[dict[str, Any]], warnings: list[str]) -> str | None:
    """ISO 4217 in upper case, of the event or of its first product."""
    text = event.text("currency") or (plain_text(items[0].get("currency")) if items else None)
    if text is None:
        return None
    currency = text.strip().upper()
    if len(currency) == 3 and currency.isascii() and currency.isalpha():
        return currency
    warnings.append("currency is not a code of ISO 4217; it is left out")
    return None


def _contents(event: Event, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    override = [json_tree(one) for one in _list(event.data.get("x-fb-cd-contents")) if isinstance(one, dict)]
    return override or [msgspec.to_builtins(content) for item in items if (content := _content(item))]


def _content(item: dict[str, Any]) -> Content | None:
    """One product; a price of 0 is a price. Quantity is 1 where it is not said, as in GA4."""
    name = plain_text(item.get("item_name"))
    id_ = plain_text(item.get("item_id"))
    if not (id_ or name):
        return None
    return Content(
        id=id_ or name or "",
        quantity=_quantity_of(item),
        item_price=number(item.get("price")),
        title=name if id_ else None,
        description=plain_text(item.get("description")),
        brand=plain_text(item.get("item_brand")),
        category=plain_text(item.get("item_category")),
        delivery_category=plain_text(item.get("delivery_category")),
    )


def _quantity_of(item: dict[str, Any]) -> int | float:
    quantity = number(item.get("quantity"))
    return 1 if quantity is None else quantity


def _quantity(items: list[dict[str, Any]]) -> int | None:
    return _whole(sum(_quantity_of(item) for item in items))


def _whole(found: float | None) -> int | None:
    return int(found) if found is not None and abs(found) < 1e15 else None


def _properties(event: Event) -> dict[str, Any]:
    properties = event.data.get("custom_properties")
    tree = json_tree(decoded(properties) if isinstance(properties, str) else properties)
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


def missing_of_purchase(data: dict[str, Any]) -> Iterator[str]:
    """What a Purchase must have and this one has not."""
    return (key for key in ("value", "currency") if key not in data)
