"""The lean sender: a pool of kept connections for each origin, straight on the event loop's transports.

    request -> bytes -> door -> a connection that rests (else dial) -> one write -> answer -> it rests again

It does what `PooledSender` does for a fraction of the work, and raises the same errors. What is here decides
the cost of a delivery: `start` makes no task, no future and no timer of its own for a request, and compiled
code writes what is plain. SPEC: design.md Delivery; reliability 3.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from sgtm._fast.vendor_http import authority_size, write_request
from sgtm.delivery.connection import Connection
from sgtm.delivery.dialing import Dialer
from sgtm.delivery.egress import Passage
from sgtm.delivery.errors import ConnectFailed, Disconnected, Refused, SendError
from sgtm.delivery.exchange import Again, Exchange, OnEnd
from sgtm.delivery.http_sender import HttpSender
from sgtm.delivery.pool import Pool
from sgtm.delivery.request_writer import Written, authority_of, origin_of, put_credential, request_bytes
from sgtm.messages import OutgoingRequest, VendorAnswer

Origin = tuple[str, str, int]
MAX_UNUSED_POOLS = 1_000


class _Road(NamedTuple):
    """All that is known of where a URL leads, by what stands before its path."""

    pool: Pool
    authority: str
    """What the Host header says."""
    host: str
    port: int
    again: Callable[[Exchange], Again | None]


class LeanSender(HttpSender):
    """Sends over kept connections, `connections` at most to one origin; see HttpSender.

    A kept connection may be closed by the vendor in the very moment in which a request leaves: if nothing of
    an answer came and the request can be repeated, it is sent once more, over a new connection.
    """

    _pools: Mapping[Origin, Pool] = MappingProxyType({})
    """Replaced where one is added, never changed."""
    _roads: Mapping[str, _Road] = MappingProxyType({})
    """The same, by what stands before a URL's path; forgotten where a pool is added or goes."""
    _dialer: Dialer | None = None
    """Made with the first connection: it belongs to an event loop."""

    async def _close_connections(self) -> None:
        self._roads = {}
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        if self._dialer is not None:
            await self._dialer.names.settle()

    def start(self, request: OutgoingRequest, timeout_s: float, on_end: OnEnd) -> Exchange | None:
        """Over a connection that rests. What takes more than one write (a new connection, an access token, a
        proxy), is refused or is not plain is for `send`, which says why."""
        size = authority_size(request.url)
        road = self._roads.get(request.url[:size]) or self._find_road(request.url, size)
        if road is None or not road.pool.idle or not self._egress.would_admit(road.host, road.port):
            return None
        data = self._plain(request, size, road.authority)
        connection = road.pool.take() if data is not None else None
        if data is None or connection is None:
            return None
        deadline = asyncio.get_running_loop().time() + timeout_s
        again = road.again if request.can_be_repeated and connection.is_used else None
        exchange = Exchange(data, on_end, deadline, False, again)
        connection.start(exchange)
        return exchange

    def _find_road(self, url: str, size: int) -> _Road | None:
        """Of a URL whose first `size` characters say where it leads; None: nothing was sent there yet, or it
        is no plain URL, or a proxy has to be told."""
        if self._is_closed or not size or self._egress.proxy is not None:
            return None
        try:
            origin = origin_of(url)
        except Refused:
            return None
        pool = self._pools.get(origin)
        if pool is None:
            return None
        road = _Road(pool, authority_of(origin), origin[1], origin[2], partial(self._again, origin))
        known = self._roads if len(self._roads) < MAX_UNUSED_POOLS else {}
        self._roads = {**known, url[:size]: road}
        return road

    def _plain(self, request: OutgoingRequest, size: int, authority: str) -> bytes | None:
        """All of a request, its credential in its place, if it is plain."""
        url, headers, use = request.url, request.headers, request.credential
        if use is not None:
            if use.made_by is not None:
                return None
            every = list(headers)
            try:
                url = put_credential(use, self.credentials, url, every)
            except SendError:
                return None
            headers = tuple(every)
        return write_request(request.method, url, size, authority, headers, request.body)

    def _again(self, origin: Origin, exchange: Exchange) -> Again | None:
        """Nothing of an answer came: over a new connection, unless there are to be no more."""
        return None if self._is_closed else partial(self._once_more, origin, exchange)

    async def _once_more(self, origin: Origin, exchange: Exchange) -> VendorAnswer:
        passage = self._egress.admit_host(origin[1], origin[2])
        pool = self._pools.get(origin) or self._new_pool(origin)
        connection = await self._open(pool, origin, passage, exchange.deadline, is_to_be_new=True)
        return await connection.exchange(
            exchange.request, is_head=exchange.is_head, deadline=exchange.deadline
        )

    async def _exchange(
        self, written: Written, body: bytes, timeout_s: float, can_be_repeated: bool
    ) -> VendorAnswer:
        method, url, _ = written
        origin = origin_of(url)
        passage = self._egress.admit_host(origin[1], origin[2])
        if self._is_closed:
            raise ConnectFailed("the sender is closed")
        request = request_bytes(
            written, origin, body, to_proxy=self._egress.proxy is not None and origin[0] == "http"
        )
        deadline = asyncio.get_running_loop().time() + timeout_s
        pool = self._pools.get(origin) or self._new_pool(origin)
        connection = pool.take() or await self._open(pool, origin, passage, deadline)
        if not (can_be_repeated and connection.is_used):
            return await connection.exchange(request, is_head=method == "HEAD", deadline=deadline)
        try:
            return await connection.exchange(request, is_head=method == "HEAD", deadline=deadline)
        except Disconnected:
            if self._is_closed or not connection.is_untouched:
                raise
        connection = await self._open(pool, origin, passage, deadline, is_to_be_new=True)
        return await connection.exchange(request, is_head=method == "HEAD", deadline=deadline)

    async def _open(
        self, pool: Pool, origin: Origin, passage: Passage, deadline: float, *, is_to_be_new: bool = False
    ) -> Connection:
        """See `Pool.open`. Raises ConnectFailed or the door's Refused."""
        dialer = self._dialer = self._dialer or Dialer(self._egress, self._tls, self._connect_timeout_s)
        try:
            async with asyncio.timeout_at(deadline):
                return await pool.open(partial(dialer.dial, origin, passage), is_to_be_new=is_to_be_new)
        except TimeoutError:
            pass
        raise ConnectFailed("no connection in time")

    def _new_pool(self, origin: Origin) -> Pool:
        """Hosts may come from events: pools that hold nothing are forgotten when there are many."""
        pools = self._pools
        if len(pools) >= MAX_UNUSED_POOLS:
            pools = {key: pool for key, pool in pools.items() if not pool.is_unused}
        self._roads = {}
        pool = Pool(self._connections)
        self._pools = {**pools, origin: pool}
        return pool
