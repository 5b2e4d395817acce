"""Types of fields: what is inside them, what fits them, and how a person says them."""

from typing import Any

from msgspec import Struct, inspect

from sgtm.component import Secret

_WORDS: tuple[tuple[type[inspect.Type], str], ...] = (
    (inspect.StrType, "text"),
    (inspect.BoolType, "true or false"),
    (inspect.IntType, "a whole number"),
    (inspect.FloatType, "a number"),
    (inspect.NoneType, "nothing"),
    (inspect.DateTimeType, "a moment as 2026-11-27T00:00:00Z"),
    (inspect.AnyType, "anything"),
)


def plain_type(type_: inspect.Type) -> inspect.Type:
    """The type without the descriptions around it."""
    while isinstance(type_, inspect.Metadata):
        type_ = type_.type
    return type_


def members(type_: inspect.Type) -> tuple[inspect.Type, ...]:
    """The alternatives of a union, or the one type."""
    type_ = plain_type(type_)
    if isinstance(type_, inspect.UnionType):
        return tuple(plain_type(member) for member in type_.types)
    return (type_,)


def is_secret(type_: inspect.Type) -> bool:
    """Whether a secret belongs here."""
    return any(isinstance(member, inspect.StructType) and member.cls is Secret for member in members(type_))


def is_text_only(type_: inspect.Type) -> bool:
    """Whether only a text (or nothing) belongs here, so that a number written plainly is one."""
    kinds = [member for member in members(type_) if not isinstance(member, inspect.NoneType)]
    return bool(kinds) and all(_is_text(kind) for kind in kinds)


def _is_text(type_: inspect.Type) -> bool:
    if isinstance(type_, inspect.LiteralType):
        return all(isinstance(value, str) for value in type_.values)
    return isinstance(type_, inspect.StrType)


def inner_type(type_: inspect.Type, step: str | int) -> inspect.Type:
    """Type of what stands at one key or index inside; `Any` where that is not declared."""
    for member in members(type_):
        if isinstance(step, str):
            if isinstance(member, inspect.StructType):
                inner = {field.encode_name: field.type for field in member.fields}
                if step in inner:
                    return inner[step]
            elif isinstance(member, inspect.DictType):
                return member.value_type
        elif isinstance(
            member, (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
        ):
            return member.item_type
    return inspect.AnyType()


def struct_inside(type_: inspect.Type) -> tuple[type[Struct], bool] | None:
    """The struct that belongs here, and whether it is a list of them; None for everything else."""
    for member in members(type_):
        item = plain_type(member.item_type) if isinstance(member, inspect.VarTupleType) else member
        if isinstance(item, inspect.StructType) and item.cls is not Secret:
            return item.cls, item is not member
    return None


def type_words(type_: inspect.Type) -> str:
    """A type as a person says it: `text`, `a whole number`, `one of: a, b`, `a list of text`."""
    kinds = [member for member in members(type_) if not isinstance(member, inspect.NoneType)]
    return " or ".join(dict.fromkeys(_words(kind) for kind in kinds)) or "nothing"


def _words(type_: inspect.Type) -> str:
    for kind, words in _WORDS:
        if isinstance(type_, kind):
            return words
    if isinstance(type_, inspect.LiteralType):
        return f"one of: {', '.join(str(value) for value in type_.values)}"
    if isinstance(type_, inspect.EnumType):
        return f"one of: {', '.join(str(value.value) for value in type_.cls)}"
    if isinstance(type_, inspect.StructType):
        return "a secret" if type_.cls is Secret else "a mapping"
    if isinstance(type_, inspect.DictType):
        return f"a mapping of {_plural(type_words(type_.value_type))}"
    item = getattr(type_, "item_type", None)
    return f"a list of {_plural(type_words(item))}" if item is not None else "a value"


def _plural(words: str) -> str:
    if words.startswith("one of: "):
        return f"these: {words.removeprefix('one of: ')}"
    return f"{words[2:]}s" if words.startswith("a ") and " or " not in words else words


def kind_of(value: Any) -> str:
    """What a written value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    for kind, words in (
        (str, "text"),
        ((int, float), "a number"),
        (dict, "a mapping"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, kind):
            return words
    return "a secret"


def limits(type_: inspect.Type) -> str:
    """Bounds of a number in words, ` (at least 0, at most 60)`; empty for none."""
    for member in members(type_):
        if isinstance(member, (inspect.IntType, inspect.FloatType)):
            bounds = (
                ("above", member.gt),
                ("at least", member.ge),
                ("below", member.lt),
                ("at most", member.le),
            )
            said = ", ".join(f"{word} {limit:g}" for word, limit in bounds if limit is not None)
            return f" ({said})" if said else ""
    return ""
