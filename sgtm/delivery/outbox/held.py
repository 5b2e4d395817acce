"""Held: which records wait for a destination that is shut or full. Their bytes stay on the disk.

By batch and in bitmaps, so that an outage of days costs some hundred bytes of memory for each batch of up to
a thousand records, and nothing for what they hold. What expires first is read again first: where a tag's
events live equally long, that is the oldest.
"""

import heapq
from collections.abc import Hashable
from typing import NamedTuple


class Hold(NamedTuple):
    """What a record waits for: this tag owes it something that goes there."""

    tag: str
    destination: Hashable
    """The lane, as the lanes know it."""


class Taken(NamedTuple):
    """Records of one batch that wait no more: one bit for each."""

    number: int
    bits: int
    expires_micros: int
    at_micros: int
    """When the first record of the batch was received."""


class Held:
    """The records of one hold."""

    __slots__ = ("_batches", "_order", "count")

    def __init__(self) -> None:
        self.count = 0
        """Records that wait."""
        self._batches: dict[int, tuple[int, int, int]] = {}
        self._order: list[tuple[int, int]] = []
        """Heap of (when the first of a batch expires, its number); entries of batches that were taken
        meanwhile are passed over."""

    def add(self, number: int, bits: int, expires_micros: int, at_micros: int) -> None:
        """These records of the batch wait; the first of them expires then (Unix time), the first of the batch
        was received at `at_micros`."""
        known, first, _ = self._batches.get(number, (0, None, 0))
        self.count += (bits & ~known).bit_count()
        if first is None or expires_micros < first:
            first = expires_micros
            heapq.heappush(self._order, (first, number))
        self._batches[number] = (known | bits, first, at_micros)

    @property
    def first_expires_micros(self) -> int | None:
        """When the first of all expires; None: nothing waits."""
        while self._order and self._order[0][1] not in self._batches:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else None

    @property
    def oldest_micros(self) -> int | None:
        """When the oldest batch that waits began (numbers rise with time); None: nothing waits."""
        return self._batches[min(self._batches)][2] if self._batches else None

    def take(self, expired_by: int | None = None) -> Taken | None:
        """The records of the batch whose first expires first (by then at the latest); they wait no more."""
        first_of_all = self.first_expires_micros
        if first_of_all is None or (expired_by is not None and first_of_all > expired_by):
            return None
        number = heapq.heappop(self._order)[1]
        bits, first, at_micros = self._batches.pop(number)
        self.count -= bits.bit_count()
        return Taken(number, bits, first, at_micros)
