"""Sender: one method that takes an outgoing request to its vendor and brings the answer back.

Lanes, tests and benchmarks know only the protocol and the closed list of errors beside it
(`errors.py`), so another sender can take the place of this one unseen.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

import aiohttp
from yarl import URL

from sgtm.delivery.clock import Clock, LoopClock
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.errors import BadAnswer, ConnectFailed, Disconnected, Refused, SendError, TimedOut
from sgtm.delivery.request_writer import Written, write_parts, write_request
from sgtm.delivery.tls import verified_context
from sgtm.delivery.tokens import Tokens
from sgtm.messages import CredentialUse, MadeBy, OutgoingRequest, VendorAnswer

MAX_KEPT_BYTES = 1_048_576
MAX_READ_BYTES = 8 * MAX_KEPT_BYTES
_LEAST_S = 0.001
"""Nothing left of a time-out is not the library's zero, which means for ever."""


class Sender(Protocol):
    """Whoever can send a request."""

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """The vendor's complete answer, whatever its status. Raises only SendError."""


class PooledSender:
    """Sends over kept connections; `async with` it, or `close()` it.

    No cookies, no redirects, no proxies from the environment, TLS always verified (1.2 or later;
    `ca_file` adds an authority), nothing decompressed because nothing compressed is asked for.
    `connections` bounds the sockets to one host: 1,000 is 10,000 requests a second at 100 ms.
    `egress` says what may be connected to, of which nobody is asked twice; without one, public hosts.
    """

    def __init__(
        self,
        credentials: Credentials,
        egress: Egress | None = None,
        *,
        connect_timeout_s: float = 3.0,
        connections: int = 1_000,
        ca_file: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.credentials = credentials
        self._egress = egress or Egress()
        self._connect_timeout_s, self._connections = connect_timeout_s, connections
        self._tls = verified_context(ca_file)
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._tokens = Tokens(credentials, self._post, clock or LoopClock())

    async def __aenter__(self) -> "PooledSender":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; what is still under way fails as Disconnected."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
        await self._tokens.settle()

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """See Sender. `timeout_s` covers everything from the connection to the answer's last byte."""
        use = request.credential
        if use is not None and use.made_by is not None:
            return await self._send_with_token(request, use, use.made_by, timeout_s)
        written = write_request(request, self.credentials)
        return await self._send(written, request.body, self._timeout(timeout_s))

    async def _send_with_token(
        self, request: OutgoingRequest, use: CredentialUse, made_by: MadeBy, timeout_s: float
    ) -> VendorAnswer:
        """Get the token, and another one if the vendor says 401 to the first, all in one time-out."""
        now = asyncio.get_running_loop().time
        deadline = now() + timeout_s

        async def send(token: str) -> VendorAnswer:
            written = write_request(request, self.credentials, token)
            left_s = max(_LEAST_S, deadline - now())
            return await self._send(written, request.body, self._new_timeout(left_s))

        token = await self._tokens.token(use, made_by, deadline)
        answer = await send(token)
        if answer.status == 401 and self._tokens.may_replace(made_by, token):
            answer = await send(await self._tokens.token(use, made_by, deadline))
        return answer

    async def _post(
        self, url: str, headers: tuple[tuple[str, str], ...], body: bytes, timeout_s: float
    ) -> VendorAnswer:
        """Take a form to a token endpoint."""
        return await self._send(write_parts("POST", url, headers), body, self._timeout(timeout_s))

    async def _send(self, written: Written, body: bytes, bounds: aiohttp.ClientTimeout) -> VendorAnswer:
        passage = self._egress.admit(written[1])
        try:
            return await self._exchange(written, body, bounds)
        except Exception as error:
            failure = _wrapped(error)
            if passage.refusal is not None and isinstance(failure, ConnectFailed):
                failure = passage.refusal
        # Raised out here so that the library's exception, which knows the URL, is not its context.
        raise failure

    async def _exchange(self, written: Written, body: bytes, bounds: aiohttp.ClientTimeout) -> VendorAnswer:
        if self._is_closed:
            raise ConnectFailed("the sender is closed")
        method, url, headers = written
        session = self._session or self._open()
        async with session.request(
            method,
            _target(url),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            proxy=self._egress.proxy,
            timeout=bounds,
        ) as response:
            kept = await _read_body(response)
            raw = response.raw_headers
        pairs = tuple(
            (name.decode("latin-1").lower(), value.decode("utf-8", "replace")) for name, value in raw
        )
        return VendorAnswer(response.status, pairs, kept)

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=self._egress.connector(self._connections, self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
        )
        return self._session

    def _timeout(self, timeout_s: float) -> aiohttp.ClientTimeout:
        # One object for each time-out that tags ask for: a handful, so they are kept.
        timeout = self._timeouts.get(timeout_s)
        if timeout is None:
            timeout = self._timeouts[timeout_s] = self._new_timeout(timeout_s)
        return timeout

    def _new_timeout(self, timeout_s: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._connect_timeout_s)


def _target(url: str) -> URL:
    """Raises Refused for what only looks like an address (`[127.0.0.1]`)."""
    with suppress(ValueError):
        return URL(url, encoded=True)
    raise Refused("not a URL", where="url", mend="write https://host/path")


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """The first 1 MB. More is read and thrown away up to 8 MB, so that the connection can be kept;
    beyond that the connection is closed (SPEC: reliability 3, rule 8)."""
    content = response.content
    kept = bytearray()
    count = 0
    while chunk := await content.readany():
        count += len(chunk)
        if len(kept) < MAX_KEPT_BYTES:
            kept += chunk[: MAX_KEPT_BYTES - len(kept)]
        if count > MAX_READ_BYTES:
            response.close()
            break
    return bytes(kept)


def _wrapped(error: Exception) -> SendError:
    """Our error for whatever was raised. Order matters: the library's classes overlap."""
    match error:
        case SendError():
            return error
        case aiohttp.ConnectionTimeoutError():
            return ConnectFailed("no connection in time")
        case aiohttp.ClientHttpProxyError():
            return ConnectFailed("the egress proxy made no connection")
        case asyncio.TimeoutError():
            return TimedOut("no complete answer in time")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return ConnectFailed("the certificate or TLS of the host was not accepted")
        case aiohttp.ClientConnectorDNSError():
            return ConnectFailed("the name of the host was not found")
        case aiohttp.ClientConnectorError():
            return ConnectFailed("no connection to the host")
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | OSError():
            return Disconnected("the connection broke before the answer was complete")
        case aiohttp.InvalidURL():
            return Refused("not a URL", where="url", mend="write https://host/path")
    return BadAnswer(f"the answer is not proper HTTP ({type(error).__name__})")
