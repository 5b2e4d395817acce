"""String() and Number() of values, as JavaScript has them."""

import math

import pytest

from sgtm.event import undefined
from sgtm.javascript import number_of, text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), ("", ""), (undefined, "undefined"), (None, "null"), (True, "true"), (False, "false")]
    + [(10.0, "10"), (0.1, "0.1"), (1e21, "1e+21"), (12345678901234567890, "12345678901234567890")]
    + [
        ([], ""),
        (["one"], "one"),
        ([1, None, undefined, [True, "x"]], "1,,,true,x"),
        ({"a": 1}, "[object Object]"),
    ],
)
def test_values_become_texts(value, text):
    # SPEC: google-runtime 2.1 (undefined, null, false, one-element array), 1 (members of lists)
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("", 0),
        (" ", 0),
        ("\ufeff\u2003 12 \n", 12),
        ("1e3", 1000),
        (".5", 0.5),
        ("5.", 5),
        ("-5", -5),
        ("+5", 5),
    ]
    + [("0x1F", 31), ("0b11", 3), ("0o17", 15), ("Infinity", math.inf), ("-Infinity", -math.inf)]
    + [(None, 0), (False, 0), (True, 1), (7, 7), (0.5, 0.5), ([], 0), (["8"], 8), ("1e999", math.inf)],
)
def test_values_become_numbers(value, number):
    # SPEC: google-runtime 2.1: empty string, null, false = 0, true = 1, surrounding space trimmed
    assert number_of(value) == number


@pytest.mark.parametrize(
    "value",
    ["x", "12px", "1,5", "1_000", "0x", "0xG", "-0x1", "0x+1", "0x 1", "inf", "nan", "१२", "1 2", "--1", "."]
    + [undefined, {}, [1, 2], "\x1c1"],
)
def test_what_is_no_number_is_nan(value):
    # SPEC: google-runtime 2.1: junk or undefined = NaN
    assert math.isnan(number_of(value))
