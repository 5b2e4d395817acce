"""Work that is done once for a parameter that is the same for all events."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
MAX_KEPT = 4096
"""More than containers have tables; parameters that are made anew for each event push each other out."""


class Once(Generic[T]):
    """What `make` makes of an immutable value, kept by the value's identity: constant parameters are the
    very same object for each event, so neither a hash nor a comparison is paid."""

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._kept: dict[tuple[Any, ...], tuple[Any, T]] = {}

    def __call__(self, value: Any, *options: Any) -> T:
        """`make(value, *options)`, from memory where it is known."""
        key = (id(value), *options)
        known = self._kept.get(key)
        if known is not None and known[0] is value:
            return known[1]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        made = self._make(value, *options)
        self._kept[key] = (value, made)
        return made
