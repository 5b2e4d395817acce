"""Values that cross the border: from the house into a script, and out of it.

A script has a closed set of values (SPEC: reliability 4.1), the house knows JSON's: what is neither becomes
undefined in a script, and stays behind when it leaves it (SPEC: google-runtime 5.6).
"""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import to_number
from sgtm._fast.sandbox_values import LimitError, Run

MAX_DEPTH = 100
_SCALARS = frozenset((str, bool, type(None), type(UNSET)))


def engine_value(run: Run, value: Any, depth: int = 0) -> Any:
    """A copy of a value of the house, as a script may have it."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, (int, float)):
        return to_number(run, value)
    _go_deeper(depth)
    if isinstance(value, dict):
        run.make_elements(len(value))
        return {
            str(key): member if type(member) in _SCALARS else engine_value(run, member, depth + 1)
            for key, member in value.items()
        }
    if isinstance(value, (list, tuple)):
        run.make_elements(len(value))
        return [engine_value(run, member, depth + 1) for member in value]
    return UNSET


def house_value(run: Run, value: Any, depth: int = 0) -> Any:
    """A copy of a script's value as the house knows them: members that are undefined or functions and the
    like are left out of objects, and null in lists, as in JSON. Undefined where the value is such itself."""
    if isinstance(value, dict):
        _go_deeper(depth)
        run.make_elements(len(value))
        copies = ((whole_text(key), house_value(run, member, depth + 1)) for key, member in value.items())
        return {key: copy for key, copy in copies if copy is not UNSET}
    if isinstance(value, list):
        _go_deeper(depth)
        run.make_elements(len(value))
        copied = (house_value(run, member, depth + 1) for member in value)
        return [None if copy is UNSET else copy for copy in copied]
    if isinstance(value, str):
        return whole_text(value)
    return value if isinstance(value, (int, float)) or value is None else UNSET


def whole_text(text: str) -> str:
    """A text that every encoding can write: lone surrogates, which scripts can make, are U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _go_deeper(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitError("depth", "a value is nested too deeply")
