"""Letter: what was given up, kept so that somebody can mend the cause and have it done after all.

A dead letter is a record, a tag and a reason, never the bytes that were to be sent: run again, the record
gives them anew, through a container that may be mended by then (SPEC: design.md Delivery; R301). There is
one letter per (record, event, tag): a second one takes the place of the first.
"""

import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal

import msgspec
from msgspec import Struct

from sgtm.messages import Record

MAX_ANSWER_BYTES = 500
MAX_REASON = 500
MAX_KEYS = 60
MAX_NAME = 60
MAX_DIGITS = 4
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Letter(Struct, frozen=True, kw_only=True):
    """One thing that was not done."""

    record: Record
    kind: Literal["delivery", "build"]
    """delivery: built and not accepted. build: a component raised, or nobody claimed the request."""
    tag: str
    """Runs again with it; "" where no tag had its turn: then all do."""
    reason: str
    at_micros: int
    event_index: int | None = None
    """Of the record's events; None: all of them."""
    event_name: str = ""
    keys: tuple[str, ...] = ()
    """Names of the event's keys, not their values."""
    destination: str = ""
    attempts: int = 0
    status: int = 0
    """Of the last answer; 0: there was none."""
    answer: str = ""
    """Its beginning. It may repeat personal data."""
    container_version: str = ""
    """Of the container that gave it up; the record names the one that it came in under."""
    settled: tuple[str, ...] = ()
    """Tags that owe nothing any more, where `tag` is ""."""

    @property
    def id(self) -> str:
        """The same for the same record, event and tag."""
        return letter_id(self.record, self.event_index, self.tag)


class Death(Struct, frozen=True):
    """How a delivery ended that was given up."""

    tag: str
    event_index: int
    destination: str
    reason: str
    attempts: int
    status: int
    answer: bytes
    at_micros: int


class KeptLetter(Struct, frozen=True):
    """A letter and its place; a later page begins after `number`."""

    number: int
    letter: Letter


class LetterBounds(Struct, frozen=True):
    """How much is kept of each kind. What is over falls out, the oldest first."""

    count: int = 100_000
    bytes: int = 268_435_456
    age_s: float = 30 * 86_400.0


def record_key(record: Record) -> str:
    """Tells a record from all others."""
    return f"{record.request.received_micros:x}-{record.request.seed:x}"


def letter_id(record: Record, event_index: int | None, tag: str) -> str:
    """See Letter.id."""
    named = f"{record_key(record)}/{event_index}/{tag}"
    return blake2b(named.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def now_micros() -> int:
    """Unix time."""
    return time.time_ns() // 1_000


def begin_of(answer: bytes) -> str:
    """The beginning of an answer as text."""
    return answer[:MAX_ANSWER_BYTES].decode("utf-8", "replace")


def keys_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of an event's keys that are names: whoever sends the event chooses them."""
    return tuple(key if is_name(key) else "..." for key in list(data)[:MAX_KEYS])


def is_name(text: str) -> bool:
    """Whether a text that came with an event looks like a name, and no person's data."""
    digits = sum(one.isdigit() for one in text)
    return len(text) <= MAX_NAME and digits <= MAX_DIGITS and _NAME.fullmatch(text) is not None


class _Head(Struct, array_like=True):
    """A letter without its record."""

    kind: Literal["delivery", "build"]
    tag: str
    reason: str
    at_micros: int
    event_index: int | None
    event_name: str
    keys: tuple[str, ...]
    destination: str
    attempts: int
    status: int
    answer: str
    container_version: str
    settled: tuple[str, ...]


_NAMES = _Head.__struct_fields__
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode


def encode_head(letter: Letter) -> bytes:
    """What stands beside the record where a letter is written."""
    return _encode(_Head(*(getattr(letter, name) for name in _NAMES)))


def decode_letter(head: bytes, record: Record) -> Letter:
    """The letter of such a head. Raises msgspec.DecodeError."""
    known = _decode(head)
    return Letter(record=record, **{name: getattr(known, name) for name in _NAMES})
