"""APIs of the template engine that templates call most. SPEC: google-runtime 5.5."""

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_values import Callable

__all__ = ["GetType", "MakeInteger", "MakeNumber", "MakeString"]

@disjoint_base
class GetType(Callable):
    """`getType`: null, array, or what typeof says."""

@disjoint_base
class MakeString(Callable):
    """`makeString`: String(value)"""

@disjoint_base
class MakeNumber(Callable):
    """`makeNumber`: Number(value)"""

@disjoint_base
class MakeInteger(Callable):
    """`makeInteger`: Math.round(Number(value)), 0 for what is no number."""
