"""Arguments of a function of the host."""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import type_name
from sgtm._fast.sandbox_values import ScriptError

Arguments = list[Any]


def argument(args: Arguments, index: int) -> Any:
    """One argument, or undefined."""
    return args[index] if index < len(args) else UNSET


def refused(name: str, args: Arguments) -> ScriptError:
    """The error for arguments of the wrong types."""
    kinds = ", ".join(type_name(value) for value in args)
    return ScriptError(f"argument error in {name}: it does not take ({kinds})")
