import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.container.google import json_document
from sgtm.container.google.json_document import read_json


def test_every_entity_has_the_line_at_which_it_begins():
    tags = '   {"name": "a, [1]\\" {x"},\n   {\n    "name": "b"}\n  ]'
    text = '{\n "containerVersion": {\n  "tag": [\n' + tags + ',\n  "n": 1\n }\n}'
    document = read_json(text.encode())
    assert document.data == json.loads(text)
    tags = ("containerVersion", "tag")
    assert [document.line(place) for place in (tags[:1], tags, (*tags, 0), (*tags, 1))] == [2, 3, 4, 5]


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_lines_are_those_of_pretty_printed_json(value):
    value = {"list": [value, {"here": 1}, value]}
    text = json.dumps(value, indent=1)
    document = read_json(text.encode())
    assert document.flaws == []
    assert document.data == value
    before = json.dumps({"list": [value["list"][0]]}, indent=1)
    assert document.line(("list", 1)) == before.count("\n")


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b'{"a": 1\n "b": 2}', 2, "is not JSON: Expecting ',' delimiter in column 2"),
        (b'{"a": [1, 2', 1, "is not JSON: Expecting ',' delimiter in column 12"),
        (b"", 1, "is not JSON: Expecting value in column 1"),
        (b'{"a":\n "\xff"}', 2, "is not UTF-8 text"),
        (b'{"a": NaN}', 1, "is not JSON that can be read: nested too deep, or a number too long"),
        (b"[" * 100_000, 1, "is not JSON that can be read: nested too deep, or a number too long"),
        (b"\n" + b"[" * 100 + b"]" * 100, 2, "is nested more than 60 deep"),
    ],
)
def test_a_broken_file_says_line_and_column(content, line, what):
    document = read_json(content)
    assert document.data is None
    assert [(flaw.line, flaw.what) for flaw in document.flaws] == [(line, what)]


def test_a_file_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(json_document, "MAX_BYTES", 10)
    assert [flaw.what for flaw in read_json(b'{"a": "bcdefgh"}').flaws] == ["has more than 10 bytes"]


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert read_json(b'\xef\xbb\xbf{"a": 1}').data == {"a": 1}
