"""What tests of a template assert: `assertThat`, `assertApi`, `fail` (SPEC: sandbox-api 4.5)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import is_same, to_text, type_name
from sgtm._fast.sandbox_json import stringify
from sgtm._fast.sandbox_values import Callable as FunctionValue
from sgtm._fast.sandbox_values import FatalError, HostObject, Native, Run

_MAX_DEPTH = 100
_SHOWN = 300


class AssertionFailed(FatalError):
    """An assertion of a test that does not hold; no catch of the script stops it."""


def is_equal(left: Any, right: Any, depth: int = 0) -> bool:
    """Deeply equal: the order of keys does not matter, a key with undefined counts as absent."""
    if depth > _MAX_DEPTH:
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        keys = {key for key, value in left.items() if value is not UNSET}
        return keys == {key for key, value in right.items() if value is not UNSET} and all(
            is_equal(left[key], right[key], depth + 1) for key in keys
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            is_equal(one, other, depth + 1) for one, other in zip(left, right, strict=True)
        )
    return is_same(left, right) or (_is_nan(left) and _is_nan(right))


def shown(run: Run, value: Any) -> str:
    """A value for people."""
    if isinstance(value, FunctionValue):
        return f"function {value.name}".strip()
    text = stringify(run, value) if isinstance(value, (dict, list, str)) else UNSET
    text = text if isinstance(text, str) else to_text(run, value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _is_truthy(value: Any) -> bool:
    return not (value is UNSET or value is None or value in (False, "") or value == 0 or _is_nan(value))


def _is_empty(value: Any) -> bool:
    return value is UNSET or value is None or (isinstance(value, (str, list, dict)) and not value)


def _contains(actual: Any, *wanted: Any) -> bool:
    members = wanted[0] if len(wanted) == 1 and isinstance(wanted[0], list) else list(wanted)
    if isinstance(actual, str):
        return all(isinstance(one, str) and one in actual for one in members)
    values = list(actual.values()) if isinstance(actual, dict) else actual
    if not isinstance(values, list):
        return False
    return all(any(is_equal(value, one) for value in values) for one in members)


def _contains_any(actual: Any, *wanted: Any) -> bool:
    members = wanted[0] if len(wanted) == 1 and isinstance(wanted[0], list) else list(wanted)
    return any(_contains(actual, one) for one in members)


def _contains_exactly(actual: Any, *wanted: Any) -> bool:
    members = wanted[0] if len(wanted) == 1 and isinstance(wanted[0], list) else list(wanted)
    if isinstance(actual, str):
        return actual == "".join(one for one in members if isinstance(one, str))
    if not isinstance(actual, list) or len(actual) != len(members):
        return False
    left = list(actual)
    for one in members:
        place = next((index for index, value in enumerate(left) if is_equal(value, one)), None)
        if place is None:
            return False
        del left[place]
    return True


def _is_any_of(actual: Any, *wanted: Any) -> bool:
    members = wanted[0] if len(wanted) == 1 and isinstance(wanted[0], list) else list(wanted)
    return any(is_equal(actual, one) for one in members)


def _compared(test: Callable[[float, float], bool]) -> Callable[..., bool]:
    def compared(actual: Any, wanted: Any) -> bool:
        if isinstance(actual, (int, float)) and isinstance(wanted, (int, float)):
            return test(actual, wanted)
        return isinstance(actual, str) and isinstance(wanted, str) and test(actual, wanted)  # type: ignore[arg-type]

    return compared


def _has_length(actual: Any, wanted: Any) -> bool:
    return isinstance(actual, (str, list, dict)) and len(actual) == wanted


_MATCHERS: dict[str, tuple[Callable[..., bool], bool]] = {
    "isUndefined": (lambda actual: actual is UNSET, True),
    "isDefined": (lambda actual: actual is UNSET, False),
    "isNull": (lambda actual: actual is None, True),
    "isNotNull": (lambda actual: actual is None, False),
    "isTrue": (lambda actual: actual is True, True),
    "isFalse": (lambda actual: actual is False, True),
    "isTruthy": (_is_truthy, True),
    "isFalsy": (_is_truthy, False),
    "isNaN": (_is_nan, True),
    "isNotNaN": (_is_nan, False),
    "isInfinity": (_is_infinite, True),
    "isNotInfinity": (_is_infinite, False),
    "isEqualTo": (is_equal, True),
    "isNotEqualTo": (is_equal, False),
    "isAnyOf": (_is_any_of, True),
    "isNoneOf": (_is_any_of, False),
    "isStrictlyEqualTo": (is_same, True),
    "isNotStrictlyEqualTo": (is_same, False),
    "isGreaterThan": (_compared(lambda actual, wanted: actual > wanted), True),
    "isGreaterThanOrEqualTo": (_compared(lambda actual, wanted: actual >= wanted), True),
    "isLessThan": (_compared(lambda actual, wanted: actual < wanted), True),
    "isLessThanOrEqualTo": (_compared(lambda actual, wanted: actual <= wanted), True),
    "contains": (_contains, True),
    "doesNotContain": (_contains_any, False),
    "containsExactly": (_contains_exactly, True),
    "doesNotContainExactly": (_contains_exactly, False),
    "hasLength": (_has_length, True),
    "isEmpty": (_is_empty, True),
    "isNotEmpty": (_is_empty, False),
    "isArray": (lambda actual: isinstance(actual, list), True),
    "isBoolean": (lambda actual: isinstance(actual, bool), True),
    "isFunction": (lambda actual: isinstance(actual, FunctionValue), True),
    "isNumber": (lambda actual: type_name(actual) == "number", True),
    "isObject": (lambda actual: isinstance(actual, (dict, HostObject)), True),
    "isString": (lambda actual: isinstance(actual, str), True),
}
MATCHERS = tuple(_MATCHERS)


def assert_that(run: Run, args: list[Any]) -> HostObject:
    """`assertThat(value, message?)`: an object whose matchers fail the test or give themselves back."""
    actual = args[0] if args else UNSET
    message = f"{to_text(run, args[1])}: " if len(args) > 1 and args[1] is not UNSET else ""
    members: dict[str, Any] = {}
    subject = HostObject("assertThat", members)

    def matcher(name: str, test: Callable[..., bool], wanted: bool) -> Native:
        def check(run: Run, expected: list[Any]) -> HostObject:
            try:
                holds = test(actual, *expected)
            except TypeError:
                raise AssertionFailed(f"{name} does not take {len(expected)} arguments") from None
            if holds is not wanted:
                rest = "".join(f" {shown(run, one)}" for one in expected)
                raise AssertionFailed(f"{message}expected that {shown(run, actual)} {words(name)}{rest}")
            return subject

        return Native(name, check)

    members.update((name, matcher(name, *rule)) for name, rule in _MATCHERS.items())
    return subject


def words(name: str) -> str:
    """`isEqualTo` as words."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)


def assert_api(run: Run, name: str, calls: list[list[Any]]) -> HostObject:
    """`assertApi(name)`: about the calls that were made so far."""

    def called(wanted: bool, with_arguments: bool) -> Callable[[Run, list[Any]], HostObject]:
        def check(run: Run, expected: list[Any]) -> HostObject:
            found = any(is_equal(call, expected) for call in calls) if with_arguments else bool(calls)
            if found is not wanted:
                what = "was called" if wanted else "was not called"
                rest = f" with {shown(run, expected)}; calls: {shown(run, calls)}" if with_arguments else ""
                raise AssertionFailed(f"expected that {name} {what}{rest}")
            return subject

        return check

    members: Mapping[str, Any] = {
        "wasCalled": Native("wasCalled", called(True, False)),
        "wasNotCalled": Native("wasNotCalled", called(False, False)),
        "wasCalledWith": Native("wasCalledWith", called(True, True)),
        "wasNotCalledWith": Native("wasNotCalledWith", called(False, True)),
    }
    subject = HostObject("assertApi", dict(members))
    return subject


def fail(run: Run, args: list[Any]) -> Any:
    """`fail(message?)`"""
    raise AssertionFailed(to_text(run, args[0]) if args and args[0] is not UNSET else "the test fails itself")
