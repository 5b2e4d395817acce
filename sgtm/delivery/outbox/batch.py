"""Batch: what one group of records still owes, as bitmaps.

One bit per record in each map: `ran` (its tags have run), per tag `owed` and `settled`, and `done`
(nothing is owed any more). A batch of 500 records with five tags takes about a kilobyte, whatever the
records hold, so that millions of unfinished ones fit in memory (SPEC: design.md Delivery; reliability 1.3).

What is kept on disk are `done` and `settled`: `ran` and `owed` follow again from running the record.
"""

from collections.abc import Iterator
from zlib import crc32

import msgspec


class _Bits(msgspec.Struct, array_like=True):
    """What is kept of a batch beside its records."""

    done: bytes
    settled: dict[str, bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Bits).decode


class Batch:
    """The bits of the records with ids `number * 1024` and following."""

    __slots__ = ("at_micros", "count", "done", "in_hand", "number", "owed", "ran", "settled", "state")

    def __init__(self, number: int, count: int, at_micros: int) -> None:
        self.number, self.count, self.at_micros = number, count, at_micros
        self.ran = self.done = self.in_hand = 0
        """`in_hand`: somebody in this process works on the record."""
        self.owed: dict[str, int] = {}
        self.settled: dict[str, int] = {}
        self.state = "waiting"
        """waiting -> stored (the commit is done), or lost (its file was given up)."""

    @property
    def is_finished(self) -> bool:
        """Whether no record owes anything."""
        return self.done == (1 << self.count) - 1

    @property
    def unfinished_count(self) -> int:
        """Records that owe something."""
        return self.count - self.done.bit_count()

    def note_ran(self, index: int, owing: frozenset[str]) -> bool:
        """The tags have run and owe this; whether the record is finished by that."""
        bit = 1 << index
        if self.ran & bit:
            return False
        self.ran |= bit
        for tag in owing:
            self.owed[tag] = self.owed.get(tag, 0) | bit
        return self._finish(bit)

    def note_settled(self, index: int, tag: str) -> bool:
        """A tag owes this record nothing more; whether the record is finished by that."""
        bit = 1 << index
        if self.done & bit:
            return False
        self.settled[tag] = self.settled.get(tag, 0) | bit
        return self._finish(bit)

    def give_up(self, index: int) -> bool:
        """The record cannot be read, so nothing can be done for it; whether that is new."""
        bit = 1 << index
        is_new = not self.done & bit
        self.ran |= bit
        self.done |= bit
        return is_new

    def settled_tags(self, index: int) -> frozenset[str]:
        """Tags that owe this record nothing more."""
        return frozenset(tag for tag, bits in self.settled.items() if bits >> index & 1)

    def unfinished(self, *, left_over: bool = False) -> Iterator[int]:
        """Indexes of records that owe something; or of those that nobody works on."""
        passed_by = self.done | self.in_hand if left_over else self.done
        return (index for index in range(self.count) if not passed_by >> index & 1)

    def owed_by(self, tag: str, bits: int) -> Iterator[int]:
        """Indexes of those of these records that `tag` still owes something."""
        return (
            index for index in range(self.count) if bits & ~self.done & ~self.settled.get(tag, 0) & 1 << index
        )

    def encode(self) -> bytes:
        """The bits to keep, with a CRC before them."""
        size = (self.count + 7) // 8
        settled = {tag: bits.to_bytes(size, "little") for tag, bits in self.settled.items()}
        kept = _encode(_Bits(self.done.to_bytes(size, "little"), settled))
        return crc32(kept).to_bytes(4, "little") + kept

    def decode(self, kept: bytes) -> bool:
        """Take over bits that were kept. Damaged ones are left alone: False; what was settled is then
        done again (a duplicate, never a loss)."""
        if crc32(kept[4:]) != int.from_bytes(kept[:4], "little"):
            return False
        try:
            bits = _decode(kept[4:])
        except msgspec.DecodeError:
            return False
        everyone = (1 << self.count) - 1
        self.done = self.ran = int.from_bytes(bits.done, "little") & everyone
        self.settled = {tag: int.from_bytes(its, "little") & everyone for tag, its in bits.settled.items()}
        return True

    def _finish(self, bit: int) -> bool:
        if not self.ran & bit or self.done & bit:
            return False
        for tag, owed in self.owed.items():
            if owed & bit and not self.settled.get(tag, 0) & bit:
                return False
        self.done |= bit
        return True
