"""Requests of the ten classes that tell HTTP parsers apart, and mutants of them.

SPEC: reliability 2.2. Written from its table, whose examples come from llhttp's own suite, Http11Probe,
http-desync-guardian, h1spec, HTTP Garden and PortSwigger's list. PLAIN is what the edge may answer itself;
of OTHER it may answer nothing. Each is one write of a client, and may hold more than one request.
"""

import random
from collections.abc import Iterator

HOST = b"Host: shop.example\r\n"
TARGET = b"/g/collect?v=2&en=a"


def post(*lines: bytes, body: bytes = b"en=x", end: bytes = b"\r\n") -> bytes:
    return end.join([b"POST " + TARGET + b" HTTP/1.1", b"Host: shop.example", *lines, b"", b""]) + body


def get(*lines: bytes, start: bytes = b"GET " + TARGET + b" HTTP/1.1", host: bytes = HOST) -> bytes:
    return start + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _each(name: str, texts: list[bytes]) -> dict[str, bytes]:
    return {f"{name} {number}": text for number, text in enumerate(texts)}


_TE = b"Transfer-Encoding: chunked"
_CHUNKED = b"4\r\nen=x\r\n0\r\n\r\n"

LENGTHS = _each(
    "1 two lengths",
    [
        post(b"Content-Length: 4", _TE, body=_CHUNKED),
        post(_TE, b"Content-Length: 4", body=_CHUNKED),
        post(b"Content-Length: 1", _TE, body=_CHUNKED),
        post(b"Content-Length: 4", b"Content-Length: 4"),
        post(b"Content-Length: 4", b"Content-Length: 5"),
        post(b"Content-Length: 4", b"content-length: 4"),
        post(b"Content-Length: 4, 4"),
        post(b"Content-Length: 4,5"),
        post(b"Content-Length: 0", b"Content-Length: 4"),
    ],
)
NUMBERS = _each(
    "2 numbers",
    [
        post(b"Content-Length: " + number)
        for number in (
            b"+4", b"-0", b"-4", b"04", b"0x4", b"4_0", b"4 0", "４".encode(), b"", b"\t4", b"4\t", b" 4",
            b"4 ",
            b"9" * 20, str(2**64 + 4).encode(), b"4;", b"4.0", b"4e0", b"0" * 19 + b"4", b"10000000",
            b"4\x00", b"4\x0b",
            b"\xb2", b"a", b"4a", b"'4'",
        )
    ],
)  # fmt: skip
TRANSFER_ENCODINGS = _each(
    "3 transfer encoding",
    [
        post(line, body=_CHUNKED)
        for line in (
            _TE, b"Transfer-Encoding: Chunked", b"Transfer-Encoding:  chunked",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
            b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked,",
            b"Transfer-Encoding: ,chunked",
            b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\x0c",
            b'Transfer-Encoding: "chunked"',
            _TE + b"\r\n" + _TE, b"Transfer-Encoding : chunked", b"Transfer-Encoding:\r\n chunked",
            b"Transfer-Encoding: chunked\x00", b" Transfer-Encoding: chunked", b"Transfer-Encoding:chunked",
            b"Transfer-Encoding: identity", b"Transfer-Encoding:", b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunk", b"transfer-encoding: CHUNKED", b"Transfer-Encoding\t: chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        )
    ],
)  # fmt: skip
CHUNKS = _each(
    "4 chunks",
    [
        post(_TE, body=body)
        for body in (
            _CHUNKED, b"0x4\r\nen=x\r\n0\r\n\r\n", b"-1\r\nen=x\r\n0\r\n\r\n", b"+4\r\nen=x\r\n0\r\n\r\n",
            b"4 \r\nen=x\r\n0\r\n\r\n", b" 4\r\nen=x\r\n0\r\n\r\n", b"0" * 17 + b"4\r\nen=x\r\n0\r\n\r\n",
            b"f" * 17 + b"\r\nen=x\r\n0\r\n\r\n", b"4\nen=x\r\n0\r\n\r\n", b"4\ren=x\r\n0\r\n\r\n",
            b"4;a\nen=x\r\n0\r\n\r\n",
            b"4;a\ren=x\r\n0\r\n\r\n", b"4;" + b"a" * 9_000 + b"\r\nen=x\r\n0\r\n\r\n",
            b"4\r\nen=xXX0\r\n\r\n",
            b"4\r\nen=x\r\n0\r\n", b"4\r\nen=x\r\n0\r\nContent-Length: 4\r\n\r\n",
            b"4\r\nen=x\r\n0\r\nTransfer-Encoding: x\r\n\r\n", b"4\r\nen=x\r\n0\r\nHost: b\r\n\r\n",
            b"4\r\nen=x\r\n0\r\nAuthorization: b\r\n\r\n", b"4;a=b\r\nen=x\r\n0\r\n\r\n",
            b"g\r\nen=x\r\n0\r\n\r\n",
            b"\r\n0\r\n\r\n", b"4\r\nen=x\n0\n\n", b"0\r\n\r\nGET /g/collect?smuggled HTTP/1.1\r\n\r\n",
            b"4\r\nen=x\r\n0\r\n\r\n" + get(),
        )
    ],
)  # fmt: skip
LINE_ENDS = _each(
    "5 line ends",
    [
        post(b"Content-Length: 4", end=b"\n"),
        get().replace(b"\r\n", b"\n", 1),
        b"GET " + TARGET + b" HTTP/1.1\r\nHost: shop.example\n\r\n",
        b"GET " + TARGET + b" HTTP/1.1\r\nHost: shop.example\r\n\n",
        b"GET " + TARGET + b" HTTP/1.1\r\nHost: shop.example\n\n",
        b"GET " + TARGET + b" HTTP/1.1\nHost: shop.example\n\nGET /evil HTTP/1.1\r\nHost: b\r\n\r\n",
        b"\r\n" + get(), b"\r\n" * 10 + get(), b"\n" + get(),
        *[get(line) for line in (
            b"X: a\rb", b"X\r: a", b"X: a\r", b"X: a\r\rb", b"X: a\n\rY: b", b"X: a\nY: b", b"X: a\r\r",
            b"\rX: a",
            b"X: a\r\n b", b"X: a\r\n\tb", b" X: a", b"X : a", b"X\t: a", b": a", b"X", b"X=a", b"X: a\x00b",
            b"X\x00: a",
            b"X: a\tb", b"X: a\t", b"X: a ", b"X:  a", b"X:\ta", b"(X): a", b"X{: a", b"X,Y: a", b"X@: a",
        )],
        *[get(b"X: a" + bytes([code]) + b"b") for code in (*range(1, 9), *range(14, 32), 127, 128, 200, 255)],
        *[get(b"X" + bytes([code]) + b"Y: b") for code in (*range(1, 33), 127, 128, 200, 255)],
    ],
)  # fmt: skip
HOSTS = _each(
    "6 host and target",
    [
        get(host=b""), get(b"Host: other.example"), get(b"Host: shop.example"),
        *[get(host=b"Host: " + host + b"\r\n") for host in (
            b"", b"a/b", b"user@a", b"a,b", b"a b", b"\x00", b"a\tb", b"a?b", b"a#b", b"a\\b", b"a%20b",
            b"\xff", b" ",
        )],
        *[get(start=b"GET " + target + b" HTTP/1.1") for target in (
            b"http://other.example/g/collect?v=2", b"http://shop.example/g/collect",
            b"https://shop.example/g/collect",
            b"*", b"shop.example:443", b"/g/collect#a", b"/g/collect?a#b", b"g/collect", b"", b"/g/col lect",
            b"/g/\tcollect",
            b"/g/collect?\xff", b"/g/collect?\x01", b"/g/collect?\x7f", "/g/collect?é".encode(), b"?v=2",
            b"//g/collect#",
        )],
        get(start=b"OPTIONS * HTTP/1.1"), get(start=b"CONNECT shop.example:443 HTTP/1.1"),
    ],
)  # fmt: skip
START_LINES = _each(
    "7 start line",
    [
        get(start=start)
        for start in (
            b"GET  " + TARGET + b" HTTP/1.1", b"GET " + TARGET + b"  HTTP/1.1",
            b"GET\t" + TARGET + b" HTTP/1.1",
            b"GET " + TARGET + b" HTTP/1.1 ", b" GET " + TARGET + b" HTTP/1.1",
            b"get " + TARGET + b" HTTP/1.1",
            b"Get " + TARGET + b" HTTP/1.1", b"G" * 65_536 + b" " + TARGET + b" HTTP/1.1",
            b"GET " + TARGET + b" HTTP/1.10",
            b"GET " + TARGET + b" HTTP/1.01", b"GET " + TARGET + b" HTTP/2.0",
            b"GET " + TARGET + b" http/1.1",
            b"GET " + TARGET + b" HTTP/1", b"GET " + TARGET, b"GET " + TARGET + b" HTTP/1.0",
            b"GET " + TARGET + b" HTTP/01.1",
            b"GET " + TARGET + b" HTTP/1.2", b"GET " + TARGET + b" HTTP/0.9",
            b"GET " + TARGET + b" XTTP/1.1", b"GET",
            b"GET " + TARGET + b"\tHTTP/1.1", b"PUT " + TARGET + b" HTTP/1.1",
            b"HEAD " + TARGET + b" HTTP/1.1",
            b"DELETE " + TARGET + b" HTTP/1.1", b"OPTIONS " + TARGET + b" HTTP/1.1",
            b"FOO " + TARGET + b" HTTP/1.1",
            b"POSTX " + TARGET + b" HTTP/1.1", b"GE T " + TARGET + b" HTTP/1.1",
            b"\x00GET " + TARGET + b" HTTP/1.1",
            b"PATCH " + TARGET + b" HTTP/1.1", b"TRACE " + TARGET + b" HTTP/1.1",
        )
    ]
    + [
        b"GET /g/collect\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 443\r\n" + get(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + get(),
        b"GET " + TARGET + b" HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
BOUNDARIES = _each(
    "8 boundaries",
    [
        post(b"Expect: 100-continue", b"Content-Length: 4"),
        post(b"Expect: 100-Continue", b"Content-Length: 4"),
        post(b"Expect: 200-ok", b"Content-Length: 4"),
        post(b"Expect: 100-continue", b"Content-Length: 4", body=b"en"),
        get(b"Content-Length: 4") + b"en=x",
        get(b"Content-Length: 4", start=b"HEAD " + TARGET + b" HTTP/1.1") + b"en=x",
        get(b"Content-Length: 4", start=b"OPTIONS " + TARGET + b" HTTP/1.1") + b"en=x",
        get(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAA"),
        get(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: x"),
        get(b"Upgrade: websocket", b"Connection: Upgrade"), get(b"Upgrade: foo"), get(b"Connection: Upgrade"),
        get(b"Connection: close, keep-alive"), get(b"Connection: keep-alive, close"), get(b"Connection: foo"),
        get(b"Connection: close", b"Connection: keep-alive"), get(b"Connection:"), get(b"Connection: Host"),
        post(b"Upgrade: h2c", b"Content-Length: 4") + get(),
        get(start=b"OPTIONS " + TARGET + b" HTTP/1.1", host=HOST) + get(),
        get(start=b"HEAD " + TARGET + b" HTTP/1.1", host=HOST) + post(b"Content-Length: 4"),
    ],
)  # fmt: skip
SIZES = _each(
    "9 size",
    [
        get(start=b"GET /g/collect?" + b"a" * 16_400 + b" HTTP/1.1"), get(*[b"X: a"] * 100),
        get(*[b"X: a"] * 2_000),
        get(b"X: " + b"a" * 8_192), get(b"X: " + b"a" * 65_536), get(*[b"X: " + b"a" * 8_000] * 5),
        get(b"Accept-Encoding: " + b"gzip, " * 10_000), get(b"Cookie: " + b"a=b; " * 2_000),
        get(b"X" * 65 + b": a"),
        post(b"Content-Length: 4", b"Content-Encoding: gzip"),
        get(*[b":"] * 2_000),
    ],
)  # fmt: skip
MEANINGS = _each(
    "10 meaning",
    [
        post(b"Content-Encoding: gzip", b"Content-Length: 4"),
        post(b"Content-Encoding: identity", b"Content-Length: 4"),
        post(b"Trailer: X", b"Content-Length: 4"), get(b"TE: trailers"),
        get(b"Content-Type: a", b"Content-Type: b"),
        get(b"User-Agent: a", b"User-Agent: b"), get(b"ETag: a", b"etag: b"),
        get(b"Proxy-Connection: keep-alive"),
        get(b"Sec-WebSocket-Key1: x"), get(b"Server: a", b"Server: b"),
        get(b"Max-Forwards: 1", b"Max-Forwards: 2"),
        get(b"Content-Range: a", b"Content-Range: b"), get(b"Content-Location: a", b"Content-Location: b"),
        post(b"Content-Encoding: br", b"Content-Length: 4"),
        post(b"Content-Encoding: x", b"Content-Length: 4"),
        get("X: é".encode()), get(b"X: caf\xe9"),
    ],
)  # fmt: skip

OTHER = LENGTHS | NUMBERS | TRANSFER_ENCODINGS | CHUNKS | LINE_ENDS | HOSTS | START_LINES | BOUNDARIES
OTHER |= SIZES | MEANINGS

PLAIN = _each(
    "plain",
    [
        get(), get(b"Connection: keep-alive"), get(b"Connection: Close"), get(b"connection:close"),
        get(b"X:"), get(b"X:a"),
        get(b"X: "), get(b"X: a b  c"), get(b"Content-Length: 0"), get(b"Range: bytes=0-5"),
        get(b"X" * 64 + b": a"),
        get(b"Cookie: FPID=a; b=c", b"Cookie: d=e"), get(b"Origin: https://shop.example", b"Origin: null"),
        get(b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-For: 198.51.100.7"),
        get(b"X_Forwarded_For: 203.0.113.9"),
        get(b"Transfer_Encoding: chunked"), get(b"Content_Length: 40"), get(b"Host_: a"),
        get(b"Keep-Alive: timeout=5"),
        get(b"!#$%&'*+-.^_`|~09AZaz: " + bytes(range(33, 127))),
        get(host=b"host:shop.example:8080\r\n"), get(host=b"Host: [::1]:8080\r\n"),
        get(host=b"Host: 127.0.0.1:0\r\n"),
        get(host=b"Host: [::1\r\n"), get(host=b"Host: a:99999\r\n"),
        get(host=b"X: a\r\nHost: a.example.\r\n"),
        get(host=b"HOST: SHOP.example\r\n"), get(host=b"Host: :\r\n"), get(host=b"Host: a..b\r\n"),
        get(host=b"Host: -\r\n"), get(host=b"Host: [\r\n"), get(host=b"Host: a_b\r\n"),
        get(start=b"GET / HTTP/1.1"), get(start=b"GET //evil/g/collect HTTP/1.1"),
        get(start=b"GET /..;/g/collect HTTP/1.1"),
        get(start=b"GET /g/collect?a=%00%0d%0a HTTP/1.1"), get(start=b"GET /g%2fcollect HTTP/1.1"),
        get(start=b"GET /g/collect? HTTP/1.1"), get(start=b"GET /g/collect?? HTTP/1.1"),
        get(start=b"GET /g/../collect HTTP/1.1"),
        get(start=b'GET /g/collect?a="<>\\^`{|} HTTP/1.1'), get(start=b"GET /g/collect/ HTTP/1.1"),
        get(start=b"GET /%c0%af HTTP/1.1"), get(start=b"GET /g\\collect HTTP/1.1"),
        get(start=b"GET /healthz HTTP/1.1"),
        get(start=b"GET /g/collect?" + b"a" * 12_000 + b" HTTP/1.1"),
        get(start=b"GET /other?" + b"a" * 12_000 + b" HTTP/1.1"),
        get(start=b"GET /g/collect?" + b"a=b&" * 3_000 + b" HTTP/1.1"),
        get(start=b"GET /g/collect?" + b"%25" * 4_000 + b" HTTP/1.1"),
        post(b"Content-Length: 4"), post(b"content-length:4"), post(b"Content-Length: 0", body=b""),
        post(body=b""),
        post(b"Content-Length: 4", body=b"en=x" + get()),
        post(b"Content-Length: 4", b"Content-Type: text/plain"),
        post(b"Content-Length: 3", body=b"en=x"),
        post(b"Content-Length: 4", b"Content-Type: application/json"),
        post(b"Content-Length: %d" % len(get()), body=get()),
        post(b"Content-Length: 4", b"Connection: close") + get(),
        post(b"Content-Length: 9999999", body=b"x" * 100),
        post(b"Content-Length: 200000", body=b"x" * 200_000),
        post(b"Content-Length: 60000", body=b"en=x\n" * 12_000),
        get() + post(b"Content-Length: 4") + get(), get() * 50, post(b"Content-Length: 4") * 40,
        get() + LINE_ENDS["5 line ends 0"],
        get() + get(start=b"OPTIONS " + TARGET + b" HTTP/1.1") + get(), get() + b"\r\n" + get(), get() + b"x",
    ],
)  # fmt: skip

SEEDS = [*PLAIN.values(), *OTHER.values()]


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Seeds that were changed by chance, as HTTP Garden does: bytes deleted, repeated, replaced; lines
    repeated and swapped; two of them joined. The same for the same seed."""
    chance = random.Random(seed)
    small = [text for text in SEEDS if len(text) < 2_000]
    for _ in range(count):
        text = bytearray(chance.choice(small))
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            _MUTATORS[chance.randrange(len(_MUTATORS))](chance, text, small)
        yield bytes(text)


_MARKS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"0", b"Content-Length: 4\r\n", b"Host: b\r\n", b",",
    b"\x7f", b"\xff", b"Transfer-Encoding: chunked\r\n", b"GET / HTTP/1.1\r\n", b"\r\n\r\n", b"_", b"#",
    b"Connection: close\r\n", b"?",
]  # fmt: skip


def _place(chance: random.Random, text: bytearray) -> int:
    return chance.randrange(len(text) + 1)


def _delete(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    at = _place(chance, text)
    del text[at : at + chance.choice((1, 1, 2, 9))]


def _repeat(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    at = _place(chance, text)
    text[at:at] = text[at : at + chance.choice((1, 2, 30))]


def _replace(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    at = _place(chance, text)
    text[at : at + 1] = bytes([chance.randrange(256)])


def _insert(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    at = _place(chance, text)
    text[at:at] = chance.choice(_MARKS)


def _swap_lines(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    lines = bytes(text).split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    text[:] = b"\r\n".join(lines)


def _repeat_line(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    lines = bytes(text).split(b"\r\n")
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    text[:] = b"\r\n".join(lines)


def _join(chance: random.Random, text: bytearray, small: list[bytes]) -> None:
    text += chance.choice(small)


def _cut(chance: random.Random, text: bytearray, _: list[bytes]) -> None:
    del text[_place(chance, text) :]


_MUTATORS = [_delete, _repeat, _replace, _insert, _swap_lines, _repeat_line, _join, _cut]
