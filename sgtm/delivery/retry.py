"""When to try again: pure rules, time and chance are handed in.

SPEC: reliability 1.3 Lanes: full jitter, base 1 s, cap 5 min, until expiry; Retry-After up to 1 h;
retries at most 20 % of first attempts while the circuit is closed.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

BASE_S, CAP_S = 1.0, 300.0
MAX_RETRY_AFTER_S = 3_600.0


def backoff_s(attempts: int, chance: float) -> float:
    """Seconds until the next try after `attempts` (>= 1) tries. `chance` in [0, 1) is the jitter:
    anything between nothing and the exponential bound, so that many retries spread out."""
    bound: float = min(CAP_S, BASE_S * 2.0 ** min(attempts - 1, 30))
    return bound * chance


def retry_after_s(value: str | None, now_unix_s: float) -> float | None:
    """Seconds that a Retry-After header asks for (a number of seconds, or an HTTP date), at most
    an hour; None where it is missing or unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(text)
        seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_unix_s
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return bounded_wait_s(seconds)


def bounded_wait_s(seconds: float) -> float:
    """A vendor's wish to wait, between nothing and an hour."""
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


class RetryBudget:
    """Keeps retries from becoming the load: a retry costs 1, a success brings in 0.2.

    A retry that succeeds gets its 1 back, so a backlog leaves as fast as the vendor takes it. One a
    second is always allowed: a quiet lane must not stall. (The quota of the AWS SDKs.)
    """

    SHARE = 0.2
    CAPACITY = 100.0
    A_SECOND = 1.0

    def __init__(self, now: float) -> None:
        self._left, self._at = self.CAPACITY, now

    def take(self, now: float) -> bool:
        """Pay for one retry; False when there is nothing left."""
        self._left = min(self.CAPACITY, self._left + (now - self._at) * self.A_SECOND)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def succeeded(self, *, is_retry: bool) -> None:
        """A request came through."""
        self._left = min(self.CAPACITY, self._left + (1.0 if is_retry else self.SHARE))
