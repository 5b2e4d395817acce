"""Lane: all that waits for one destination, and the few workers that send it.

A delivery is in one place at a time:

    add --> forming (a batch waits for company) --> ready --> a worker --> settled
                                                      ^          |
                                  halves, and when due|          | isolate, retry, refused
                                                      +-- waiting<

Whether anything may leave now is asked in one place, `_take`: how we stand with the destination
(`standing.py`) and the retry budget have their say there. Each change that may let something leave calls
`_wake`; what only time can change is left to one alarm.

Where the outbox reads records again (`hands_back`), a lane keeps nothing that cannot leave: while it is shut
or full it hands deliveries back, and says to whoever asks (`wants`) when it can take them. Otherwise they
wait here, and a full lane gives up its oldest (SPEC: design.md Delivery).
"""

import asyncio
import itertools
from collections.abc import Callable, Hashable
from typing import Literal

from sgtm.delivery.clock import Alarm, Clock
from sgtm.delivery.delivery import Batch, Delivery, oldest_s
from sgtm.delivery.errors import SendError
from sgtm.delivery.judge import Attempt, judge_answer, judge_error, request_of
from sgtm.delivery.queue import LaneLimits, LaneQueue
from sgtm.delivery.retry import backoff_s, bounded_wait_s, retry_after_s
from sgtm.delivery.sender import Sender
from sgtm.delivery.settling import Settling
from sgtm.delivery.standing import LaneState, Standing
from sgtm.messages import Outcome

MAX_TIMEOUT_S = 60.0
"""Hard ceiling of one attempt (SPEC: R95, R255)."""
_LOOK_AGAIN_S = 60.0
_BUDGET_WAIT_S = 0.1
BACKLOG = 1_000
"""Records that are read again stop at so many deliveries in the queue: what comes now goes first."""


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
        key: Hashable = (),
        hands_back: bool = False,
    ) -> None:
        self.destination, self.credential = destination, credential
        self._key, self._hands_back = key, hands_back
        self._sender, self._settling, self._clock, self._chance = sender, settling, clock, chance
        self._limits = limits
        self._queue = LaneQueue(limits, clock, self._wake)
        self._under_way: set[Batch] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[Batch]] = []
        self._standing = Standing(destination, credential, clock.now())
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0

    # -- in and out ------------------------------------------------------------------------------

    def add(self, delivery: Delivery) -> None:
        """Take one delivery."""
        delivery.weigh()
        left_s = (delivery.expires_micros - self._clock.steady_micros()) / 1_000_000
        now = self._clock.now()
        delivery.deadline_s = now + left_s
        if left_s <= 0:
            self._give_up(delivery, "expired")
            return
        if self._hands_back and (why := self._turns_away(delivery, now)):
            self._settling.handed_back(delivery, self._key, why)
            return
        if self._queue.is_full_for(delivery):
            self._make_room_for(delivery)
        self._standing.tries(delivery.tag, now)
        self._queue.add(delivery)
        if self._queue.has_ready:
            self._wake()

    def _make_room_for(self, delivery: Delivery) -> None:
        """A full lane that cannot hand back gives up what has waited longest for its turn."""
        self._queue.flush()
        while self._queue.is_full_for(delivery) and (oldest := self._queue.take_oldest()) is not None:
            self._give_up(oldest, "the lane is full")

    def _turns_away(self, delivery: Delivery, now: float) -> str:
        """Why the delivery should wait outside; "" when there is a use for it."""
        if why := self._wants_nothing_of(delivery.tag, now):
            return why
        if self._queue.is_full_for(delivery) or (delivery.is_again and self.is_busy):
            return "the lane is full"
        return ""

    def _wants_nothing_of(self, tag: str, now: float) -> str:
        standing = self._standing
        if standing.is_shut(now) or (standing.is_on_trial and self._queue.count):
            return f"the destination is shut: {standing.circuit.reason}".removesuffix(": ")
        return "the destination refuses the tag" if standing.turns_away(tag, now) else ""

    def wants(self, tag: str) -> bool:
        """Whether there is a use and room for a record of the tag that waits outside."""
        return not self.is_busy and not self._wants_nothing_of(tag, self._clock.now())

    @property
    def is_busy(self) -> bool:
        """Whether what waits outside should go on waiting."""
        queue, limits = self._queue, self._limits
        is_long = queue.count >= min(BACKLOG, limits.max_queued)
        return is_long or 2 * queue.size_bytes >= limits.max_queued_bytes

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
        while self._standing.allows(now):
            if self._may_retry(now):
                batch = self._queue.take_due()
            elif self._queue.has_ready:
                batch = self._queue.take_ready()
            else:
                break
            for delivery in batch.drop_expired(now):
                self._give_up(delivery, "expired")
            if batch.deliveries:
                self._standing.circuit.sends()
                self._under_way.add(batch)
                return batch
        return None

    def _may_retry(self, now: float) -> bool:
        due = self._queue.next_due
        return due is not None and due <= now and self._standing.may_retry(now)

    def _set_alarm(self) -> None:
        """Ring when time alone can change what may leave, and at least once a minute, for expiry."""
        now, due = self._clock.now(), self._queue.next_due
        when = self._standing.shut_until
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
        began = self._clock.now()
        attempt = await self._attempt(list(batch.deliveries))
        if attempt.answer is not None or attempt.is_transient:  # else nothing was sent
            self._settling.answered(self.destination, self._clock.now() - began, is_done=attempt.is_done)
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
            delivery.begins(self._clock.unix_micros)
        self._settling.sends(deliveries[0].tag, request)
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
        self._standing.tell(now, attempt, is_retry=batch.attempts > 1)
        wait_s = self._asked_to_wait(now, attempt)
        for delivery, outcome in pairs:
            self._settling.judged(delivery, outcome, attempt, self.destination)
            match outcome.kind:
                case "done":
                    self._standing.accepted(delivery.tag)
                    self._settling.done(delivery, outcome)
                case "isolate" if len(pairs) > 1:
                    doubtful.append((delivery, outcome))
                case "retry" | "refused":
                    if outcome.kind == "refused":
                        self._standing.refused(delivery.tag, outcome.reason, now)
                    again.append(delivery)
                case _:
                    self._settling.dead(delivery, self.destination, Outcome("dead", outcome.reason))
        self._isolate(doubtful)
        if self._hands_back:
            again = self._hand_back(again, now)
        if again:
            self._retry(again, now, wait_s, is_isolated=batch.is_isolated)

    def _hand_back(self, again: list[Delivery], now: float) -> list[Delivery]:
        """Let go of what cannot leave soon; the rest of those that are to be sent again."""
        standing, settling = self._standing, self._settling
        if standing.is_shut(now):
            for delivery in again + self._queue.take_all():
                settling.handed_back(delivery, self._key, "the destination is shut")
            return []
        for delivery in again:
            if standing.turns_away(delivery.tag, now):
                settling.handed_back(delivery, self._key, "the destination refuses the tag")
        return [delivery for delivery in again if not standing.turns_away(delivery.tag, now)]

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
            self._standing.pause(now + wait_s)
        return wait_s

    def _give_up(self, delivery: Delivery, why: str) -> None:
        kind: Literal["refused", "dead"] = (
            "refused" if delivery.tag in self._standing.refused_tags else "dead"
        )
        latest = delivery.last_reason or self._standing.circuit.reason
        self._settling.dead(
            delivery, self.destination, Outcome(kind, f"{why}; latest: {latest}" if latest else why)
        )

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._queue.count and not self._under_way

    @property
    def is_shut(self) -> bool:
        """Nothing leaves now; to forget the lane would be to forget that."""
        return not self._standing.allows(self._clock.now()) or bool(self._standing.refused_tags)

    def state(self) -> LaneState:
        """For operators."""
        now, standing = self._clock.now(), self._standing
        here = itertools.chain(self._queue, *(batch.deliveries for batch in self._under_way))
        return LaneState(
            destination=self.destination,
            credential=self.credential,
            state="shut" if standing.is_on_trial else "paused" if now < standing.paused_until else "open",
            reason=standing.circuit.reason,
            next_try_in_s=max(0.0, standing.shut_until - now),
            queued=self._queue.count,
            in_flight=sum(len(batch.deliveries) for batch in self._under_way),
            refused_tags=tuple(standing.refused_tags),
            oldest_s=oldest_s(here, self._clock.unix_micros()),
            done=standing.done,
            failed=standing.failed,
            last_error=standing.last_error,
            last_error_s=now - standing.last_error_at if standing.last_error else 0.0,
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
            self._settling.handed_back(delivery, self._key, "the process is going down")
