"""The sealed value of FPLC: only the key opens it, only for a while, and nothing else is seen in it."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients._linker import MAX_CLIENT_ID_BYTES, seal, unseal

KEY = "a key of at least sixteen"
NOW = 1_764_000_000
DAY = 86_400
CLIENT_ID = "AUJctU7H7hBB/aMuhE4pKwGu5DWDdklg5abyyyn8i/I=.1747154479"  # ga4-protocol 2.4


@given(client_id=st.text(min_size=1, max_size=60), age=st.integers(0, DAY))
def test_what_was_sealed_is_unsealed(client_id, age):
    value = seal(client_id, NOW, KEY)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", value)  # passes cookies, links and queries as it is
    assert unseal(value, NOW + age, KEY, DAY) == client_id


def test_the_longest_id_is_unsealed():
    client_id = "x" * MAX_CLIENT_ID_BYTES
    assert unseal(seal(client_id, NOW, KEY), NOW, KEY, DAY) == client_id


def test_no_changed_byte_is_accepted():
    sealed = urlsafe_b64decode(seal(CLIENT_ID, NOW, KEY) + "==")
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        assert unseal(urlsafe_b64encode(changed).rstrip(b"=").decode(), NOW, KEY, DAY) is None


def test_no_cut_or_longer_value_is_accepted():
    value = seal(CLIENT_ID, NOW, KEY)
    assert all(unseal(value[:size], NOW, KEY, DAY) is None for size in range(len(value)))
    assert unseal(f"{value}AAAA", NOW, KEY, DAY) is None


def test_another_key_opens_nothing():
    assert unseal(seal(CLIENT_ID, NOW, KEY), NOW, "another key of sixteen", DAY) is None


@pytest.mark.parametrize(("age", "is_accepted"), [(DAY, True), (DAY + 1, False), (-300, True), (-301, False)])
def test_a_value_is_accepted_for_a_while_and_from_clocks_a_little_ahead(age, is_accepted):
    assert (unseal(seal(CLIENT_ID, NOW, KEY), NOW + age, KEY, DAY) is not None) == is_accepted


def test_values_of_two_visitors_share_no_key_stream():
    # equal times, nearly equal ids: under one stream the values would be as equal as the texts
    one = urlsafe_b64decode(seal("a" * 64, NOW, KEY) + "==")
    two = urlsafe_b64decode(seal("a" * 63 + "b", NOW, KEY) + "==")
    assert sum(x == y for x, y in zip(one, two, strict=True)) < 16


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[A-Za-z0-9_-]{30,90}", fullmatch=True)))
def test_no_text_raises_or_is_accepted(text):
    assert unseal(text, NOW, KEY, DAY) is None
