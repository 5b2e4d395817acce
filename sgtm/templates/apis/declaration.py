"""How an API is declared: its name, the permission that it needs, the kinds of template that have it."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from msgspec import Struct

from sgtm._fast import sandbox_values
from sgtm._fast.sandbox_values import Native, Run
from sgtm.templates.arguments import Arguments

Kind = Literal["client", "tag", "variable"]
KINDS: tuple[Kind, ...] = ("client", "tag", "variable")
Function = TypeVar("Function", bound=Callable[[Run, Arguments], Any])


class Api(Struct, frozen=True):
    """One function that templates may call."""

    name: str
    """As templates name it; a method of an object as `Firestore.read`."""
    native: sandbox_values.Callable
    permission: str
    """Empty: it needs none."""
    kinds: tuple[Kind, ...]
    summary: str
    """One line for people: what the function's docstring begins with."""


DECLARED: dict[str, Api] = {}
"""All of them, by name, in the order of their modules."""


def api(
    name: str, permission: str = "", *, kinds: tuple[Kind, ...] = KINDS, cost: int = 1
) -> Callable[[Function], Function]:
    """Declares the function below as the API `name`; `cost` in steps of a run, for each call."""

    def declare(function: Function) -> Function:
        summary = (function.__doc__ or "").strip().partition("\n")[0]
        DECLARED[name] = Api(name, Native(name, function, cost), permission, kinds, summary)
        return function

    return declare


def declare(
    native: sandbox_values.Callable, summary: str, permission: str = "", *, kinds: tuple[Kind, ...] = KINDS
) -> None:
    """Declares a compiled API."""
    DECLARED[native.name] = Api(native.name, native, permission, kinds, summary)
