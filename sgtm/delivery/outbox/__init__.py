"""The outbox protocol: append a record, say that its tags have run, settle, read again.

A record is the request as it came. Settled is one bit per (record, tag): set when all that the tag
owed for the record is done, dead or expired. A record whose tags have run and are all settled is
finished and may be forgotten.

`ran` and `settle` may come in any order, more than once, and for a record that is finished already:
what is known twice changes nothing.

What is given up is buried: its letter is kept with, or before, what is said of the record afterwards, so
that a crash between the two gives a second try and never a loss.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Generator, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from sgtm.delivery.letter import KeptLetter, Letter
from sgtm.delivery.outbox.held import Held, Hold
from sgtm.errors import SgtmError
from sgtm.messages import Record


class OutboxFull(SgtmError):
    """The outbox cannot take another record now; the requester is told to come back later."""


class OutboxUnavailable(OutboxFull):
    """What had to be written may not be on the disk (I/O error, full disk), so it is not acknowledged.

    The commit that `append` gives raises it; the requester gets 503 and Retry-After. Whether the record was
    kept is unknown: one that turns up later is delivered, under the same ids.
    """


class OutboxState(Struct, frozen=True):
    """What an outbox says about itself to readiness, metrics and people. Sizes in bytes."""

    engine: Literal["memory", "sqlite", "nats"]
    durability: int
    """0: lost with the process; 1: survives the process (a disk that is memory, a broker that does not
    sync); 2: survives a power cut; 3: survives a lost disk."""
    records: int
    """Records that still owe something."""
    full_because: str = ""
    """Why no record is taken; "" when it takes them."""
    is_alive: bool = True
    """Whether it can still do anything; if not, only a new process can."""
    used_bytes: int = 0
    budget_bytes: int = 0
    free_bytes: int | None = None
    """Free where it writes, besides its reserve; None: it does not write."""
    oldest_micros: int | None = None
    """When the oldest record that owes something was received (Unix time); None: there is none."""
    time_to_full_s: float | None = None
    """At the present rate; None: it does not grow."""
    suspects: int = 0
    """Files that were set aside and wait for somebody to look at them and delete them."""
    letters: int = 0
    """Dead letters that are kept."""
    letter_bytes: int = 0
    archive_bytes: int = 0


class Unfinished(Struct, frozen=True):
    """A record that still owes something; tags in `settled` need not run again."""

    record_id: int
    record: Record
    settled: frozenset[str]


class Commit(Protocol):
    """That a record is safe. It may be awaited by many, and giving up disturbs nobody else; raises
    OutboxFull, mostly OutboxUnavailable."""

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for it."""

    def then(self, function: Callable[[OutboxFull | None], None]) -> None:
        """Call it with what the commit raised, or None, once it is over: no task, no future of its own. It
        must not raise."""


class Outbox(Protocol):
    """What every engine does. Calls never block; a durable engine commits in the background."""

    def __len__(self) -> int:
        """Records that still owe something."""

    def append(self, record: Record) -> tuple[int, Commit | None]:
        """Keep a record; the answer may leave when it is committed (None: at once). Raises OutboxFull."""

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """The tags of the record have run; these (by name) owe deliveries."""

    def settle(self, record_id: int, tag: str) -> None:
        """All that `tag` owed for the record is done, dead or expired."""

    def bury(self, record_id: int, letter: Letter) -> None:
        """Keep a dead letter, at the latest with the next `ran` or `settle` of the record (-1: there is
        none). One with the same id goes. Bounded: see LetterBounds."""

    async def letters(self, after: int = 0, count: int = 100) -> list[KeptLetter]:
        """A page of dead letters, oldest first: so many at most, of 4 MB at most but one at least, whose
        numbers are above `after`. Raises OutboxUnavailable."""

    async def forget(self, ids: Collection[str]) -> int:
        """Let dead letters go, for good when this returns; how many there were. Raises
        OutboxUnavailable."""

    @property
    def reads_again(self) -> bool:
        """Whether what is handed back comes again: lanes may let go of what they cannot send now."""

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """Nobody works any more on what `hold.tag` owes for the record: it waits until
        `hold.destination` can take it, or it expires (Unix time)."""

    def holds(self) -> Mapping[Hold, Held]:
        """What waits, and for what."""

    def handed_back(self, hold: Hold, expired_by: int | None = None) -> AsyncGenerator[Unfinished]:
        """The records that wait for this, what expires first first, `hold.tag` alone to be run again.
        Each waits no more once it comes; close the generator, and the others go on waiting. With
        `expired_by` (Unix time in microseconds): only batches in which something has expired by then.

        Raises OutboxUnavailable; nothing is lost by that."""

    def unfinished(self) -> AsyncIterator[Unfinished]:
        """All records that are kept and owe something, oldest first."""

    def left_over(self) -> AsyncIterator[Unfinished]:
        """Records that owe something and that nobody in this process works on, to be run again: left
        by an earlier process, adopted, or found in a damaged file. Each comes once, oldest first. Waits
        for more until the outbox is closed; ask for the next one only when there is room for it."""

    def state(self) -> OutboxState:
        """How it is."""

    def close(self) -> None:
        """Commit what is left; nothing is appended afterwards (OutboxFull). May wait for the disk."""
