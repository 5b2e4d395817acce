"""Message: a group of records on its way through the broker, and what is settled of it.

    message = (version u8, attempt u16, not before u64, length of bits u32), bits, group of records

Little endian; `not before` in microseconds of Unix time. Bits are those of `batch.py` (with their CRC), and
only there once something was settled; each record of the group has a CRC of its own (`records.py`). An id
names the group and the attempt, `f3a9c1-17.2`: it never comes twice, unless the same bytes do.
"""

import struct
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from sgtm.delivery.outbox.batch import Batch
from sgtm.delivery.outbox.records import join_group, split_group

VERSION = 1
_HEAD = struct.Struct("<BHQI")


class Message(msgspec.Struct, frozen=True):
    """What the broker hands out."""

    name: str
    """Its id."""
    reply: str
    """Where it is acknowledged."""
    delivered: int
    """How often it was handed out, to anybody."""
    payload: bytes


def write_message(
    group: bytes | bytearray, bits: bytes = b"", attempt: int = 0, not_before: int = 0
) -> bytes:
    """The bytes of a message."""
    return _HEAD.pack(VERSION, min(attempt, 0xFFFF), not_before, len(bits)) + bits + group


class Taken:
    """A message in hand: its records, until all are finished."""

    __slots__ = (
        "attempt",
        "batch",
        "delivered",
        "letters",
        "name",
        "not_before",
        "payloads",
        "reply",
        "size_bytes",
        "waiting",
    )

    def __init__(self, message: Message, number: int, payloads: list[bytes | None], head: Any) -> None:
        self.name, self.reply, self.delivered = message.name, message.reply, message.delivered
        self.attempt, self.not_before, bits = head
        self.letters: list[Future[bool]] = []
        """On their way to the broker: it is not done with before they are there."""
        self.waiting: dict[str, int] = {}
        """Of which tags records were handed back: one bit for each."""
        self.batch = Batch(number, len(payloads), 0)
        self.batch.state = "stored"
        if bits:
            self.batch.decode(bits)
        self.payloads = payloads
        """Of each record; None: damaged, or finished."""
        self.size_bytes = sum(len(payload) for payload in payloads if payload is not None)

    def forget(self, index: int) -> int:
        """A record is finished: let go of its bytes; how many they were."""
        payload, self.payloads[index] = self.payloads[index], None
        size = len(payload) if payload is not None else 0
        self.size_bytes -= size
        return size

    @property
    def waits(self) -> bool:
        """Whether nobody works on any of its records."""
        batch = self.batch
        if ~(batch.ran | batch.done) & (1 << batch.count) - 1:
            return False
        return not any(
            bits & ~batch.done & ~batch.settled.get(tag, 0) & ~self.waiting.get(tag, 0)
            for tag, bits in batch.owed.items()
        )

    @property
    def next_name(self) -> str:
        """The id of what is left of it."""
        return f"{self.name.rpartition('.')[0]}.{self.attempt + 1}"

    def left(self) -> "list[Left]":
        """Its records that owe something."""
        return [
            Left(payload, self.batch.settled_tags(index))
            for index in self.batch.unfinished()
            if (payload := self.payloads[index]) is not None
        ]


class Left(msgspec.Struct, frozen=True):
    """A record that goes back."""

    payload: bytes
    settled: frozenset[str]


def write_left(left: Sequence[Left], attempt: int, not_before: int = 0) -> bytes:
    """A message of such records."""
    bits = Batch(0, len(left), 0)
    for position, record in enumerate(left):
        for tag in record.settled:
            bits.settled[tag] = bits.settled.get(tag, 0) | 1 << position
    return write_message(join_group([record.payload for record in left]), bits.encode(), attempt, not_before)


def read_message(message: Message, number: int) -> Taken | None:
    """Take a message into hand; None where nothing of it can be read."""
    payload = message.payload
    if len(payload) < _HEAD.size or payload[0] != VERSION:
        return None
    _, attempt, not_before, length = _HEAD.unpack_from(payload)
    begin = _HEAD.size + length
    payloads = list(split_group(payload[begin:]))
    if not payloads or len(payloads) > MAX_COUNT:
        return None
    return Taken(message, number, payloads, (attempt, not_before, payload[_HEAD.size : begin]))


MAX_COUNT = 1_000
"""Records of one message; a record id has ten bits for its place."""
