# ruff: noqa: E501 - one seed, one line
"""Class 1, two lengths; class 2, how a length is written. SPEC: reliability 2.2."""

from http_seeds.writing import CHUNKED, CHUNKS, SMUGGLED, family, get, post, seeds

_FOUR = b"Content-Length: 4"
_ZERO = b"Content-Length: 0"
_LONG = b"Content-Length: %d" % (len(CHUNKS) + len(SMUGGLED))

TWO_LENGTHS = seeds(
    1,
    {
        "length before chunked: a proxy may go by the first, a server by the second": post(
            _FOUR, CHUNKED, body=CHUNKS
        ),
        "chunked before length": post(CHUNKED, _FOUR, body=CHUNKS),
        "TE.CL: the length ends inside the first chunk": post(b"Content-Length: 1", CHUNKED, body=CHUNKS),
        "CL.TE: the length covers a request behind the last chunk": post(
            _LONG, CHUNKED, body=CHUNKS + SMUGGLED
        ),
        "TE.CL with a request inside a chunk": post(
            CHUNKED, _FOUR, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
        ),
        "TE.0: chunked and length 0, the chunk is a request": post(_ZERO, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
        "0.CL: length 0, then 4": post(_ZERO, _FOUR),
        "CL.0: length 4, then 0": post(_FOUR, _ZERO),
        "CL.0: length of a whole request, then 0": post(
            b"Content-Length: %d" % len(SMUGGLED), _ZERO, body=SMUGGLED
        ),
        "the same length twice": post(_FOUR, _FOUR),
        "the same length three times": post(_FOUR, _FOUR, _FOUR),
        "two different lengths, the longer last": post(_FOUR, b"Content-Length: 5"),
        "two different lengths, the longer first": post(b"Content-Length: 5", _FOUR),
        "the same length twice, names of different case": post(_FOUR, b"content-length: 4"),
        "two lengths with another header between them": post(_FOUR, b"X: a", _FOUR),
        "two lengths, the second folded into the first": post(_FOUR + b"\r\n Content-Length: 5"),
        "two lengths, the second behind a bare LF": post(_FOUR + b"\nContent-Length: 5"),
        "two lengths, the second behind a bare CR": post(_FOUR + b"\rContent-Length: 5"),
        "the second length is empty": post(_FOUR, b"Content-Length:"),
        "the second length is no number": post(_FOUR, b"Content-Length: x"),
        "the first length is no number": post(b"Content-Length: x", _FOUR),
        "the second length has a leading zero": post(_FOUR, b"Content-Length: 04"),
        "the second length stands before the Host": post(_FOUR, host=_FOUR + b"\r\nHost: shop.example"),
        "two lengths of a GET": get(_ZERO, _ZERO),
        "length and chunked of a GET": get(_FOUR, CHUNKED) + CHUNKS,
        "length and chunked of HTTP/1.0": post(_FOUR, CHUNKED, body=CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "length and identity": post(_FOUR, b"Transfer-Encoding: identity"),
        "length and an empty Transfer-Encoding": post(_FOUR, b"Transfer-Encoding:"),
        "length and a coding that nobody knows": post(_FOUR, b"Transfer-Encoding: x"),
        "length and chunked with a typing error": post(_FOUR, b"Transfer-Encoding: chnked"),
        "length and gzip, chunked": post(_FOUR, b"Transfer-Encoding: gzip, chunked", body=CHUNKS),
        "length and chunked that is hidden behind a space": post(_FOUR, b"Transfer-Encoding : chunked"),
        "length and chunked that is folded": post(_FOUR, b"Transfer-Encoding:\r\n chunked"),
        "length and chunked twice": post(_FOUR, CHUNKED, CHUNKED, body=CHUNKS),
        "chunked between two lengths": post(_FOUR, CHUNKED, _FOUR, body=CHUNKS),
        "length and chunked in an extension header": post(_FOUR, b"X-Transfer-Encoding: chunked, x\x00"),
        "length and TE": post(_FOUR, b"TE: chunked"),
        "length and a trailer that is announced as a length": post(_FOUR, b"Trailer: Content-Length"),
        "length named by Connection, so that a proxy drops it": post(b"Connection: Content-Length", _FOUR),
        "chunked named by Connection": post(b"Connection: Transfer-Encoding", CHUNKED, body=CHUNKS),
        "length and close, chunked": post(_FOUR, b"Connection: close", CHUNKED, body=CHUNKS),
        "length, chunked and HEAD": get(_FOUR, CHUNKED, start=b"HEAD /g/collect HTTP/1.1") + CHUNKS,
        "length, chunked and DELETE": get(_FOUR, CHUNKED, start=b"DELETE /g/collect HTTP/1.1") + CHUNKS,
    },
) | family(
    1, "a list of lengths in one header {}", lambda value: post(b"Content-Length: " + value),
    (b"4, 4", b"4,5", b"4,", b",4", b"4 ,4", b"4\t,4", b"0, 4", b"4;4", b"4, 4, 4"),
)  # fmt: skip

NUMBERS = family(
    2, "the length is written {}", lambda value: post(b"Content-Length: " + value),
    (
        b"+4", b"-0", b"-4", b"04", b"0x4", b"0b4", b"0o4", b"4_0", b"4 0", "４".encode(), "٤".encode(),
        "४".encode(), b"", b" 4", b"4 ", b"\t4", b"4\t", b"9" * 20, str(2**64 + 4).encode(),
        str(2**63).encode(), str(2**32 + 4).encode(), str(2**31).encode(), b"9" * 400, b"4;", b"4.0", b"4.",
        b".4", b"4e0", b"4E0", b"0" * 19 + b"4", b"00", b"10000000", b"4\x00", b"4\x0b", b"4\x0c", b"4\x85",
        b"4\xa0", b"\xa04", b"\xb2", b"a", b"4a", b"a4", b"'4'", b'"4"', b"4L", b"4h", b"#4", b"4#", b"4%00",
        b"%34", b"4/1", b"(4)", b"4:", b"=4", b"0 4", b"++4", b"--4", b"1,000", b"4\r", b"inf", b"nan",
    ),
)  # fmt: skip

OTHER = TWO_LENGTHS | NUMBERS
PLAIN = seeds(
    2,
    {
        "no length, no body": post(body=b""),
        "length 0 of a GET": get(_ZERO),
        "length 0": post(_ZERO, body=b""),
        "length 4": post(_FOUR),
        "length 4 without a space": post(b"content-length:4"),
        "length of seven digits, of which 100 bytes come": post(b"Content-Length: 9999999", body=b"x" * 100),
    },
)
