"""Math, as the sandbox has it: eight functions (SPEC: sandbox-api 1.5)."""

import math
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import to_number
from sgtm._fast.sandbox_values import HostObject, Native, Run

Number = int | float


def rounded(value: Number) -> Number:
    """Math.round: halves go up, what is not finite stays."""
    if isinstance(value, int) or not math.isfinite(value):
        return value
    whole = math.floor(value)
    result = whole + 1 if value - whole >= 0.5 else whole
    return result if result or (value >= 0 and not _is_negative_zero(value)) else -0.0


def _is_negative_zero(value: Number) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _whole(function: Callable[[float], int]) -> Callable[[Number], Number]:
    def applied(value: Number) -> Number:
        if isinstance(value, int) or not math.isfinite(value) or _is_negative_zero(value):
            return value
        result = function(value)
        return -0.0 if result == 0 and value < 0 else result

    return applied


def _square_root(value: Number) -> Number:
    return math.nan if value < 0 else math.sqrt(value)


def _power(base: Number, exponent: Number) -> Number:
    if exponent != exponent or (abs(base) == 1 and math.isinf(exponent)):
        return math.nan
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:  # 0 ** -1, (-8) ** (1/3)
        if base != 0:
            return math.nan
        return -math.inf if _is_negative_zero(base) and exponent % 2 == 1 else math.inf


def _one(name: str, function: Callable[[Number], Number]) -> Native:
    return Native(
        name, lambda run, args: to_number(run, function(to_number(run, args[0] if args else UNSET)))
    )


def _pow(run: Run, args: list[Any]) -> Number:
    base, exponent = (to_number(run, args[i] if i < len(args) else UNSET) for i in (0, 1))
    return to_number(run, _power(base, exponent))


def _extreme(name: str, sign: int) -> Native:
    def extreme(run: Run, args: list[Any]) -> Number:
        best: Number = -sign * math.inf
        for value in args:
            number = to_number(run, value)
            if number != number or best != best:
                best = math.nan
            elif sign * number > sign * best or (
                number == best == 0 and _is_negative_zero(best) == (sign > 0)
            ):
                best = number
        return to_number(run, best)

    return Native(name, extreme)


MATH = HostObject(
    "Math",
    {
        "abs": _one("Math.abs", abs),
        "ceil": _one("Math.ceil", _whole(math.ceil)),
        "floor": _one("Math.floor", _whole(math.floor)),
        "round": _one("Math.round", rounded),
        "sqrt": _one("Math.sqrt", _square_root),
        "pow": Native("Math.pow", _pow),
        "max": _extreme("Math.max", 1),
        "min": _extreme("Math.min", -1),
    },
)
