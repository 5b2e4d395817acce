"""What ends a connection by itself: its age, its number of requests, an answer that nobody reads."""

import asyncio
import random

from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

AGE_JITTER = 0.1
"""Connections that were opened together do not all end together."""


class Lifetime:
    """How long one connection lives, and how many requests it carries."""

    __slots__ = ("_counters", "_ends_at", "_most", "_requests")

    def __init__(self, settings: Settings, counters: Counters, now: float) -> None:
        self._counters, self._most, self._requests = counters, settings.connection_requests, 0
        age_s = settings.connection_age_s * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)
        self._ends_at = now + age_s if age_s else float("inf")

    def begin(self, now: float) -> bool:
        """One more request is being handled. Whether it is the last one."""
        self._requests += 1
        if self._requests == self._most:
            self._counters.add("sgtm_connections_closed_total", "requests")
        elif now >= self._ends_at:
            self._counters.add("sgtm_connections_closed_total", "age")
        else:
            return False
        return True


class Reader:
    """Watches whether the peer reads while something waits to be written to it.

    Aborts the connection if in `write_timeout_s` not a byte more was read."""

    __slots__ = ("_counters", "_seconds", "_timer", "_unread", "_wire")

    def __init__(self, wire: asyncio.Transport, settings: Settings, counters: Counters) -> None:
        self._wire, self._counters, self._seconds = wire, counters, settings.write_timeout_s
        self._unread = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Something waits."""
        if self._seconds:
            self._unread = self._wire.get_write_buffer_size()
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def stop(self) -> None:
        """Nothing does, or nobody is there any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._wire.get_write_buffer_size() < self._unread:
            self.watch()
            return
        self._timer = None
        self._counters.add("sgtm_connections_closed_total", "nobody reads")
        self._wire.abort()


def notice_waiting(wire: asyncio.Transport) -> None:
    """Have `pause_writing` mean: the kernel's buffer is full, something waits in ours. TLS of asyncio and
    uvloop pauses at `>=`, with 0 also when nothing waits, and then nothing ever resumes it."""
    wire.set_write_buffer_limits(high=0 if wire.get_extra_info("sslcontext") is None else 1)
