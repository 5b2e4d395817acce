"""JSON.stringify of the template engine's values, and what JSON.parse gives as values of the engine."""

from typing import Any

from sgtm._fast.sandbox_values import Run

__all__ = ["adopted", "stringify"]

def stringify(run: Run, value: Any) -> Any:
    """JSON.stringify(value); undefined for what has none: undefined, functions, what contains itself.
    Raises LimitError for what is nested too deeply."""

def adopted(run: Run, value: Any) -> Any:
    """`value`, just decoded and nobody else's, with numbers as the engine has them: changed in place."""
