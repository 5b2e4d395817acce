"""RegEx Table: another value for each pattern that the input matches.

The rows are tried in order and the first that matches counts. The input is searched as text, so what
is missing is the text `undefined`. Patterns are RE2's in JavaScript's syntax: `sgtm check` says which
one cannot be taken; with such a pattern the variable is false, whatever its default.
"""

from contextlib import suppress
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import Deferred, variable
from sgtm.errors import Problem
from sgtm.event import Event
from sgtm.javascript import text_of
from sgtm.patterns import Pattern, PatternError, PatternSet, compile_pattern, pattern_of_data
from sgtm.variables._defaults import Default
from sgtm.variables._once import Once


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One pattern and what it stands for."""

    pattern: Annotated[
        str,
        Meta(description="Pattern; an empty one matches every input.", examples=["^/(de|at)/", "\\.pdf$"]),
    ] = ""
    value: Annotated[Any, Meta(description="The variable's value where the pattern matches.")] = UNSET


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked up in which rows, and how."""

    input: Annotated[
        Any, Meta(description="What the patterns are searched in, as text.", examples=["{{Page Path}}"])
    ] = UNSET
    rows: Annotated[tuple[Row, ...], Meta(description="Patterns and values, in order.")] = ()
    full_match: Annotated[
        bool,
        Meta(
            description="Put `^` before and `$` after each pattern. There is no group around it, as in "
            "Google's table: `a|b` becomes `starts with a, or ends with b`."
        ),
    ] = False
    ignore_case: Annotated[bool, Meta(description="Capitals count as small letters.")] = False
    replace_after_match: Annotated[
        bool,
        Meta(
            description="The value is not the result but what takes the place of every match in the input; "
            "`$1` in it is a group, `$&` the match."
        ),
    ] = False
    default: Default = UNSET


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """Patterns that cannot be used."""
    rows = parameters.get("rows")
    problems = []
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        pattern = row.get("pattern") if isinstance(row, dict) else None
        if not isinstance(pattern, str) or "{{" in pattern:
            continue
        try:
            compile_pattern(pattern, full_match=parameters.get("full_match") is True)
        except PatternError as error:
            place = f"{where}.rows.{index}.pattern"
            what = f"{error.what} ({error.where})" if error.where else error.what
            problems.append(Problem("error", what, place, error.mend or "write another pattern"))
    return problems


_Found = tuple[int, Pattern] | None
"""Number of the first row that matches, and its pattern."""


class _Table:
    """The rows, of which those before the first pattern that is none, or that only the event tells, are
    searched at once."""

    def __init__(self, rows: tuple[Row, ...], full_match: bool, ignore_case: bool) -> None:
        self._rows, self._full_match, self._ignore_case = rows, full_match, ignore_case
        self._patterns: list[Pattern] = []
        with suppress(PatternError):
            for row in rows:
                if not isinstance(row.pattern, str):
                    break
                self._patterns.append(
                    compile_pattern(row.pattern, ignore_case=ignore_case, full_match=full_match)
                )
        self._set = PatternSet(self._patterns)

    def find(self, text: str) -> _Found | Deferred:
        """The first row that matches."""
        first = self._set.first(text)
        if first is not None:
            return first, self._patterns[first]
        if len(self._patterns) == len(self._rows):
            return None
        return Deferred(lambda view: self._find_one_by_one(text, view))

    def _find_one_by_one(self, text: str, view: Any) -> _Found:
        """The rows that are left, in order. Raises PatternError at a pattern that is none."""
        for index in range(len(self._patterns), len(self._rows)):
            written = self._rows[index].pattern
            while isinstance(written, Deferred):
                written = written.read(view)
            pattern = pattern_of_data(text_of(written), self._ignore_case, self._full_match)
            if pattern is None:
                raise PatternError("cannot be used", where=f"the pattern of row {index + 1}")
            if pattern.matches(text):
                return index, pattern
        return None


_table_of = Once(_Table)


@variable("regex_table", aliases=("remm",), check=check, deferred=("rows", "default"))
def resolve(event: Event, parameters: Parameters) -> Any:
    """The value of the first row whose pattern matches, or the input with every match replaced by it.

    Raises PatternError where a pattern is none, so the variable is false.
    SPEC: google-runtime 3 (remm); sandbox-api 5.10.4 (A6)."""
    text = text_of(parameters.input)
    found = _table_of(parameters.rows, parameters.full_match, parameters.ignore_case).find(text)
    if isinstance(found, Deferred):
        return found.then(lambda found: _value(parameters, text, found))
    return _value(parameters, text, found)


def _value(parameters: Parameters, text: str, found: _Found) -> Any:
    if found is None:
        return parameters.default
    index, pattern = found
    value = parameters.rows[index].value
    if not parameters.replace_after_match:
        return value
    if isinstance(value, Deferred):
        return value.then(lambda value: pattern.replace_all(text, _replacement(value)))
    return pattern.replace_all(text, _replacement(value))


def _replacement(value: Any) -> str:
    return "" if value is UNSET else text_of(value)
