"""Lane: all that waits for one destination, and what is under way there.

A delivery is in one place at a time:

    add --> forming (a batch waits for company) --> ready --> under way --> settled
     |                                                ^          ^  |
     |                            halves, and when due|          |  | isolate, retry, refused
     |                                                +-- waiting<--+
     +--- nothing waits, nothing is against it ------------------+

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
from functools import partial
from typing import Literal

from sgtm.delivery.clock import Alarm, Clock
from sgtm.delivery.delivery import Batch, Delivery, oldest_s
from sgtm.delivery.errors import SendError
from sgtm.delivery.exchange import Again, Came
from sgtm.delivery.judge import Attempt, asked_wait_s, judge, judge_answer, request_of
from sgtm.delivery.queue import LaneLimits, LaneQueue
from sgtm.delivery.retry import backoff_s
from sgtm.delivery.sender import Sender
from sgtm.delivery.settling import Settling
from sgtm.delivery.standing import LaneState, Standing
from sgtm.messages import Outcome, VendorAnswer

MAX_TIMEOUT_S = 60.0
"""Hard ceiling of one attempt (SPEC: R95, R255)."""
_LOOK_AGAIN_S = 60.0
_BUDGET_WAIT_S = 0.1


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
        self._key, self._hands_back, self._limits = key, hands_back, limits
        self._sender, self._settling, self._clock, self._chance = sender, settling, clock, chance
        self._queue = LaneQueue(limits, clock, self._wake)
        self._under_way: set[Batch] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        """For answers to what could not be started here and now."""
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
        if not self._queue.count and not delivery.has_company and self._is_free(now):
            self._leave(Batch([delivery]), now)
            return
        if self._hands_back and (why := self._turns_away(delivery, now)):
            self._settling.handed_back(delivery, self._key, why)
            return
        if self._queue.is_full_for(delivery):
            self._make_room_for(delivery)
        if self._standing.refusals:
            self._standing.tries(delivery.tag, now)
        self._queue.add(delivery)
        if self._queue.ready:
            self._wake()

    def _make_room_for(self, delivery: Delivery) -> None:
        """A full lane that cannot hand back gives up what has waited longest for its turn."""
        self._queue.flush()
        while self._queue.is_full_for(delivery) and (oldest := self._queue.take_oldest()) is not None:
            self._give_up(oldest, "the lane is full")

    def _turns_away(self, delivery: Delivery, now: float) -> str:
        """Why the delivery should wait outside; "" when there is a use for it."""
        if why := self._standing.why_not(delivery.tag, now, self._queue.count):
            return why
        if self._queue.is_full_for(delivery) or (delivery.is_again and self.is_busy):
            return "the lane is full"
        return ""

    def wants(self, tag: str) -> bool:
        """Whether there is a use and room for a record of the tag that waits outside."""
        return not (self.is_busy or self._standing.why_not(tag, self._clock.now(), self._queue.count))

    @property
    def is_busy(self) -> bool:
        """Whether what waits outside should go on waiting."""
        return self._queue.is_long

    def flush(self) -> None:
        """Let no batch wait for company any longer."""
        self._queue.flush()

    def _is_free(self, now: float) -> bool:
        """Nothing is against a request: if none waits for its turn, it needs no place in the queue."""
        return len(self._under_way) < self._limits.concurrency and self._standing.is_clear(now)

    def _wake(self) -> None:
        """Let leave what may, while there is room."""
        while len(self._under_way) < self._limits.concurrency:
            now = self._clock.now()
            batch = self._take(now)
            if batch is None:
                break
            self._leave(batch, now)
        if self._queue.count:
            self._set_alarm()

    def _take(self, now: float) -> Batch | None:
        """The next batch that may leave now."""
        if not self._queue.count:
            return None
        while self._standing.allows(now):
            due = self._queue.next_due
            if due is not None and due <= now and self._standing.may_retry(now):
                batch = self._queue.take_due()
            elif self._queue.ready:
                batch = self._queue.take_ready()
            else:
                break
            for delivery in batch.drop_expired(now):
                self._give_up(delivery, "expired")
            if batch.deliveries:
                self._standing.circuit.sends()
                return batch
        return None

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
    def _leave(self, batch: Batch, now: float) -> None:
        """Send it in one request: at once where the sender can, without a task; otherwise a task waits."""
        deliveries = batch.deliveries
        request = request_of(deliveries)
        if isinstance(request, Outcome):
            self._apply(batch, Attempt([request] * len(deliveries)), now)
            return
        for delivery in deliveries:
            delivery.attempts += 1
            if delivery.walked is not None or delivery.trace is not None:
                delivery.begins(self._clock.unix_micros())
        self._settling.sends(deliveries[0].tag, request)
        self._under_way.add(batch)
        batch.began = now
        timeout_s = min(deliveries[0].rules.timeout_s, MAX_TIMEOUT_S)
        batch.started = self._sender.start(request, timeout_s, partial(self._came, batch))
        if batch.started is None:
            self._wait_for(batch, partial(self._sender.send, request, timeout_s))

    def _wait_for(self, batch: Batch, send: Again) -> None:
        task = asyncio.get_running_loop().create_task(self._wait(batch, send))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _wait(self, batch: Batch, send: Again) -> None:
        try:
            came: VendorAnswer | Exception = await send()
        except Exception as error:
            came = error
        self._ended(batch, came)

    def _came(self, batch: Batch, came: Came) -> None:
        """Called by the sender, once, for what was started."""
        batch.started = None
        if isinstance(came, (VendorAnswer, SendError)):
            self._ended(batch, came)
        else:
            self._wait_for(batch, came)

    def _ended(self, batch: Batch, came: VendorAnswer | Exception) -> None:
        """What was under way has ended so. Its place goes to the next."""
        now, deliveries = self._clock.now(), batch.deliveries
        self._under_way.discard(batch)
        if isinstance(came, VendorAnswer):
            said = judge_answer(deliveries, came)
            if isinstance(said, Outcome) and said.kind == "done":
                self._all_done(batch, said, came, now)
            else:
                each = said if isinstance(said, list) else [said] * len(deliveries)
                self._apply(batch, Attempt(each, came), now)
        else:
            self._apply(batch, judge(deliveries, came), now)
        if self._queue.count:
            self._wake()

    def _all_done(self, batch: Batch, outcome: Outcome, answer: VendorAnswer, now: float) -> None:
        """What `_apply` comes to for nearly every answer."""
        standing, settling = self._standing, self._settling
        settling.answered(self.destination, now - batch.began, is_done=True)
        standing.went_well(now, is_retry=batch.attempts > 1)
        if standing.refusals:
            for delivery in batch.deliveries:
                standing.accepted(delivery.tag)
        settling.all_done(batch.deliveries, outcome, answer, self.destination)

    def _apply(self, batch: Batch, attempt: Attempt, now: float) -> None:
        """Each delivery goes where its outcome sends it."""
        if attempt.was_sent:
            self._settling.answered(self.destination, now - batch.began, is_done=attempt.is_done)
        pairs = list(zip(batch.deliveries, attempt.outcomes, strict=True))
        again: list[Delivery] = []
        doubtful: list[tuple[Delivery, Outcome]] = []
        self._standing.tell(now, attempt, is_retry=batch.attempts > 1)
        wait_s = asked_wait_s(attempt, self._clock.unix_micros() / 1_000_000)
        if wait_s:
            self._standing.pause(now + wait_s)
        for delivery, outcome in pairs:
            self._settling.judged(delivery, outcome, self.destination, attempt.answer, attempt.error)
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
                self._queue.put_first(Batch([delivery for delivery, _ in half], is_isolated=True))

    def _give_up(self, delivery: Delivery, why: str) -> None:
        is_refused = delivery.tag in self._standing.refused_tags
        kind: Literal["refused", "dead"] = "refused" if is_refused else "dead"
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
        here = itertools.chain(self._queue, *(batch.deliveries for batch in self._under_way))
        return self._standing.state(
            self._clock.now(),
            queued=self._queue.count,
            in_flight=sum(len(batch.deliveries) for batch in self._under_way),
            oldest_s=oldest_s(here, self._clock.unix_micros()),
        )

    async def close(self) -> None:
        """Stop; whatever is not settled is handed back."""
        if self._alarm is not None:
            self._alarm.cancel()
        left = [delivery for batch in self._under_way for delivery in batch.deliveries]
        left += self._queue.take_all()
        for batch in self._under_way:
            if batch.started is not None:
                batch.started.cancel()
        self._under_way.clear()
        waiting = list(self._waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for delivery in left:
            self._settling.handed_back(delivery, self._key, "the process is going down")
