"""The upstream of scripts: one host, chosen by the operator; nothing of the visitor goes there.

A request carries a path, a query and constant headers. No address, cookie, language, user agent or
referrer of the visitor: one copy is for all visitors, so it may depend on none. An answer is a script
only if it is 200, complete, of the right type, not empty and not larger than 4 MB (R292).
"""

import aiohttp
from msgspec import Struct
from yarl import URL

from sgtm.delivery.egress import Egress
from sgtm.delivery.errors import Refused
from sgtm.delivery.tls import verified_context
from sgtm.errors import SgtmError
from sgtm.messages import ServeScript

FETCH_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
MAX_BYTES = 4 * 1024 * 1024
CONNECTIONS = 64
"""As many as fetches (scripts.py), so that none waits for another's connection."""
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "sgtm"}
_TYPES = {"script": "javascript", "page": "text/html"}


class UpstreamFailed(SgtmError):
    """No usable script came; the reason is one of few texts, without the URL."""


class Fetched(Struct, frozen=True):
    """A script as the upstream gave it."""

    body: bytes
    content_type: str
    etag: str = ""


class Upstream:
    """Fetches scripts. No cookies, redirects or environment proxies; TLS always verified, 1.2 or later."""

    def __init__(self, origin: str, egress: Egress) -> None:
        """`origin` is scheme, host and perhaps port, for example `https://www.googletagmanager.com`."""
        self._origin, self._egress = origin, egress
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, script: ServeScript, etag: str = "") -> Fetched | None:
        """The script, or None where the one with `etag` is still good. Raises UpstreamFailed only."""
        passage = None
        try:
            url = f"{self._origin}{script.path}?{script.query}"
            passage = self._egress.admit(url)
            return await self._fetch(url, script, etag)
        except UpstreamFailed:
            raise
        except Refused as error:
            reason = str(error)
        except TimeoutError:
            reason = "no complete answer in time"
        except aiohttp.ClientSSLError:
            reason = "the certificate or TLS of the host was not accepted"
        except aiohttp.ClientConnectorError:
            refusal = passage.refusal if passage is not None else None
            reason = str(refusal) if refusal is not None else "no connection to the host"
        except Exception as error:
            reason = f"the connection broke, or the answer was no proper HTTP ({type(error).__name__})"
        # raised out here: the library's exception knows the URL and is not to be the context
        raise UpstreamFailed(reason)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _fetch(self, url: str, script: ServeScript, etag: str) -> Fetched | None:
        session = self._session or self._open()
        headers = {"If-None-Match": etag} if etag else None
        async with session.get(
            URL(url, encoded=True), headers=headers, allow_redirects=False, proxy=self._egress.proxy
        ) as answer:
            if answer.status == 304 and etag:
                return None
            content_type = _check_head(answer, script)
            body = await _read(answer)
        if not body.strip():
            raise UpstreamFailed("empty answer")
        tag = answer.headers.get("ETag", "")
        return Fetched(body, content_type, tag if _is_plain(tag) else "")

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=self._egress.connector(CONNECTIONS, verified_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        )
        return self._session


def _check_head(answer: aiohttp.ClientResponse, script: ServeScript) -> str:
    """The content type. Raises UpstreamFailed where this is no answer to use."""
    if answer.status != 200:
        raise UpstreamFailed(f"HTTP {answer.status}")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UpstreamFailed("a compressed answer that nobody asked for")
    content_type = answer.headers.get("Content-Type", "")
    if _TYPES[script.kind] not in content_type.lower() or not _is_plain(content_type):
        raise UpstreamFailed("content of another type")
    return content_type


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body. Raises UpstreamFailed where it is too large."""
    body = bytearray()
    while chunk := await answer.content.readany():
        body += chunk
        if len(body) > MAX_BYTES:
            answer.close()
            raise UpstreamFailed("too large")
    return bytes(body)
