"""The outbox protocol: append a record, say that its tags have run, settle, read again.

A record is the request as it came. Settled is one bit per (record, tag): set when all that the tag
owed for the record is done, dead or expired. A record whose tags have run and are all settled is
finished and may be forgotten.

`ran` and `settle` may come in any order, more than once, and for a record that is finished already:
what is known twice changes nothing.
"""

from collections.abc import Awaitable, Iterator
from typing import Protocol

from msgspec import Struct

from sgtm.errors import SgtmError
from sgtm.messages import Record


class OutboxFull(SgtmError):
    """The outbox cannot take another record now; the requester is told to come back later."""


class Unfinished(Struct, frozen=True):
    """A record that still owes something; tags in `settled` need not run again."""

    record_id: int
    record: Record
    settled: frozenset[str]


class Outbox(Protocol):
    """What every engine does. Calls never block; a durable engine commits in the background."""

    def __len__(self) -> int:
        """Records that still owe something."""

    def append(self, record: Record) -> tuple[int, Awaitable[None] | None]:
        """Keep a record; the answer may leave when the awaitable is done (None: at once).

        Raises OutboxFull."""

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """The tags of the record have run; these (by name) owe deliveries."""

    def settle(self, record_id: int, tag: str) -> None:
        """All that `tag` owed for the record is done, dead or expired."""

    def unfinished(self) -> Iterator[Unfinished]:
        """Records to run again after a crash or a long outage, oldest first."""

    def close(self) -> None:
        """Commit what is left; nothing is appended afterwards (OutboxFull)."""
