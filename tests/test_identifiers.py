"""The table of vendors' rules: Meta's vectors, what is nothing, what is a digest already, bad input."""

import hashlib
import json
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sgtm.identifiers import (
    RULES,
    hash_person,
    hash_user_data,
    normalise_user_data,
    plain_text,
    with_calling_code,
)

VECTORS = json.loads((Path(__file__).parent / "vectors" / "capi-user-data.json").read_text())
FIELDS = sorted(RULES["meta"])
MARY = hashlib.sha256(b"mary").hexdigest()
ROWS = [(vendor, field) for vendor, rules in RULES.items() for field in rules]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def meta(field: str, value: object, year: int = 2025) -> str | None:
    return normalise_user_data("meta", field, value, year=year)


# -- the vectors -------------------------------------------------------------------------------


def test_there_are_53_vectors_and_every_field_of_the_table_has_one():
    assert len(VECTORS) == 53
    assert {vector["field"] for vector in VECTORS} == set(FIELDS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_vector_is_normalised_and_hashed_exactly(vector):
    assert meta(vector["field"], vector["input"]) == vector["expected_normalised"]
    digest = hash_user_data("meta", vector["field"], vector["input"], year=2025)
    assert digest == vector["expected_sha256"]


# -- what holds for every row ------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing", ["", "  ", "undefined", "null", "(not set)", " undefined ", None, True, [], {}]
)
@pytest.mark.parametrize(("vendor", "field"), ROWS)
def test_what_is_nothing_is_left_out_and_never_hashed(vendor, field, nothing):
    # SPEC: meta-capi 4.6, T6, and 4.2: the digest of the empty text is a classic bug
    assert hash_user_data(vendor, field, nothing) is None


@pytest.mark.parametrize(("vendor", "field"), ROWS)
def test_a_digest_passes_in_lower_case_and_is_not_hashed_again(vendor, field):
    # SPEC: meta-capi 4.2; R268
    assert hash_user_data(vendor, field, f"  {MARY.upper()}\n") == MARY
    assert normalise_user_data(vendor, field, MARY) == MARY


@pytest.mark.parametrize("field", FIELDS)
def test_32_hex_digits_are_a_digest_but_for_ids(field):
    # SPEC: meta-capi 4.6, T3
    md5 = "0123456789ABCDEF0123456789abcdef"
    expected = sha(md5.lower()) if field == "external_id" else md5.lower()
    assert hash_user_data("meta", field, md5) == expected


def anything() -> st.SearchStrategy[object]:
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=9), st.text(max_size=40)
    )
    likely = st.text(alphabet="0123456789./-+() @abcdefßİΑΣ\u0301\ud800", max_size=40)
    return st.one_of(
        scalars, likely, st.lists(scalars, max_size=2), st.dictionaries(st.text(), scalars, max_size=1)
    )


@given(value=anything(), row=st.sampled_from(ROWS), year=st.integers(1, 9_999))
@example(value=10**5_000, row=("meta", "em"), year=2025)
@example(value=float("nan"), row=("meta", "zp"), year=2025)
@example(value="\ud800", row=("meta", "external_id"), year=2025)
@example(value="9" * 5_000, row=("meta", "doby"), year=2025)
def test_no_value_raises_and_what_comes_out_is_a_digest(value, row, year):
    digest = hash_user_data(*row, value, year=year)
    assert digest is None or re.fullmatch("[0-9a-f]{64}|[0-9a-f]{32}", digest)
    normalised = normalise_user_data(*row, value, year=year)
    assert (normalised is None) == (digest is None)


@given(value=anything(), row=st.sampled_from(ROWS))
def test_hashing_and_normalising_twice_change_nothing(value, row):
    digest = hash_user_data(*row, value)
    assert digest is None or hash_user_data(*row, digest) == digest
    normalised = normalise_user_data(*row, value)
    # None: what is left may be a word for nothing, as of "nu-ll"
    assert normalised is None or normalise_user_data(*row, normalised) in (normalised, None)


def test_a_person_is_hashed_in_one_go_each_digest_once_and_in_order():
    # SPEC: meta-capi 4.1
    found = {
        "em": ["joe@eg.com", "a@b.c", " JOE@eg.com ", sha("a@b.c").upper(), "nonsense"],
        "fn": ["", None],
        "external_id": [12345],
    }
    assert hash_person("meta", found) == {
        "em": [sha("joe@eg.com"), sha("a@b.c")],
        "external_id": [sha("12345")],
    }


def test_a_vendor_or_field_that_the_table_does_not_know_is_an_error():
    with pytest.raises(KeyError):
        hash_user_data("nobody", "em", "a@b.c")
    with pytest.raises(KeyError):
        hash_user_data("meta", "shoe_size", "9")


def test_numbers_are_read_as_javascript_writes_them():
    assert plain_text(94043.0) == "94043"
    assert plain_text(10**400) is None
    assert meta("zp", 94043) == "94043"
    assert meta("ph", 16505551212) == "16505551212"


# -- Google's rules: SPEC google-runtime 6.8 ---------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("email_address", " Ada.Love@GMAIL.com ", "adalove@gmail.com"),
        ("email_address", "a.b@googlemail.com", "ab@googlemail.com"),
        ("email_address", "a.b@example.com", "a.b@example.com"),
        ("email_address", "...@gmail.com", None),
        ("email_address", "ada@example", None),
        ("email_address", "a@b@example.com", None),
        ("phone_number", "1 (650) 555-12/12.", "+16505551212"),
        ("phone_number", "+16505551212", "+16505551212"),
        ("phone_number", "650555121", None),
        ("phone_number", "6505551212", "+6505551212"),
        ("phone_number", "1" * 15, "+" + "1" * 15),
        ("phone_number", "1" * 16, None),
        ("phone_number", "16505551212 ext 5", None),
        ("first_name", " Anna-Maria 2 ", "annamaria"),
        ("last_name", "O'Neil", "oneil"),
        ("street", " 12, St. James's Square ", "st jamess square"),
        ("city", "St. Albans 2", "st albans"),
        ("region", "12", None),
        ("postal_code", " SW1Y.4~JH. ", "SW1Y4JH"),
        ("country", "GB", "GB"),
    ],
)
def test_google_s_fields_are_made_plain_as_its_runtime_does(field, value, expected):
    assert normalise_user_data("google", field, value) == expected


def test_a_person_has_at_most_fifty_values_of_a_field():
    # the work must not grow with the square of a list: each digest is compared with those before it
    hashed = hash_person("meta", {"em": [f"a{number}@b.c" for number in range(1000)]})
    assert hashed == {"em": [sha(f"a{number}@b.c") for number in range(50)]}


# -- Meta's rules, field by field: SPEC meta-capi 4.3 ------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("em", "a b@c.de", None),
        ("em", "a@b", None),
        ("em", "a@b@c.de", None),
        ("em", "jo.hn+news@gmail.com", "jo.hn+news@gmail.com"),
        ("em", "\ufeffA@B.de\u00a0", "a@b.de"),
        ("ph", "+44 (0)20 7946 0958", "4402079460958"),
        ("ph", "123456", None),
        ("ph", "1234567890123456", None),
        ("ph", "call me", None),
        ("ph", "+８１ ９０ １２３４ ５６７８", "819012345678"),
        ("fn", "Jean-Pierre", "jeanpierre"),
        ("fn", "José", "josé"),
        ("fn", "'-'", None),
        ("fn", "D’Arcy", "d’arcy"),
        ("ge", "FEMALE", "f"),
        ("ge", "man", "m"),
        ("ge", "diverse", None),
        ("ct", "São Paulo", "sãopaulo"),
        ("ct", "New York 2", "newyork2"),
        ("ct", "北京市", "北京市"),
        ("ct", "St. John’s", "stjohns"),
        ("st", "new  york", "ny"),
        ("st", "Québec", "qc"),
        ("st", "District of Columbia", "dc"),
        ("st", "Newfoundland & Labrador", "nl"),
        ("st", "Provence-Alpes-Côte d'Azur 13", "provencealpescôtedazur"),
        ("st", "75", None),
        ("zp", " ec1a 1bb ", "ec1a1bb"),
        ("zp", "01310-100", "01310"),
        ("zp", "-", None),
        ("country", "USA", "us"),
        ("country", "uk", "gb"),
        ("country", "POL", "pl"),
        ("country", "The Netherlands", "nl"),
        ("country", "Antigua & Barbuda", "ag"),
        ("country", "St. Lucia", "lc"),
        ("country", "XX", None),
        ("country", "Atlantis", None),
        ("external_id", " User 7 ", "user7"),
        ("f5last", "O'Connor", "oconn"),
        ("fi", "émile", "é"),
        ("dobd", "31", "31"),
        ("dobd", "32", None),
        ("dobd", "0", None),
        ("dobm", "13", None),
        ("dobm", "²", None),
        ("doby", "1899", None),
        ("doby", "2025", "2025"),
        ("doby", "2026", None),
    ],
)
def test_meta_wants_it_so(field, value, expected):
    assert meta(field, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1990-12-31T00:00:00Z", "19901231"),
        ("1990/2/3", "19900203"),
        ("1990.02.03", "19900203"),
        ("2/3/1990", "19900203"),
        ("31.12.1990", "19901231"),
        ("16-2-1997", "19970216"),
        ("2/29/2000", "20000229"),
        ("2/29/1900", None),
        ("1990-02-30", None),
        ("1899-12-31", None),
        ("0199-01-01", None),
        ("2026-01-01", None),
        ("12/31/90", None),
        ("19901", None),
        ("1990-1-1-1", None),
        ("Feb 16, 1997", None),
        ("１９９００１０１", "19900101"),
    ],
)
def test_a_date_of_birth_is_a_real_date_from_1900_to_the_year_of_the_event(value, expected):
    assert meta("db", value) == expected


@given(day=st.dates(date(1900, 1, 1), date(2025, 12, 31)))
def test_a_date_is_the_same_in_every_form(day):
    expected = day.strftime("%Y%m%d")
    forms = [day.isoformat(), expected, f"{day.month}/{day.day}/{day.year}"]
    if day.day > 12:
        forms.append(f"{day.day}.{day.month}.{day.year}")
    assert {meta("db", form) for form in forms} == {expected}


def test_every_country_is_known_by_its_alpha_2_and_alpha_3_code_and_name():
    pairs = {
        "de": ("DEU", "Germany"),
        "ci": ("CIV", "Côte d'Ivoire"),
        "cd": ("COD", "DR Congo"),
        "gb": ("GBR", "England"),
    }
    for code, spellings in pairs.items():
        assert {meta("country", spelling) for spelling in (code, *spellings)} == {code}
    letters = [chr(97 + one) for one in range(26)]
    known = [a + b for a in letters for b in letters if meta("country", a + b)]
    assert len(known) == 249 + 1, "ISO 3166-1 has 249 codes, and there is uk"
    assert (
        sum(meta("country", a + b + c) is not None for a in letters for b in letters for c in letters) >= 249
    )


# -- the calling code, only where a container asks for it --------------------------------------


@pytest.mark.parametrize(
    ("phone", "code", "expected"),
    [
        ("030 901820", "49", "4930901820"),
        ("+44 20 7946 0958", "49", "442079460958"),
        ("0044 20 7946 0958", "49", "442079460958"),
        ("(650) 555-1212", "1", "16505551212"),
        ("1 (650) 555-1212", "1", "16505551212"),
        (6505551212, "1", "16505551212"),
        ("06 1234567", "39", "39061234567"),
        ("393 1234567", "39", "393931234567"),
    ],
)
def test_a_national_number_gets_the_calling_code(phone, code, expected):
    assert meta("ph", with_calling_code(phone, code)) == expected


@pytest.mark.parametrize("value", ["", "undefined", None, [], MARY, "none"])
def test_what_is_no_number_gets_no_calling_code(value):
    assert with_calling_code(value, "49") == value
