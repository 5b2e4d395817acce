# ruff: noqa: E501 - one seed, one line
"""Class 8, where requests begin and end in time; class 9, size; class 10, meaning. SPEC: reliability 2.2."""

import gzip

from http_seeds.writing import CHUNKED, CHUNKS, GET, HOST, SMUGGLED, TARGET, family, get, post, seeds, to

_FOUR = b"Content-Length: 4"
_BOMB = gzip.compress(bytes(2_000_000), mtime=0)
_ZIPPED = gzip.compress(b"en=x", mtime=0)
_LINE_FEEDS = post(_FOUR, end=b"\n")
_OPTIONS = get(start=b"OPTIONS " + TARGET + b" HTTP/1.1")
_HEAD = get(start=b"HEAD " + TARGET + b" HTTP/1.1")

BOUNDARIES = seeds(
    8,
    {
        "Expect: 100-continue, and the body is there": post(b"Expect: 100-continue", _FOUR),
        "Expect in another case": post(b"Expect: 100-Continue", _FOUR),
        "Expect of something else": post(b"Expect: 200-ok", _FOUR),
        "Expect twice": post(b"Expect: 100-continue", b"Expect: 100-continue", _FOUR),
        "Expect with a parameter": post(b"Expect: 100-continue;a=b", _FOUR),
        "Expect and half of the body": post(b"Expect: 100-continue", _FOUR, body=b"en"),
        "Expect and no body, then a request": post(b"Expect: 100-continue", body=b"") + SMUGGLED,
        "Expect of a GET": get(b"Expect: 100-continue"),
        "Expect, 0.CL: a length, and the body is a request": post(
            b"Expect: y 100-continue", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED
        ),
        "a GET with a body": get(_FOUR) + b"en=x",
        "a GET whose body is a request": get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
        "a HEAD with a body": get(_FOUR, start=b"HEAD " + TARGET + b" HTTP/1.1") + b"en=x",
        "an OPTIONS with a body": get(_FOUR, start=b"OPTIONS " + TARGET + b" HTTP/1.1") + b"en=x",
        "an OPTIONS whose body is a request": get(b"Content-Length: %d" % len(SMUGGLED), start=b"OPTIONS / HTTP/1.1")
        + SMUGGLED,
        "Upgrade to h2c": get(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAA"),
        "Upgrade to WebSocket": get(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: x"),
        "Upgrade to WebSocket without a key, then a request": get(b"Upgrade: websocket", b"Connection: Upgrade")
        + SMUGGLED,
        "Upgrade to nothing": get(b"Upgrade: foo"),
        "Upgrade without a value": get(b"Upgrade:"),
        "Connection: Upgrade alone": get(b"Connection: Upgrade"),
        "Upgrade with a body, then a request": post(b"Upgrade: h2c", _FOUR) + get(),
        "an OPTIONS, then a GET": _OPTIONS + get(),
        "a HEAD, then a POST": _HEAD + post(_FOUR),
        "an OPTIONS, a HEAD, a GET": _OPTIONS + _HEAD + get(),
        "ten OPTIONS": _OPTIONS * 10,
        "HTTP/1.0, then a request that must not be answered": GET[:-1] + b"0\r\n" + HOST + b"\r\n\r\n" + SMUGGLED,
        "HTTP/1.0 that is kept, then a request": GET[:-1] + b"0\r\n" + HOST + b"\r\nConnection: keep-alive\r\n\r\n" + get(),
        "chunks, then a GET": post(CHUNKED, body=CHUNKS) + get(),
        "chunks, then chunks": post(CHUNKED, body=CHUNKS) * 3,
        "a refused request, then a good one": get(b"X : a") + get(),
    },
) | family(
    8, "Connection is {}", lambda value: get(b"Connection:" + value) + SMUGGLED,
    (
        b" close, keep-alive", b" keep-alive, close", b" foo", b"", b" Host", b" close,", b" close;", b" closed",
        b" close\t", b" keep-alive, Upgrade", b" close\r\nConnection: keep-alive", b" keep-alive\r\nConnection: close",
        b" te, close", b" \xff", b" Content-Length", b" Cookie, X-Forwarded-For",
    ),
)  # fmt: skip

PLAIN_BOUNDARIES = seeds(
    8,
    {
        "one request": get(),
        "two requests": get() * 2,
        "fifty requests": get() * 50,
        "forty requests with bodies": post(_FOUR) * 40,
        "GET, POST, GET": get() + post(_FOUR) + get(),
        "a body that is a request": post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        "a body, then a request": post(_FOUR) + get(),
        "a body that is shorter than what comes": post(b"Content-Length: 3"),
        "a body that is longer than what comes": post(b"Content-Length: 5"),
        "Connection: keep-alive": get(b"Connection: keep-alive"),
        "Connection: Close, then a request that must not be answered": get(b"Connection: Close") + SMUGGLED,
        "Connection: close with a body, then a request": post(_FOUR, b"connection:close") + SMUGGLED,
        "plain, then LF alone": get() + _LINE_FEEDS,
        "plain, then OPTIONS, then plain": get() + _OPTIONS + get(),
        "plain, then chunks, then plain": get() + post(CHUNKED, body=CHUNKS) + get(),
        "plain, then an empty line, then plain": get() + b"\r\n" + get(),
        "plain, then half a request": get() + GET,
        "plain, then a byte": get() + b"x",
        "plain, then the preface of HTTP/2": get() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "plain, then another path, then plain": get() + to(b"/other") + get(),
        "plain, then health, then plain": get() + to(b"/healthz") + get(),
        "plain, then two lengths": get() + post(_FOUR, b"Content-Length: 5") + SMUGGLED,
    },
)

SIZES = seeds(
    9,
    {
        "a target beyond 16 KB": to(b"/g/collect?" + b"a" * 16_400),
        "a path beyond 16 KB": to(b"/" + b"a" * 16_400),
        "a target of 60 KB": to(b"/g/collect?" + b"a" * 60_000),
        "101 headers": get(*[b"X: a"] * 100),
        "129 headers": get(*[b"X: a"] * 128),
        "2,000 headers": get(*[b"X: a"] * 2_000),
        "2,000 empty names": get(*[b":"] * 2_000),
        "2,000 headers of two bytes": get(*[b"X:"] * 2_000),
        "a header beyond 8 KB": get(b"X: " + b"a" * 8_192),
        "a header of 64 KB": get(b"X: " + b"a" * 65_536),
        "a header of 64 KB that does not end": get()[:-2] + b"X: " + b"a" * 65_536,
        "a name beyond 64 bytes": get(b"X" * 65 + b": a"),
        "a name of 9 KB": get(b"X" * 9_000 + b": a"),
        "five headers of 8 KB": get(*[b"X: " + b"a" * 8_000] * 5),
        "an Accept-Encoding of 60 KB": get(b"Accept-Encoding: " + b"gzip, " * 10_000),
        "10,000 cookies in one header": get(b"Cookie: " + b"a=b; " * 2_000),
        "200 Cookie headers": get(*[b"Cookie: a=b"] * 200),
        "a method of 9 KB": get(start=b"G" * 9_000 + b" / HTTP/1.1"),
        "a version of 9 KB": get(start=b"GET / HTTP/1." + b"1" * 9_000),
        "a Host of 9 KB": get(host=b"Host: " + b"a" * 9_000 + b"\r\n"),
        "1,000 empty lines before the request": b"\r\n" * 1_000 + get(),
        "a length of 1,000 digits": post(b"Content-Length: " + b"9" * 1_000),
        "a length of 1,000 zeros": post(b"Content-Length: " + b"0" * 1_000),
        "1,000 chunks of one byte": post(CHUNKED, body=b"1\r\na\r\n" * 1_000 + b"0\r\n\r\n"),
        "500 trailers": post(CHUNKED, body=b"0\r\n" + b"X: a\r\n" * 500 + b"\r\n"),
        "a trailer of 9 KB": post(CHUNKED, body=b"0\r\nX: " + b"a" * 9_000 + b"\r\n\r\n"),
        "gzip, 1 to 1,000": post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(_BOMB), body=_BOMB),
        "a fold of 200 lines": get(b"X: a" + b"\r\n b" * 200),
        "a Transfer-Encoding of 9 KB": post(
            b"Transfer-Encoding: " + b"x, " * 3_000 + b"chunked", body=CHUNKS
        ),
    },
)

PLAIN_SIZES = seeds(
    9,
    {
        "a target of 12 KB": to(b"/g/collect?" + b"a" * 12_000),
        "a target of 12 KB that is nobody's": to(b"/other?" + b"a" * 12_000),
        "3,000 parameters": to(b"/g/collect?" + b"a=b&" * 3_000),
        "2,000 empty parameters": to(b"/g/collect?" + b"&" * 2_000),
        "one key 3,000 times": to(b"/g/collect?" + b"ep.a=1&" * 2_000),
        "12 KB of %25": to(b"/g/collect?" + b"%25" * 4_000),
        "a name of 64 bytes": get(b"X" * 64 + b": a"),
        "a value of 8,000 bytes": get(b"X: " + b"a" * 8_000),
        "98 headers": get(*[b"X: a"] * 98),
        "a body of 200,000 bytes": post(b"Content-Length: 200000", body=b"x" * 200_000),
        "a body of 12,000 events": post(b"Content-Length: 60000", body=b"en=x\n" * 12_000),
        "a body of JSON, nested 10,000 deep": post(
            b"Content-Type: application/json", b"Content-Length: 10000", body=b"[" * 10_000
        ),
    },
)

MEANINGS = family(
    10, "the body is said to be {}", lambda coding: post(b"Content-Encoding: " + coding, _FOUR),
    (b"gzip", b"identity", b"br", b"deflate", b"x", b"gzip, gzip", b"", b"zstd", b"GZIP", b"gzip;q=1"),
) | family(
    10, "a header that may come once comes twice: {}", lambda name: get(name + b": a", name + b": b"),
    (
        b"Content-Type", b"User-Agent", b"ETag", b"Server", b"Max-Forwards", b"Content-Range", b"Content-Location",
    ),
) | family(
    10, "a header that only a server or a proxy understands: {}", get,
    (
        b"TE: trailers", b"Proxy-Connection: keep-alive", b"Sec-WebSocket-Key1: x", b"Sec-WebSocket-Version: 13",
        b"Trailer: X", b"HTTP2-Settings: AAA", b"Sec-WebSocket-Key: x",
    ),
) | seeds(
    10,
    {
        "gzip that is gzip": post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(_ZIPPED), body=_ZIPPED),
        "a value of UTF-8": get("X: é".encode()),
        "a value of Latin-1": get(b"X: caf\xe9"),
        "a trailer that is announced, and chunks": post(
            b"Trailer: X", CHUNKED, body=b"4\r\nen=x\r\n0\r\nX: a\r\n\r\n"
        ),
        "two types of case, of which the second is chunked's": post(b"content-type: a", b"CONTENT-TYPE: b", _FOUR),
    },
)  # fmt: skip

PLAIN_MEANINGS = family(
    10, "a header that changes nothing here: {}", get,
    (
        b"Range: bytes=0-5", b"Keep-Alive: timeout=5", b"X_Forwarded_For: 203.0.113.9", b"Transfer_Encoding: chunked",
        b"Content_Length: 40", b"If-None-Match: *", b"If-Modified-Since: x", b"Cache-Control: no-cache",
        b"X-HTTP-Method-Override: DELETE", b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin", b"Via: 1.0 a",
        b"Forwarded: for=192.0.2.1;host=evil.example", b"X-Real-IP: 192.0.2.1", b"Accept: */*",
        b"Authorization: Basic Og==", b"Content-Type: text/plain", b"Referer: javascript:alert(1)", b"DNT: 1",
        b"X-Transfer-Encoding: chunked", b"XContent-Length: 4",
    ),
) | seeds(
    10,
    {
        "two Cookie headers": get(b"Cookie: FPID=a; b=c", b"Cookie: d=e"),
        "two Origins": get(b"Origin: https://shop.example", b"Origin: null"),
        "two X-Forwarded-For": get(b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-For: 198.51.100.7"),
        "X-Forwarded-For, and its like with underscores": get(
            b"X-Forwarded-For: 203.0.113.9", b"X_Forwarded_For: 198.51.100.7"
        ),
        "a text that says it is JSON": post(_FOUR, b"Content-Type: application/json"),
        "a multipart body without its end": post(
            b"Content-Type: multipart/form-data; boundary=a", b"Content-Length: 5", body=b"--a\r\n"
        ),
    },
)  # fmt: skip

OTHER = BOUNDARIES | SIZES | MEANINGS
PLAIN = PLAIN_BOUNDARIES | PLAIN_SIZES | PLAIN_MEANINGS
