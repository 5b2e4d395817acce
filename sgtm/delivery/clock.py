"""Clock: the two times a lane knows, and its alarm. Tests hand in one that stands still."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Monotonic, and goes on while the machine sleeps."""
_BEGAN_NS = time.time_ns() - time.clock_gettime_ns(_BOOT_TIME)


def steady_micros() -> int:
    """Unix time in microseconds by which it is judged what is too old: no later than the clock says, nor than
    it would be had nobody set the clock since the process began. So a clock that is set forward makes
    nothing expire and deletes nothing (SPEC: reliability 1.4 fault 12)."""
    return min(time.time_ns(), _BEGAN_NS + time.clock_gettime_ns(_BOOT_TIME)) // 1_000


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

    def steady_micros(self) -> int:
        """Unix time in microseconds: to judge what has expired; see the function of this name."""

    def call_at(self, when: float, callback: Callable[[], Any]) -> Alarm:
        """Call `callback` when `now()` has reached `when`."""


class LoopClock:
    """The running event loop's. Each is asked several times for a delivery, so they are the functions
    themselves."""

    now = staticmethod(time.monotonic)
    steady_micros = staticmethod(steady_micros)

    def unix_micros(self) -> int:
        """Unix time in microseconds."""
        return time.time_ns() // 1_000

    def call_at(self, when: float, callback: Callable[[], Any]) -> Alarm:
        """Call `callback` when `now()` has reached `when`."""
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback)
