"""Dialer: from a host to a connection, every attempt through the egress door.

    name -> addresses -> socket (the door judges it) -> connected -> CONNECT of a proxy -> TLS, verified

One time-out covers all of it. SPEC: reliability 3, rules 2, 3 and 6; requirements R216.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable

from aiohappyeyeballs import start_connection

from sgtm.delivery.connection import Connection
from sgtm.delivery.egress import Egress, Passage
from sgtm.delivery.errors import ConnectFailed, SendError
from sgtm.delivery.names import Names

NEXT_ADDRESS_AFTER_S = 0.25
"""An address that has not answered by then is not waited for alone (RFC 8305, 5)."""
MAX_PROXY_HEAD_BYTES = 16_384
_ESTABLISHED = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9][ \r]")


class Dialer:
    """Made inside the event loop that it works in."""

    def __init__(self, egress: Egress, tls: ssl.SSLContext, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._egress, self._tls, self._timeout_s = egress, tls, timeout_s
        self.names = Names(egress.resolver)

    async def dial(
        self, origin: tuple[str, str, int], passage: Passage, make: Callable[[], Connection]
    ) -> Connection:
        """A connection that is ready for a request. Raises ConnectFailed, or the door's Refused."""
        failure: SendError
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._connect(origin, passage, make)
        except ConnectFailed as error:
            failure = error
        except Exception as error:  # whatever the resolver, the loop or TLS makes of it
            failure = passage.refusal or _wrapped(error)
        raise failure

    async def _connect(
        self, origin: tuple[str, str, int], passage: Passage, make: Callable[[], Connection]
    ) -> Connection:
        scheme, host, port = origin
        proxy = self._egress.proxy
        first = (host.strip("[]"), port) if proxy is None else (proxy.host or "", proxy.port or 80)
        connected = await start_connection(
            await self.names.addresses(*first),
            happy_eyeballs_delay=NEXT_ADDRESS_AFTER_S,
            interleave=1,
            socket_factory=self._egress.open_socket,
        )
        try:
            if proxy is not None and scheme == "https":
                await self._tunnel(connected, f"{host.rstrip('.')}:{port}")
            context, name = (self._tls, passage.host) if scheme == "https" else (None, None)
            _, connection = await self._loop.create_connection(
                make, sock=connected, ssl=context, server_hostname=name
            )
        except BaseException:
            connected.close()
            raise
        return connection

    async def _tunnel(self, connected: socket.socket, there: str) -> None:
        """Have the proxy connect. Raises ConnectFailed."""
        await self._loop.sock_sendall(
            connected, f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_PROXY_HEAD_BYTES:
            chunk = await self._loop.sock_recv(connected, 4_096)
            if not chunk:
                break
            head += chunk
        # Whoever is behind the proxy says nothing before we do: more than the head is not for us.
        if _ESTABLISHED.match(head) is None or not head.endswith(b"\r\n\r\n"):
            raise ConnectFailed("the egress proxy made no connection")


def _wrapped(error: Exception) -> ConnectFailed:
    match error:
        case TimeoutError() if error.errno is None:
            return ConnectFailed("no connection in time")
        case socket.gaierror() | UnicodeError() if not isinstance(error, ssl.SSLError):
            return ConnectFailed("the name of the host was not found")
        case ssl.SSLError():
            return ConnectFailed("the certificate or TLS of the host was not accepted")
    return ConnectFailed("no connection to the host")
