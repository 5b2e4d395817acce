"""The scanner at the edge: what is plain, what is not, and that its twin says the same of every byte."""

from types import ModuleType
from typing import Any

import pytest
from http_corpus import OTHER, PLAIN, SEEDS, mutants
from hypothesis import example, given
from hypothesis import strategies as st
from reference import http as twin

from sgtm._fast import http as fast

BOUNDS = (16_384, 8_192, 32_768, 100)
HEAD = b"GET /g/collect?v=2&en=a HTTP/1.1\r\nHost: shop.example\r\n"

FIELDS = twin.PlainRequest._fields
NAMES = st.sampled_from(
    [
        b"Host",
        b"host",
        b"Content-Length",
        b"Connection",
        b"Cookie",
        b"User-Agent",
        b"X-" + b"a" * 61,
        b"X-" + b"a" * 62,
        b"X-" + b"a" * 63,
        b"Transfer-Encoding",
        b"Transfer_Encoding",
        b"X_a",
        b"x y",
        b"",
        b"Expect",
        b"TE",
        b"\xff",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            b"shop.example",
            b"0",
            b"5",
            b"05",
            b"close",
            b"Keep-Alive",
            b"",
            b" a",
            b"a ",
            b"a\tb",
            b"\x00",
            b"\x7f",
        ]
    ),
    st.binary(max_size=20),
    st.text("ab c~!", max_size=40).map(str.encode),
)
LINES = st.tuples(NAMES, st.sampled_from([b":", b": ", b" : ", b":\t", b""]), VALUES).map(b"".join)
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r"])
HEADS = st.tuples(
    st.sampled_from(
        [b"GET /a?b HTTP/1.1", b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"GET /#a HTTP/1.1", b"PO"]
    ),
    st.lists(st.tuples(ENDS, LINES).map(b"".join), max_size=6).map(b"".join),
    st.sampled_from([b"\r\nHost: a\r\n\r\n", b"\r\n\r\n", b"\r\n", b"\r\n\r\nGET /"]),
).map(b"".join)


def said(request: Any) -> Any:
    return request if isinstance(request, int) else tuple(getattr(request, name) for name in FIELDS)


def same(data: bytes, start: int = 0, bounds: tuple[int, int, int, int] = BOUNDS) -> Any:
    ours = said(fast.scan_head(data, start, bounds))
    assert ours == said(twin.scan_head(data, start, bounds)), data
    return ours


def test_a_plain_request_is_read(implementation: ModuleType) -> None:
    data = b"POST /g/collect?v=2&q=?x HTTP/1.1\r\nHOST:Shop.example:8080\r\nx-A: b c\r\n"
    data += b"content-length: 12\r\n\r\nen=x"
    assert said(implementation.scan_head(b"xx" + data, 2, BOUNDS)) == (
        "POST",
        "/g/collect",
        b"v=2&q=?x",
        ((b"host", b"Shop.example:8080"), (b"x-a", b"b c"), (b"content-length", b"12")),
        b"Shop.example:8080",
        len(data) - 4,
        12,
        19,
        False,
    )


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_every_plain_request_is_waited_for_and_then_read(data: bytes) -> None:
    # SPEC: reliability 2.2 class 8: cut at every byte
    head = data.index(b"\r\n\r\n") + 4
    assert not isinstance(same(data), int)
    for cut in range(0, head, 1 + head // 1_000):
        assert same(data[:cut]) == fast.WAIT, data[:cut]


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER)
def test_nothing_else_is_judged_here(data: bytes) -> None:
    # SPEC: reliability 2.2, column "fast listener": refuse or hand over
    assert not_read(data)
    seen = [not_read(data[:cut]) for cut in range(0, len(data), 1 + len(data) // 1_000)]
    assert seen == sorted(seen), "once lent, no byte makes it plain again"


def not_read(data: bytes) -> int:
    """WAIT or LEND."""
    said = same(data)
    assert isinstance(said, int), data
    return said


def test_core_and_twin_read_every_mutant_alike() -> None:
    for data in (*SEEDS, *mutants(3_000, seed=1)):
        same(data)
        same(data, len(data) // 2)


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_is_allowed_where_the_rules_say_so(byte: int) -> None:
    one = bytes([byte])
    token = one.isalnum() or one in b"!#$%&'*+-.^_`|~"
    for length in range(10):  # around the eight bytes that are looked at at once
        pad = b"a" * length
        assert isinstance(same(HEAD + b"x" + pad + one + b": b\r\n\r\n"), int) != (
            (token and byte < 128) or one == b":"
        )
        assert isinstance(same(HEAD + b"X: a" + pad + one + pad + b"b\r\n\r\n"), int) == (
            not 32 <= byte < 127
        )
        target = b"GET /" + pad + one + pad + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        assert isinstance(same(target), int) == (not 32 < byte < 127 or one == b"#")
        host = b"GET / HTTP/1.1\r\nHost: a" + one + b"b\r\n\r\n"
        assert isinstance(same(host), int) == (not (byte < 128 and (one.isalnum() or one in b".-_:[]")))


def test_bounds_hold_to_the_byte(implementation: ModuleType) -> None:
    # SPEC: reliability 2.4
    data = b"GET /123456789 HTTP/1.1\r\nHost: a\r\nX: 345\r\n\r\n"
    exact = (10, 5, 9, 2)
    assert not isinstance(implementation.scan_head(data, 0, exact), int)
    for place in range(4):
        narrower = tuple(bound - (index == place) for index, bound in enumerate(exact))
        assert implementation.scan_head(data, 0, narrower) == fast.LEND
    assert implementation.scan_head(b"GET /1234567890", 0, exact) == fast.LEND, "not waited for"
    assert implementation.scan_head(data[:-4] + b"6", 0, exact) == fast.LEND, "not waited for"


def test_a_start_outside_of_the_bytes_is_none(implementation: ModuleType) -> None:
    for start in (-1, 3):
        assert implementation.scan_head(b"GE", start, BOUNDS) == fast.LEND
    assert implementation.scan_head(b"GE", 2, BOUNDS) == fast.WAIT


@given(data=HEADS, cut=st.integers(0, 200))
def test_core_and_twin_read_alike(data: bytes, cut: int) -> None:
    same(data)
    same(data[:cut])
    same(HEAD + data)


@given(data=st.binary(max_size=120), start=st.integers(0, 40))
@example(data=b"", start=0)
def test_no_bytes_make_either_raise(data: bytes, start: int) -> None:
    same(data, start)
    same(HEAD + data, 0)
    same(HEAD + data, 0, (40, 30, 60, 3))


TEXTS = st.one_of(
    st.sampled_from(["Date", "Set-Cookie", "connection", "a\r\nb", "a\tb", "é", "\x7f", ""]), st.text()
)


@given(
    headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=4).map(tuple),
    body=st.none() | st.binary(max_size=20),
    connection=st.sampled_from(["", "close"]),
)
@example(headers=(("Content-Length", "5"), ("X", "\ud800")), body=b"", connection="close")
def test_core_and_twin_write_alike(
    headers: tuple[tuple[str, str], ...], body: bytes | None, connection: str
) -> None:
    assert fast.write_answer("HTTP/1.1 200 OK", headers, "now", body, connection) == twin.write_answer(
        "HTTP/1.1 200 OK", headers, "now", body, connection
    )


def test_an_answer_is_framed_by_us_alone(implementation: ModuleType) -> None:
    headers = (("Content-Type", "a/b"), ("content-LENGTH", "9"), ("Upgrade", "h2c"), ("X-É", "ü"))
    assert (
        implementation.write_answer("HTTP/1.1 200 OK", headers, "now", b"hi", "close")
        == "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-É: ü\r\nDate: now\r\nContent-Length: 2\r\n"
        "Connection: close\r\n\r\nhi".encode()
    )
    none = implementation.write_answer("HTTP/1.1 204 No Content", (), "now", None, "")
    assert none == b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"


@pytest.mark.parametrize("text", ["a\r", "a\nb", "\0", "\x1f", "\x7f"])
def test_no_control_character_leaves(text: str, implementation: ModuleType) -> None:
    # CVE-2026-34519 and its like: response splitting
    assert implementation.write_answer("HTTP/1.1 200 OK", (("X", text),), "now", b"", "") is None
    assert implementation.write_answer("HTTP/1.1 200 OK", ((text, "x"),), "now", b"", "") is None
