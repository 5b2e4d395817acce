"""Settling: every delivery ends here, once. Counts, walk, dead letters, log lines."""

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence

from sgtm.delivery.clock import Clock
from sgtm.delivery.delivery import Delivery, HandedBack
from sgtm.delivery.journal import GIVEN_UP, MAX_REASON, Journal, Noted
from sgtm.delivery.letter import MAX_ANSWER_BYTES, Death
from sgtm.messages import Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.metrics import Counters
from sgtm.observability.trace import TagTrace, Try

log = logging.getLogger("sgtm.delivery")

OnDead = Callable[[Delivery, Outcome], None]
_SAME_LINE_AFTER_S = 10.0
_MAX_REASONS = 1_000


class Settling:
    """What the lanes tell of their deliveries. `on_dead` hears of all that are given up."""

    def __init__(
        self, counters: Counters, clock: Clock, on_dead: OnDead | None, journal: Journal | None = None
    ) -> None:
        self.pending = 0
        """Deliveries taken and not settled; who takes one counts it here."""
        self._counters, self._clock, self._on_dead = counters, clock, on_dead
        self._journal = journal
        self._sent = counters.counts("sgtm_vendor_requests_total")
        self._sent_bytes = counters.counts("sgtm_vendor_request_bytes_total")
        self._done = counters.counts("sgtm_deliveries_done_total")
        self._nothing_pending: asyncio.Future[None] | None = None
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}

    def sends(self, tag: str, request: OutgoingRequest) -> None:
        """An attempt begins."""
        size_bytes = len(request.url) + len(request.body)
        if tag in self._sent_bytes:
            self._sent[tag] += 1
            self._sent_bytes[tag] += size_bytes
        else:
            self._counters.add("sgtm_vendor_requests_total", tag)
            self._counters.add("sgtm_vendor_request_bytes_total", tag, size_bytes)

    def answered(self, destination: str, seconds: float, *, is_done: bool) -> None:
        """A request took so long; `is_done`: the vendor accepted all of it."""
        self._counters.observe("sgtm_delivery_seconds", seconds, destination)
        self._counters.add("sgtm_attempts_total", f"{destination}/{'done' if is_done else 'failed'}")

    def all_done(
        self, deliveries: Sequence[Delivery], outcome: Outcome, answer: VendorAnswer, destination: str
    ) -> None:
        """The vendor has all of a request: what `judged` and `done` say of each."""
        is_noted = self._journal is not None or outcome.warnings
        for delivery in deliveries:
            if is_noted or delivery.walked is not None or delivery.trace is not None:
                self.judged(delivery, outcome, destination, answer)
            tag = delivery.tag
            if tag in self._done:
                self._done[tag] += 1
            else:
                self._counters.add("sgtm_deliveries_done_total", tag)
            self._settle(delivery, outcome)

    def judged(
        self,
        delivery: Delivery,
        outcome: Outcome,
        destination: str,
        answer: VendorAnswer | None,
        error: str = "",
    ) -> None:
        """An attempt ended so; for some outcomes that is not the delivery's end."""
        status = answer.status if answer is not None else 0
        if outcome.kind != "done":
            delivery.last_reason, delivery.last_status = outcome.reason, status
            delivery.last_answer = answer.body[:MAX_ANSWER_BYTES] if answer is not None else b""
        if outcome.warnings:
            self._counters.add("sgtm_tag_warnings_total", delivery.tag, len(outcome.warnings))
        if delivery.walked is not None:
            now = self._clock.unix_micros()
            delivery.walked.ended(now, outcome, answer, error, delivery.attempts)
        if delivery.trace is not None:
            self._trace(delivery.trace, delivery, outcome, status, error, destination)
        if self._journal is not None:
            self._note(self._journal, delivery, destination, status, outcome.kind, outcome.reason)

    def _note(
        self, journal: Journal, delivery: Delivery, destination: str, status: int, kind: str, reason: str
    ) -> None:
        entry = Noted(
            delivery.received_micros,
            delivery.seed,
            delivery.event_index,
            delivery.tag,
            destination,
            self._clock.unix_micros(),
            delivery.attempts,
            status,
            kind,
            reason[:MAX_REASON],
        )
        journal.note(entry)

    def _trace(
        self,
        trace: TagTrace,
        delivery: Delivery,
        outcome: Outcome,
        status: int,
        error: str,
        destination: str,
    ) -> None:
        begun = delivery.begun_micros
        took = max(0, self._clock.unix_micros() - begun)
        told = Try(destination, delivery.attempts, begun, took, outcome.kind, status, error)
        trace.tried(told)

    def retries(self, delivery: Delivery) -> None:
        """It will be sent again."""
        self._counters.add("sgtm_deliveries_retried_total", delivery.tag)

    def done(self, delivery: Delivery, outcome: Outcome) -> None:
        """The vendor has it."""
        self._counters.add("sgtm_deliveries_done_total", delivery.tag)
        self._settle(delivery, outcome)

    def dead(self, delivery: Delivery, destination: str, outcome: Outcome) -> None:
        """It is given up: `outcome` is dead, or refused when nobody mended the destination in time."""
        self._counters.add("sgtm_deliveries_dead_total", delivery.tag)
        if self._journal is not None:
            self._note(self._journal, delivery, destination, 0, GIVEN_UP, outcome.reason)
        self._say_dead(delivery, destination, outcome)
        try:
            if self._on_dead is not None:
                self._on_dead(delivery, outcome)
            if delivery.on_dead is not None:
                delivery.on_dead(self._death(delivery, destination, outcome))
        except Exception as error:
            log.error("keeping a dead letter failed", extra={"error": type(error).__name__})
        self._settle(delivery, outcome)

    def _death(self, delivery: Delivery, destination: str, outcome: Outcome) -> Death:
        return Death(
            delivery.tag,
            delivery.event_index,
            destination,
            outcome.reason,
            delivery.attempts,
            delivery.last_status,
            delivery.last_answer,
            self._clock.unix_micros(),
        )

    def handed_back(self, delivery: Delivery, destination: Hashable, why: str) -> None:
        """It is still owed, and nobody here works on it any more: its record goes on waiting."""
        self._counters.add("sgtm_deliveries_handed_back_total", delivery.tag)
        self._settle(delivery, HandedBack("retry", why, None, (), destination, delivery.expires_micros))

    async def nothing_pending(self) -> None:
        """Wait until every delivery is settled."""
        if self.pending:
            if self._nothing_pending is None or self._nothing_pending.done():
                self._nothing_pending = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._nothing_pending)

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        if delivery.walked is not None:
            delivery.walked.outcome = outcome
        try:
            delivery.on_settled(outcome)
        except Exception as error:
            log.error(
                "settling a delivery failed", extra={"tag": delivery.tag, "error": type(error).__name__}
            )
        self.pending -= 1
        waiter = self._nothing_pending
        if waiter is not None and not self.pending and not waiter.done():
            waiter.set_result(None)

    def _say_dead(self, delivery: Delivery, destination: str, outcome: Outcome) -> None:
        # The same words at most every 10 s, so that an outage does not become a flood of lines.
        key = (delivery.tag, destination, outcome.kind)
        now = self._clock.now()
        said_at, unsaid = self._said.get(key, (float("-inf"), 0))
        if now - said_at < _SAME_LINE_AFTER_S:
            self._said[key] = (said_at, unsaid + 1)
            return
        if len(self._said) >= _MAX_REASONS:
            self._said.clear()
        self._said[key] = (now, 0)
        log.warning(
            "delivery given up",
            extra={
                "tag": delivery.tag,
                "destination": destination,
                "outcome": outcome.kind,
                "reason": outcome.reason,
                "attempts": delivery.attempts,
                "more_since_last_line": unsaid,
            },
        )
