"""APIs of the template engine that templates call most. SPEC: google-runtime 5.5."""

from sgtm._fast.sandbox_values import Callable

__all__ = ["FUNCTIONS"]

FUNCTIONS: dict[str, Callable]
"""getType (null, array, or what typeof says), makeString (String(value)), makeNumber (Number(value)),
makeInteger (Math.round(Number(value)), 0 for what is no number)."""
