# ruff: noqa: E501 - one seed, one line
"""Class 5, where lines end and what stands in them; class 7, the first line. SPEC: reliability 2.2."""

from http_seeds.writing import GET, HOST, SMUGGLED, TARGET, family, get, post, seeds

_CONTROLS = (*range(1, 9), *range(14, 32), 127)

LINE_ENDS = seeds(
    5,
    {
        "every line ends with LF alone": post(b"Content-Length: 4", end=b"\n"),
        "every line ends with CR alone": post(b"Content-Length: 4", end=b"\r"),
        "every line ends with LF CR": post(b"Content-Length: 4", end=b"\n\r"),
        "every line ends with CR CR LF": post(b"Content-Length: 4", end=b"\r\r\n"),
        "the first line ends with LF alone": GET + b"\n" + HOST + b"\r\n\r\n",
        "the first line ends with CR alone": GET + b"\r" + HOST + b"\r\n\r\n",
        "a header ends with LF alone": GET + b"\r\n" + HOST + b"\n\r\n",
        "the empty line is LF alone": GET + b"\r\n" + HOST + b"\r\n\n",
        "the empty line is CR alone": GET + b"\r\n" + HOST + b"\r\n\rX: a\r\n\r\n",
        "a header and the empty line are LF alone": GET + b"\r\n" + HOST + b"\n\n",
        "LF alone all over, then a second request": GET + b"\n" + HOST + b"\n\n" + SMUGGLED,
        "the empty line has a space in it": GET + b"\r\n" + HOST + b"\r\n \r\n\r\n",
        "an empty line before the request": b"\r\n" + get(),
        "ten empty lines before the request": b"\r\n" * 10 + get(),
        "a bare LF before the request": b"\n" + get(),
        "a bare CR before the request": b"\r" + get(),
        "a zero byte before the request": b"\x00" + get(),
        "a byte order mark before the request": b"\xef\xbb\xbf" + get(),
        "the first line twice": GET + b"\r\n" + get(),
        "a Host on the first line": GET + b" " + HOST + b"\r\n\r\n",
        "the header begins with a space: a fold of the first line": GET + b"\r\n " + HOST + b"\r\n\r\n",
        "a bare CR stands before the Host": GET + b"\r\n\r" + HOST + b"\r\n\r\n",
    },
) | family(
    5, "a header is written {}", get,
    (
        b"X: a\rb", b"X\r: a", b"X: a\r", b"X: a\r\rb", b"X: a\n\rY: b", b"X: a\nY: b", b"X: a\r\r",
        b"X: a\r\n b", b"X: a\r\n\tb", b"X:\r\n a", b" X: a", b"X : a", b"X\t: a", b": a", b"X",
        b"X=a", b"X;a", b"X: a\x00b", b"X\x00: a", b"X: a\tb", b"X: a\t", b"X: a ", b"X:  a", b"X:\ta",
        b"(X): a", b"X{: a", b"X,Y: a", b"X@: a", b"X[]: a", b"X/Y: a", b"X?: a", b"X=Y: a", b'"X": a', b"X\\: a",
        b"X: \x00", b"X: a\x0b", b"X: \xc2\x85", b"X: \xe2\x80\xa8", b"\xef\xbb\xbfX: a", b"X: a\r\n\r",
        b"GET / HTTP/1.1", b"X: a\nContent-Length: 9", b"X: a\rContent-Length: 9",
    ),
) | family(
    5, "a value holds the byte {}", lambda byte: get(b"X: a" + byte + b"b"),
    [bytes([code]) for code in (*_CONTROLS, 128, 200, 255)],
) | family(
    5, "a name holds the byte {}", lambda byte: get(b"X" + byte + b"Y: b"),
    [bytes([code]) for code in (*_CONTROLS[::3], 9, 10, 11, 12, 13, 32, 128, 200, 255)],
)  # fmt: skip

START_LINES = family(
    7, "the first line is {}", lambda start: get(start=start),
    (
        b"GET  " + TARGET + b" HTTP/1.1", b"GET " + TARGET + b"  HTTP/1.1", b"GET\t" + TARGET + b" HTTP/1.1",
        b"GET " + TARGET + b"\tHTTP/1.1", b"GET " + TARGET + b" HTTP/1.1 ", b"GET " + TARGET + b" HTTP/1.1\t",
        b" GET " + TARGET + b" HTTP/1.1", b"get " + TARGET + b" HTTP/1.1", b"Get " + TARGET + b" HTTP/1.1",
        b"GET\x00" + TARGET + b" HTTP/1.1", b"GET\x0b" + TARGET + b" HTTP/1.1", b"GET\xa0" + TARGET + b" HTTP/1.1",
        b"GET" + TARGET + b" HTTP/1.1", b"GE T " + TARGET + b" HTTP/1.1", b"G\x00ET " + TARGET + b" HTTP/1.1",
        b"G" * 65_536 + b" " + TARGET + b" HTTP/1.1", b"GET " + TARGET + b" HTTP/1.10",
        b"GET " + TARGET + b" HTTP/1.01", b"GET " + TARGET + b" HTTP/01.1", b"GET " + TARGET + b" HTTP/11.1",
        b"GET " + TARGET + b" HTTP/1.2", b"GET " + TARGET + b" HTTP/1.9", b"GET " + TARGET + b" HTTP/0.9",
        b"GET " + TARGET + b" HTTP/2.0", b"GET " + TARGET + b" HTTP/3.0", b"GET " + TARGET + b" HTTP/2",
        b"GET " + TARGET + b" HTTP/1", b"GET " + TARGET + b" HTTP/1.", b"GET " + TARGET + b" HTTP/.1",
        b"GET " + TARGET + b" HTTP/1,1", b"GET " + TARGET + b" HTTP/1.1.1", b"GET " + TARGET + b" HTTP/1.a",
        b"GET " + TARGET + b" HTTP/-1.1", b"GET " + TARGET + b" HTTP/+1.1", b"GET " + TARGET + b" HTTP /1.1",
        b"GET " + TARGET + b" HTTP/ 1.1", b"GET " + TARGET + b" http/1.1", b"GET " + TARGET + b" Http/1.1",
        b"GET " + TARGET + b" XTTP/1.1", b"GET " + TARGET + b" HTTPS/1.1", b"GET " + TARGET + b" RTSP/1.0",
        b"GET " + TARGET + b" ICE/1.0", b"GET " + TARGET + b" HTTP\\1.1",
        b"GET " + TARGET + b" HTTP/1.1 HTTP/1.1", b"GET " + TARGET + b" HTTP/1.1\x00", b"GET " + TARGET,
        b"GET " + TARGET + b" HTTP/1.0", b"GET", b"GET ", b"", b"HTTP/1.1 200 OK",
        b"PUT " + TARGET + b" HTTP/1.1", b"HEAD " + TARGET + b" HTTP/1.1", b"DELETE " + TARGET + b" HTTP/1.1",
        b"OPTIONS " + TARGET + b" HTTP/1.1", b"PATCH " + TARGET + b" HTTP/1.1", b"TRACE " + TARGET + b" HTTP/1.1",
        b"FOO " + TARGET + b" HTTP/1.1", b"POSTX " + TARGET + b" HTTP/1.1", b"M-SEARCH " + TARGET + b" HTTP/1.1",
        b"SOURCE " + TARGET + b" HTTP/1.1", b"G!T " + TARGET + b" HTTP/1.1", b"G(T) " + TARGET + b" HTTP/1.1",
        b"\xe9GET " + TARGET + b" HTTP/1.1", b"PRI " + TARGET + b" HTTP/1.1",
    ),
) | seeds(
    7,
    {
        "HTTP/0.9: a line and no more": b"GET /g/collect\r\n",
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "the first bytes of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "the first bytes of SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "a PROXY header, version 1, from who may not send one": b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 443\r\n"
        + get(),
        "a PROXY header, version 2, from who may not send one": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + get(),
        "a request of FastCGI": b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    },
)  # fmt: skip

OTHER = LINE_ENDS | START_LINES
PLAIN = seeds(
    5,
    {
        "a header without a value": get(b"X:"),
        "a header without a space": get(b"X:a"),
        "a header that is a space": get(b"X: "),
        "a value with spaces inside": get(b"X: a b  c"),
        "every character that a name, and one that a value may have": get(
            b"!#$%&'*+-.^_`|~09AZaz: " + bytes(range(33, 127))
        ),
    },
)
