"""Fields of the structs, as a person writes them: types in words, one problem per wrong field.

msgspec stops at the first thing that does not fit; a person wants to hear of all of them. So each
field is converted by itself, and what msgspec says becomes what is wrong, where, and how to mend it.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import Struct, ValidationError, convert, inspect

from sgtm.container.document import Path
from sgtm.container.field_types import inner_type, is_secret, kind_of, limits, members, plain_type, type_words
from sgtm.container.references import references_in
from sgtm.container.report import Report, listed, nearest, nearest_name

_PLACE = re.compile(r" - at `\$(?P<steps>.*)`$")
_LENGTH = re.compile(r" of length (?P<sign><=|>=) ")
_LIMIT = re.compile(r"^Expected `(int|float)` (?P<sign><=|>=|<|>) (?P<limit>\S+)$")
_SIGNS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above"}
_SHOWN = 60
_MAPPINGS = (inspect.DictType, inspect.AnyType)
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType, inspect.AnyType)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_SOME_KEY = "..."
"""How msgspec names a key of a mapping: it does not say which."""


class Field(Struct, frozen=True):
    """One field of a struct: its name, its type, and what it is for."""

    name: str
    type: inspect.Type
    annotation: Any
    is_required: bool
    default: Any
    description: str
    example: Any = None


@cache
def fields_of(struct_type: type[Struct]) -> tuple[Field, ...]:
    """All fields of a struct in the order in which it declares them."""
    described = cast(inspect.StructType, inspect.type_info(struct_type))
    infos = msgspec.structs.fields(struct_type)
    return tuple(
        Field(
            name=field.encode_name,
            type=plain_type(field.type),
            annotation=info.type,
            is_required=field.required,
            default=_default(field),
            description=_said(field.type, "description") or "",
            example=(_said(field.type, "examples") or [None])[0],
        )
        for field, info in zip(described.fields, infos, strict=True)
    )


def read_fields(
    struct_type: type[Struct],
    written: dict[str, Any],
    path: Path,
    report: Report,
    *,
    ignores: frozenset[str] = frozenset(),
    no_references: str = "",
) -> dict[str, Any] | None:
    """Convert each field of `written` by itself; report everything that does not fit.

    Returns the fields that do (those with references as they are), or None where a required one is
    missing or wrong. `ignores` names keys that somebody else reads; `no_references` says why a
    `{{variable}}` cannot stand here (empty: it can).
    """
    fields = {field.name: field for field in fields_of(struct_type)}
    known = [*fields, *sorted(ignores - fields.keys())]
    misspelt = _report_unknown(written, known, path, report)
    values: dict[str, Any] = {}
    is_complete = True
    for name, field in fields.items():
        if name in ignores:
            continue
        if name in written:
            is_good, value = _read_field(field, written[name], (*path, name), report, no_references)
            if is_good:
                values[name] = value
            else:
                is_complete = is_complete and not field.is_required
        elif field.is_required:
            is_complete = False
            if name not in misspelt:
                advice = _advice(field, field.type)
                report.error(path, f"`{name}` is missing", f"write `{name}:` with {advice}")
    return values if is_complete else None


def _report_unknown(written: dict[str, Any], known: list[str], path: Path, report: Report) -> set[str]:
    """Report the keys that nobody knows; the known ones that they are probably meant to be."""
    meant = set()
    for key in written:
        if key not in known:
            otherwise = f"remove it; known here: {listed(known)}"
            report.unknown((*path, key), "is not known", key, known, otherwise=otherwise)
            meant.add(nearest_name(key, known))
    return meant


def _read_field(field: Field, value: Any, path: Path, report: Report, no_references: str) -> tuple[bool, Any]:
    if any(references_in(value)):
        if no_references:
            report.error(path, "a {{variable}} cannot stand here", no_references)
            return False, value
        return _fits_around_references(field, value, path, report), value
    try:
        return True, convert(value, field.annotation)
    except ValidationError as error:
        message, steps = split_error(error)
        steps = _with_keys(steps, value, field.annotation)
        type_, inside = field.type, value
        for step in steps:
            type_, inside = inner_type(type_, step), _step_into(inside, step)
        place = (*path, *steps)
        report.error(place, _what(message, inside, type_), _mend(inside, type_, field))
        return False, None


def _fits_around_references(field: Field, value: Any, path: Path, report: Report) -> bool:
    """Whether a mapping or a list with references in it can be what belongs here, whatever these bring."""
    if isinstance(value, str):
        return True
    kinds = members(field.type)
    for kind in kinds:
        if isinstance(value, dict) and isinstance(kind, inspect.StructType):
            return read_fields(kind.cls, value, path, report) is not None
    wanted = _MAPPINGS if isinstance(value, dict) else _LISTS
    if any(isinstance(kind, wanted) for kind in kinds):
        return True
    report.error(
        path, f"is {kind_of(value)}; expected {type_words(field.type)}", _mend(value, field.type, field)
    )
    return False


def split_error(error: ValidationError) -> tuple[str, Path]:
    """msgspec's message without its place, and the place as a path."""
    message = str(error)
    match = _PLACE.search(message)
    if not match:
        return message, ()
    return message[: match.start()], tuple(_path_steps(match.group("steps")))


def _path_steps(text: str) -> Iterator[str | int]:
    position = 0
    while match := _STEP.match(text, position):
        name, index = match.groups()
        yield name or (_SOME_KEY if index == _SOME_KEY else int(index))
        position = match.end()


def _with_keys(steps: Path, value: Any, annotation: Any) -> Path:
    """The place of an error in `value`, with the keys that msgspec leaves open: each is the one without whose
    neighbours the same error is found."""
    told = steps
    while _SOME_KEY in steps:
        at = steps.index(_SOME_KEY)
        mapping = value
        for step in steps[:at]:
            mapping = _step_into(mapping, step)
        for key in mapping if isinstance(mapping, dict) else ():
            try:
                convert(_only(value, steps[:at], key), annotation)
            except ValidationError as error:
                if split_error(error)[1] == told:
                    break
        else:
            return steps[:at]
        steps = (*steps[:at], key, *steps[at + 1 :])
    return steps


def _only(value: Any, steps: Path, key: str) -> Any:
    """A copy of `value` in which the mapping at `steps` has no other key."""
    if not steps:
        return {key: value[key]}
    inside = _only(value[steps[0]], steps[1:], key)
    if isinstance(value, dict):
        return {**value, steps[0]: inside}
    return [inside if index == steps[0] else one for index, one in enumerate(value)]


def _step_into(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (LookupError, TypeError):
        return None


def _what(message: str, value: Any, type_: inspect.Type) -> str:
    shown = f"{value!r} " if isinstance(value, str) and len(value) <= _SHOWN else ""
    if message.startswith("Invalid enum value"):
        return f"{shown}is not one of the choices"
    if ", got `" in message:
        return f"{shown}is {kind_of(value)}; expected {type_words(type_)}"
    if length := _LENGTH.search(message):
        return "is empty" if not value else f"is too {'short' if length['sign'] == '>=' else 'long'}"
    if limit := _LIMIT.search(message):
        return f"must be {_SIGNS[limit['sign']]} {limit['limit'].removesuffix('.0')}"
    if message.startswith("Invalid RFC3339"):
        return f"{shown}is no moment"
    if "matching regex" in message:
        if not value:
            return "is empty"
        return f"{shown}does not have the form {message.partition('matching regex ')[2]}".replace(
            "\\\\", "\\"
        )
    return message[0].lower() + message[1:].replace("`", "'")


def _mend(value: Any, type_: inspect.Type, field: Field) -> str:
    choices = [str(choice) for member in members(type_) for choice in getattr(member, "values", ())]
    if choices and isinstance(value, str):
        return nearest(value, choices) or f"write one of: {listed(choices)}"
    kinds = [member for member in members(type_) if not isinstance(member, inspect.NoneType)]
    if isinstance(value, str) and value and all(isinstance(kind, _LISTS[:-1]) for kind in kinds):
        return f"write it as a list: [{value}]"
    return f"write {_advice(field, type_)}{_example(field) if isinstance(value, str) else ''}"


def _example(field: Field) -> str:
    """`; for example v25.0`: the struct's own example, or its default; empty where that is no text."""
    example = field.example or field.default
    if isinstance(example, (list, tuple)) and example:
        example = example[0]
    return f"; for example {example}" if isinstance(example, str) and example else ""


def _advice(field: Field, type_: inspect.Type) -> str:
    words = type_words(type_) + limits(type_)
    if is_secret(type_):
        words = "${NAME_OF_A_VARIABLE} or {file: /run/secrets/name}"
    return f"{words}: {field.description.rstrip('.')}" if field.description else words


def _default(field: inspect.Field) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else field.default


def _said(type_: inspect.Type, key: str) -> Any:
    """What `Meta` says of a field under `key`, or None."""
    if isinstance(type_, inspect.Metadata):
        return (type_.extra_json_schema or {}).get(key) or _said(type_.type, key)
    return None
