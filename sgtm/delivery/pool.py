"""Connections to one origin: used again, latest first, never for another name.

At most `limit` of them; who comes then waits for his turn. A connection ends after 30 s of rest, and at an
age at which the host's name may lead elsewhere.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sgtm.delivery.connection import Connection
from sgtm.delivery.egress import KEPT_IDLE_S
from sgtm.delivery.errors import ConnectFailed

MAX_AGE_S = 300.0
"""Give or take 10 %, so that those which began together do not end together."""
MAX_DIALING = 128
"""A thousand TLS handshakes at once would all be too late."""
CLOSE_TIMEOUT_S = 1.0

Dial = Callable[[Callable[[], Connection]], Awaitable[Connection]]
"""Connects with a protocol of that factory."""


class Pool:
    """Made inside the event loop that it works in."""

    def __init__(self, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._open: set[Connection] = set()
        self._dialing = 0
        """Places that are taken by connections which are being made."""
        self.idle: dict[Connection, float] = {}
        """Those that rest, as far as can be known, and since when; the latest is last."""
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        """None: there is a place for a connection of one's own."""
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed, self._gone = False, asyncio.Event()

    @property
    def is_unused(self) -> bool:
        """Whether it holds nothing."""
        return not (self._open or self._dialing or self._waiters)

    def take(self) -> Connection | None:
        """A connection that rests, if there is one."""
        now = self._loop.time()
        while self.idle:
            connection, since = self.idle.popitem()
            if connection.is_open and now < since + KEPT_IDLE_S:
                return connection
            connection.abort()
        return None

    async def open(self, dial: Dial, *, is_to_be_new: bool = False) -> Connection:
        """A connection of one's own or, where there are too many, the next that is free: itself, or a new
        one in its place.

        Raises ConnectFailed and what `dial` raises."""
        if self._has_place():
            self._dialing += 1
        elif (free := await self._turn()) is not None:
            if free.is_open and not is_to_be_new:  # it may have been lost since it was given
                return free
            free.abort()
            self._dialing += 1
        try:
            self._require_open()
            connection = await dial(self._new)
            if self._is_closed:
                connection.abort()
            self._require_open()
            if not connection.is_open:  # lost already, and `_lost` may have been called
                raise ConnectFailed("the host closed the connection at once")
            connection.good_until = self._loop.time() + MAX_AGE_S * random.uniform(0.9, 1.1)
            self._open.add(connection)
            return connection
        finally:
            self._dialing -= 1
            self._give_places()

    async def close(self) -> None:
        """Close all of them, and see them gone. What is under way fails as Disconnected."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._open):
            connection.abort()
        self._give_places()  # who gets one fails
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._gone.wait()

    def _has_place(self) -> bool:
        return self._dialing < MAX_DIALING and len(self._open) + self._dialing < self._limit

    def _require_open(self) -> None:
        if self._is_closed:
            raise ConnectFailed("the sender is closed")

    def _new(self) -> Connection:
        return Connection(self._freed, self._lost)

    async def _turn(self) -> Connection | None:
        """Wait for a free connection, or for a place, which is then taken."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):
                    self._waiters.remove(waiter)
            elif (free := waiter.result()) is not None:
                self._freed(free)
            else:
                self._dialing -= 1
                self._give_places()
            raise

    def _freed(self, connection: Connection) -> None:
        """It may take another request."""
        now = self._loop.time()
        if now >= connection.good_until or not connection.is_open:
            connection.abort()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.idle[connection] = now
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(KEPT_IDLE_S, self._sweep)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        self.idle.pop(connection, None)
        self._give_places()
        if self._is_closed and not self._open:
            self._gone.set()

    def _give_places(self) -> None:
        while self._waiters and self._has_place():
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._dialing += 1
                waiter.set_result(None)

    def _sweep(self) -> None:
        """Close what has rested for too long, or is too old; look again while anything rests."""
        now = self._loop.time()
        for connection, since in list(self.idle.items()):
            if now >= min(since + KEPT_IDLE_S, connection.good_until):
                del self.idle[connection]
                connection.abort()
        self._sweeping = self._loop.call_later(KEPT_IDLE_S / 2, self._sweep) if self.idle else None
