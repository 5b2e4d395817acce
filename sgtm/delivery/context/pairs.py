"""Pairs: who of the two halves of an event is sent. Pure: both engines use it.

    nothing there --first--> waiting --counterpart--> sent, by the counterpart, with both
                                     --time is over--> sent alone, or dropped
                             dropped --counterpart, late--> sent, by the counterpart, with both

The second half is the one that is sent: the first has left its data here, and ends. A half is a record (and
the place of the event in it), so whichever record runs again is told the same again; and a third one, a
webhook that was delivered twice, ends too. What is decided is never decided otherwise.
"""

from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sgtm.delivery.context.rules import Side


class Meeting(Struct, frozen=True):
    """One half comes and asks. Times are microseconds of Unix time."""

    key: bytes
    record: bytes
    """Which half it is: the same for the same record, whenever it runs."""
    side: Side
    data: bytes
    """What it leaves for its counterpart."""
    now: int
    deadline: int
    """When it stops waiting; not after `now`: it does not wait."""
    until: int
    """How long what is decided is remembered."""
    drops: bool = False
    """Without a counterpart it is dropped."""
    peeks: bool = False
    """Nothing is decided: somebody looks again at what was."""


class Met(Struct, frozen=True):
    """What becomes of it."""

    verdict: Literal["wait", "merge", "alone", "end"]
    data: bytes = b""
    """Merge: what the counterpart left."""
    reason: str = ""
    """End: why nothing more happens to this half."""


class Pair(Struct, frozen=True, array_like=True):
    """What is kept of two halves."""

    state: Literal["waiting", "sent", "dropped"]
    side: Side
    """Of the first."""
    first: bytes
    by: bytes
    """Who is sent; empty: nobody yet."""
    data: bytes
    """Of the first, for as long as somebody may need it."""
    until: int

    def emptied(self) -> "Pair":
        """Without the data; who is sent stays known."""
        return replace(self, data=b"")


SAME_SIDE = "the same event of its side came before"
BY_COUNTERPART = "its counterpart is sent, with what both know"
LATE = "its counterpart had waited in vain and was sent without it"
DROPPED = "dropped: its counterpart did not come"
STILL = "its counterpart waits"


def decide(pair: Pair | None, meeting: Meeting) -> tuple[Pair | None, Met]:
    """What is kept from now on (None: what was), and what becomes of the half that asks."""
    if pair is None or pair.until <= meeting.now:
        return _first(meeting)
    if pair.by == meeting.record:
        return None, Met("alone") if pair.by == pair.first else Met("merge", pair.data)
    if pair.first == meeting.record:
        return _again(pair, meeting)
    if pair.side == meeting.side:
        return None, Met("end", reason=SAME_SIDE)
    if pair.state == "sent":
        return None, Met("end", reason=LATE if pair.by == pair.first else SAME_SIDE)
    if meeting.peeks:
        return None, Met("end", reason=STILL)
    return replace(pair, state="sent", by=meeting.record, until=meeting.until), Met("merge", pair.data)


def _first(meeting: Meeting) -> tuple[Pair | None, Met]:
    if meeting.peeks:
        return None, Met("alone")
    pair = Pair("waiting", meeting.side, meeting.record, b"", meeting.data, meeting.until)
    return (pair, Met("wait")) if meeting.now < meeting.deadline else _over(pair, meeting)


def _again(pair: Pair, meeting: Meeting) -> tuple[Pair | None, Met]:
    if pair.state == "sent":
        return None, Met("end", reason=BY_COUNTERPART)
    if pair.state == "dropped":
        return None, Met("end", reason=DROPPED)
    if meeting.now < meeting.deadline or meeting.peeks:
        return None, Met("wait") if not meeting.peeks else Met("end", reason=STILL)
    return _over(pair, meeting)


def _over(pair: Pair, meeting: Meeting) -> tuple[Pair, Met]:
    """Its time is over, or it does not wait."""
    if meeting.drops:
        return replace(pair, state="dropped"), Met("end", reason=DROPPED)
    return replace(pair, state="sent", by=meeting.record, data=b""), Met("alone")


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Pair)


def write_pair(pair: Pair) -> bytes:
    """The bytes of a pair."""
    return _encoder.encode(pair)


def read_pair(content: bytes) -> Pair | None:
    """The pair of these bytes; None where they are damaged, or of another release."""
    try:
        return _decoder.decode(content)
    except msgspec.DecodeError:
        return None
