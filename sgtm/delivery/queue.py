"""LaneQueue: what waits in one lane, in three places.

forming   batches that wait for company, one per key, each with its own alarm
ready     first in, first out
waiting   retries, by the time when they are due

It knows nothing of destinations and outcomes; the lane decides what may leave, and when.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct

from sgtm.delivery.clock import Clock
from sgtm.delivery.delivery import MAX_ITEMS_BYTES, Batch, BatchKey, Delivery

BACKLOG = 1_000
"""Deliveries that are enough to do for a while."""


class LaneLimits(Struct, frozen=True):
    """Bounds of each lane."""

    concurrency: int = 256
    """Requests under way: 256 carry 2,560 a second at a round trip of 100 ms."""
    max_queued: int = 20_000
    max_queued_bytes: int = 67_108_864


class LaneQueue:
    """The deliveries of one lane that are not under way. `on_ready` is called when a batch is formed."""

    def __init__(self, limits: LaneLimits, clock: Clock, on_ready: Callable[[], None]) -> None:
        self.count = self.size_bytes = 0
        self._limits, self._clock, self._on_ready = limits, clock, on_ready
        self._forming: dict[BatchKey, Batch] = {}
        self.ready: deque[Batch] = deque()
        """What could leave at once."""
        self._waiting: list[tuple[float, int, Batch]] = []
        self._numbers = itertools.count()

    # -- in --------------------------------------------------------------------------------------

    def add(self, delivery: Delivery) -> None:
        """Take a new delivery: ready at once, or in a batch that waits for company."""
        self.count += 1
        self.size_bytes += delivery.size_bytes
        if delivery.has_company:
            self._join(delivery)
        else:
            self.ready.append(Batch([delivery]))

    def put_first(self, batch: Batch) -> None:
        """This batch is next."""
        self._count_all(batch, 1)
        self.ready.appendleft(batch)

    def wait_until(self, due: float, batch: Batch) -> None:
        """This batch is a retry that is due at `due`."""
        self._count_all(batch, 1)
        heapq.heappush(self._waiting, (due, next(self._numbers), batch))

    def flush(self) -> None:
        """Let no batch wait for company any longer."""
        for batch in list(self._forming.values()):
            self._formed(batch)

    def _join(self, delivery: Delivery) -> None:
        key, item_bytes = delivery.batch_key, delivery.item_bytes
        batch = self._forming.get(key)
        if batch is not None and batch.item_bytes + item_bytes > MAX_ITEMS_BYTES:
            self._formed(batch)
            batch = None
        if batch is None:
            new = batch = self._forming[key] = Batch([delivery])
            linger_s = delivery.rules.linger_ms / 1_000
            batch.alarm = self._clock.call_at(self._clock.now() + linger_s, lambda: self._formed(new))
        else:
            batch.deliveries.append(delivery)
            batch.item_bytes += item_bytes
        if len(batch.deliveries) >= batch.max_batch:
            self._formed(batch)

    def _formed(self, batch: Batch) -> None:
        self._stop_forming(batch)
        self.ready.append(batch)
        self._on_ready()

    def _stop_forming(self, batch: Batch) -> None:
        if batch.alarm is not None:
            batch.alarm.cancel()
            batch.alarm = None
        if batch.key is not None:
            self._forming.pop(batch.key, None)

    # -- out -------------------------------------------------------------------------------------

    @property
    def next_due(self) -> float | None:
        """When the first retry is due."""
        return self._waiting[0][0] if self._waiting else None

    def take_due(self) -> Batch:
        """The first retry (`next_due` says there is one), with what may travel along."""
        return self._taken(heapq.heappop(self._waiting)[2])

    def take_ready(self) -> Batch:
        """The first of the ready ones (`ready` holds one), with what may travel along."""
        return self._taken(self.ready.popleft())

    def take_expired(self, now: float) -> list[Delivery]:
        """The expired at the head of the ready ones, where the oldest are."""
        expired: list[Delivery] = []
        while self.ready and self.ready[0].deliveries[0].deadline_s <= now:
            batch = self.ready.popleft()
            self._count_all(batch, -1)
            expired += batch.drop_expired(now)
            if batch.deliveries:
                self.put_first(batch)
        return expired

    def is_full_for(self, delivery: Delivery) -> bool:
        """There is no room for one more."""
        limits = self._limits
        is_full = self.count >= limits.max_queued
        return is_full or self.size_bytes + delivery.size_bytes > limits.max_queued_bytes

    @property
    def is_long(self) -> bool:
        """Records that are read again stop here: what comes now goes first."""
        limits = self._limits
        is_long = self.count >= min(BACKLOG, limits.max_queued)
        return is_long or 2 * self.size_bytes >= limits.max_queued_bytes

    def take_oldest(self) -> Delivery | None:
        """What has waited longest for its turn (but for batches that are forming: `flush` first)."""
        if not self.ready:
            if not self._waiting:
                return None
            self.ready.append(heapq.heappop(self._waiting)[2])
        batch = self.ready[0]
        delivery = batch.pop_first()
        if not batch.deliveries:
            self.ready.popleft()
        self.count -= 1
        self.size_bytes -= delivery.size_bytes
        return delivery

    def take_all(self) -> list[Delivery]:
        """Everything, for the end."""
        for batch in list(self._forming.values()):
            self._stop_forming(batch)
            self.ready.append(batch)
        batches = [*self.ready, *(batch for _, _, batch in self._waiting)]
        self.ready.clear()
        self._waiting.clear()
        self.count = self.size_bytes = 0
        return [delivery for batch in batches for delivery in batch.deliveries]

    def __iter__(self) -> Iterator[Delivery]:
        """Everything that is here, in no order."""
        batches = (*self._forming.values(), *self.ready, *(batch for _, _, batch in self._waiting))
        return (delivery for batch in batches for delivery in batch.deliveries)

    def _taken(self, batch: Batch) -> Batch:
        while self.ready and batch.can_take_over(self.ready[0]):
            batch.take_over(self.ready.popleft())
        self._count_all(batch, -1)
        return batch

    def _count_all(self, batch: Batch, sign: int) -> None:
        self.count += sign * len(batch.deliveries)
        self.size_bytes += sign * sum([delivery.size_bytes for delivery in batch.deliveries])
