"""Who the visitor is: the formats of FPID, `_ga` and new ids."""

import re
from base64 import b64decode

import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients._server_managed import (
    known_visitor,
    new_client_id,
    new_script_id,
    new_visitor,
    script_id,
)
from sgtm.cookies import set_cookie_header
from sgtm.messages import Cookie

SERVER_ID = "AUJctU7H7hBB/aMuhE4pKwGu5DWDdklg5abyyyn8i/I=.1747154479"  # ga4-protocol 2.4
FPID = "FPID2.2.AUJctU7H7hBB%2FaMuhE4pKwGu5DWDdklg5abyyyn8i%2FI%3D.1747154479"


def with_cookies(cookies, host="shop.example"):
    return make_request({"host": host, "headers": {"Cookie": cookies}})


# -- FPID


def test_the_id_is_what_follows_the_prefix_decoded():
    # ga4-protocol 2.4
    visitor = known_visitor(with_cookies(f"a=1; FPID={FPID}"), "FPID")
    assert (visitor.client_id, visitor.cookie_value, visitor.is_new) == (SERVER_ID, FPID, False)


def test_the_prefix_of_before_2023_is_read_too():
    # ga4-protocol 5.4
    assert known_visitor(with_cookies("FPID=FPID1.3.abc.1"), "FPID").client_id == "abc.1"


@pytest.mark.parametrize(
    "value",
    ["", "FPID2", "FPID2.2.", "FPID3.2.abc", "FPID2.x.abc", "FPID2.2.a b", 'FPID2.2."a"', "FPID2.2.%0D%0Aa"]
    + ["FPID2.2.%ff", "FPID2.2." + "a" * 201, "GA1.2.1.2", "FPID2.2.é"],
)
def test_a_damaged_fpid_is_as_good_as_none(value):
    assert known_visitor(with_cookies(f"FPID={value}"), "FPID") is None


def test_a_whole_fpid_after_a_damaged_one_counts():
    assert known_visitor(with_cookies(f"FPID=x; FPID={FPID}"), "FPID").client_id == SERVER_ID


@pytest.mark.parametrize(
    ("host", "domain", "labels"),
    [
        ("sst.example.com", "auto", 2),  # ga4-protocol 5.4: 2 for example.com, 3 for example.co.uk
        ("sst.example.co.uk", "auto", 3),
        ("sst.example.com", "sst.example.com", 3),
        ("sst.example.com", ".example.com", 2),
        ("sst.example.com", "", 3),
        ("localhost", "auto", 1),
        ("203.0.113.9", "auto", 1),
        ("2001:db8::1", "auto", 1),
    ],
)
def test_the_second_part_counts_the_labels_of_the_domain(host, domain, labels):
    value = new_visitor(make_request({"host": host}), SERVER_ID, domain).cookie_value
    assert value == FPID.replace("FPID2.2.", f"FPID2.{labels}.")


PRINTABLE = st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufffd")


@given(client_id=st.text(PRINTABLE, min_size=1, max_size=40))
def test_what_is_written_is_a_cookie_and_is_read_again(client_id):
    written = new_visitor(make_request(), client_id, "auto").cookie_value
    assert set_cookie_header(Cookie("FPID", written, 60), "shop.example")
    assert known_visitor(with_cookies(f"FPID={written}"), "FPID").client_id == client_id


# -- new ids


def test_a_new_id_is_32_bytes_and_the_time_of_the_script_s_id():
    # ga4-protocol 2.4: the timestamp equals the second half of the _ga id
    first, _, second = new_client_id(make_request(), "584335997.1746564151").partition(".")
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", first)
    assert b64decode(first) == make_request().chance("fpid", 32)
    assert second == "1746564151"


def test_hits_sent_together_by_a_new_visitor_get_one_id_where_there_is_a_key():
    # SPEC: requirements R307; gtag.js sends two within 10 ms after a consent update, both without FPID
    key, other = "a key of more than 16", make_request({"seed": 2})
    first = new_client_id(make_request(), "584335997.1746564151", key)
    assert first == new_client_id(other, "584335997.1746564151", key)
    assert first != new_client_id(other, "584335997.1746564151", f"{key}!")
    assert first != new_client_id(other, "584335998.1746564151", key)
    assert new_client_id(make_request(), None, key) != new_client_id(other, None, key)


@pytest.mark.parametrize("script_id", ["555", None, "a.b", "1.2.3", ".5", "5."])
def test_an_id_without_time_gives_a_new_id_without_time(script_id):
    # ga4-protocol 2.4: cid=555
    assert "." not in new_client_id(make_request(), script_id)


def test_new_ids_follow_from_the_request_alone():
    other = make_request({"seed": 2})
    assert (
        new_client_id(make_request(), None)
        == new_client_id(make_request(), None)
        != new_client_id(other, None)
    )
    assert new_script_id(make_request()) == new_script_id(make_request()) != new_script_id(other)
    assert re.fullmatch(r"\d{1,10}\.1764000000", new_script_id(make_request()))


# -- the script's id


@pytest.mark.parametrize(
    ("cookies", "hit_id", "expected"),
    [
        ("_ga=GA1.2.584335997.1746564151", "555.1", "584335997.1746564151"),  # R57: _ga before cid
        ("_ga=GA1.1-2.584335997.1746564151", None, "584335997.1746564151"),  # google-runtime 7.6: path depth
        ("_ga=damaged; _ga=GA1.1.5.6", None, "5.6"),
        ("_ga=damaged", "555.1", "555.1"),
        ("", "555", "555"),
        ("", "", None),
        ("", None, None),
        ("", "a\nb", None),
        ("", 5, None),
        ("", "x" * 201, None),
    ],
)
def test_the_script_s_id_comes_from_its_cookie_else_from_the_hit(cookies, hit_id, expected):
    assert script_id(with_cookies(cookies), hit_id) == expected
