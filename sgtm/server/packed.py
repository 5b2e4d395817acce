"""Request bodies that come packed: unpacked here, bounded while they are, never after.

SPEC: requirement R206; reliability 2.4 (decompressed body 4 MB, ratio 100) and 2.2 class 9 (bombs).
aiohttp would unpack by itself, without a limit of ours: `Connection` turns that off.
"""

import zlib
from collections.abc import Callable, Iterator

import brotli

RATIO_FROM_BYTES = 64 * 1024
"""Up to here a body may be as repetitive as it likes: a short list of equal items packs 1:200."""
_STEP_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


class Bomb(Exception):
    """The body unpacks to more than is allowed; `by` says which limit: "size" or "ratio"."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class Damaged(Exception):
    """The body is no such packing, is cut off, or goes on after its end."""


Step = Callable[[bytes], Iterator[bytes]]


def _inflate(wbits: int) -> Step:
    def steps(body: bytes) -> Iterator[bytes]:
        stream = zlib.decompressobj(wbits)
        while not stream.eof:
            part = stream.decompress(body, _STEP_BYTES)
            body = stream.unconsumed_tail
            if not part and not body:
                break
            yield part
        if not stream.eof or stream.unused_data:
            raise Damaged

    return steps


def _brotli(body: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    part = stream.process(body, output_buffer_limit=_STEP_BYTES)
    while part:
        yield part
        part = b"" if stream.is_finished() else stream.process(b"", output_buffer_limit=_STEP_BYTES)
    if not stream.is_finished():
        raise Damaged


_GZIP, _ZLIB, _RAW = _inflate(31), _inflate(15), _inflate(-15)


def _deflate(body: bytes) -> Iterator[bytes]:
    """`deflate` means zlib's wrapping (RFC 9110 8.4.1.2); some senders leave the wrapping out."""
    is_wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    return (_ZLIB if is_wrapped else _RAW)(body)


_STEPS: dict[str, Step] = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _deflate, "br": _brotli}
ENCODINGS = ("gzip", "deflate", "br")


def unpack(body: bytes, encoding: str, most: int, ratio: int) -> bytes:
    """The body without its `Content-Encoding`, `most` bytes and `ratio` times its size at most.

    Raises KeyError for an encoding that is none of ENCODINGS, Bomb and Damaged. A body labelled gzip that
    is none is left as it is: some proxies unpack it and leave the label (SPEC: ga4-protocol 11.2)."""
    steps = _STEPS[encoding]
    if not body or (steps is _GZIP and not body.startswith(_GZIP_MAGIC)):
        return body
    parts, size = [], 0
    try:
        for part in steps(body):
            parts.append(part)
            size += len(part)
            if size > most:
                raise Bomb("size")
            if size > max(RATIO_FROM_BYTES, ratio * len(body)):
                raise Bomb("ratio")
    except (zlib.error, brotli.error):
        raise Damaged from None
    return b"".join(parts)
