"""A row of characters is found where it stands, and nowhere else."""

import re
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import patterns as twin

from sgtm._fast import patterns as fast


def bits(characters: str) -> bytes:
    return sum(1 << ord(character) for character in set(characters)).to_bytes(16, "little")


DIGITS = bits("0123456789")
HASH = bits("0123456789abcdefABCDEF") * 64


@pytest.mark.parametrize(
    ("text", "start", "place"), [("a1b22", 0, 3), ("a1b22", 4, -1), ("11", 0, 0), ("1", 0, -1), ("", 0, -1)]
)
def test_two_digits_are_found_from_a_place_on(
    implementation: ModuleType, text: str, start: int, place: int
) -> None:
    assert implementation.find_row(text, DIGITS * 2, False, False, start) == place


def test_both_ends_make_it_the_whole_text(implementation: ModuleType) -> None:
    assert implementation.find_row("0aF9" * 16, HASH, True, True, 0) == 0
    for text in ("0aF9" * 15 + "0aF", "0aF9" * 16 + "0", "0aF9" * 15 + "0aFg", ""):
        assert implementation.find_row(text, HASH, True, True, 0) == -1


def test_a_text_beyond_ascii_and_a_start_before_it_have_no_place(implementation: ModuleType) -> None:
    assert implementation.find_row("é1", DIGITS, False, False, 0) == -1
    assert implementation.find_row("1", DIGITS, False, False, -1) == -1
    assert implementation.find_row("1", DIGITS, False, False, 9) == -1


@given(
    text=st.text("ab1\0\x7fé", max_size=12),
    row=st.lists(st.text("ab1\0\x7f", max_size=3), min_size=1, max_size=4),
    is_start=st.booleans(),
    is_end=st.booleans(),
    start=st.integers(-2, 14),
)
def test_both_find_the_same_place(
    text: str, row: list[str], is_start: bool, is_end: bool, start: int
) -> None:
    classes = b"".join(map(bits, row))
    place = fast.find_row(text, classes, is_start, is_end, start)
    assert place == twin.find_row(text, classes, is_start, is_end, start)
    if text.isascii() and start == 0:
        inner = "".join(f"[{re.escape(one)}]" if one else "[^\0-\U0010ffff]" for one in row)
        found = re.search(f"{'^' if is_start else ''}{inner}{chr(92) + 'Z' if is_end else ''}", text)
        assert place == (found.start() if found else -1)
