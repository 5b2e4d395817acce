"""Standing: how a destination deals with us now, and what may leave because of it.

The circuit has the say over everything that goes there, and so has a vendor's Retry-After; a refusal that
concerns one tag while others are accepted has it over that tag. Whoever is refused is told once, not each
time (SPEC: R97, R136, R270).
"""

import logging
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from sgtm.delivery.circuit import FIRST_PROBE_S, LAST_PROBE_S, Circuit
from sgtm.delivery.judge import Attempt
from sgtm.delivery.retry import RetryBudget

log = logging.getLogger("sgtm.delivery")

LONG_PAUSE_S = 5.0
"""A vendor's wish to wait longer shuts the lane for that time; a shorter one is waited for in memory."""


class LaneState(Struct, frozen=True):
    """One destination as an operator sees it."""

    destination: str
    credential: str
    state: Literal["open", "paused", "shut"]
    """paused: the vendor asked for it (Retry-After). shut: it fails or refuses; see `reason`."""
    reason: str
    next_try_in_s: float
    queued: int
    in_flight: int
    refused_tags: tuple[str, ...] = ()
    """Tags that it refuses until a credential or its rights are mended."""
    oldest_s: float = 0.0
    """Age of the oldest event that waits here or is under way."""
    done: int = 0
    """Requests that it accepted."""
    failed: int = 0
    """Requests that brought something else."""
    last_error: str = ""
    """Why the latest of these failed."""
    last_error_s: float = 0.0
    """Seconds since then."""


class _Refusal(Struct):
    """A tag that is refused is tried again now and then, with one delivery."""

    try_at: float
    wait_s: float = FIRST_PROBE_S
    is_trying: bool = False


class Standing:
    """Of one destination with one credential. Time is handed in (monotonic seconds)."""

    def __init__(self, destination: str, credential: str, now: float) -> None:
        self.circuit = Circuit()
        self.budget = RetryBudget(now)
        self.paused_until = float("-inf")
        """The vendor asked us to wait."""
        self.done = self.failed = 0
        """Requests, by what came of them."""
        self.last_error, self.last_error_at = "", 0.0
        """Why the latest one failed, and when."""
        self._destination, self._credential = destination, credential
        self.refusals: dict[str, _Refusal] = {}
        """Tags that it refuses while others are accepted."""

    # -- what may leave --------------------------------------------------------------------------

    def is_clear(self, now: float) -> bool:
        """Whether there is nothing to consider: the destination takes requests, of every tag."""
        return self.circuit.state == "closed" and now >= self.paused_until and not self.refusals

    def allows(self, now: float) -> bool:
        """Whether a request may leave now."""
        return now >= self.paused_until and self.circuit.allows(now)

    def is_shut(self, now: float) -> bool:
        """Whether nothing can leave for so long that nothing need wait in memory."""
        return self.paused_until - now > LONG_PAUSE_S or not self.circuit.allows(now)

    @property
    def is_on_trial(self) -> bool:
        """Whether the next request that leaves is a probe."""
        return self.circuit.state != "closed"

    def why_not(self, tag: str, now: float, queued: int) -> str:
        """Why there is no use for another delivery of the tag, where `queued` wait; "" when there is one."""
        if self.is_clear(now):
            return ""
        if self.is_shut(now) or (self.is_on_trial and queued):
            return f"the destination is shut: {self.circuit.reason}".removesuffix(": ")
        return "the destination refuses the tag" if self.turns_away(tag, now) else ""

    def may_retry(self, now: float) -> bool:
        """Whether a retry is paid for (`allows` said yes)."""
        return self.is_on_trial or self.budget.take(now)

    def turns_away(self, tag: str, now: float) -> bool:
        """Whether the destination refuses this tag, and it is too early to try again."""
        refusal = self.refusals.get(tag)
        return refusal is not None and now < refusal.try_at

    def tries(self, tag: str, now: float) -> None:
        """A delivery of the tag goes there; if it is refused, no other for a while."""
        refusal = self.refusals.get(tag)
        if refusal is not None:
            refusal.is_trying, refusal.try_at = True, now + refusal.wait_s

    @property
    def shut_until(self) -> float:
        """When it changes by time alone; in the past: it does not."""
        opens_at = self.circuit.opens_at if self.circuit.state == "open" else float("-inf")
        return max(self.paused_until, opens_at)

    @property
    def refused_tags(self) -> Sequence[str]:
        """Tags that the destination refuses until somebody mends something."""
        return tuple(self.refusals)

    def state(self, now: float, *, queued: int, in_flight: int, oldest_s: float) -> LaneState:
        """For operators."""
        return LaneState(
            destination=self._destination,
            credential=self._credential,
            state="shut" if self.is_on_trial else "paused" if now < self.paused_until else "open",
            reason=self.circuit.reason,
            next_try_in_s=max(0.0, self.shut_until - now),
            queued=queued,
            in_flight=in_flight,
            refused_tags=tuple(self.refusals),
            oldest_s=oldest_s,
            done=self.done,
            failed=self.failed,
            last_error=self.last_error,
            last_error_s=now - self.last_error_at if self.last_error else 0.0,
        )

    # -- what an attempt tells -------------------------------------------------------------------

    def tell(self, now: float, attempt: Attempt, *, is_retry: bool) -> None:
        """An attempt ended so."""
        circuit = self.circuit
        before = circuit.state
        kinds = {outcome.kind for outcome in attempt.outcomes}
        reason = attempt.outcomes[0].reason
        if kinds == {"done"}:
            self.went_well(now, is_retry=is_retry)
            return
        self.failed += 1
        failures = (outcome.reason for outcome in attempt.outcomes if outcome.kind != "done")
        self.last_error, self.last_error_at = next(failures), now
        if kinds == {"retry"} or (attempt.is_transient and "refused" not in kinds):
            circuit.failed(now, reason)
        elif kinds == {"refused"}:
            circuit.refused(now, reason)
        elif attempt.answer is None:
            circuit.told_nothing(now)
        else:
            self._succeeded(now, is_retry=is_retry)
        if (before, circuit.state) == ("closed", "open"):
            log.warning("destination shut", extra={"destination": self._destination, "reason": reason})

    def went_well(self, now: float, *, is_retry: bool) -> None:
        """An attempt ended, and the vendor accepted all of it."""
        self.done += 1
        self._succeeded(now, is_retry=is_retry)

    def _succeeded(self, now: float, *, is_retry: bool) -> None:
        if self.circuit.succeeded(now):
            log.info("destination open again", extra={"destination": self._destination})
        self.budget.succeeded(is_retry=is_retry)

    def pause(self, until: float) -> None:
        """The vendor asks for nothing before that."""
        self.paused_until = max(self.paused_until, until)

    def refused(self, tag: str, reason: str, now: float) -> None:
        """One alert while it lasts, not endless retries (SPEC: R136)."""
        known = self.refusals.get(tag)
        if known is None:
            self.refusals[tag] = _Refusal(now + FIRST_PROBE_S)
            where = {"tag": tag, "destination": self._destination, "credential": self._credential}
            log.error(
                "destination refuses us: mend the credential or its rights",
                extra={"code": "destination_refuses", **where, "reason": reason},
            )
        elif known.is_trying:
            known.is_trying, known.wait_s = False, min(2 * known.wait_s, LAST_PROBE_S)
            known.try_at = now + known.wait_s

    def accepted(self, tag: str) -> None:
        """The destination took something of the tag."""
        if self.refusals.pop(tag, None) is not None:
            log.info("destination accepts again", extra={"tag": tag, "destination": self._destination})
