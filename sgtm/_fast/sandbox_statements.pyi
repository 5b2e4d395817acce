"""Statements and functions of a script, as nodes."""

from typing import Any

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_nodes import Node
from sgtm._fast.sandbox_values import Callable

__all__ = ["Code", "Function", "make_statement", "start"]

@disjoint_base
class Code:
    """A function as compiled: what is the same for all of its closures."""

    def __init__(
        self, name: str, parameters: int, slots: int, cells: list[int], uses_arguments: bool, nesting: int
    ) -> None: ...
    def finish(self, body: Node, is_expression: bool) -> None:
        """Set the body: a function may contain itself."""

@disjoint_base
class Function(Callable):
    """A function of a script, with the outer variables that it uses."""

def make_statement(kind: str, at: int, *parts: Any) -> Node:
    """A node; `at` is its offset in the source. What the parts are stands at each class of the .pyx:

    FunctionOf(code, captured, own slot | -1) Block(cells, functions, statements) If(cases, otherwise)
    Return(value | None) Leave(is_continue) Empty() For(first, test, step, body, cells, body_first)
    ForEach(target, values, body, cells, is_of) Switch(value, tests, statements, cells, functions)
    Try(body, caught, cells, handler, last)
    """

def start(code: Code) -> Function:
    """The function of a whole script: it has no outer variables."""
