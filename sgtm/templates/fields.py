"""Fields of a template (`___TEMPLATE_PARAMETERS___`): types, defaults, validators, conditions.

SPEC: sandbox-api 4.3. Fields nest (groups, choices), their values are flat, by name.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from sgtm.errors import Problem
from sgtm.javascript import number_of, text_of
from sgtm.patterns import PatternError, compile_pattern

KINDS = frozenset(
    [
        *("TEXT", "GROUP", "CHECKBOX", "SELECT", "SIMPLE_TABLE", "RADIO", "LABEL", "PARAM_TABLE"),
        *("PARAGRAPH", "TAG_SELECT", "MACRO_SELECT", "FILE"),
    ]
)
WITHOUT_VALUE = frozenset(["GROUP", "LABEL", "PARAGRAPH"])
TABLES = frozenset(["SIMPLE_TABLE", "PARAM_TABLE"])


class Condition(Struct, frozen=True, rename="camel"):
    """One enabling condition: a field is there only where one of its conditions holds."""

    param_name: str
    type: str = "EQUALS"
    """EQUALS, NOT_EQUALS, PRESENT, NOT_PRESENT."""
    param_value: Any = UNSET

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds for these values of the other fields."""
        value = values.get(self.param_name, UNSET)
        is_there = value is not UNSET and value is not None and value != ""
        if self.type in ("PRESENT", "NOT_PRESENT"):
            return is_there == (self.type == "PRESENT")
        return (text_of(value) == text_of(self.param_value)) == (self.type == "EQUALS")


class Validator(Struct, frozen=True, rename="camel"):
    """One check of a value, as Google's editor makes it; nothing enforces it at run time."""

    type: str
    args: list[Any] = []
    error_message: str = ""
    enabling_conditions: list[Condition] = []

    def accepts(self, value: Any) -> bool:
        """Whether the value passes. What a variable will give cannot be checked and passes."""
        if isinstance(value, str) and "{{" in value:
            return True
        check = _CHECKS.get(self.type)
        return check is None or check(value, self.args)


class Choice(Struct, frozen=True, rename="camel"):
    """One item of a select or a radio field."""

    value: Any = UNSET
    display_value: str = ""
    sub_params: list["Field"] = []


class Column(Struct, frozen=True, rename="camel"):
    """One column of a simple table."""

    name: str = ""
    display_name: str = ""
    type: str = "TEXT"
    default_value: Any = UNSET
    is_unique: bool = False
    value_validators: list[Validator] = []
    select_items: list[Choice] = []


class ParameterColumn(Struct, frozen=True, rename="camel"):
    """One column of a parameter table: a whole field."""

    param: "Field"
    is_unique: bool = False


class Field(Struct, frozen=True, rename="camel"):
    """One field as the template declares it."""

    type: str
    name: str = ""
    display_name: str = ""
    help: str = ""
    default_value: Any = UNSET
    checkbox_text: str = ""
    text_as_list: bool = False
    macros_in_select: bool = False
    group_style: str = ""
    enabling_conditions: list[Condition] = []
    value_validators: list[Validator] = []
    select_items: list[Choice] = []
    radio_items: list[Choice] = []
    sub_params: list["Field"] = []
    simple_table_columns: list[Column] = []
    param_table_columns: list[ParameterColumn] = []

    @property
    def has_value(self) -> bool:
        """Whether `data` has a member of its name."""
        return self.type not in WITHOUT_VALUE and bool(self.name)

    def columns(self) -> list[str]:
        """Names of the columns of a table."""
        return [column.name for column in self.simple_table_columns] + [
            column.param.name for column in self.param_table_columns
        ]

    def is_enabled(self, values: Mapping[str, Any]) -> bool:
        """Whether one of its conditions holds, or it has none."""
        return not self.enabling_conditions or any(one.holds(values) for one in self.enabling_conditions)


def all_fields(fields: list[Field]) -> Iterator[Field]:
    """All of them, those inside groups and choices too, from the top."""
    for field in fields:
        yield field
        yield from all_fields(field.sub_params)
        for choice in (*field.select_items, *field.radio_items):
            yield from all_fields(choice.sub_params)


def values_of(fields: list[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a run finds in `data`: given values, else defaults; fields that a condition switches off, or
    that stand below one, are absent."""
    values = {
        field.name: given.get(field.name, field.default_value)
        for field in all_fields(fields)
        if field.has_value
    }
    values = {name: value for name, value in values.items() if value is not UNSET}
    return {field.name: values[field.name] for field in _enabled(fields, values) if field.name in values}


def _enabled(fields: list[Field], values: Mapping[str, Any]) -> Iterator[Field]:
    for field in fields:
        if field.is_enabled(values):
            yield field
            yield from _enabled(field.sub_params, values)
            for choice in (*field.select_items, *field.radio_items):
                if choice.sub_params and text_of(values.get(field.name)) == text_of(choice.value):
                    yield from _enabled(choice.sub_params, values)


def problems_of(fields: list[Field], given: Mapping[str, Any]) -> list[Problem]:
    """What Google's editor would say about these values."""
    values = values_of(fields, given)
    known = {field.name for field in all_fields(fields) if field.has_value}
    found = [
        Problem("warning", "the template has no such field", name, "leave it out")
        for name in given
        if name not in known
    ]
    for field in _enabled(fields, values):
        for validator in field.value_validators if field.has_value else ():
            is_active = not validator.enabling_conditions or any(
                condition.holds(values) for condition in validator.enabling_conditions
            )
            if is_active and not validator.accepts(values.get(field.name, UNSET)):
                mend = validator.error_message or f"the template asks for {validator.type}"
                found.append(Problem("error", "the value does not fit", field.name, mend))
    return found


# -- validators ------------------------------------------------------------------------------------


def _is_filled(value: Any, args: list[Any]) -> bool:
    return value is not UNSET and value is not None and value not in ("", [])


def _is_number(value: Any, args: list[Any]) -> bool:
    return not _is_filled(value, args) or not math.isnan(number_of(value))


def _is_positive(value: Any, args: list[Any]) -> bool:
    return not _is_filled(value, args) or number_of(value) > 0


def _is_not_negative(value: Any, args: list[Any]) -> bool:
    return not _is_filled(value, args) or number_of(value) >= 0


def _matches(value: Any, args: list[Any]) -> bool:
    if not args or not isinstance(value, str) or not value:
        return True
    try:
        return compile_pattern(text_of(args[0]), full_match=True).matches(value)
    except PatternError:
        return True


def _has_length(value: Any, args: list[Any]) -> bool:
    if isinstance(value, UnsetType) or not args:
        return True
    length = len(value) if isinstance(value, list) else len(text_of(value))
    return number_of(args[0]) <= length and (len(args) < 2 or length <= number_of(args[1]))


_CHECKS = {
    "NON_EMPTY": _is_filled,
    "NUMBER": _is_number,
    "DECIMAL": _is_number,
    "POSITIVE_NUMBER": _is_positive,
    "NON_NEGATIVE_NUMBER": _is_not_negative,
    "REGEX": _matches,
    "STRING_LENGTH": _has_length,
    "TABLE_ROW_COUNT": _has_length,
}
VALIDATORS = frozenset(_CHECKS)
