"""Exchange: one request on a connection, and who is told what came of it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from sgtm.delivery.errors import SendError
from sgtm.messages import VendorAnswer

Again = Callable[[], Awaitable[VendorAnswer]]
"""Sends the request once more, for whoever can wait. Raises only SendError."""
Came = VendorAnswer | SendError | Again
"""What comes of a request that was written: an answer, none, or the word that it has to be sent once more
(the vendor had closed the kept connection that it was written to)."""
OnEnd = Callable[[Came], None]


class Started(Protocol):
    """A request that has left."""

    def cancel(self) -> None:
        """Nobody wants the answer any more; `on_end` is not called."""


class Carrier(Protocol):
    """The connection that an exchange is on."""

    def give_up(self, exchange: "Exchange") -> None:
        """Nobody waits for its answer any more."""


class Exchange:
    """Made for one request; `on_end` is called once, and not at all after `cancel`."""

    __slots__ = ("again", "carrier", "deadline", "is_head", "on_end", "request")

    def __init__(
        self,
        request: bytes,
        on_end: OnEnd,
        deadline: float,
        is_head: bool = False,
        again: Callable[["Exchange"], Again | None] | None = None,
    ) -> None:
        self.request, self.on_end, self.deadline, self.is_head = request, on_end, deadline, is_head
        self.again = again
        """Asked when the connection was lost before a byte of an answer came; None: that is its end."""
        self.carrier: Carrier | None = None

    def cancel(self) -> None:
        """Nobody wants the answer any more: whatever carries the request is closed."""
        if self.carrier is not None:
            self.carrier.give_up(self)
