"""Lane: all that waits for one destination, and the few workers that send it.

A delivery is in one place at a time:

    add --> forming (a batch waits for company) --> ready --> a worker --> settled
                                                      ^          |
                                  halves, and when due|          | isolate, retry, refused
                                                      +-- waiting<

Whether anything may leave now is asked in one place, `_take`: the circuit, a vendor's Retry-After
and the retry budget have their say there. Each change that may let something leave calls `_wake`;
what only time can change is left to one alarm.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from sgtm.delivery.circuit import Circuit
from sgtm.delivery.clock import Alarm, Clock
from sgtm.delivery.delivery import Batch, Delivery
from sgtm.delivery.errors import SendError
from sgtm.delivery.judge import Attempt, judge_answer, judge_error, request_of
from sgtm.delivery.queue import LaneLimits, LaneQueue
from sgtm.delivery.retry import RetryBudget, backoff_s, bounded_wait_s, retry_after_s
from sgtm.delivery.sender import Sender
from sgtm.delivery.settling import Settling
from sgtm.messages import Outcome

log = logging.getLogger("sgtm.delivery")

MAX_TIMEOUT_S = 60.0
"""Hard ceiling of one attempt (SPEC: R95, R255)."""
_LOOK_AGAIN_S = 60.0
_BUDGET_WAIT_S = 0.1


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


class Lane:
    """One destination (scheme, host, port, credential)."""

    def __init__(
        self,
        destination: str,
        credential: str,
        *,
        sender: Sender,
        settling: Settling,
        clock: Clock,
        chance: Callable[[], float],
        limits: LaneLimits,
    ) -> None:
        self.destination, self.credential = destination, credential
        self._sender, self._settling, self._clock, self._chance = sender, settling, clock, chance
        self._limits = limits
        self._queue = LaneQueue(limits, clock, self._wake)
        self._under_way: set[Batch] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[Batch]] = []
        self._circuit = Circuit()
        self._budget = RetryBudget(clock.now())
        self._paused_until = float("-inf")
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0
        self._refused_tags: set[str] = set()

    # -- in and out ------------------------------------------------------------------------------

    def add(self, delivery: Delivery) -> None:
        """Take one delivery."""
        delivery.weigh()
        left_s = (delivery.expires_micros - self._clock.unix_micros()) / 1_000_000
        delivery.deadline_s = self._clock.now() + left_s
        if self._queue.is_full_for(delivery):
            self._make_room_for(delivery)
        self._queue.add(delivery)
        if self._queue.has_ready:
            self._wake()

    def _make_room_for(self, delivery: Delivery) -> None:
        """A full lane gives up what has waited longest for its turn. An outbox that can be read again
        lets it go instead and reads it later: this is the one place to change."""
        self._queue.flush()
        while self._queue.is_full_for(delivery) and (oldest := self._queue.take_oldest()) is not None:
            self._give_up(oldest, "the lane is full")

    def flush(self) -> None:
        """Let no batch wait for company any longer."""
        self._queue.flush()

    def _wake(self) -> None:
        """Give work to as many workers as there is work and room for."""
        while self._resting or len(self._workers) < self._limits.concurrency:
            batch = self._take()
            if batch is None:
                break
            if self._resting:
                self._resting.pop().set_result(batch)
            else:
                worker = asyncio.get_running_loop().create_task(self._work(batch))
                self._workers.add(worker)
                worker.add_done_callback(self._workers.discard)
        if self._queue.count:
            self._set_alarm()

    def _take(self) -> Batch | None:
        """The next batch that may leave now; it is under way from here on."""
        if not self._queue.count:
            return None
        now = self._clock.now()
        while now >= self._paused_until and self._circuit.allows(now):
            if self._may_retry(now):
                batch = self._queue.take_due()
            elif self._queue.has_ready:
                batch = self._queue.take_ready()
            else:
                break
            for delivery in batch.drop_expired(now):
                self._give_up(delivery, "expired")
            if batch.deliveries:
                self._circuit.sends()
                self._under_way.add(batch)
                return batch
        return None

    def _may_retry(self, now: float) -> bool:
        due = self._queue.next_due
        return due is not None and due <= now and (self._circuit.state != "closed" or self._budget.take(now))

    def _set_alarm(self) -> None:
        """Ring when time alone can change what may leave, and at least once a minute, for expiry."""
        now, due = self._clock.now(), self._queue.next_due
        when = max(self._paused_until, self._circuit.opens_at if self._circuit.state == "open" else now)
        if when <= now:
            # Nothing is shut: the next free worker takes what is ready, only retries need the alarm.
            if due is None:
                return
            when = due if due > now else now + _BUDGET_WAIT_S
        when = min(when, now + _LOOK_AGAIN_S)
        if self._alarm is not None:
            if self._alarm_at <= when:
                return
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._clock.call_at(when, self._ring), when

    def _ring(self) -> None:
        self._alarm = None
        for delivery in self._queue.take_expired(self._clock.now()):
            self._give_up(delivery, "expired")
        self._wake()

    # -- one attempt -----------------------------------------------------------------------------

    async def _work(self, batch: Batch | None) -> None:
        while True:
            await self._send(batch or await self._rest())
            batch = self._take()  # a worker at rest holds on to nothing: not a hit, not its container
            self._wake()

    async def _send(self, batch: Batch) -> None:
        attempt = await self._attempt(list(batch.deliveries))
        self._under_way.discard(batch)
        self._apply(batch, attempt)

    async def _rest(self) -> Batch:
        resting: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        self._resting.append(resting)
        return await resting

    async def _attempt(self, deliveries: list[Delivery]) -> Attempt:
        """Send them in one request. Raises nothing but cancellation."""
        request = request_of(deliveries)
        if isinstance(request, Outcome):
            return Attempt([request] * len(deliveries))
        for delivery in deliveries:
            delivery.attempts += 1
        try:
            answer = await self._sender.send(request, min(deliveries[0].rules.timeout_s, MAX_TIMEOUT_S))
        except SendError as error:
            outcomes = [judge_error(error, delivery.request) for delivery in deliveries]
            return Attempt(outcomes, error=type(error).__name__, is_transient=error.is_transient)
        except Exception as error:
            name = type(error).__name__
            return Attempt([Outcome("retry", f"the sender raised {name}")] * len(deliveries), error=name)
        return Attempt(judge_answer(deliveries, answer), answer)

    def _apply(self, batch: Batch, attempt: Attempt) -> None:
        """Each delivery goes where its outcome sends it."""
        now = self._clock.now()
        pairs = list(zip(batch.deliveries, attempt.outcomes, strict=True))
        again: list[Delivery] = []
        doubtful: list[tuple[Delivery, Outcome]] = []
        self._tell_circuit(now, attempt, is_retry=batch.attempts > 1)
        for delivery, outcome in pairs:
            self._settling.judged(delivery, outcome, attempt.answer, attempt.error)
            match outcome.kind:
                case "done":
                    self._accepted(delivery.tag)
                    self._settling.done(delivery, outcome)
                case "isolate" if len(pairs) > 1:
                    doubtful.append((delivery, outcome))
                case "retry" | "refused":
                    if outcome.kind == "refused":
                        self._refused(delivery.tag, outcome.reason)
                    again.append(delivery)
                case _:
                    self._settling.dead(delivery, self.destination, Outcome("dead", outcome.reason))
        self._isolate(doubtful)
        if again:
            self._retry(again, now, self._asked_to_wait(now, attempt), is_isolated=batch.is_isolated)

    def _retry(self, deliveries: list[Delivery], now: float, wait_s: float, *, is_isolated: bool) -> None:
        batch = Batch(deliveries, is_isolated=is_isolated)
        for delivery in deliveries:
            self._settling.retries(delivery)
        due = now + max(wait_s, backoff_s(batch.attempts, self._chance()))
        self._queue.wait_until(due, batch)

    def _isolate(self, doubtful: list[tuple[Delivery, Outcome]]) -> None:
        """One of these is bad. Nothing of them was kept, so the halves are sent again, with the same
        ids, until the bad one is alone (SPEC: meta-capi 13)."""
        if len(doubtful) == 1:
            delivery, outcome = doubtful[0]
            self._settling.dead(delivery, self.destination, Outcome("dead", outcome.reason))
            return
        middle = len(doubtful) // 2
        for half in (doubtful[middle:], doubtful[:middle]):
            if half:
                self._queue.put_first(Batch((delivery for delivery, _ in half), is_isolated=True))

    def _asked_to_wait(self, now: float, attempt: Attempt) -> float:
        """Seconds that the vendor asked for; the whole lane keeps to it (SPEC: R97)."""
        waits = [outcome.retry_after_s for outcome in attempt.outcomes if outcome.kind == "retry"]
        asked = [bounded_wait_s(seconds) for seconds in waits if seconds is not None]
        if waits and attempt.answer is not None:
            header = attempt.answer.header("retry-after")
            asked.append(retry_after_s(header, self._clock.unix_micros() / 1_000_000) or 0.0)
        wait_s = max(asked, default=0.0)
        if wait_s:
            self._paused_until = max(self._paused_until, now + wait_s)
        return wait_s

    # -- the state of the destination ------------------------------------------------------------

    def _tell_circuit(self, now: float, attempt: Attempt, *, is_retry: bool) -> None:
        circuit = self._circuit
        before = circuit.state
        kinds = {outcome.kind for outcome in attempt.outcomes}
        reason = attempt.outcomes[0].reason
        if kinds == {"retry"} or (attempt.is_transient and "refused" not in kinds):
            circuit.failed(now, reason)
        elif kinds == {"refused"}:
            circuit.refused(now, reason)
        elif attempt.answer is None:
            circuit.told_nothing(now)
        else:
            circuit.succeeded(now)
            self._budget.succeeded(is_retry=is_retry)
        if (before, circuit.state) == ("closed", "open"):
            log.warning("destination shut", extra={"destination": self.destination, "reason": reason})
        elif (before, circuit.state) == ("probing", "closed"):
            log.info("destination open again", extra={"destination": self.destination})

    def _refused(self, tag: str, reason: str) -> None:
        """One alert while it lasts, not endless retries (SPEC: R136)."""
        if tag not in self._refused_tags:
            self._refused_tags.add(tag)
            where = {"tag": tag, "destination": self.destination, "credential": self.credential}
            log.error(
                "destination refuses us: mend the credential or its rights", extra={**where, "reason": reason}
            )

    def _accepted(self, tag: str) -> None:
        if tag in self._refused_tags:
            self._refused_tags.discard(tag)
            log.info("destination accepts again", extra={"tag": tag, "destination": self.destination})

    def _give_up(self, delivery: Delivery, why: str) -> None:
        kind: Literal["refused", "dead"] = "refused" if delivery.tag in self._refused_tags else "dead"
        latest = delivery.last_reason or self._circuit.reason
        self._settling.dead(
            delivery, self.destination, Outcome(kind, f"{why}; latest: {latest}" if latest else why)
        )

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._queue.count and not self._under_way

    def state(self) -> LaneState:
        """For operators."""
        now, circuit = self._clock.now(), self._circuit
        is_shut = circuit.state != "closed"
        until = circuit.opens_at if circuit.state == "open" else now
        return LaneState(
            destination=self.destination,
            credential=self.credential,
            state="shut" if is_shut else "paused" if now < self._paused_until else "open",
            reason=circuit.reason,
            next_try_in_s=max(0.0, until - now, self._paused_until - now),
            queued=self._queue.count,
            in_flight=sum(len(batch.deliveries) for batch in self._under_way),
        )

    async def close(self) -> None:
        """Stop the workers; whatever is not settled is handed back."""
        if self._alarm is not None:
            self._alarm.cancel()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        under_way = [delivery for batch in self._under_way for delivery in batch.deliveries]
        self._under_way.clear()
        for delivery in under_way + self._queue.take_all():
            self._settling.handed_back(delivery)
