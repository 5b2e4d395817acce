import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.consent import CONSENT_TYPES, Consent, gcd_text, read_consent


def states(**data):
    consent = read_consent(
        {key.replace("_", "-") if key.startswith("x_") else key: v for key, v in data.items()}
    )
    return [getattr(consent, name) for name in CONSENT_TYPES]


@pytest.mark.parametrize(
    ("gcs", "expected"),
    # SPEC: ga4-protocol 7.1
    [("G111", [True, True]), ("G100", [False, False]), ("G101", [False, True]), ("G110", [True, False])]
    + [("G1--", [None, None]), ("", [None, None]), ("G1", [None, None])],
)
def test_gcs(gcs, expected):
    assert states(x_ga_gcs=gcs) == [*expected, None, None]


@pytest.mark.parametrize(
    ("gcd", "expected"),
    # SPEC: ga4-protocol 7.2 (checks with captures), google-runtime 6.6
    [
        ("11l1l1l1l1", [None, None, None, None]),
        ("13l3l3l2l1l1", [True, True, True, False]),
        ("13l3l3l3l1l1", [True, True, True, True]),
        ("13r3r3r2r5l1", [True, True, True, True]),
        ("13t3t3t2t5l1", [True, True, True, True]),
        ("13p3p3p2p5l1", [False, False, False, False]),
        ("13p3pPp2p5l1", [False, False, False, False]),
        ("13u3q3m3n1l1", [False, False, False, True]),
        ("13l3l3R3l5l1", [True, True, True, True]),
        # P as implicit letter: ad_user_data is delegated to ad_storage, which was denied by default
        ("13p3tPl3t5l1", [False, True, False, True]),
        ("1", [None, None, None, None]),
        ("1?", [None, None, None, None]),
    ],
)
def test_gcd(gcd, expected):
    assert states(x_ga_gcd=gcd) == expected


def test_explicit_consent_state_wins_over_gcd_and_gcd_over_gcs():
    assert states(x_ga_gcs="G100", x_ga_gcd="13t3t3t3t5l1")[0] is True
    assert states(x_ga_gcd="13t3t3t3t5l1", consent_state={"ad_storage": False})[:2] == [False, True]


def test_unset_counts_as_the_policy_says():
    consent = read_consent({"x-ga-gcs": "G1-0"})
    assert consent.missing(("ad_storage",), is_unset_granted=True) == []
    assert consent.missing(("ad_storage", "analytics_storage"), is_unset_granted=True) == [
        "analytics_storage"
    ]
    assert consent.missing(("ad_storage",), is_unset_granted=False) == ["ad_storage"]


def test_a_hit_sent_again_names_what_was_granted():
    # SPEC: ga4-protocol 11.1.4, google-runtime 6.3 (gcut)
    consent = read_consent({"x-ga-gcu": "1", "x-sst-system_properties": {"gcut": "1.3"}})
    assert consent.is_update
    assert consent.newly_granted() == ("ad_storage", "ad_user_data")
    assert read_consent({"x-ga-mp2-gcut": "3"}).newly_granted() == ("ad_user_data",)
    assert not read_consent({"x-ga-gcu": "0"}).is_update


def test_what_was_granted_is_read_also_where_only_the_server_block_says_it():
    # SPEC: ga4-protocol 11.1.4: gcu, gcut and sst.gcut are parsed; a later user_engagement has no gcu
    consent = read_consent({"x-sst-system_properties": {"gcut": "1.3"}})
    assert consent.newly_granted() == ("ad_storage", "ad_user_data")
    assert not consent.is_update


STATES = st.sampled_from([True, False, None])


@given(st.tuples(STATES, STATES, STATES, STATES))
def test_consent_written_as_gcd_is_read_back(said):
    # SPEC: google-runtime 6.6
    consent = Consent(*said)
    assert read_consent({"x-ga-gcd": gcd_text(consent)}) == consent


def test_gcd_has_a_pair_of_letters_for_each_type_and_says_that_consent_mode_is_active():
    # SPEC: google-runtime 6.6: first letter implicit (1 unset), second update (l unset, m denied, n granted);
    # `5` active, `l1` no container-scoped defaults
    assert gcd_text(Consent(True, False, None, True)) == "11n1m1l1n5l1"


@given(
    st.text(max_size=14),
    st.text(max_size=6),
    st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.text())),
)
def test_no_text_makes_reading_consent_raise(gcd, gcs, system):
    read_consent({"x-ga-gcd": gcd, "x-ga-gcs": gcs, "x-sst-system_properties": system}).newly_granted()
