"""The compiled cookie look-up and its twin say the same about every header."""

from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference import cookies as twin

from sgtm._fast import cookies as fast

NAMES = st.sampled_from([b"FPID", b"_ga", b"a", b"", b"a b", b"=", b";"])
TOKENS = st.sampled_from(
    [
        b"FPID",
        b"_ga",
        b"fpid",
        b"a",
        b"=",
        b"==",
        b";",
        b"; ",
        b" ",
        b"\t",
        b"\x00",
        b"\xff",
        b'"',
        b"FPID2.2.x%3D.1",
    ]
)
HEADERS = st.one_of(st.binary(max_size=80), st.lists(TOKENS, max_size=24).map(b"".join))


@given(header=HEADERS, name=NAMES)
@example(header=b";".join([b"a=1"] * 60), name=b"a")
@example(header=b"a", name=b"a")
@example(header=b"", name=b"a")
@example(header=b" \t a \t=\t ", name=b"a")
def test_core_and_twin_find_the_same(header: bytes, name: bytes) -> None:
    assert fast.find_cookie(header, name) == twin.find_cookie(header, name)
    assert fast.find_cookies(header, name) == twin.find_cookies(header, name)


def test_core_and_twin_have_the_same_bound() -> None:
    assert fast.MAX_VALUES == twin.MAX_VALUES
    assert len(fast.find_cookies(b"a=1;" * (fast.MAX_VALUES + 1), b"a")) == fast.MAX_VALUES


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"FPID=1", b"1"),
        (b"a=2; FPID=1; b=3", b"1"),
        (b"a=2;FPID=1;b=3", b"1"),
        (b"FPID=first; FPID=second", b"first"),
        (b"FPID = 1 ", b"1"),
        (b"FPID=a=b", b"a=b"),  # RFC 6265 5.2: the first = ends the name
        (b'FPID="quoted"', b'"quoted"'),  # RFC 6265 4.1.1: quotes belong to the value
        (b"FPID=", b""),
        (b"FPID", None),  # no =: a cookie without name
        (b"fpid=1", None),  # names are compared exactly
        (b"xFPID=1; FPIDx=2", None),
        (b"a=FPID=1", None),
        (b"", None),
    ],
)
def test_one_cookie_is_found_as_rfc_6265_reads_it(header: bytes, value: bytes | None) -> None:
    assert fast.find_cookie(header, b"FPID") == value


def test_only_bytes_are_taken() -> None:
    with pytest.raises(TypeError):
        fast.find_cookie("FPID=1", b"FPID")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fast.find_cookies(b"FPID=1", None)  # type: ignore[arg-type]


def test_the_first_values_of_several_cookies_come_out_in_one_call(implementation: ModuleType) -> None:
    headers = ((b"cookie", b"a=1; b=2"), (b"x", b"c=3"), (b"cookie", b"a=4; c=\xff; =5"))
    assert implementation.first_values(headers, (b"c", b"a", b"d", b"")) == ["\ufffd", "1", None, None]
    assert implementation.first_values((), (b"a",)) == [None]


@given(texts=st.lists(HEADERS, max_size=3))
def test_core_and_twin_find_the_same_first_values(texts: list[bytes]) -> None:
    headers = tuple((b"cookie", text) for text in texts)
    assert fast.first_values(headers, (b"a", b"_fbp")) == twin.first_values(headers, (b"a", b"_fbp"))
