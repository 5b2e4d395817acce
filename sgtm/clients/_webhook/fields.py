"""Fields: how event data are made of what a webhook says.

SPEC: requirements R75, R88, R296; vendor-tags 5.1 (minor units), 6 rules 4 and 9.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct

from sgtm.clients._webhook.places import Read, Scope, compile_place, is_constant, scalar_text
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


class Target(Struct, frozen=True):
    """Where in event data a value goes, and how it is made."""

    key_path: str
    parents: tuple[str, ...]
    leaf: str
    read: Read


def compile_fields(fields: Mapping[str, Any]) -> tuple[Target, ...]:
    """Each field, once and for all."""
    targets = []
    for key_path, entry in fields.items():
        *parents, leaf = key_path.split(".")
        targets.append(Target(key_path, tuple(parents), leaf, compile_entry(entry)))
    return tuple(targets)


def fill(data: EventData, targets: tuple[Target, ...], scope: Scope, remarks: list[str]) -> None:
    """Put each value into event data of our own; what is wrong with one goes to `remarks`, in words, and
    that one is left out."""
    for target in targets:
        try:
            value = target.read(scope)
        except Unfit as unfit:
            remarks.append(f"{target.key_path}: {unfit}")
            continue
        if value is undefined:
            continue
        inside = data
        for step in target.parents:
            # copied: it may be the webhook's own, and stand in other events too
            known = inside.get(step)
            inside[step] = dict(known) if isinstance(known, dict) else {}
            inside = inside[step]
        inside[target.leaf] = value


def compile_entry(entry: Entry | ItemEntry) -> Read:
    """How to make the value of one entry. What it gives may raise Unfit."""
    if isinstance(entry, str):
        return compile_place(entry)
    if isinstance(entry, tuple):
        return _first(entry)
    if isinstance(entry, Field) and entry.each:
        return _entries(entry)
    return _single(entry)


def _single(entry: ItemField) -> Read:
    places = (entry.at,) if isinstance(entry.at, str) else entry.at
    read = _joined(entry) if entry.join else _first(places)
    convert, mapped, default = _conversion(entry), entry.map, entry.default

    def single(scope: Scope) -> Any:
        value = read(scope)
        if mapped and value is not undefined:
            value = mapped.get(scalar_text(value) or "", undefined)
        return default if value is undefined else convert(value, scope)

    return single


def _first(places: tuple[Place, ...]) -> Read:
    reads = [compile_place(place) for place in places]
    if len(reads) == 1:
        return reads[0]

    def first(scope: Scope) -> Any:
        for read in reads:
            value = read(scope)
            if value is not undefined:
                return value
        return undefined

    return first


def _joined(entry: ItemField) -> Read:
    parts = [(is_constant(place), compile_place(place)) for place in entry.join]

    def joined(scope: Scope) -> Any:
        found = [(is_said, read(scope)) for is_said, read in parts]
        if all(is_said or value is undefined for is_said, value in found):
            return undefined
        return entry.separator.join(_text(value) for _, value in found if value is not undefined)

    return joined


def _entries(entry: Field) -> Read:
    read, targets = compile_place(entry.each), compile_fields(entry.fields)

    def entries(scope: Scope) -> Any:
        listed = read(scope)
        made = []
        # what is wrong with an item is no reason to lose the others, nor worth a remark for each
        unheard: list[str] = []
        for item in listed[:MAX_ITEMS] if isinstance(listed, list) else ():
            one: EventData = {}
            fill(one, targets, Scope(scope.request, scope.body, scope.event, item), unheard)
            if one:
                made.append(one)
        return made or entry.default

    return entries


# -- conversions -------------------------------------------------------------------------------


def _conversion(entry: ItemField) -> Callable[[Any, Scope], Any]:
    if entry.to == "minor_units":
        return _minor_units(entry)
    plain = _CONVERSIONS[entry.to]
    return lambda value, scope: plain(value)


def _minor_units(entry: ItemField) -> Callable[[Any, Scope], float]:
    """19.99 of 1999; no cent is lost on the way."""
    currency_of = compile_place(entry.currency) if entry.currency else lambda scope: undefined

    def major_units(value: Any, scope: Scope) -> float:
        if isinstance(value, list):
            return _sum(major_units(one, scope) for one in value)
        currency = scalar_text(currency_of(scope)) or ""
        decimals = DECIMALS.get(currency.upper(), 2) if entry.decimals is None else entry.decimals
        number = _number(value)
        # a division of whole numbers is rounded once, as it should be
        return number / 10**decimals if isinstance(number, int) else float(_decimal(number).scaleb(-decimals))

    return major_units


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
    return float(sum(map(_decimal, numbers)))


def _decimal(number: int | float) -> Decimal:
    return Decimal(str(number))


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


_CONVERSIONS: dict[Conversion, Callable[[Any], Any]] = {
    "as_is": lambda value: value,
    "text": _text,
    "number": _number,
    "upper_case": lambda value: _text(value).upper(),
    "lower_case": lambda value: _text(value).lower(),
    "first_word": _first_word,
    "last_word": _last_word,
    "unix_seconds": lambda value: moment_micros(value) // 1_000_000,
    "unix_micros": moment_micros,
}
