"""How seeds are written: a class, a reason, and the bytes of one connection."""

from collections.abc import Callable, Iterable, Mapping

TARGET = b"/g/collect?v=2&en=a"
HOST = b"Host: shop.example"
GET = b"GET " + TARGET + b" HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"4\r\nen=x\r\n0\r\n\r\n"

Seeds = dict[str, bytes]


def post(*lines: bytes, body: bytes = b"en=x", end: bytes = b"\r\n", host: bytes = HOST) -> bytes:
    """A POST with these headers."""
    return end.join([b"POST " + TARGET + b" HTTP/1.1", host, *lines, b"", b""]) + body


def get(*lines: bytes, start: bytes = GET, host: bytes = HOST + b"\r\n") -> bytes:
    """A GET, or what else `start` says; `host`: a whole line, with its end."""
    return start + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def to(target: bytes, *lines: bytes) -> bytes:
    """A GET of this target."""
    return get(*lines, start=b"GET " + target + b" HTTP/1.1")


SMUGGLED = get(start=b"GET /g/collect?smuggled HTTP/1.1")
"""A second request, which whoever is fooled answers, too."""


def seeds(number: int, texts: Mapping[str, bytes]) -> Seeds:
    """Seeds of one class, each under the reason why it is one."""
    return {f"{number} {reason}": text for reason, text in texts.items()}


def family(number: int, reason: str, make: Callable[[bytes], bytes], values: Iterable[bytes]) -> Seeds:
    """Seeds that differ in one value, which the reason shows in place of `{}`."""
    return {f"{number} {reason.format(shown(value))}": make(value) for value in values}


def shown(value: bytes) -> str:
    """Bytes for people."""
    text = repr(value)[2:-1]
    return f"<{text}>" if len(text) < 50 else f"<{text[:20]}...{len(value)} bytes>"
