"""The edge: makes the connections of a worker, and ends them. What one of them does: `edge_connection.py`."""

import asyncio
from contextlib import suppress

from sgtm.server.connection import Peer
from sgtm.server.edge_connection import EdgeConnection, Terms


class Edge(Terms):
    """Makes an EdgeConnection for each accepted socket: a protocol factory, as Listener is."""

    def __call__(self) -> EdgeConnection:
        """A new connection."""
        return EdgeConnection(self)

    def connection_of(self, peer: Peer | None) -> EdgeConnection:
        """A new connection of `peer`, who may be another than the socket's."""
        return EdgeConnection(self, peer)

    def close_idle(self) -> None:
        """End every connection on which nothing is under way: there is need of memory."""
        for connection in list(self.connections):
            if connection.close_if_idle():
                self.counters.add("sgtm_connections_closed_total", "memory")

    def close(self) -> None:
        """The end: close what is not lent, when its last answer is read."""
        for connection in list(self.connections):
            connection.close_unless_lent()

    async def finish(self, within_s: float) -> None:
        """Wait for the readers of last answers, then end every connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.connections:  # noqa: ASYNC110  # once in a worker's life
                    await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()
