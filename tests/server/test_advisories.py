"""What went wrong in other servers, sent to ours: each advisory's shape, with the edge and without it.

SPEC: reliability 2.1, its table and the line below it. Nothing may be read as a second request that is none:
whatever is hidden in a shape has `smuggled` in its target, and no client is ever asked about it.
"""

import asyncio
import gzip
from collections.abc import Sequence
from contextlib import suppress

import pytest
from conftest import Serve
from containers import client, container
from http_seeds.writing import CHUNKED, CHUNKS, SMUGGLED, get, post, to
from msgspec import Struct
from raw_http import RawConnection
from two_ways import answers_of

from sgtm.delivery.answer_reader import AnswerReader
from sgtm.delivery.errors import BadAnswer
from sgtm.delivery.errors import Refused as NotSent
from sgtm.delivery.request_writer import write_parts
from sgtm.delivery.retry import MAX_RETRY_AFTER_S, retry_after_s
from sgtm.messages import Answer, Claimed, Declined, IncomingRequest

BOTH_WAYS = True
LAST = to(b"/g/collect?last", b"Connection: close")
FOUR = b"Content-Length: 4"
BOMB = gzip.compress(bytes(8_000_000), mtime=0)


class Refused(Struct):
    """The only answer is one of these, and ends the connection."""

    statuses: tuple[int, ...] = (400,)


class Framed(Struct):
    """As many requests as there are, each answered once; then the connection answers another one."""

    statuses: tuple[int, ...] = (204,)


def chunked(body: bytes) -> bytes:
    return post(CHUNKED, body=body)


NOT_MINE = 400
CASES: dict[str, tuple[Sequence[bytes], Refused | Framed]] = {
    # -- aiohttp
    "CVE-2021-21330 a path that is another host": ([to(b"//evil.example/%2e%2e")], Framed((NOT_MINE,))),
    "CVE-2023-47641 length and chunks": ([post(FOUR, CHUNKED, body=CHUNKS + SMUGGLED)], Refused()),
    "CVE-2023-37276 CR in a value": ([post(b"X: a\rTransfer-Encoding: chunked", body=CHUNKS)], Refused()),
    "GHSA-pjjw-qhg8-p2p9 CR without LF after a value": ([get(b"X: a\r\rGET /smuggled HTTP/1.1")], Refused()),
    "CVE-2023-47627 a length with a sign": ([post(b"Content-Length: +4") + SMUGGLED], Refused()),
    "CVE-2023-47627 a length with an underscore": ([post(b"Content-Length: 0_4") + SMUGGLED], Refused()),
    "CVE-2023-47627 a space before the colon": ([post(b"Content-Length : 4") + SMUGGLED], Refused()),
    "CVE-2023-47627 a zero byte in a value": ([get(b"X: a\x00b")], Refused()),
    "CVE-2024-23829 a separator in a name": ([post(b"Content-Length\x0b: 4") + SMUGGLED], Refused()),
    "CVE-2024-23829 a version with a sign": ([get(start=b"GET /g/collect HTTP/+1.1")], Refused()),
    "CVE-2024-23334 a path out of a folder": ([to(b"/static/../../../etc/passwd")], Framed((NOT_MINE,))),
    "CVE-2024-23334 the same in escapes": ([to(b"/static/%2e%2e/%2e%2e/etc/passwd")], Framed((NOT_MINE,))),
    "CVE-2024-27306 a name that is markup": ([to(b"/static/<img+src=x+onerror=1>")], Framed((NOT_MINE,))),
    "CVE-2024-30251 a multipart body without end": (
        [post(b"Content-Type: multipart/form-data; boundary=:", FOUR, body=b"--:\r")],
        Framed(),
    ),
    "CVE-2024-52304 LF in a chunk extension": ([chunked(b"4;a\nen=x\r\n0\r\n\r\n" + SMUGGLED)], Refused()),
    "CVE-2025-53643 a trailer that looks like a request": (
        [chunked(b"0\r\nX: GET /g/collect?smuggled HTTP/1.1\r\n\r\n")],
        Framed(),
    ),
    "CVE-2025-53643 a request in place of a trailer": ([chunked(b"0\r\n" + SMUGGLED)], Refused()),
    "CVE-2025-69224 digits of another script": ([post("Content-Length: ４".encode()) + SMUGGLED], Refused()),
    "CVE-2025-69224 a coding that case folding makes": (
        [post("Transfer-Encoding: chun\u212aed".encode(), body=CHUNKS)],
        Refused(),
    ),
    "CVE-2025-69227 multipart that ends before its part": (
        [post(b"Content-Type: multipart/form-data; boundary=a", b"Content-Length: 6", body=b"--a\r\n\r")],
        Framed(),
    ),
    "CVE-2025-69228 a form of a megabyte": (
        [post(b"Content-Type: multipart/form-data; boundary=a", b"Content-Length: 1100000", body=b"--a\r\n")],
        Refused((413,)),
    ),
    "CVE-2025-69229 20,000 chunks of one byte": ([chunked(b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")], Framed()),
    "CVE-2025-69223 a body that unpacks to 8 MB": (
        [post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(BOMB), body=BOMB)],
        Refused((413,)),
    ),
    "CVE-2026-22815 trailers without end": ([chunked(b"0\r\n" + b"X: a\r\n" * 5_000)], Refused((400, 431))),
    "CVE-2026-22815 headers without end": ([get()[:-2] + b"X: a\r\n" * 5_000], Refused((400, 431))),
    "CVE-2026-34525 two Hosts": ([get(b"Host: other.example")], Refused()),
    "CVE-2026-34514 CR LF in a name of a part": (
        [post(b'Content-Type: multipart/form-data; boundary="a\tb"', FOUR)],
        Framed(),
    ),
    "CVE-2026-34516 too much, known before it comes": (
        [post(b"Content-Length: 9999999", body=b"x")],
        Refused((413,)),
    ),
    "CVE-2026-34517 and -50269 too much in chunks": (
        [chunked(b"8000\r\n" + b"a" * 32_768 + b"\r\n")] + [b"8000\r\n" + b"a" * 32_768 + b"\r\n"] * 4,
        Refused((413,)),
    ),
    "CVE-2026-54273 200 requests at once": ([get() * 200], Framed((204,) * 200)),
    "CVE-2026-54273 200 requests that are not plain": (
        [to(b"/g/collect", b"X: \xe9") * 200],
        Framed((204,) * 200),
    ),
    "CVE-2026-54274 a WebSocket": (
        [
            get(
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Sec-WebSocket-Key: x",
                b"Sec-WebSocket-Version: 13",
            )
        ],
        Framed(),
    ),
    "CVE-2026-54277 a long line in segments": (
        [b"GET /" + b"a" * 4_000, b"a" * 4_000, b"a" * 4_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"],
        Refused((414,)),
    ),
    "PYSEC-2026-2111 a packed body that nobody reads": (
        [
            post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(BOMB), body=BOMB).replace(
                b"/g/collect", b"/nobody"
            )
        ],
        Refused((400, 413)),
    ),
    "CVE-2026-111750 a length and a coding that is none": (
        [post(FOUR, b"Transfer-Encoding: x") + SMUGGLED],
        Refused(),
    ),
    # -- others
    "CVE-2025-43859 h11: any two bytes after a chunk": (
        [chunked(b"4\r\nen=xXX0\r\n\r\n" + SMUGGLED)],
        Refused(),
    ),
    "CVE-2021-32714 hyper: a chunk beyond 64 bits": (
        [chunked(b"f0000000000000003\r\nabc\r\n0\r\n\r\n" + SMUGGLED)],
        Refused(),
    ),
    "CVE-2024-1135 gunicorn: several codings": (
        [post(b"Transfer-Encoding: identity", CHUNKED, FOUR, body=CHUNKS + SMUGGLED)],
        Refused(),
    ),
    "gunicorn 25.3: chunks in HTTP/1.0": ([chunked(CHUNKS).replace(b"/1.1", b"/1.0") + SMUGGLED], Refused()),
    "CVE-2021-22959 llhttp: a space before the colon": (
        [post(b"Transfer-Encoding : chunked", body=CHUNKS) + SMUGGLED],
        Refused(),
    ),
    "llhttp 2024: a folded header": ([get(b"X: a\r\n b")], Refused()),
    "llhttp 2026: a tab after close": ([get(b"Connection: close\t") + SMUGGLED], Refused()),
    "CVE-2026-48710 Starlette: a Host with a path": ([get(host=b"Host: a/evil?\r\n")], Refused()),
    "CVE-2023-38697 protocol-http1: a chunk size with +": ([chunked(b"+4\r\nen=x\r\n0\r\n\r\n")], Refused()),
    "CVE-2023-38697 protocol-http1: a chunk size with 0x": (
        [chunked(b"0x4\r\nen=x\r\n0\r\n\r\n")],
        Refused(),
    ),
    "CVE-2026-45372 cpp-httplib: escapes in a value": (
        [get(b"X: a%0d%0aContent-Length:%204")],
        Framed(),
    ),
}


class Server:
    """Claims /g/collect, and notes what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def claim(self, request: IncomingRequest) -> Claimed | Declined:
        if request.path != "/g/collect":
            return Declined("another path")
        self.asked.append(request.query.decode("latin-1"))
        return Claimed([], Answer(204))


async def conversation(port: int, pieces: Sequence[bytes]) -> bytes:
    """Everything that is answered until the connection ends."""
    answered = b""
    async with RawConnection(port) as connection, asyncio.timeout(20):
        with suppress(ConnectionError):
            for piece in pieces:
                connection.send(piece)
                await connection.writer.drain()
                await asyncio.sleep(0.01 if len(pieces) > 2 else 0)
            while data := await connection.reader.read(65_536):
                answered += data
    return answered


@pytest.mark.parametrize(("pieces", "outcome"), CASES.values(), ids=CASES)
async def test_what_deceived_others_does_not_deceive_us(
    pieces: Sequence[bytes], outcome: Refused | Framed, serve: Serve
) -> None:
    server = Server()
    served = await serve(container([client(server.claim, paths=("/g/collect",))]))
    is_framed = isinstance(outcome, Framed)
    answered = await conversation(served.port, [*pieces, *([LAST] if is_framed else [])])
    statuses = [status for status, _, _ in answers_of(answered)]
    assert not any("smuggled" in query for query in server.asked)
    for hidden in (b"onerror", b"root:", b"evil", b"Location"):
        assert hidden not in answered
    if is_framed:
        assert statuses == [*outcome.statuses, 204]
        assert server.asked[-1] == "last"
    else:
        assert len(statuses) == 1
        assert statuses[0] in outcome.statuses


# -- what we are as somebody's client, and what we answer ------------------------------------------------


@pytest.mark.parametrize(
    ("method", "header"),
    [("GET / HTTP/1.1\r\nX: a", ("X", "a")), ("GET", ("X", "a\r\nY: b")), ("GET", ("X\r\nY", "b"))],
    ids=["CVE-2023-49082 in a method", "CVE-2023-49081 in a value", "CVE-2023-49081 in a name"],
)
def test_nothing_breaks_out_of_what_we_send(method: str, header: tuple[str, str]) -> None:
    with pytest.raises(NotSent):
        write_parts(method, "https://vendor.example/", [header])


@pytest.mark.parametrize("byte", [b"\0", b"\x01", b"\r", b"\n", b"\x7f"])
def test_cve_2026_34520_a_control_byte_in_an_answer_of_a_vendor(byte: bytes) -> None:
    reader = AnswerReader()
    reader.begin(is_for_head=False)
    with pytest.raises(BadAnswer):
        reader.feed(b"HTTP/1.1 200 OK\r\nX: a" + byte + b"b\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("value", ["9" * 400, "-1", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT", "99999999999"])
def test_cve_2026_111065_no_number_of_a_vendor_is_too_large(value: str) -> None:
    waits = retry_after_s(value, 1_700_000_000.0)
    assert waits is None or 0 <= waits <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize("value", ["a\r\nX: smuggled", "a\nX: smuggled", "a\rb", "a\0b"])
async def test_cve_2026_34519_no_header_of_an_answer_is_split(value: str, serve: Serve) -> None:
    def claim(_: IncomingRequest) -> Claimed:
        return Claimed([], Answer(200, (("X-A", value),), b""))

    served = await serve(container([client(claim, paths=("/g/collect",))]))
    answered = await conversation(served.port, [LAST])
    assert [status for status, _, _ in answers_of(answered)] == [500]
    assert b"smuggled" not in answered
