"""`{{Variable}}` inside parameters: find them, and read them typed or as text.

A reference that is the whole value keeps the type of the variable; inside a longer text it is
joined as JavaScript's Array.join does (SPEC: sandbox-api 5.10.4, A2). Nothing else in the project
joins.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import inspect
from msgspec.structs import asdict

from sgtm.component import Deferred
from sgtm.container.container import View
from sgtm.container.field_types import inner_type, is_text_only, plain_type
from sgtm.container.model import Variable
from sgtm.event import number_text, undefined

REFERENCE = re.compile(r"\{\{\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*\}\}")

Reader = Callable[[View], Any]
"""Reads one parameter of an event; `undefined` where it has no value."""


def references_in(value: Any) -> Iterator[str]:
    """Names of all variables that `value` (texts, dicts and lists of them) refers to, with repeats; keys may
    refer to some too."""
    if isinstance(value, str):
        if "{{" in value:
            yield from REFERENCE.findall(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from references_in(key)
            yield from references_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references_in(item)


def references_of(variable: Variable) -> Iterator[str]:
    """Names of all variables that this one refers to, also in what its value is made into."""
    yield from references_in(variable.parameters)
    if variable.format_value is not None:
        yield from references_in(asdict(variable.format_value))


def whole_reference(text: str) -> str | None:
    """The variable's name where the text is one reference and nothing else."""
    match = REFERENCE.fullmatch(text.strip()) if "{{" in text else None
    return match.group(1) if match else None


def as_text(value: Any) -> str:
    """A value inside a longer text: undefined and null are nothing, `true` is a word, lists join
    with commas, an object is `[object Object]` (SPEC: sandbox-api 5.10.4, A2)."""
    if isinstance(value, str):
        return value
    if value is undefined or value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, (list, tuple)):
        return ",".join(as_text(item) for item in value)
    return "[object Object]"


def compile_reader(value: Any, type_: inspect.Type, slots: Mapping[str, int]) -> Reader | None:
    """How to read `value` for one event, or None where it is the same for all events.

    `type_` is what belongs there; `slots` has the slot of every variable that the value refers to.
    Items of lists and dicts whose reference is undefined are left out (SPEC: sandbox-api 5.10.3.7); a
    dict whose `Meta` says `extra={"keeps_undefined": True}` has them, as `undefined`. Keys are texts, of two
    that turn out equal the later one counts (SPEC: google-runtime 1); an empty one is left out.
    """
    if isinstance(value, str):
        return _text_reader(value, is_text_only(type_), slots)
    if isinstance(value, dict):
        return _dict_reader(value, type_, slots)
    if isinstance(value, list):
        return _list_reader(value, type_, slots)
    return None


def defer(value: Any, type_: inspect.Type, slots: Mapping[str, int]) -> Any:
    """`value` with all that refers to variables, and stands where anything may stand, as Deferred."""
    if isinstance(plain_type(type_), inspect.AnyType):
        reader = compile_reader(value, type_, slots)
        return value if reader is None else Deferred(reader)
    if isinstance(value, dict):
        return {key: defer(item, inner_type(type_, key), slots) for key, item in value.items()}
    if isinstance(value, list):
        return [defer(item, inner_type(type_, index), slots) for index, item in enumerate(value)]
    return value


def _text_reader(text: str, must_be_text: bool, slots: Mapping[str, int]) -> Reader | None:
    name = whole_reference(text)
    if name is not None:
        slot = slots[name]
        return _text_of(slot) if must_be_text else lambda view: view.value(slot)
    pieces = REFERENCE.split(text)
    if len(pieces) == 1:
        return None
    parts = [slots[piece] if index % 2 else piece for index, piece in enumerate(pieces)]
    return lambda view: "".join(
        [part if isinstance(part, str) else as_text(view.value(part)) for part in parts]
    )


def _text_of(slot: int) -> Reader:
    """A whole value where only a text belongs: a number gives its text, null is absent as undefined is."""

    def read(view: View) -> Any:
        value = view.value(slot)
        return undefined if value is None or value is undefined else as_text(value)

    return read


def _dict_reader(value: dict[str, Any], type_: inspect.Type, slots: Mapping[str, int]) -> Reader | None:
    readers = {key: compile_reader(item, inner_type(type_, key), slots) for key, item in value.items()}
    names = {key: name for key in readers if (name := compile_reader(key, inspect.StrType(), slots))}
    if not names and not any(readers.values()):
        return None
    keeps_undefined = isinstance(type_, inspect.Metadata) and (type_.extra or {}).get("keeps_undefined")

    def read(view: View) -> dict[str, Any]:
        result = {key: reader(view) if reader else value[key] for key, reader in readers.items()}
        if names:
            named = {names[key](view) if key in names else key: item for key, item in result.items()}
            result = {key: item for key, item in named.items() if key and key is not undefined}
        if keeps_undefined:
            return result
        return {key: item for key, item in result.items() if item is not undefined}

    return read


def _list_reader(value: list[Any], type_: inspect.Type, slots: Mapping[str, int]) -> Reader | None:
    readers = [compile_reader(item, inner_type(type_, index), slots) for index, item in enumerate(value)]
    if not any(readers):
        return None

    def read(view: View) -> list[Any]:
        result = [reader(view) if reader else item for reader, item in zip(readers, value, strict=True)]
        return [item for item in result if item is not undefined]

    return read
