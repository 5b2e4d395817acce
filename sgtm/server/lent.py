"""A connection that is lent to aiohttp for one request, and comes back.

The edge owns the socket. aiohttp's handler sees a transport of ours, through public interfaces only: it is
given bytes by `data_received` and writes by `write`. The connection comes back when the answer is out and
nothing of it can be framed by two opinions: see `LentConnection._comes_back`. Otherwise aiohttp keeps it
until it closes. Between two requests the handler stays, since a new one costs more than the request; if it
then wants to close (its own idle time-out), it is forgotten, and the connection goes on.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import web
from aiohttp.streams import StreamReader

from sgtm.observability.metrics import Counters
from sgtm.server.admission import Admission
from sgtm.server.connection import Connection, Listener, Peer
from sgtm.server.lifetime import Lifetime
from sgtm.server.written import WrittenAnswer
from sgtm.settings import Settings

MOST_HEAD_BYTES = 128 * 1024
"""A head that has not ended by then is none that we could find the end of."""


class Owner(Protocol):
    """Whoever lends: the edge's connection."""

    def lent_is_begun(self) -> None:
        """aiohttp handles the request, so it is known to be under way."""

    def take_back(self) -> None:
        """The lent request is answered, and every byte that was lent belonged to it."""

    def forget_handler(self) -> None:
        """The handler has closed itself while nothing was lent to it."""

    def end_lent(self) -> None:
        """The handler closes the connection that is lent to it."""


class LentTransport(asyncio.Transport):
    """What aiohttp writes to: the real transport while the connection is lent, nothing else."""

    def __init__(self, owner: Owner, wire: asyncio.Transport, handler: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._owner, self._wire, self._protocol = owner, wire, handler
        self.is_lent = False
        self._is_paused = self._is_forgotten = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the socket or of TLS."""
        return self._wire.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_forgotten or self._wire.is_closing()

    def close(self) -> None:
        """End the connection if it is lent, else only the handler's part in it."""
        if self.is_lent:
            self._owner.end_lent()
            self._wire.close()
        else:
            self._forget()

    def abort(self) -> None:
        """The same at once."""
        if self.is_lent:
            self._owner.end_lent()
            self._wire.abort()
        else:
            self._forget()

    def _forget(self) -> None:
        if not self._is_forgotten:
            self._is_forgotten = True
            self._owner.forget_handler()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, if the connection is lent."""
        if self.is_lent:
            self._wire.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send, if the connection is lent."""
        if self.is_lent:
            self._wire.writelines(list_of_data)

    def write_eof(self) -> None:
        """Send nothing more; with `can_write_eof`."""
        if self.is_lent:
            self._wire.write_eof()

    def can_write_eof(self) -> bool:
        """Whether one direction can be closed alone."""
        return self._wire.can_write_eof()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""
        return self._wire.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """When writing is paused and resumed."""
        return self._wire.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When writing is paused and resumed."""
        self._wire.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self.is_lent and not self._is_paused:
            self._is_paused = True
            self._wire.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._is_paused:
            self._is_paused = False
            self._wire.resume_reading()

    def is_reading(self) -> bool:
        """Whether bytes come in."""
        return not self._is_paused

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Only whoever goes on to speak another protocol calls this; nobody here does."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The handler."""
        return self._protocol


class LentConnection(Connection):
    """aiohttp's side of a connection that belongs to the edge."""

    __slots__ = ("_head", "_head_bytes", "_head_due", "_lent_bytes", "_owner", "_transport_of_ours")

    def __init__(
        self,
        listener: Listener,
        settings: Settings,
        counters: Counters,
        peer: Peer | None,
        lifetime: Lifetime,
        owner: Owner,
        wire: asyncio.Transport,
    ) -> None:
        super().__init__(listener, settings, counters, _ADMITTED, peer, lifetime)
        self._owner = owner
        self._head = b""
        self._head_bytes = self._lent_bytes = 0
        self._head_due: float | None = None
        self._transport_of_ours = LentTransport(owner, wire, self)
        self.connection_made(self._transport_of_ours)

    def lend(self, data: bytes, head_since: float | None) -> None:
        """Lend the connection: `data` begins with the first byte of a request. `head_since`: when that came,
        if the head is known not to be complete."""
        self._head, self._head_bytes, self._lent_bytes = b"", 0, 0
        self._head_due = None if head_since is None else head_since + self._settings.head_timeout_s
        self._transport_of_ours.is_lent = True
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Bytes while it is lent."""
        self._lent_bytes += len(data)
        if not self._head_bytes:
            self._find_head(data)
        super().data_received(data)

    def _find_head(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n") + 4
        if end < 4 and len(self._head) <= MOST_HEAD_BYTES:
            return
        head = self._head[:end]
        lines = head.count(b"\r\n")
        is_sure = end >= 4 and lines == head.count(b"\n") == head.count(b"\r")
        self._head_bytes = end if is_sure else -1
        self._head = b""

    def _head_seconds(self) -> float:
        if self._head_due is None or not self._settings.head_timeout_s:
            return super()._head_seconds()
        seconds, self._head_due = self._head_due - self._loop.time(), None
        return max(seconds, 0.001)

    def begin(self, content: StreamReader) -> bool:
        """See Connection."""
        self._owner.lent_is_begun()
        return super().begin(content)

    async def answered(self, request: web.BaseRequest, answer: WrittenAnswer) -> None:
        """Write the answer to its end, then give the connection back if that is safe. aiohttp writes it once
        more, which does nothing."""
        with suppress(ConnectionError):  # aiohttp meets it, too
            await answer.prepare(request)
            await answer.write_eof()
            if self._comes_back(request, answer):
                self._transport_of_ours.resume_reading()
                self._transport_of_ours.is_lent = False
                self._owner.take_back()

    def _comes_back(self, request: web.BaseRequest, answer: WrittenAnswer) -> bool:
        """Only if the head is as long to us as the lines say, aiohttp has begun no other request and read the
        body to its end, and both together are what was lent. What asked for another way of framing stays."""
        return (
            answer.keep_alive
            and "Transfer-Encoding" not in request.headers
            and "Upgrade" not in request.headers
            and self._request_count == self._begun
            and request.content.is_eof()
            and self._head_bytes > 0
            and self._lent_bytes == self._head_bytes + (request.content_length or 0)
            and not self.writing_paused
            and not self._transport_of_ours.is_closing()
        )


class _Admitted(Admission):
    """The edge has counted the connection."""

    def __init__(self) -> None:
        self.open = self.most = self.most_of_one = 0

    def enter(self, peer: Any) -> str:
        return ""

    def leave(self, network: str) -> None:
        pass


_ADMITTED = _Admitted()
