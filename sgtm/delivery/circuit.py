"""Circuit: whether a destination may be sent anything now. Pure: time is handed in.

SPEC: reliability 1.3 Lanes: opens at 50 % failures of at least 20 in 30 s, then one probe after
5 s, growing to one a minute. A refusal (credential, configuration) opens it at once, unless the
vendor accepted something a moment ago: then it concerns one tag and not the destination.
"""

from collections import deque
from typing import Literal

WINDOW_S, MIN_REQUESTS, FAILURE_SHARE = 30, 20, 0.5
FIRST_PROBE_S, LAST_PROBE_S = 5.0, 60.0
RECENT_SUCCESS_S = 5.0


class Circuit:
    """closed: everything passes. open: nothing until `opens_at`. probing: one request is under way."""

    def __init__(self) -> None:
        self.state: Literal["closed", "open", "probing"] = "closed"
        self.opens_at = 0.0
        """When the next probe may leave (monotonic seconds); meaningful while open."""
        self.reason = ""
        self._wait_s = FIRST_PROBE_S
        self._counts: deque[list[int]] = deque()
        self._last_success = float("-inf")

    def allows(self, now: float) -> bool:
        """Whether a request may leave now."""
        return self.state == "closed" or (self.state == "open" and now >= self.opens_at)

    def sends(self) -> None:
        """A request leaves (`allows` said yes); of an open circuit it is the probe."""
        if self.state == "open":
            self.state = "probing"

    def succeeded(self, now: float) -> bool:
        """The vendor answered as it should. True when that closed the circuit."""
        self._last_success = now
        if self.state == "probing":
            self.state, self.reason, self._wait_s = "closed", "", FIRST_PROBE_S
            self._counts.clear()
            return True
        self._count(now, 1)
        return False

    def failed(self, now: float, reason: str) -> bool:
        """The vendor is not well. True when that opened the circuit (again)."""
        if self.state == "probing":
            return self._open(now, reason)
        self._count(now, 2)
        succeeded = sum(count[1] for count in self._counts)
        failed = sum(count[2] for count in self._counts)
        is_too_much = succeeded + failed >= MIN_REQUESTS and failed >= FAILURE_SHARE * (succeeded + failed)
        return self.state == "closed" and is_too_much and self._open(now, reason)

    def refused(self, now: float, reason: str) -> bool:
        """The vendor refuses us. True when that opened the circuit (again)."""
        is_lasting = self.state == "closed" and now - self._last_success > RECENT_SUCCESS_S
        return (self.state == "probing" or is_lasting) and self._open(now, reason)

    def told_nothing(self, now: float) -> None:
        """The request never reached the vendor, through no fault of its: another may be the probe."""
        if self.state == "probing":
            self.state, self.opens_at = "open", now

    def _open(self, now: float, reason: str) -> bool:
        self.state, self.reason, self.opens_at = "open", reason, now + self._wait_s
        self._wait_s = min(2 * self._wait_s, LAST_PROBE_S)
        return True

    def _count(self, now: float, column: int) -> None:
        # At most 30 entries of [second, successes, failures].
        second = int(now)
        counts = self._counts
        while counts and counts[0][0] <= second - WINDOW_S:
            counts.popleft()
        if not counts or counts[-1][0] != second:
            counts.append([second, 0, 0])
        counts[-1][column] += 1
