"""APIs of the template engine that templates call most. SPEC: google-runtime 5.5."""

from collections.abc import Callable as Function
from typing import Any, NoReturn

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_values import Callable, Run

__all__ = ["FUNCTIONS", "Require", "hashed"]

FUNCTIONS: dict[str, Callable]
"""getType (null, array, or what typeof says), makeString (String(value)), makeNumber (Number(value)),
makeInteger (Math.round(Number(value)), 0 for what is no number), sha256Sync (`hashed`)."""

@disjoint_base
class Require(Callable):
    """`require`: the function or object of a name in `table`; what `refuse` raises for any other value."""

    def __init__(self, table: dict[str, Any], refuse: Function[[Any], NoReturn]) -> None: ...

def hashed(run: Run, value: Any, options: Any) -> str:
    """The SHA-256 of a value's text in base64, or in hex for `{"outputEncoding": "hex"}`."""
