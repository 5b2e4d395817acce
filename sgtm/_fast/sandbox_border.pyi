"""Values that cross the border: from the house into a script, and out of it.

A script has a closed set of values (SPEC: reliability 4.1), the house knows JSON's: what is neither becomes
undefined in a script, and stays behind when it leaves it (SPEC: google-runtime 5.6). Both charge the run
before they copy, and raise LimitError for what is nested too deeply.
"""

from typing import Any

from sgtm._fast.sandbox_values import Run

__all__ = ["engine_value", "house_value", "whole_text"]

def engine_value(run: Run, value: Any) -> Any:
    """A copy of a value of the house, as a script may have it."""

def house_value(run: Run, value: Any) -> Any:
    """A copy of a script's value as the house knows them: members that are undefined or functions and the
    like are left out of objects, and null in lists, as in JSON. Undefined where the value is such itself."""

def whole_text(text: str) -> str:
    """A text that every encoding can write: lone surrogates, which scripts can make, are U+FFFD."""
