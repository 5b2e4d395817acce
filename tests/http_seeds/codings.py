# ruff: noqa: E501 - one seed, one line
"""Class 3, how Transfer-Encoding is written; class 4, how chunks are. SPEC: reliability 2.2."""

from http_seeds.writing import CHUNKED, CHUNKS, SMUGGLED, family, get, post, seeds

_ENDS = b"\r\nen=x\r\n0\r\n\r\n"

CODINGS = family(
    3, "the coding is written {}", lambda value: post(b"Transfer-Encoding:" + value, body=CHUNKS),
    (
        b" chunked", b"chunked", b"  chunked", b"\tchunked", b" chunked ", b" chunked\t", b" Chunked",
        b" CHUNKED", b" xchunked", b" chunkedx", b" chunk", b" chunked, identity", b" identity, chunked",
        b" chunked, chunked", b" chunked,", b" ,chunked", b" ,", b" chunked;q=1", b" chunked;a=b", b" chunked q",
        b" \x0bchunked", b" \x0cchunked", b" chunked\x0b", b" chunked\x0c", b' "chunked"', b" 'chunked'",
        b" chunked\x00", b" \x00chunked", b" chun\x00ked", b" chunked\x7f", b" chunked\x85", b" \xa0chunked",
        b" \xefchunked", b" identity", b"", b" ", b" gzip", b" gzip, chunked", b" chunked, gzip",
        b" deflate, chunked", b" br", b" trailers", b" cow", b" cow, chunked", b" chunked\r", b" chunked:",
        " chunKed".replace("K", "\u212a").encode(), b" c%68unked", b" x=chunked", b" chunked/1",
    ),
) | family(
    3, "the name is written {}", lambda name: post(name + b" chunked", body=CHUNKS),
    (
        b"Transfer-Encoding :", b"Transfer-Encoding\t:", b" Transfer-Encoding:", b"\tTransfer-Encoding:",
        b"transfer-encoding:", b"TRANSFER-ENCODING:", b"Transfer-Encoding", b"Transfer-Encoding::",
        b"Transfer-Encoding\x00:", b"\x00Transfer-Encoding:", b"Transfer Encoding:", b"Transfer-Encoding;",
        b"Transfer-Encoding=", b"Transfer\xad-Encoding:", b'"Transfer-Encoding":', b"Transfer-Encoding\xa0:",
        b"Transfer-Encodin\xc7\xa7:", b"X: a\nTransfer-Encoding:", b"X: a\rTransfer-Encoding:",
        b"X: a\r\n Transfer-Encoding:",
    ),
) | seeds(
    3,
    {
        "chunked in two headers": post(CHUNKED, CHUNKED, body=CHUNKS),
        "chunked, then identity in a header of its own": post(
            CHUNKED, b"Transfer-Encoding: identity", body=CHUNKS
        ),
        "identity, then chunked in a header of its own": post(
            b"Transfer-Encoding: identity", CHUNKED, body=CHUNKS
        ),
        "the value folded onto the next line": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS),
        "the value folded after a comma": post(b"Transfer-Encoding: gzip,\r\n chunked", body=CHUNKS),
        "chunked in HTTP/1.0, where there is none": post(CHUNKED, body=CHUNKS).replace(b"/1.1", b"/1.0"),
        "chunked of a GET": get(CHUNKED) + CHUNKS,
        "chunked of OPTIONS": get(CHUNKED, start=b"OPTIONS /g/collect HTTP/1.1") + CHUNKS,
        "chunked and Upgrade": post(CHUNKED, b"Upgrade: h2c", b"Connection: Upgrade", body=CHUNKS),
        "chunked and Expect": post(CHUNKED, b"Expect: 100-continue", body=CHUNKS),
    },
)  # fmt: skip

CHUNK_GRAMMAR = family(
    4, "the size of a chunk is written {}", lambda size: post(CHUNKED, body=size + _ENDS),
    (
        b"0x4", b"-1", b"-4", b"+4", b"4 ", b" 4", b"\t4", b"4\t", b"4_", b"0_4", b"0" * 17 + b"4", b"f" * 17,
        b"f" * 16, b"8" + b"0" * 15, b"1" + b"0" * 16 + b"4", b"g", b"4g", b"4h", b"", b"4.0", b"4,", b"4\x00",
        b"\x004", b"4\x0b", b"4\xa0", "４".encode(), b"04", b"0004", b"4;", b"4;a", b"4;a=b", b'4;a="b"',
        b'4;a="b\r\n"', b"4 ;a", b"4; a", b"4;a\n", b"4;a\r", b"4;\x00", b"4;\xff", b"4;a=b;c",
        b"4;" + b"a" * 9_000, b"4#a", b"4=a", b"'4'", b"4\r", b"0b100",
    ),
) | seeds(
    4,
    {
        "two chunks": post(CHUNKED, body=b"2\r\nen\r\n2\r\n=x\r\n0\r\n\r\n"),
        "no data at all": post(CHUNKED, body=b"0\r\n\r\n"),
        "the last chunk is written 000": post(CHUNKED, body=b"4\r\nen=x\r\n000\r\n\r\n"),
        "the last chunk has an extension": post(CHUNKED, body=b"4\r\nen=x\r\n0;a=b\r\n\r\n"),
        "the size ends with LF alone": post(CHUNKED, body=b"4\nen=x\r\n0\r\n\r\n"),
        "the size ends with CR alone": post(CHUNKED, body=b"4\ren=x\r\n0\r\n\r\n"),
        "every line ends with LF alone": post(CHUNKED, body=b"4\nen=x\n0\n\n"),
        "the data ends with LF alone": post(CHUNKED, body=b"4\r\nen=x\n0\r\n\r\n"),
        "the data ends with CR alone": post(CHUNKED, body=b"4\r\nen=x\r0\r\n\r\n"),
        "the data has no end of line": post(CHUNKED, body=b"4\r\nen=x0\r\n\r\n"),
        "two other bytes stand in place of the end of the data": post(CHUNKED, body=b"4\r\nen=xXX0\r\n\r\n"),
        "the data is one byte longer than its size": post(CHUNKED, body=b"3\r\nen=x\r\n0\r\n\r\n"),
        "the data is one byte shorter than its size": post(CHUNKED, body=b"5\r\nen=x\r\n0\r\n\r\n"),
        "an empty line before the first size": post(CHUNKED, body=b"\r\n" + CHUNKS),
        "an empty line in place of a size": post(CHUNKED, body=b"4\r\nen=x\r\n\r\n0\r\n\r\n"),
        "the last CRLF is missing": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\n"),
        "the last chunk is missing": post(CHUNKED, body=b"4\r\nen=x\r\n"),
        "the end is LF alone": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\n\n"),
        "a trailer": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nX: a\r\n\r\n"),
        "a trailer that is a length": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nContent-Length: 4\r\n\r\n"),
        "a trailer that is a coding": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nTransfer-Encoding: x\r\n\r\n"),
        "a trailer that is a Host": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nHost: b\r\n\r\n"),
        "a trailer that is a credential": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nAuthorization: b\r\n\r\n"),
        "a trailer that is an address": post(
            CHUNKED, body=b"4\r\nen=x\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
        ),
        "a trailer without a colon": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nX\r\n\r\n"),
        "a trailer with a bare LF": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nX: a\nY: b\r\n\r\n"),
        "a trailer with a bare CR": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nX: a\rY: b\r\n\r\n"),
        "a trailer with a zero byte": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nX: a\x00\r\n\r\n"),
        "a trailer that is folded": post(CHUNKED, body=b"4\r\nen=x\r\n0\r\nX: a\r\n b\r\n\r\n"),
        "a trailer that looks like a request": post(CHUNKED, body=b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        "a request behind the last chunk": post(CHUNKED, body=CHUNKS + SMUGGLED),
        "a request without Host behind the last chunk": post(
            CHUNKED, body=b"0\r\n\r\nGET /g/collect?smuggled HTTP/1.1\r\n\r\n"
        ),
        "a request in a chunk": post(
            CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
        ),
        "chunks of one byte": post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in b"en=x") + b"0\r\n\r\n"),
    },
)  # fmt: skip

OTHER = CODINGS | CHUNK_GRAMMAR
