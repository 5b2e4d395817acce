"""Functions of a script; `make_node` of sandbox_nodes makes `FunctionOf(code, uses_scope, has_own)`."""

from typing import final

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_nodes import Node
from sgtm._fast.sandbox_values import Callable

__all__ = ["Code", "Function", "start"]

@disjoint_base
class Code:
    """A function as compiled: what is the same for all of its closures."""

    def __init__(
        self,
        name: str,
        parameters: int,
        slots: int,
        size: int,
        moved: list[tuple[int, int]],
        uses_arguments: bool,
        nesting: int,
    ) -> None:
        """`parameters` are the first of its `slots`; `size` is the number of variables that inner functions
        use, `moved` the parameters among them, as (slot, place in the scope from 1 on)."""

    def finish(self, body: Node, is_expression: bool) -> None:
        """Set the body: a function may contain itself."""

@final
class Function(Callable):
    """A function of a script, with the scope in which it was made."""

def start(code: Code) -> Function:
    """The function of a whole script: it has no outer variables."""
