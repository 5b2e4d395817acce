"""The sender over a general client library: aiohttp's ClientSession."""

import asyncio
from contextlib import suppress
from functools import lru_cache

import aiohttp
from yarl import URL

from sgtm.delivery.errors import BadAnswer, ConnectFailed, Disconnected, Refused, SendError, TimedOut
from sgtm.delivery.http_sender import MAX_KEPT_BYTES, MAX_READ_BYTES, HttpSender
from sgtm.delivery.request_writer import Written
from sgtm.messages import VendorAnswer


class PooledSender(HttpSender):
    """Sends over kept connections; see HttpSender."""

    _session: aiohttp.ClientSession | None = None
    """Opened with the first request: it belongs to an event loop."""

    async def _close_connections(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self, written: Written, body: bytes, timeout_s: float, can_be_repeated: bool
    ) -> VendorAnswer:
        passage = self._egress.admit(written[1])
        try:
            return await self._ask(written, body, _bounds(timeout_s, self._connect_timeout_s))
        except Exception as error:
            failure = _wrapped(error)
            if passage.refusal is not None and isinstance(failure, ConnectFailed):
                failure = passage.refusal
        # Raised out here so that the library's exception, which knows the URL, is not its context.
        raise failure

    async def _ask(self, written: Written, body: bytes, bounds: aiohttp.ClientTimeout) -> VendorAnswer:
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


@lru_cache(64)
def _bounds(timeout_s: float, connect_timeout_s: float) -> aiohttp.ClientTimeout:
    # One object for each time-out that tags ask for: a handful, so they are kept.
    return aiohttp.ClientTimeout(total=timeout_s, sock_connect=connect_timeout_s)


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
