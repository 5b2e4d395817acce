"""From the listening socket to a Connection: PROXY protocol, then TLS, then HTTP.

Plain connections are accepted by the event loop. With the PROXY protocol, the header of a trusted
peer is taken from the socket, and not a byte more, before anything else sees the connection. Other
peers send none: what they write is HTTP or TLS, and whatever they claim is claimed in vain (SPEC:
reliability 5, rule 6). Connections that are in their header or in a TLS handshake fill a worker as
others do, and are waited for at its end.
"""

import asyncio
import logging
import socket
import ssl
from contextlib import suppress
from typing import Protocol

from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.server.admission import Admission
from sgtm.server.connection import Peer
from sgtm.server.listening import BACKLOG
from sgtm.server.proxy import TrustedProxies
from sgtm.server.proxy_protocol import MAX_V2_BYTES, read_proxy_header
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

ACCEPTED_AT_ONCE = 64
BEGIN_S = 1.0
"""How long the last connections have for the PROXY header and TLS, at shutdown."""
NO_DESCRIPTOR_S = 1.0
"""How long nothing is accepted after the kernel had no descriptor left, as asyncio does."""


def require_trusted_proxies(settings: Settings) -> None:
    """Raise SettingsError where no header would ever be read."""
    if settings.proxy_protocol and not settings.trusted_proxies:
        raise SettingsError(
            "nobody is trusted to send a header", where="--proxy-protocol", mend="name your --trusted-proxy"
        )


class Makes(Protocol):
    """Makes the protocol of a connection."""

    def __call__(self) -> asyncio.Protocol:
        """Of whom the socket says."""

    def connection_of(self, peer: Peer | None) -> asyncio.Protocol:
        """Of `peer`, who may be another than the socket's."""


class Acceptor:
    """Accepts for one worker. `tls`: the context for connections that begin with a handshake."""

    def __init__(
        self,
        listening: socket.socket,
        listener: Makes,
        settings: Settings,
        counters: Counters,
        admission: Admission,
        proxies: TrustedProxies,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listening, self._listener, self._tls = listening, listener, tls
        self._counters, self._admission, self._proxies = counters, admission, proxies
        self._expects_header = settings.proxy_protocol
        self._head_timeout_s = settings.head_timeout_s or None
        self._handshake_timeout_s = settings.tls_handshake_timeout_s if tls is not None else None
        self._beginnings = Admission(
            settings, proxies, counters, most=settings.connection_beginnings, full="beginnings full"
        )
        """Who has not come to HTTP yet; of one address not more than it may have connections."""
        self._server: asyncio.Server | None = None
        self._accepts_itself = settings.proxy_protocol or tls is not None
        self.is_accepting = False
        """Between `start` and `stop`."""
        self._begun: set[asyncio.Task[None]] = set()
        """One for each connection that has not come to HTTP yet."""

    async def start(self) -> None:
        """Accept from now on."""
        self.is_accepting = True
        if self._accepts_itself:
            self._listening.setblocking(False)
            self._listen()
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._listener, sock=self._listening, backlog=BACKLOG)

    def stop(self) -> None:
        """Accept no more, and close the listening socket."""
        if not self.is_accepting:
            return
        self.is_accepting = False
        if self._server is not None:
            self._server.close()
        else:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()

    async def finish(self) -> None:
        """Let connections that are at their beginning come to HTTP, and give up those that are slow."""
        if self._begun:
            _, slow = await asyncio.wait(self._begun, timeout=BEGIN_S)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    def take(self, connection: socket.socket) -> asyncio.Task[None]:
        """Serve a connection that was accepted: done when it has come to HTTP, or to nothing."""
        connection.setblocking(False)
        task = asyncio.ensure_future(self._begin(connection))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return task

    def _listen(self) -> None:
        if self.is_accepting:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        """Somebody waits: take all who do, up to a number that leaves the loop its turn."""
        try:
            for _ in range(ACCEPTED_AT_ONCE):
                self._let_in(self._listening.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.error("cannot accept", extra={"error": error.strerror})
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listening)
            loop.call_later(NO_DESCRIPTOR_S, self._listen)

    def _let_in(self, connection: socket.socket) -> None:
        if self._admission.open + len(self._begun) < self._admission.most:
            self._admit(connection)
        else:
            self._counters.add("sgtm_connections_closed_total", "worker full")
            connection.close()

    def _admit(self, connection: socket.socket) -> None:
        network = None
        with suppress(OSError):  # gone already
            network = self._beginnings.enter(connection.getpeername())
        if network is None:
            connection.close()
            return
        self.take(connection).add_done_callback(lambda _: self._beginnings.leave(network))

    async def _begin(self, connection: socket.socket) -> None:
        try:
            peer = await self._peer_of(connection)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            connection.close()
            what = "slow proxy header" if isinstance(error, TimeoutError) else "no proxy header"
            self._counters.add("sgtm_connections_closed_total", what)
            return
        except asyncio.CancelledError:
            connection.close()
            raise
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._listener.connection_of(peer),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_timeout_s,
            )
        except OSError as error:  # an SSLError is one, too
            # what both event loops raise where a handshake takes too long
            is_slow = isinstance(error, ConnectionAbortedError)
            self._counters.add(
                "sgtm_connections_closed_total", "slow handshake" if is_slow else "failed handshake"
            )

    async def _peer_of(self, connection: socket.socket) -> Peer | None:
        """Whom a balancer of ours names; None: the socket's peer. Raises ValueError, OSError."""
        if not self._expects_header or not self._proxies.judge_peer(connection.getpeername()[0])[1]:
            return None
        async with asyncio.timeout(self._head_timeout_s):
            source = await take_proxy_header(connection)
        return (source, 0) if source else None


async def take_proxy_header(connection: socket.socket) -> str:
    """Take the header off a non-blocking socket; the source that it names, or "".

    Raises ValueError where there is none, OSError where the connection ends."""
    head = b""
    while True:
        await _readable(connection)
        seen = connection.recv(MAX_V2_BYTES, socket.MSG_PEEK)
        if not seen:
            raise ValueError("closed before its header was complete")
        header = read_proxy_header(head + seen)
        head += connection.recv(len(seen) if header is None else header.size - len(head))
        if header is not None:
            return header.source


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(connection, wake)
    try:
        await readable
    finally:
        loop.remove_reader(connection)
