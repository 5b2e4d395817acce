"""Bodies of senders that are no browser. SPEC: requirements R83; ga4-protocol 11.2."""

import gzip
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.protocols.bodies import MAX_DEPTH, Unreadable, read_body

ALL = ("json", "ndjson", "form", "xml")


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf [1, {"a": null}] \n', [1, {"a": None}]),
        (b'{"a": 1}\n\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        (b"", None),
        (b" \n", None),
        (b"7", 7),
        (b"id=7&name=J%C3%A4ne+Doe&empty=", {"id": "7", "name": "Jäne Doe", "empty": ""}),
        (b"a[b][c]=1&a[b][d]=2&l[]=x&l[]=y", {"a": {"b": {"c": "1", "d": "2"}}, "l": {"0": "x", "1": "y"}}),
        (b"a=1&a[b]=2&a=3", {"a": "1"}),
        (b"<order/>", {"order": ""}),
        (
            b'<?xml version="1.0" encoding="latin1"?><o id="7"><i>1</i><i>J\xe4ne</i>&lt;<p q="r">s</p></o>',
            {"o": {"@id": "7", "i": ["1", "Jäne"], "p": {"@q": "r", "#text": "s"}, "#text": "<"}},
        ),
        (
            b"<o xmlns:s='urn:x'><s:i>1</s:i><![CDATA[ <b> ]]></o>",
            {"o": {"@xmlns:s": "urn:x", "s:i": "1", "#text": "<b>"}},
        ),
    ],
)
def test_a_body_is_known_by_how_it_begins(body: bytes, holds: object) -> None:
    assert read_body(body, ALL) == holds
    assert read_body(gzip.compress(body), ALL) == holds


BOMB = b'<!DOCTYPE o [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><o>&b;</o>'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a": ', 400),
        (b'{"a": 1}\n{"a": ', 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"hello", 400),
        (b"<o>", 400),
        (b"<o></p>", 400),
        (b"<o>&nbsp;</o>", 400),
        (b"<e>" * (MAX_DEPTH + 1) + b"</e>" * (MAX_DEPTH + 1), 400),
        (b"<e>" * 100_000 + b"</e>" * 100_000, 400),
        (b"<?xml version='1.0' encoding='none-such'?><o/>", 400),
        (BOMB, 400),
        (b'<!DOCTYPE o SYSTEM "file:///etc/passwd"><o/>', 400),
        ("a=é".encode(), 400),
        (gzip.compress(b"{}", mtime=0)[:-3], 400),
        (gzip.compress(b"[" + b"0," * 9_000_000, mtime=0), 413),
    ],
)
def test_what_cannot_be_read_has_a_status_and_a_reason_without_its_content(body: bytes, status: int) -> None:
    """SPEC: requirements R81; reliability 5 rule 7."""
    with pytest.raises(Unreadable) as caught:
        read_body(body, ALL)
    assert caught.value.status == status
    assert "passwd" not in caught.value.reason


@pytest.mark.parametrize(
    ("body", "forms"), [(b"<o/>", ("json",)), (b"a=1", ("json", "xml")), (b"{}", ("form",))]
)
def test_a_form_that_is_not_expected_is_415(body: bytes, forms: tuple) -> None:
    with pytest.raises(Unreadable) as caught:
        read_body(body, forms)
    assert caught.value.status == 415


def test_lines_of_json_are_read_only_where_they_are_expected() -> None:
    with pytest.raises(Unreadable):
        read_body(b'{"a": 1}\n{"a": 2}', ("json",))
    assert read_body(b'{"a": 1}\n{"a": 2}', ("ndjson",)) == [{"a": 1}, {"a": 2}]


def test_elements_may_be_nested_as_deep_as_that() -> None:
    found = read_body(b"<e>" * MAX_DEPTH + b"</e>" * MAX_DEPTH, ALL)
    assert repr(found).count("e") == MAX_DEPTH


def test_names_of_a_form_nest_only_so_deep() -> None:
    found = read_body(b"a" + b"[b]" * 500_000 + b"=1", ALL)
    depth = 0
    while isinstance(found, dict):
        found, depth = next(iter(found.values())), depth + 1
    assert depth == MAX_DEPTH


@pytest.mark.parametrize(
    "body",
    [
        b"&".join(b"a%d" % number + b"[" * 64 + b"=1" for number in range(15_000)),
        b"&".join(b"a%d" % number + b"%5B" * 64 + b"=1" for number in range(5_000)),
        b"bc&" * 300_000,
    ],
)
def test_a_form_of_a_megabyte_is_no_hundreds_of_megabytes_in_memory(body: bytes) -> None:
    """SPEC: reliability 5 rule 7."""
    tracemalloc.start()
    with pytest.raises(Unreadable) as caught:
        read_body(b"a=1&" + body, ALL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.status == 413
    assert peak < 60_000_000


def test_text_between_elements_is_read_once() -> None:
    """With each piece put behind what was there before, this took twenty seconds."""
    body = b"<o>" + b"x<b/>" * 799_000 + b"</o>"
    began = time.process_time()
    found = read_body(body, ALL)
    assert found["o"]["#text"] == "x" * 799_000
    assert time.process_time() - began < 8


@given(
    st.one_of(
        st.binary(max_size=80),
        st.text(alphabet="<>&;/![\"']=?ab ", max_size=60).map(lambda text: b"<" + text.encode()),
        st.text(alphabet="ab[]=&%+0", max_size=60).map(lambda text: b"a=" + text.encode()),
    )
)
def test_no_bytes_make_it_raise_anything_else(body: bytes) -> None:
    with suppress(Unreadable):
        read_body(body, ALL)
