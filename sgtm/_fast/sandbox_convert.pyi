"""What JavaScript makes of values, for functions of the host. All charge the run before they work.

Texts are counted in code points, not in UTF-16 units. Raises LimitError for what is nested too deeply.
"""

from typing import Any

from sgtm._fast.sandbox_values import Run

__all__ = ["copy_value", "get_member", "is_same", "is_true", "to_number", "to_text", "type_name"]

def to_text(run: Run, value: Any) -> str:
    """String(value)"""

def to_number(run: Run, value: Any) -> int | float:
    """Number(value): whole numbers up to 2**53 as int, but -0 as float."""

def is_true(value: Any) -> bool:
    """Whether `if (value)` is taken."""

def is_same(left: Any, right: Any) -> bool:
    """left === right"""

def type_name(value: Any) -> str:
    """typeof value"""

def get_member(run: Run, owner: Any, key: Any) -> Any:
    """owner[key]: never a Python attribute. Raises ScriptError for null and undefined."""

def copy_value(run: Run, value: Any) -> Any:
    """A deep copy; shared parts and cycles are kept, everything but lists and objects is the same."""
