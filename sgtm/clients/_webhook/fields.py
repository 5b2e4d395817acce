"""Fields: how event data are made of what a webhook says.

SPEC: requirements R75, R88, R296; vendor-tags 5.1 (minor units), 6 rules 4 and 9.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct
from msgspec.structs import replace

from sgtm.clients._webhook.places import Scope, is_constant, read_place, scalar_text
from sgtm.event import to_number, undefined
from sgtm.messages import EventData

Place: TypeAlias = str
Conversion = Literal[
    "as_is",
    "text",
    "number",
    "minor_units",
    "upper_case",
    "lower_case",
    "first_word",
    "last_word",
    "unix_seconds",
    "unix_micros",
]
MAX_ITEMS = 200
"""As many items as GA4 takes in an event; the others are left out."""

MAX_NUMBER = 10**15
"""No price, no quantity and no rate is larger; what is would be rounded anyway."""

_NO_DECIMALS = (
    *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
    *("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
)
_THREE_DECIMALS = ("BHD", "JOD", "KWD", "OMR", "TND")
DECIMALS = dict.fromkeys(_NO_DECIMALS, 0) | dict.fromkeys(_THREE_DECIMALS, 3)
"""Currency -> decimals, where they are not 2 (https://docs.stripe.com/currencies)."""


class ItemField(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes one value: it is read, looked up in `map`, converted; else it is the default."""

    at: Annotated[
        Place | tuple[Place, ...],
        Meta(description="Place of the value; of several the first that has one."),
    ] = ()
    join: Annotated[
        tuple[Place, ...],
        Meta(description="Places whose values become one text; those without a value are left out."),
    ] = ()
    separator: Annotated[str, Meta(description="What stands between the parts of `join`.")] = " "
    map: Annotated[
        dict[str, Any],
        Meta(description="Value, as text, -> what stands for it; any other is as if it were missing."),
    ] = {}
    to: Annotated[
        Conversion,
        Meta(
            description='What is made of it. `number`: also of `"99.99"`; `minor_units`: 1999 of a currency '
            "with two decimals is 19.99 (both add up a list that `*` gave); `first_word` and `last_word`: of "
            "a person's whole name; `unix_seconds`, `unix_micros`: of a date as ISO 8601 (UTC unless it says "
            "otherwise) or of a Unix time in seconds, milliseconds or microseconds."
        ),
    ] = "as_is"
    currency: Annotated[Place, Meta(description="With `minor_units`: place of the currency's code.")] = ""
    decimals: Annotated[
        Annotated[int, Meta(ge=0, le=8)] | None,
        Meta(description="With `minor_units`: decimals of the currency, where the sender has its own idea."),
    ] = None
    default: Annotated[Any, Meta(description="The value where there is none.")] = UNSET


ItemEntry: TypeAlias = Place | tuple[Place, ...] | ItemField


class Field(ItemField, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same, or a list of which each entry has fields of its own (`items`)."""

    each: Annotated[Place, Meta(description="Place of a list: one entry for each of its entries.")] = ""
    fields: Annotated[
        dict[str, ItemEntry],
        Meta(description="With `each`: key -> place in the entry (`event:...` is outside of it)."),
    ] = {}


Entry: TypeAlias = Place | tuple[Place, ...] | Field


class Unfit(Exception):
    """A value that its conversion cannot use; why in words, without the value."""


def fill(data: EventData, fields: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    """Put each field into event data of our own under its key path. Yields what is wrong with one, in
    words: that one is left out."""
    for key_path, entry in fields.items():
        try:
            value = value_of(entry, scope)
        except Unfit as unfit:
            yield f"{key_path}: {unfit}"
            continue
        if value is not undefined:
            _put(data, key_path, value)


def value_of(entry: Entry | ItemEntry, scope: Scope) -> Any:
    """The value of one entry; `undefined` where there is none. Raises Unfit."""
    if isinstance(entry, str):
        return read_place(entry, scope)
    if isinstance(entry, tuple):
        return _first(entry, scope)
    if isinstance(entry, Field) and entry.each:
        return _entries(entry, scope)
    value = _joined(entry, scope) if entry.join else _first(entry.at, scope)
    if value is not undefined and entry.map:
        value = entry.map.get(scalar_text(value) or "", undefined)
    if value is undefined:
        return entry.default
    return _CONVERSIONS[entry.to](value, entry, scope)


def _first(places: Place | tuple[Place, ...], scope: Scope) -> Any:
    for place in (places,) if isinstance(places, str) else places:
        value = read_place(place, scope)
        if value is not undefined:
            return value
    return undefined


def _joined(entry: ItemField, scope: Scope) -> Any:
    found = [(place, read_place(place, scope)) for place in entry.join]
    if all(value is undefined or is_constant(place) for place, value in found):
        return undefined
    return entry.separator.join(_text(value) for _, value in found if value is not undefined)


def _entries(entry: Field, scope: Scope) -> Any:
    listed = read_place(entry.each, scope)
    made = []
    for item in listed[:MAX_ITEMS] if isinstance(listed, list) else ():
        one: EventData = {}
        # what is wrong with an item is no reason to lose the others, nor worth a warning for each
        for _ in fill(one, entry.fields, replace(scope, item=item)):
            pass
        if one:
            made.append(one)
    return made or entry.default


def _put(data: EventData, key_path: str, value: Any) -> None:
    """Mappings on the way are copied: they may be the webhook's own, and stand in other events too."""
    *parents, leaf = key_path.split(".")
    for step in parents:
        inside = data.get(step)
        data[step] = dict(inside) if isinstance(inside, dict) else {}
        data = data[step]
    data[leaf] = value


# -- conversions: (value, entry, scope) -> value -----------------------------------------------


def _text(value: Any) -> str:
    text = scalar_text(value)
    if text is None:
        raise Unfit("is no single value")
    return text


def _first_word(value: Any) -> Any:
    words = _text(value).split()
    return words[0] if words else undefined


def _last_word(value: Any) -> Any:
    words = _text(value).split()
    return words[-1] if len(words) > 1 else undefined


def _number(value: Any) -> int | float:
    if isinstance(value, list):
        return _sum(map(_number, value))
    number = to_number(value)
    if number is None or abs(number) > MAX_NUMBER:
        raise Unfit("is no number")
    return number


def _sum(numbers: Iterable[int | float]) -> float:
    return float(sum(Decimal(str(one)) for one in numbers))


def _major_units(value: Any, entry: ItemField, scope: Scope) -> float:
    """19.99 of 1999. Decimal, so that no cent is lost on the way."""
    currency = scalar_text(read_place(entry.currency, scope)) or "" if entry.currency else ""
    decimals = DECIMALS.get(currency.upper(), 2) if entry.decimals is None else entry.decimals
    return float(Decimal(str(_number(value))).scaleb(-decimals))


_MILLIS, _MICROS = 100_000_000_000, 100_000_000_000_000
"""From here on a Unix time is not seconds, and not milliseconds: year 5138 in the smaller unit."""


def moment_micros(value: Any) -> int:
    """Unix microseconds of a date or a Unix time. Raises Unfit."""
    number = to_number(value)
    if number is None:
        try:
            moment = datetime.fromisoformat(_text(value).strip())
            zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            number = zoned.timestamp() * 1_000_000
        except (ValueError, OverflowError):
            raise Unfit("is no date") from None
        if number > 0:
            return round(number)
    if not 0 < number < 10**17:
        raise Unfit("is no date")
    if number >= _MICROS:
        return int(number)
    return int(number * 1_000) if number >= _MILLIS else int(number * 1_000_000)


_CONVERSIONS: dict[Conversion, Callable[[Any, ItemField, Scope], Any]] = {
    "as_is": lambda value, *_: value,
    "text": lambda value, *_: _text(value),
    "number": lambda value, *_: _number(value),
    "minor_units": _major_units,
    "upper_case": lambda value, *_: _text(value).upper(),
    "lower_case": lambda value, *_: _text(value).lower(),
    "first_word": lambda value, *_: _first_word(value),
    "last_word": lambda value, *_: _last_word(value),
    "unix_seconds": lambda value, *_: moment_micros(value) // 1_000_000,
    "unix_micros": lambda value, *_: moment_micros(value),
}
