"""Patterns: RE2 in JavaScript's syntax, as string tests where they are nothing more."""

import contextlib

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgtm.patterns import (
    MAX_DATA_LENGTH,
    MAX_LENGTH,
    MAX_RESULT,
    PatternError,
    PatternSet,
    compile_pattern,
    pattern_of_data,
)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        # google-runtime 2.1: an unanchored search, case matters
        ("purchase", "a purchase b", True),
        ("purchase", "Purchase", False),
        ("^purchase$", "purchase2", False),
        ("^(purchase|refund)$", "refund", True),
        ("^(purchase|refund)$", "prefund", False),
        ("^/(de|fr)/(cart|shop)", "/fr/shop/1", True),
        ("^/(de|fr)/(cart|shop)", "/en/shop/1", False),
        ("a|b$", "xb", True),
        ("a|b$", "bx", False),
        ("", "", True),
        (".*", "", True),
        (".*", "\n", True),
        ("^.*$", "\n", False),
        (".+", "\n\r", False),
        ("^.*x", "\nx", False),
        (r"^\d+$", "12", True),
        # JavaScript: $ is the end of the text, not of its last line
        ("a$", "a\n", False),
        # JavaScript's reading of what RE2 reads otherwise
        (r"^.$", "\r", False),
        (r"^.$", "\u2028", False),
        (r"^\s$", "\v", True),
        (r"^\s$", "\u00a0", True),
        (r"^\S$", "\u00a0", False),
        (r"^[\s]$", "\ufeff", True),
        (r"^[^\s]$", "\u3000", False),
        (r"^[\S]$", "x", True),
        (r"^[\S]$", "\u2003", False),
        (r"[\b]", "\b", True),
        (r"\u0041", "A", True),
        (r"[\u0430-\u044f]", "д", True),
        (r"^\ud83d\ude00$", "😀", True),
        (r"\u{1F600}", "😀", True),
        (r"\cJ", "\n", True),
        (r"a\_b\-c\/d", "a_b-c/d", True),
        ("[]", "a", False),
        ("^[^]$", "\n", True),
        (r"^[a-\d]$", "-", True),
        (r"^[\w-.]+$", "a-b.c", True),
        ("[.", "x", None),
        ("a{,2}", "a{,2}", True),
        ("x{", "x{", True),
        (r"^[/$|(]$", "$", True),
        # what only RE2 knows, and people write for Google's server
        ("(?i)purchase", "PURCHASE", True),
        (r"\Aab\z", "ab", True),
        (r"\Qa.b\E", "a.b", True),
        ("[[:digit:]]", "5", True),
        (r"^\pL+$", "Grüße", True),
        (r"(?<year>\d{4})", "in 2026", True),
        ("Zürich|Genève", "Genève", True),
    ],
)
def test_a_pattern_is_searched_as_javascript_searches(pattern, text, found):
    if found is None:
        with pytest.raises(PatternError, match=r"character 1 of the pattern"):
            compile_pattern(pattern)
    else:
        assert compile_pattern(pattern).matches(text) is found


@pytest.mark.parametrize(
    ("pattern", "place", "what"),
    [
        ("ab(?=c)", 3, "look-around"),
        ("(?<!a)b", 1, "look-around"),
        (r"(a)x\1", 5, "back-reference"),
        (r"(?<n>a)\k<n>", 8, "back-reference"),
        ("a[bc", 2, "`[`"),
        ("ab\\", 3, "backslash"),
        (r"a\ud83d", 2, "number"),
        ("a\ud83db", 2, "surrogate"),
        ("ab**", 3, "repetition"),
        ("xa{1001}", 3, "repetition size"),
    ],
)
def test_what_re2_cannot_take_is_said_with_its_place(pattern, place, what):
    with pytest.raises(PatternError) as error:
        compile_pattern(pattern)
    assert error.value.where == f"character {place} of the pattern"
    assert what in str(error.value)


@pytest.mark.parametrize(
    "pattern", ["a)", "(a", "((a{1000}){1000}){1000}", r"(\pL{500}){9}", "x" * MAX_LENGTH + "y"]
)
def test_a_pattern_that_is_broken_or_would_need_too_much_memory_is_refused(pattern):
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_nothing_is_written_to_standard_error_about_a_bad_pattern(capfd):
    with pytest.raises(PatternError):
        compile_pattern("(a")
    PatternSet([compile_pattern(r"\d\w")]).matching("x")
    assert capfd.readouterr().err == ""


def test_full_match_puts_both_ends_around_without_a_group():
    # SPEC: sandbox-api 5.10.4, A6
    pattern = compile_pattern("a|b", full_match=True)
    assert [pattern.matches(text) for text in ("a", "ax", "xb", "b", "xax")] == [
        True,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("text", ["Purchase", "PURCHASE", "purchase"])
def test_capitals_count_as_small_letters_where_case_is_ignored(text):
    assert compile_pattern("^purChase$", ignore_case=True).matches(text)
    assert compile_pattern("(purchase)+", ignore_case=True).matches(text)
    assert compile_pattern("É|purchase", ignore_case=True).matches(text)


@pytest.mark.parametrize(
    ("pattern", "text", "replacement", "result"),
    [
        # JavaScript: String.prototype.replace with the flag g
        ("a", "banana", "o", "bonono"),
        ("(b)(a)", "ba ba", "$2$1", "ab ab"),
        ("b", "abc", "[$&]", "a[b]c"),
        ("b", "abc", "[$`|$']", "a[a|c]c"),
        ("b", "abc", "$$&", "a$&c"),
        ("(b)", "abc", "$2$0$10", "a$2$0b0c"),
        ("(x)?b", "abc", "<$1>", "a<>c"),
        ("(?<first>b)", "abc", "$<first>$<none>!", "ab!c"),
        ("b", "abc", "$<first>", "a$<first>c"),
        ("a*", "aab", "x", "xxbx"),
        ("a*", "a", "x", "xx"),
        ("^a", "aaa", "x", "xaa"),
        ("", "äb", "-", "-ä-b-"),
        ("ü", "aüé", "$&$'", "aüéé"),
        (r"\d", "none", "x", "none"),
        ("a", "x\ud800a", "b", "x\ufffdb"),
    ],
)
def test_every_match_is_replaced_as_javascript_does(pattern, text, replacement, result):
    assert compile_pattern(pattern).replace_all(text, replacement) == result


@pytest.mark.parametrize("text", ["", "no", "a1", "xa12b", "äa12", "a1 a2", "\ud800a1"])
def test_all_places_are_those_of_re2(text):
    for source in ("a(\\d)(x)?", "(é)|a", "$", "b*", "[a2]", "^[xa]", "[a\\d]{2}$", "^a\\d{1}$", ".\\D", "^"):
        pattern = compile_pattern(source)
        found = re2.finditer(source, text.replace("\ud800", "\ufffd"))
        places = [(one.start(), one.end(), one.groups()) for one in found]
        assert [(one.start, one.end, one.groups) for one in pattern.finds(text)] == places
        assert pattern.find(text) == next(pattern.finds(text), None)


@pytest.mark.parametrize(
    ("pattern", "length"),
    [("^[A-Fa-f0-9]{64}$", 64), (":", 1), (r"\d\w{2}x$", 4), ("[a-z]{5}", None), ("a+", None), ("^$", None)],
)
def test_a_fixed_number_of_characters_is_known_as_a_row(pattern, length):
    row = compile_pattern(pattern).row
    assert (row and len(row[0]) // 16) == length


def test_a_replacement_that_grows_without_bounds_is_an_error():
    with pytest.raises(PatternError, match=str(MAX_RESULT)):
        compile_pattern("a").replace_all("a" * 10_000, "$`$'")


@pytest.mark.parametrize(
    ("pattern", "is_quick"),
    [
        ("^(purchase|refund)$", True),
        (".*", True),
        (".*checkout.*", True),
        (r"\.example\.com$", True),
        ("^/a", True),
        ("a.*b", False),
        ("[ab]", False),
        ("a+", False),
        ("|".join(map(str, range(30))), False),
        ("^(" + "|".join(map(str, range(30))) + ")$", True),
        ("(a|b|c)" * 10, False),
        ("(" * 200 + "a" + ")" * 200, False),
    ],
)
def test_what_is_some_literal_texts_needs_no_search(pattern, is_quick):
    assert compile_pattern(pattern).is_quick is is_quick


PIECES = ["a", "b", "k", "K", "é", "\\.", "|", "^", "$", "(", "(?:", ")", ".*", ".", "x"]
written = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
texts = st.text(st.sampled_from("abkK.éxÉ\n\u212a\ud800"), max_size=8)


@settings(max_examples=200)
@given(pattern=written, text=texts, ignore_case=st.booleans(), full_match=st.booleans())
@example("^a|b$", "ab", False, True)
@example("^.*k", "K", True, False)
def test_string_tests_say_what_a_search_says(pattern, text, ignore_case, full_match):
    try:
        compiled = compile_pattern(pattern, ignore_case=ignore_case, full_match=full_match)
    except PatternError:
        return
    options = re2.Options()
    options.log_errors = False
    clean = text.replace("\ud800", "\ufffd")
    assert compiled.matches(text) is (re2.compile(compiled.source, options).search(clean) is not None)


@settings(max_examples=200)
@given(patterns=st.lists(written, max_size=14), text=texts, ignore_case=st.booleans())
def test_a_set_says_what_its_patterns_say_one_by_one(patterns, text, ignore_case):
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(compile_pattern(pattern, ignore_case=ignore_case))
        except PatternError:
            continue
    expected = [index for index, pattern in enumerate(compiled) if pattern.matches(text)]
    assert PatternSet(compiled).matching(text) == expected
    assert PatternSet(compiled).first(text) == (expected[0] if expected else None)


def test_a_set_of_many_and_large_patterns_is_complete():
    patterns = [compile_pattern(rf"key{n}\b|\pL{{20}}z{n}$") for n in range(250)]
    assert PatternSet(patterns).matching("key7 key249 key30") == [7, 30, 249]


def test_a_pattern_of_an_event_is_bounded_and_never_raises():
    assert pattern_of_data("a+").matches("caab")
    assert pattern_of_data("(") is None
    assert pattern_of_data("a" * (MAX_DATA_LENGTH + 1)) is None
    assert pattern_of_data(r"(\pL{100}){9}") is None
    assert not pattern_of_data("(a*)*b").matches("a" * 50_000)


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab()[]^-\\dsSwubQE{}1,<>?=!:|*+.$ikcx0\ud83d\u20ac"), max_size=14))
def test_no_text_makes_anything_but_a_pattern_or_its_error(text):
    with contextlib.suppress(PatternError):
        assert isinstance(compile_pattern(text).replace_all("ab1", "$1"), str)
