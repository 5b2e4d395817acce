"""What people overlook about conditions, in words. What each operator gives stands in
tests/container/test_conditions.py, as a table."""

import pytest

from sgtm.triggers.operators import NUMBER_OPERATORS, TEXT_OPERATORS, WORDS, hint, url_matches


def test_every_operator_has_words_and_a_meaning():
    assert WORDS.keys() == {*TEXT_OPERATORS, *NUMBER_OPERATORS, "matches_regex", "css_selector"}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://www.Shop.example/Cart/", "https://shop.example:443/cart?x=1#y", True),
        ("https://www2.shop.example/", "https://shop.example", True),
        ("http://shop.example/a", "https://shop.example/a", True),  # http:80 and https:443 count as equal
        ("http://shop.example:80/a", "https://shop.example/a", True),
        ("http://shop.example:8080/a", "https://shop.example/a", False),
        ("http://shop.example:8080/a", "https://shop.example:8080/a", False),
        ("https://shop.example/a", "https://shop.example/a/b", False),
        ("https://shop.example/a//", "https://shop.example/a", False),  # only the last slash is taken
        ("https://a.example/", "https://b.example/", False),
        ("https://www.example/", "https://example/", True),
        ("https://wwwx.example/", "https://example/", False),
        ("/checkout/", "/Checkout", True),
        ("https://shop.example:99999/", "https://shop.example:99999/", True),
        ("https://[bad/", "https://shop.example/", False),
        ("", "", True),
    ],
)
def test_url_matches_compares_protocol_host_port_and_path(one, other, is_same):
    # SPEC: google-runtime 2.1, URL matches
    assert url_matches(one, other) is url_matches(other, one) is is_same


@pytest.mark.parametrize(
    ("operator", "left", "right", "words"),
    [
        ("equals", "Purchase", "purchase", "capital letters"),
        ("starts_with", "/Checkout/1", "/checkout", "capital letters"),
        ("equals", "10.0", "10", "as numbers they are equal"),
        ("equals", "undefined", "0", "missing"),
        ("greater", "undefined", "0", "missing"),
        ("greater", "12 EUR", "10", "`12 EUR` is no number"),
        ("less", "5", "ten", "`ten` is no number"),
        ("equals", "a ", "a", "white space"),
        ("equals", "", "0", ""),
        ("greater", "1", "2", ""),
        ("equals", "a", "b", ""),
        ("matches_regex", "A", "^a$", ""),
    ],
)
def test_what_a_person_overlooks_is_said(operator, left, right, words):
    # SPEC: requirements R266
    said = hint(operator, left, right)
    assert words in said if words else said == ""
