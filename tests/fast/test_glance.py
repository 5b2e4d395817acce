"""What a glance at a hit tells: the compiled functions say what their plain twins say."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference import glance as twin

from sgtm._fast import glance as fast
from sgtm.consent import read_consent

PIECES = st.sampled_from(
    [b"v=2&tid=G-", b"v=2", b"&", b"ABC123", b"z", b"-", b"%41", b"\xc4", b"=", b"tid=", b"", b"\0"]
)


@given(st.lists(PIECES, max_size=8).map(b"".join))
@example(b"v=2&tid=G-ABC123&en=a")
@example(b"v=2&tid=G-ABC123")
@example(b"v=2&tid=G-&en=a")
@example(b"v=2&tid=G-A-B&en=a")
@example(b"v=2&tid=G-")
def test_both_find_the_same_leading_tag_id(query: bytes) -> None:
    assert fast.leading_tag_id(query) == twin.leading_tag_id(query)


def test_the_tag_id_that_every_gtag_writes_first_is_found() -> None:
    # SPEC: ga4-protocol 1.2
    assert fast.leading_tag_id(b"v=2&tid=G-ABC123DEF4&gtm=45je4&_p=1") == "G-ABC123DEF4"
    assert fast.leading_tag_id(b"tid=G-ABC123DEF4&v=2&_p=1") == ""  # to be searched for


TEXTS = st.sampled_from(["", "G111", "G100", "13l3l3l2l1", "x" * 40, 7, None])
DATA = st.fixed_dictionaries(
    {},
    optional={
        "x-ga-gcs": TEXTS,
        "x-ga-gcd": TEXTS,
        "x-ga-gcu": TEXTS,
        "consent_state": st.just({"ad_storage": True}),
        "x-ga-mp2-gcut": TEXTS,
        "x-sst-system_properties": st.sampled_from([{}, {"gcut": "1"}, {"tft": "1"}, "no object", None]),
    },
)


@given(DATA)
def test_both_know_the_same_consent(data) -> None:
    known = {"G111": {"": "granted", "13l3l3l2l1": "by gcd"}, "": {"": "nothing said"}}
    assert fast.known_consent(data, known) == twin.known_consent(data, known)


@given(DATA)
def test_what_is_known_is_what_is_read(data) -> None:
    first = read_consent(data)
    assert read_consent(dict(data)) == first


@pytest.mark.parametrize("key", ["x-ga-gcu", "consent_state", "x-ga-mp2-gcut"])
def test_event_data_that_say_more_of_consent_are_not_known(key: str) -> None:
    known = {"G111": {"": "granted"}}
    assert fast.known_consent({"x-ga-gcs": "G111"}, known) == "granted"
    assert fast.known_consent({"x-ga-gcs": "G111", key: "1"}, known) is None
