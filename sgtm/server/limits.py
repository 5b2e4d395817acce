"""How large and how slow a request may be, and what is answered beyond that.

SPEC: reliability 2.4. Every refusal closes the connection, is counted by its reason and never
repeats anything of the request. aiohttp's parser holds the limits of the target, of one header and
of their number while it reads; the rest is checked here.
"""

import asyncio
from collections.abc import Iterable, Sequence

from aiohttp import web
from msgspec import Struct

from sgtm.server.packed import ENCODINGS, Bomb, Damaged, unpack
from sgtm.settings import Settings

Headers = tuple[tuple[bytes, bytes], ...]


class Refusal(Exception):
    """The request is not served. `reason` is the label of the counter and, with the status, all
    that the requester is told."""

    def __init__(self, status: int, reason: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


BAD_REQUEST = (400, "malformed request")
BROKEN_BODY = (400, "broken body")
DAMAGED_BODY = (400, "damaged packed body")
SLOW_HEAD = (408, "slow head")
SLOW_BODY = (408, "slow body")
LOW_BODY_RATE = (408, "low body rate")
LARGE_BODY = (413, "large body")
LARGE_UNPACKED = (413, "large unpacked body")
HIGH_RATIO = (413, "body packed too tightly")
LONG_TARGET = (414, "long target")
UNKNOWN_ENCODING = (415, "unknown content encoding")
UNKNOWN_EXPECTATION = (417, "unknown expectation")
UNKNOWN_HOST = (421, "host not served")
TOO_MANY_REQUESTS = (429, "too many requests")
LARGE_HEADERS = (431, "large headers")
INTERNAL_ERROR = (500, "internal error")
SHORT_OF_MEMORY = (503, "short of memory")
UNKNOWN_VERSION = (505, "unknown version")

RETRY_LATER = (("Retry-After", "5"),)

BYTES_PER_SECOND = 16 * 1024
"""A body gets one more second for each of these (SPEC: reliability 2.4, body complete)."""


class Limits(Struct, frozen=True):
    """The limits of one worker: those of the settings, and the paths to which the wider ones apply."""

    settings: Settings
    named_paths: frozenset[str] = frozenset()
    """Paths that clients of the container name: their targets may be longer."""

    @classmethod
    def of(cls, settings: Settings, named_paths: Iterable[str]) -> "Limits":
        """Limits for a container whose clients name these paths."""
        return cls(settings, frozenset(named_paths))

    def check_head(self, target: str, path: str, headers: Headers) -> None:
        """Raise Refusal if the target, a header, or all headers together are too long."""
        settings = self.settings
        if len(target) > settings.request_line_bytes and path not in self.named_paths:
            raise Refusal(*LONG_TARGET)
        sizes = [len(name) + len(value) for name, value in headers]
        # aiohttp's own limit of a header leaves out the name of all but the first
        if sum(sizes) > settings.headers_bytes or (sizes and max(sizes) > settings.header_bytes):
            raise Refusal(*LARGE_HEADERS)

    def body_bytes(self, *, is_collect: bool) -> int:
        """The largest body: a browser's beacon is small, a webhook may be large."""
        return self.settings.collect_body_bytes if is_collect else self.settings.body_bytes

    async def read_body(self, request: web.BaseRequest, *, is_collect: bool) -> bytes:
        """The body as it came; `unpack` is next. Raises Refusal: too large, too slow, broken."""
        most = self.body_bytes(is_collect=is_collect)
        length = request.content_length
        if length is not None and length > most:
            raise Refusal(*LARGE_BODY)
        content = request.content
        try:
            if content.is_eof():
                body = content.read_nowait()
                if len(body) > most:
                    raise Refusal(*LARGE_BODY)
                return body
            return await self._read_slowly(request, most)
        except (web.RequestPayloadError, ConnectionError, RuntimeError):
            # aiohttp: broken chunks, a lost connection, reading from a connection that is gone
            raise Refusal(*BROKEN_BODY) from None

    def unpack(self, headers: Headers, body: bytes, *, is_collect: bool) -> tuple[Headers, bytes]:
        """Headers and body without Content-Encoding. Raises Refusal: a bomb, damaged, packed unknown."""
        found = [value.strip().lower() for name, value in headers if name == b"content-encoding"]
        if not body or found in ([], [b""], [b"identity"]):
            return headers, body
        most = self.settings.unpacked_bytes
        if is_collect:
            most = min(most, self.settings.collect_body_bytes)
        try:
            body = unpack(body, b", ".join(found).decode("latin-1"), most, self.settings.unpacked_ratio)
        except KeyError:
            accepted = ("Accept-Encoding", ", ".join(ENCODINGS))
            raise Refusal(*UNKNOWN_ENCODING, (accepted,)) from None
        except Bomb as bomb:
            raise Refusal(*(LARGE_UNPACKED if bomb.by == "size" else HIGH_RATIO)) from None
        except Damaged:
            raise Refusal(*DAMAGED_BODY) from None
        return tuple(header for header in headers if header[0] != b"content-encoding"), body

    async def _read_slowly(self, request: web.BaseRequest, most: int) -> bytes:
        started = asyncio.get_running_loop().time()
        parts: list[bytes] = []
        size = 0
        seconds, beyond = self._body_time(size)
        try:
            async with asyncio.timeout(seconds) as deadline:
                while part := await request.content.readany():
                    size += len(part)
                    if size > most:
                        raise Refusal(*LARGE_BODY)
                    parts.append(part)
                    seconds, beyond = self._body_time(size)
                    deadline.reschedule(started + seconds)
        except TimeoutError:
            raise Refusal(*beyond) from None
        return b"".join(parts)

    def _body_time(self, size: int) -> tuple[float, tuple[int, str]]:
        """Seconds from its start in which more than `size` bytes of a body must have come, and what it
        is called if they have not: the time-out of the whole, or the lowest average rate."""
        settings = self.settings
        whole = settings.body_timeout_s + size / BYTES_PER_SECOND
        if settings.body_rate_bytes:
            at_rate = settings.body_grace_s + size / settings.body_rate_bytes
            if at_rate < whole:
                return at_rate, LOW_BODY_RATE
        return whole, SLOW_BODY
