"""Requests to vendors and their answers: what is plain, that the twin says the same of every byte, and that
nothing is read or written here that the answer reader and the request writer would not.

SPEC: reliability 3, rules 7 and 8; RFC 9112, 6.3 and 9.3."""

from types import ModuleType
from typing import Any

import pytest
from byte_mutants import byte_mutants
from hypothesis import example, given
from hypothesis import strategies as st
from reference import vendor_http as twin

from sgtm._fast import vendor_http as fast
from sgtm.delivery.answer_reader import MAX_HEAD_BYTES, MAX_HEADERS, AnswerReader
from sgtm.delivery.errors import Refused
from sgtm.delivery.http_sender import MAX_KEPT_BYTES
from sgtm.delivery.request_writer import origin_of, request_bytes, write_parts

MUTANTS = 6_000


def answer(
    *lines: bytes, status: bytes = b"200 OK", body: bytes = b"ok", length: bytes | None = None
) -> bytes:
    said = b"Content-Length: %d" % len(body) if length is None else length
    return b"\r\n".join([b"HTTP/1.1 " + status, *([said] if said else []), *lines, b"", b""]) + body


GOOGLE = answer(
    b"Access-Control-Allow-Origin: *",
    b"Date: Mon, 06 Jul 2026 10:00:00 GMT",
    b"Pragma: no-cache",
    b"Cache-Control: no-cache, no-store, must-revalidate",
    b"Content-Type: text/plain",
    b"Cross-Origin-Resource-Policy: cross-origin",
    b"Server: Golfe2",
    b'Alt-Svc: h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
    status=b"204 No Content",
    body=b"",
)
PLAIN = {
    "length": answer(),
    "Google's": GOOGLE,
    "no content, no length": answer(status=b"204 No Content", body=b"", length=b""),
    "empty": answer(body=b""),
    "no reason": answer(status=b"200 "),
    "an error": answer(status=b"503 Service Unavailable", body=b"x" * 3_000),
    "close": answer(b"Connection: close"),
    "keep": answer(b"connection:Keep-Alive"),
    "an empty value": answer(b"X:", b"Y: "),
    "every letter": answer(b"!#$%&'*+-.^_`|~09AZaz: " + bytes(range(33, 127))),
    "a long name": answer(b"x" * 64 + b": y"),
    "a long value": answer(b"x: " + b"y" * 20_000),
    "a head behind the head": answer(body=answer()),
    "as many headers as may be": answer(*[b"x: y"] * (MAX_HEADERS - 1)),
    "as much as is kept": answer(body=bytes(MAX_KEPT_BYTES)),
}
OTHER = {
    "nothing": b"",
    "half a body": answer()[:-1],
    "half a head": answer()[:-4],
    "more": answer() + b"x",
    "two answers": answer() * 2,
    "1.0": answer().replace(b"1.1", b"1.0"),
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
    "switching": answer(status=b"101 Switching", body=b"", length=b""),
    "status of 199": answer(status=b"199 X"),
    "status of 600": answer(status=b"600 X"),
    "status of four digits": answer(status=b"2000 X"),
    "no space behind the status": answer(status=b"200"),
    "two spaces": answer().replace(b"1.1 200", b"1.1  200"),
    "a tab in the reason": answer(status=b"200 a\tb"),
    "not modified": answer(status=b"304 Not Modified", body=b"", length=b"Content-Length: 10"),
    "no content with content": answer(status=b"204 No Content"),
    "no content with a length": answer(status=b"204 X", body=b"", length=b"Content-Length: 2"),
    "no length": answer(length=b""),
    "chunks": answer(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n", length=b""),
    "length and chunks": answer(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": answer(b"Content-Length: 2"),
    "length of ten digits": answer(length=b"Content-Length: 0000000002"),
    "a zero before": answer(length=b"Content-Length: 02"),
    "a sign": answer(length=b"Content-Length: +2"),
    "a list": answer(length=b"Content-Length: 2, 2"),
    "a space behind": answer(length=b"Content-Length: 2 "),
    "another connection": answer(b"Connection: close, x"),
    "two connections": answer(b"Connection: close", b"Connection: close"),
    "proxy connection": answer(b"Proxy-Connection: close"),
    "upgrade": answer(b"Upgrade: h2c"),
    "trailer": answer(b"Trailer: x"),
    "TE": answer(b"TE: trailers"),
    "space before the colon": answer(b"X : y"),
    "two spaces behind it": answer(b"X:  y"),
    "a tab": answer(b"X:\ty"),
    "a folded line": answer(b"X: a", b" b"),
    "no name": answer(b": a"),
    "no colon": answer(b"abc"),
    "a name of 65": answer(b"x" * 65 + b": y"),
    "a zero byte": answer(b"X: a\0b"),
    "high bytes": answer("X: ä".encode()),
    "a delete": answer(b"X: \x7f"),
    "line feeds": answer().replace(b"\r\n", b"\n"),
    "too many headers": answer(*[b"x: y"] * MAX_HEADERS),
    "too long a head": answer(b"x: " + b"y" * MAX_HEAD_BYTES),
    "more than is kept": answer(body=bytes(MAX_KEPT_BYTES + 1)),
}


def same(data: bytes) -> Any:
    """What both say of an answer; where it is something, the reader says so too."""
    ours = fast.read_answer(data)
    assert ours == twin.read_answer(data), data
    if ours is not None:
        reader = AnswerReader()
        reader.begin(is_for_head=False)
        assert reader.feed(data), data
        read = reader.answer()
        assert (read.status, read.headers, read.body, reader.may_go_on) == ours, data
    return ours


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_a_plain_answer_is_read_as_the_reader_reads_it_and_no_part_of_it(data: bytes) -> None:
    assert same(data) is not None
    for at in [*range(0, min(len(data), 400), 3), len(data) - 1]:
        assert same(data[:at]) is None


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER)
def test_what_is_not_plain_is_left_to_the_reader(data: bytes) -> None:
    assert same(data) is None


def test_an_answer_is_status_headers_body_and_whether_the_connection_stays(
    implementation: ModuleType,
) -> None:
    headers = (("content-length", "2"), ("x-a", "b c"), ("connection", "CLOSE"))
    data = answer(b"X-A: b c", b"Connection: CLOSE", status=b"429 Too Many Requests")
    assert implementation.read_answer(data) == (429, headers, b"ok", False)
    assert implementation.read_answer(PLAIN["no content, no length"]) == (204, (), b"", True)


def test_mutants_are_read_alike_or_not_at_all() -> None:
    seeds = [data for data in [*PLAIN.values(), *PLAIN.values(), *OTHER.values()] if len(data) < 2_000]
    marks = [
        b"\r\n",
        b"\n",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"Content-Length: 2\r\n",
        b"Connection: close\r\n",
        b"\xff",
    ]
    plain = sum(same(data) is not None for data in byte_mutants(seeds, marks, MUTANTS, 11, line_end=b"\r\n"))
    assert MUTANTS / 40 < plain < MUTANTS / 2, "some of both"


@given(st.binary(max_size=60), st.sampled_from([*PLAIN.values()][:9]), st.integers(0, 400))
def test_no_bytes_make_it_raise_or_read_what_the_reader_does_not(noise: bytes, seed: bytes, at: int) -> None:
    same(noise)
    same(seed[:at] + noise + seed[at:])
    same(seed[:at] + noise + seed[at + len(noise) :])


# -- requests ---------------------------------------------------------------------------------------

URL = "https://vendor.example/g/collect?v=2&tid=G-A%20B#"[:-1]
TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "text/plain;charset=UTF-8", " a ", "a\tb", "a\r\nb", "\0", "\x7f", "ä", "\ud800", "€"]
    ),
    st.text("ab ~!", max_size=30),
    st.text(max_size=5),
)
NAMES = st.one_of(
    st.sampled_from(
        [
            "Content-Type",
            "accept",
            "ACCEPT",
            "Accept-Encoding",
            "User-Agent",
            "Host",
            "content-length",
            "TE",
            "Te",
        ]
        + ["Connection", "Transfer-Encoding", "trailer", "Upgrade", "EXPECT", "Keep-Alive", "Forwarded"]
        + [
            "Proxy-Authorization",
            "proxy-",
            "proxy",
            "X" * 64,
            "X" * 65,
            "",
            "a b",
            "a:b",
            "a\r\nb",
            "é",
            "Hosts",
        ]
    ),
    st.text("aZ-_!9", max_size=12),
)
HEADERS = st.lists(st.tuples(NAMES, TEXTS), max_size=5).map(tuple)
URLS = st.one_of(
    st.sampled_from(
        [
            URL,
            "http://127.0.0.1:9/x",
            "https://v.example:443/",
            "HTTPS://V.Example./x?y/z",
            "https://[::1]:8/a",
        ]
        + [
            "https://v.example",
            "https://v.example?a/b",
            "https://v.example/#a",
            "https://v.example/ä",
            "/x",
            "",
        ]
        + [
            "https:/v.example/",
            "https://u:p@v.example/",
            "a?b//c/d",
            "https:///x",
            "https://v.example/a b",
            "//a/b",
        ]
    ),
    st.text("htps:/?#.a1é \n", max_size=20),
    st.text("ab/?%=&~{}|\x7f\x80 ", max_size=40).map(lambda text: f"https://vendor.example/{text}"),
)


def as_written(method: str, url: str, headers: Any, body: bytes) -> bytes | None:
    """As the request writer does it; None: refused."""
    try:
        written, origin = write_parts(method, url, headers), origin_of(url)
        return request_bytes(written, origin, body, to_proxy=False)
    except Refused:
        return None


def host_of(url: str) -> str:
    scheme, host, port = origin_of(url)
    is_default = port == {"http": 80, "https": 443}[scheme]
    return host.rstrip(".") if is_default else f"{host.rstrip('.')}:{port}"


@given(
    st.sampled_from(["POST", "GET", "HEAD", "PUT", "post", "P T", ""]), URLS, HEADERS, st.binary(max_size=20)
)
@example("POST", URL, (("Content-Type", "a"), ("User-Agent", "Mozilla/5.0 (X)")), b"{}")
@example("GET", URL, (("accept", "a"),), b"")
@example("GET", "https://v.example./", (), b"1234567890")
def test_what_is_written_is_what_the_request_writer_writes(
    method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    size = fast.authority_size(url)
    assert size == twin.authority_size(url)
    if not size:
        return
    wanted = as_written(method, url, headers, body)
    # the origin is that of what stands before the path, whatever follows
    try:
        origin = origin_of(url[: size + 1])
    except Refused:
        assert wanted is None
        return
    assert origin == origin_of(url)
    written = fast.write_request(method, url, size, host_of(url), headers, body)
    assert written == twin.write_request(method, url, size, host_of(url), headers, body)
    assert written is None or written == wanted


@pytest.mark.parametrize(
    ("url", "size"),
    [
        ("https://vendor.example/x", 22),
        ("http://127.0.0.1:8080/", 21),
        ("https://vendor.example/x?y=//z/", 22),
        ("https://vendor.example", 0),
        ("https://vendor.example?x=/", 0),
        ("https://vendor.example/#x", 0),
        ("https://vendor.example/a b", 0),
        ("https://vendor.example/\u00e4", 0),
        ("/x", 0),
    ],
)
def test_the_authority_ends_where_the_path_begins(implementation: ModuleType, url: str, size: int) -> None:
    assert implementation.authority_size(url) == size


def test_a_request_is_written_at_once(implementation: ModuleType) -> None:
    headers = (("Content-Type", "text/plain"), ("User-Agent", "Mozilla/5.0 (X; Y)"))
    written = implementation.write_request("POST", URL, 22, "vendor.example", headers, b"en=a\r\n")
    assert written == (
        b"POST /g/collect?v=2&tid=G-A%20B HTTP/1.1\r\nHost: vendor.example\r\nContent-Type: text/plain\r\n"
        b"User-Agent: Mozilla/5.0 (X; Y)\r\nAccept: */*\r\nContent-Length: 6\r\n\r\nen=a\r\n"
    )
    written = implementation.write_request("GET", URL, 22, "a:1", (("ACCEPT", ""),), b"")
    assert written == b"GET /g/collect?v=2&tid=G-A%20B HTTP/1.1\r\nHost: a:1\r\nACCEPT: \r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        {"method": "HEAD"},
        {"url": URL + "\u00e4"},
        {"url": URL + " "},
        {"target": 21},
        {"target": -1},
        {"target": len(URL)},
        {"host": "\u00e4"},
        {"headers": (("Host", "a"),)},
        {"headers": (("proxy-x", "a"),)},
        {"headers": (("a", "b\r\nc: d"),)},
        {"headers": (("a\r\nb", "c"),)},
        {"headers": (("", "c"),)},
        {"headers": (("a" * 65, "c"),)},
        {"headers": (("a", "b"),) * 101},
    ],
)
def test_what_is_not_plain_is_left_to_the_request_writer(
    implementation: ModuleType, said: dict[str, Any]
) -> None:
    plain = {"method": "POST", "url": URL, "target": 22, "host": "a", "headers": (), "body": b""}
    assert implementation.write_request(**plain) is not None
    assert implementation.write_request(**plain | said) is None


@pytest.mark.parametrize(
    "headers", [(("a",),), (("a", "b", "c"),), (["a", "b"],), (("a", 1),), ((b"a", "b"),), (1,)]
)
def test_whatever_is_no_pair_of_texts_is_not_plain(headers: Any) -> None:
    assert fast.write_request("POST", URL, 22, "a", headers, b"") is None


@given(st.binary(max_size=3_000))
def test_a_body_is_written_as_it_is(body: bytes) -> None:
    written = fast.write_request("POST", URL, 22, "a", (), body)
    assert written == as_written("POST", URL, (), body).replace(b"Host: vendor.example", b"Host: a")  # type: ignore[union-attr]
