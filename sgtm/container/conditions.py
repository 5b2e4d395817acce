"""Conditions, compiled: what is known before the first event is worked out here, once.

- each different comparison is one closure, and each view keeps its result, however many triggers ask
- all texts and patterns that one value is compared with are answered at once (`Search`), and tell which
  tags are worth a look: see `triggers.py`
- conditions hold, do not hold, or are *undetermined* where evaluating one raised: then nothing is
  added, but a trigger that blocks does block

SPEC: google-runtime 2.1 and 2.2; sandbox-api 5.10.4, A7 and A12.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, inspect

from sgtm.container.container import View
from sgtm.container.references import compile_reader, whole_reference
from sgtm.javascript import number_of, text_of
from sgtm.observability.walk import WalkedCondition
from sgtm.patterns import Pattern, PatternError, PatternSet, compile_pattern, pattern_of_data
from sgtm.triggers.condition import Condition
from sgtm.triggers.operators import NUMBER_OPERATORS, TEXT_OPERATORS, WORDS, hint

FAILS, HOLDS, UNDETERMINED = 0, 1, 2

Test = Callable[[View], int]
"""One of the three above. Never raises."""
Value = Callable[[View], Any]
_Comparison = Callable[[View], bool]

_ANYTHING = inspect.AnyType()


class Requirement(Struct, frozen=True):
    """What a view must have found for conditions to hold: any of these positions of a search."""

    search: "Search"
    positions: frozenset[int]


class Conditions(Struct, frozen=True):
    """Conditions that must all hold."""

    met: Test
    requirement: Requirement | None
    """Without it they do not hold; None: nothing so simple decides."""
    failure: Callable[[View], tuple[WalkedCondition, str] | None]
    """The condition that decided against them, and what a person easily overlooks about it; None where
    all hold. Never raises."""


class ConditionCompiler:
    """Compiles the conditions of one container; `finish` when the last one has been seen.

    `slots` has every variable that a condition refers to; `event_name_variables` are the names of those
    that give nothing but the event's name."""

    def __init__(self, slots: Mapping[str, int], event_name_variables: frozenset[str]) -> None:
        self._slots = slots
        self._event_name_variables = event_name_variables
        self._known: dict[str, _Compared] = {}
        self._searches: dict[str, Search] = {}

    def conditions(self, conditions: Sequence[Condition]) -> Conditions | None:
        """All of them as one; None where there are none.

        Those that are not negated come first, each in the order in which they are written."""
        if not conditions:
            return None
        ordered = sorted(conditions, key=lambda condition: condition.negate)
        compared = [(condition, self._compared(condition)) for condition in ordered]
        tests = [(one.test, FAILS if condition.negate else HOLDS) for condition, one in compared]
        needed = [one.requirement for condition, one in compared if one.requirement and not condition.negate]
        return Conditions(_all_of(tests), next(iter(needed), None), lambda view: _failure(compared, view))

    def finish(self) -> None:
        """Put the patterns of each value together."""
        for search in self._searches.values():
            search.compile()

    def _compared(self, condition: Condition) -> "_Compared":
        key = repr((condition.value, condition.operator, condition.ignore_case, condition.compare_with))
        if key not in self._known:
            left, right = self._value(condition.value), self._right(condition.compare_with)
            requirement = self._requirement(condition, left)
            comparison = _found(requirement) if requirement else self._comparison(condition, left)
            test = _remembered(len(self._known), comparison)
            self._known[key] = _Compared(test, comparison, left, right, requirement)
        return self._known[key]

    def _value(self, written: Any) -> Value:
        if isinstance(written, str) and whole_reference(written) in self._event_name_variables:
            return lambda view: view.event.name
        return compile_reader(written, _ANYTHING, self._slots) or (lambda view: written)

    def _right(self, written: Any) -> Value:
        """What a person sees as the right side: texts, or a list of them."""
        if isinstance(written, list):
            values = [self._value(member) for member in written]
            return lambda view: [text_of(value(view)) for value in values]
        value = self._value(written)
        return lambda view: text_of(value(view))

    # -- one comparison --------------------------------------------------------------------------

    def _requirement(self, condition: Condition, left: Value) -> Requirement | None:
        """A comparison with constant texts or patterns, as places in the search of its value."""
        members = (
            condition.compare_with if isinstance(condition.compare_with, list) else [condition.compare_with]
        )
        if condition.operator not in _SEARCHED or any(self._changes(member) for member in members):
            return None
        search = self._searches.setdefault(condition.value, Search(left, -1 - len(self._searches)))
        try:
            positions = [search.adopt(condition, text_of(member)) for member in members]
        except PatternError:
            return None
        return Requirement(search, frozenset(positions))

    def _comparison(self, condition: Condition, left: Value) -> _Comparison:
        """A list that is written on the right side means any of its members."""
        if not isinstance(condition.compare_with, list):
            return self._one(condition, left, condition.compare_with)
        return _any_of([self._one(condition, left, member) for member in condition.compare_with])

    def _one(self, condition: Condition, left: Value, right: Any) -> _Comparison:
        if condition.operator == "matches_regex":
            return self._pattern(condition, left, right)
        if condition.operator in NUMBER_OPERATORS:
            return self._numbers(condition, left, right)
        if condition.operator in TEXT_OPERATORS:
            holds, value = TEXT_OPERATORS[condition.operator], self._value(right)
            return lambda view: holds(_text(left(view)), _text(value(view)))
        return _never  # css_selector: a server has no elements

    def _numbers(self, condition: Condition, left: Value, right: Any) -> _Comparison:
        holds = NUMBER_OPERATORS[condition.operator]
        if self._changes(right):
            value = self._value(right)
            return lambda view: holds(number_of(left(view)), number_of(value(view)))
        number = number_of(right)
        return lambda view: holds(number_of(left(view)), number)

    def _pattern(self, condition: Condition, left: Value, right: Any) -> _Comparison:
        value, ignore_case = self._value(right), condition.ignore_case

        def matches(view: View) -> bool:
            pattern = pattern_of_data(_text(value(view)), ignore_case)
            return pattern is not None and pattern.matches(_text(left(view)))

        return matches

    def _changes(self, written: Any) -> bool:
        """Whether a right side is not the same for all events."""
        return compile_reader(written, _ANYTHING, self._slots) is not None


def constant_pattern(written: Any, ignore_case: bool) -> Pattern | None:
    """The pattern of a right side without references; None where RE2 cannot take it (`check` says so)."""
    try:
        return compile_pattern(text_of(written), ignore_case=ignore_case)
    except PatternError:
        return None


def described(condition: Condition) -> str:
    """`{{Page Path}} does not start with /checkout`."""
    right = condition.compare_with
    texts = [text_of(member) for member in right] if isinstance(right, list) else [text_of(right)]
    case = " (capitals or not)" if condition.ignore_case else ""
    return f"{condition.value} {WORDS[condition.operator][condition.negate]} {' or '.join(texts)}{case}"


class _Compared(Struct, frozen=True):
    """One comparison: its test, and what a person wants to see of it."""

    test: Test
    comparison: _Comparison
    left: Value
    right: Value
    requirement: Requirement | None


class Search:
    """All constant texts and patterns that one value is compared with. A view answers them at once, when
    first asked; where they are few and need no search, each by itself."""

    def __init__(self, left: Value, key: int) -> None:
        self.left, self._key = left, key
        self._equals: dict[str, list[int]] = {}
        self._places: list[int] = []
        self._patterns: list[Pattern] = []
        self._tests: list[Callable[[str], bool]] = []
        self._set: PatternSet | None = None

    @property
    def is_worthwhile(self) -> bool:
        """It answers all at once."""
        return self._set is not None

    def adopt(self, condition: Condition, text: str) -> int:
        """One more text or pattern, and its position. Raises PatternError."""
        position = len(self._tests)
        if condition.operator == "equals":
            self._equals.setdefault(text, []).append(position)
            self._tests.append(text.__eq__)
            return position
        before, after = _SEARCHED[condition.operator]
        written = (
            text if condition.operator == "matches_regex" else f"{before}{_LITERAL.sub(_quoted, text)}{after}"
        )
        pattern = compile_pattern(
            written, ignore_case=condition.ignore_case and condition.operator == "matches_regex"
        )
        self._patterns.append(pattern)
        self._places.append(position)
        self._tests.append(pattern.matches)
        return position

    def compile(self) -> None:
        """All texts and patterns are here."""
        if len(self._tests) > _FEW or not all(pattern.is_quick for pattern in self._patterns):
            self._set = PatternSet(self._patterns)

    def holds(self, view: View, positions: frozenset[int]) -> bool:
        """Whether the value has any of these."""
        if self._set is not None:
            return not positions.isdisjoint(self.matching(view))
        text = _text(self.left(view))
        return any(self._tests[position](text) for position in positions)

    def matching(self, view: View) -> Sequence[int]:
        """Positions of all that the value has."""
        known: Sequence[int] | None = view.conditions.get(self._key)
        if known is None:
            text = _text(self.left(view))
            known = [*self._equals.get(text, ())]
            if self._set is not None and self._patterns:
                known += [self._places[index] for index in self._set.matching(text)]
            view.conditions[self._key] = known
        return known


_FEW = 4
"""As many string tests cost less than one search."""
_SEARCHED = {
    "equals": ("", ""),
    "contains": ("", ""),
    "starts_with": ("^", ""),
    "ends_with": ("", "$"),
    "matches_regex": ("", ""),
}
"""Operators whose texts can be put into one search, and what anchors them there."""
_LITERAL = re.compile(r"[^\w\s]", re.ASCII)


def _quoted(found: re.Match[str]) -> str:
    character = found.group()
    return "\\" + character if character.isascii() else character


def _found(requirement: Requirement) -> _Comparison:
    holds, positions = requirement.search.holds, requirement.positions
    return lambda view: holds(view, positions)


def _remembered(key: int, comparison: _Comparison) -> Test:
    """A view computes it once, whoever asks (SPEC: google-runtime 2.2)."""

    def test(view: View) -> int:
        known: int | None = view.conditions.get(key)
        if known is None:
            try:
                known = HOLDS if comparison(view) else FAILS
            except Exception:
                known = UNDETERMINED
            view.conditions[key] = known
        return known

    return test


def _all_of(tests: list[tuple[Test, int]]) -> Test:
    """Whether each test gives what it is paired with; the first that does not decides."""
    if len(tests) == 1 and tests[0][1] == HOLDS:
        return tests[0][0]

    def met(view: View) -> int:
        for test, wanted in tests:
            result = test(view)
            if result != wanted:
                return UNDETERMINED if result == UNDETERMINED else FAILS
        return HOLDS

    return met


def _any_of(comparisons: list[_Comparison]) -> _Comparison:
    return lambda view: any(comparison(view) for comparison in comparisons)


def _never(view: View) -> bool:
    return False


def _text(value: Any) -> str:
    return value if type(value) is str else text_of(value)


def _failure(compared: list[tuple[Condition, _Compared]], view: View) -> tuple[WalkedCondition, str] | None:
    for condition, one in compared:
        if one.test(view) != (FAILS if condition.negate else HOLDS):
            return _walked(condition, one, view)
    return None


def _walked(condition: Condition, one: _Compared, view: View) -> tuple[WalkedCondition, str]:
    walked = WalkedCondition(described(condition), None, None)
    try:
        walked.value, walked.compared_with = text_of(one.left(view)), one.right(view)
        one.comparison(view)
    except Exception as error:
        walked.error = type(error).__name__
        return (
            walked,
            "evaluating the condition failed: so it fires nothing, and a trigger that blocks blocks",
        )
    if condition.negate or isinstance(walked.compared_with, list):
        return walked, ""
    return walked, hint(condition.operator, walked.value, walked.compared_with)
