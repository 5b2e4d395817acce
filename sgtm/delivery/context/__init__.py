"""What a browser has told, kept for events that come without one.

    a consented browser hit --save--> rows under its keys (client id, order, user)
    an event without a browser --find--> the row of the first of its keys that has one
    two halves of one event (the browser's, the server's) --meet--> one of them is sent, with both

rules.py   what a container says about it        values.py  what is kept of an event, and under which consent
rows.py    what stands under a key               pairs.py   who of two halves is sent
sqlite.py  one file for the workers of a machine nats.py    a key-value bucket for many machines

This is state outside of the record: what an event inherits depends on when it runs. A record that runs again
asks again; what it finds may have changed, which half is sent never does (docs/context.md).

SPEC: requirements R308, R309, R310.
"""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from msgspec import Struct

from sgtm.delivery.context.pairs import Meeting, Met
from sgtm.delivery.context.rows import Row
from sgtm.delivery.context.rules import ContextRules
from sgtm.errors import SgtmError
from sgtm.event import Event


class ContextUnavailable(SgtmError):
    """The store cannot be asked now."""


class Erased(Struct):
    """What was erased under a key, and under those that stood beside it."""

    rows: int = 0
    halves: int = 0
    """Data of events that waited, or had waited, for their counterpart."""


class ContextStore(Protocol):
    """Where it is kept. Calls never block; keys are digests (keys.py)."""

    entries: int
    size_bytes: int
    """What it holds, as this worker saw it last; 0 where it is not this machine's."""

    def save(self, event: Event, rules: ContextRules, *, is_unset_granted: bool) -> None:
        """Keep what the event tells, soon. Never raises: what cannot be kept is counted."""

    def find(self, keys: Sequence[bytes]) -> Awaitable[tuple[int, Row] | None]:
        """The row of the first of these keys that has one, and which that is. Raises ContextUnavailable."""

    def meet(self, meeting: Meeting) -> Awaitable[Met]:
        """What becomes of one half of an event: kept for good before it is said. Raises
        ContextUnavailable."""

    def erase(self, keys: Sequence[bytes], rules: ContextRules) -> Awaitable[Erased]:
        """Forget what stands under these keys, and under those beside them. Raises ContextUnavailable."""

    def close(self) -> None:
        """Keep what is left. May wait."""
