"""Clock: the two times a lane knows, and its alarm. Tests hand in one that stands still."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol


class Alarm(Protocol):
    """Something that will ring."""

    def cancel(self) -> None:
        """Do not ring."""


class Clock(Protocol):
    """What a lane asks for."""

    def now(self) -> float:
        """Monotonic seconds: all waiting is counted in them, so no jump of the clock burns anything."""

    def unix_micros(self) -> int:
        """Unix time in microseconds: only to read dates that come from outside."""

    def call_at(self, when: float, callback: Callable[[], Any]) -> Alarm:
        """Call `callback` when `now()` has reached `when`."""


class LoopClock:
    """The running event loop's."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def unix_micros(self) -> int:
        """Unix time in microseconds."""
        return time.time_ns() // 1_000

    def call_at(self, when: float, callback: Callable[[], Any]) -> Alarm:
        """Call `callback` when `now()` has reached `when`."""
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)
