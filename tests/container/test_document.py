"""YAML text to plain data: what words mean, where values stand, and what no container may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.container.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_document


def data_of(text):
    document = read_document(text.encode())
    assert document.flaws == []
    return document.data


def flaw_of(text):
    (flaw,) = read_document(text if isinstance(text, bytes) else text.encode()).flaws
    return flaw


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("0123", "0123"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
    ],
)
def test_plain_words_mean_what_they_mean_in_json_and_all_else_is_text(written, value):
    found = data_of(f"key: {written}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_the_text_of_a_number_is_kept():
    document = read_document(b"ids: [12345678901234567890, 1.50]")
    assert document.texts == {("ids", 0): "12345678901234567890", ("ids", 1): "1.50"}


def test_every_value_knows_its_line_and_an_unknown_place_that_of_what_is_around_it():
    document = read_document(b"a: 1\nb:\n- c: 2\n  d:\n    e: 3\n")
    assert [document.line(path) for path in [("a",), ("b",), ("b", 0), ("b", 0, "d", "e")]] == [1, 2, 3, 5]
    assert document.line(("b", 0, "nothing")) == 3
    assert document.line(("nothing",)) == 1


def test_an_anchor_is_used_again_and_a_merge_fills_in_what_is_not_there():
    text = "a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, k: 9}\n"
    assert data_of(text) == {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 9, "l": 2}}


def test_a_key_that_stands_twice_is_reported_with_both_lines_and_the_first_counts():
    document = read_document(b"a: 1\nb: 2\na: 3\n")
    assert document.data == {"a": 1, "b": 2}
    (flaw,) = document.flaws
    assert (flaw.line, flaw.path) == (3, ("a",))
    assert "line 1" in flaw.what


def test_aliases_cannot_multiply_without_bound():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert f"{MAX_VALUES:,}" in flaw_of("\n".join(rows)).what


def test_aliases_cannot_nest_without_bound():
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]
    assert f"{MAX_DEPTH} deep" in flaw_of("\n".join(rows)).what


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 5_000, "- " * 5_000, "a: &a [*a]"])
def test_depth_and_circles_end_early(text):
    assert flaw_of(text).what


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: !!python/object/apply:os.system [ls]", 1, "YAML tag"),
        ("a: !custom 1", 1, "YAML tag"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: *nowhere", 1, "no anchor"),
        ("a: 1\nb: {{Name}}", 2, "reference"),
        ("a:\n\tb: 1", 2, "a tab"),
        ("a: b: c", 1, "not YAML"),
        ("a: [1, 2", 1, "not YAML"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: \x00", 1, "character"),
        (b"x" * (MAX_BYTES + 1), 1, "bytes"),
    ],
)
def test_what_cannot_be_read_is_one_flaw_with_its_line(text, line, what):
    flaw = flaw_of(text)
    assert what in flaw.what
    assert flaw.line == line
    assert flaw.mend


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter():
    assert read_document(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n").data == {"a": 1, "b": 2}


@given(
    st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"\n\t #,?%@`~<1.", max_size=80).map(str.encode)
)
def test_no_bytes_make_it_raise(content):
    document = read_document(content)
    assert document.flaws or isinstance(document.data, (dict, list, str, int, float, bool, type(None)))
