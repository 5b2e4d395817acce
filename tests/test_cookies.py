"""Reading cookies, the registrable domain, and the one function that writes Set-Cookie."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.cookies import (
    CookieError,
    cookie_names,
    read_cookie,
    read_cookies,
    registrable_domain,
    set_cookie_header,
)
from sgtm.errors import SgtmError
from sgtm.messages import Cookie, IncomingRequest

HOST = "shop.example.co.uk"


def request_with(*headers: bytes) -> IncomingRequest:
    pairs = tuple((b"cookie", header) for header in headers)
    return IncomingRequest("GET", "/", b"", pairs, b"", "203.0.113.9", False, "https", HOST, 0, 1)


# -- reading


def test_the_first_value_over_all_headers_wins() -> None:
    request = request_with(b"a=1", b"FPID=first; a=2", b"FPID=second")
    assert read_cookie(request, "FPID") == "first"
    assert read_cookies(request, "a") == ["1", "2"]


def test_a_missing_cookie_is_none_and_an_empty_one_is_empty() -> None:
    assert read_cookie(request_with(b"a=1"), "FPID") is None
    assert read_cookie(request_with(b"FPID="), "FPID") == ""
    assert read_cookies(request_with(), "FPID") == []


def test_values_of_one_name_are_bounded_over_all_headers() -> None:
    assert len(read_cookies(request_with(b"a=1;" * 40, b"a=1;" * 40), "a")) == 50


def test_names_are_listed_once_in_their_order() -> None:
    assert cookie_names(request_with(b"_ga=1; b=2", b"_ga=3; noname; =x")) == ["_ga", "b"]


@given(header=st.binary(max_size=60), name=st.text(max_size=5))
def test_no_header_and_no_name_makes_reading_raise(header: bytes, name: str) -> None:
    request = request_with(header)
    first = read_cookie(request, name)
    assert read_cookies(request, name)[:1] == ([] if first is None else [first])
    assert len(set(cookie_names(request))) == len(cookie_names(request))


# -- the registrable domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("shop.example.com", "example.com"),
        ("example.com", "example.com"),
        ("shop.example.co.uk", "example.co.uk"),  # R205: public-suffix aware
        ("sst.blog.github.io", "blog.github.io"),  # private section of the list
        ("SHOP.Example.com", "example.com"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("co.uk", None),
        ("github.io", None),
        ("localhost", None),
        ("203.0.113.9", None),
        ("2001:db8::1", None),
        ("[2001:db8::1]", None),
        ("1.2.3", None),
        ("example.com.", None),
        ("a..example.com", None),
        ("exa mple.com", None),
        ("münchen.de", None),
        ("", None),
        (f"{'a' * 64}.com", None),
        ("a." * 200 + "com", None),
        ("example.com\n", None),
    ],
)
def test_the_registrable_domain_of_a_host(host: str, domain: str | None) -> None:
    assert registrable_domain(host) == domain


# -- writing


def test_the_attributes_stand_in_one_order() -> None:
    # R59: HttpOnly, Secure, Lax, Path=/, Domain = registrable domain, Max-Age of 400 days
    cookie = Cookie("FPID", "FPID2.3.x%3D.1", 34_560_000, is_http_only=True)
    assert set_cookie_header(cookie, HOST) == (
        "FPID=FPID2.3.x%3D.1; Max-Age=34560000; Domain=example.co.uk; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_a_bare_cookie_has_only_what_it_needs() -> None:
    cookie = Cookie("a", "", 0, domain="", is_secure=False, same_site="")
    assert set_cookie_header(cookie, HOST) == "a=; Max-Age=0; Path=/"


@pytest.mark.parametrize("host", ["localhost", "203.0.113.9", "2001:db8::1", "github.io"])
def test_auto_is_host_only_where_no_domain_can_be_set(host: str) -> None:
    assert "Domain" not in set_cookie_header(Cookie("a", "1", 60), host)


@pytest.mark.parametrize("domain", ["example.co.uk", ".Example.co.uk", "shop.example.co.uk"])
def test_a_domain_that_covers_the_host_is_kept(domain: str) -> None:
    assert f"; Domain={domain.lower().lstrip('.')};" in set_cookie_header(
        Cookie("a", "1", 60, domain=domain), HOST
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"domain": "other.example"}, "does not cover"),
        ({"domain": "ple.co.uk"}, "does not cover"),
        ({"domain": "a.shop.example.co.uk"}, "does not cover"),
        ({"domain": "co.uk"}, "public suffix"),
        ({"domain": "uk"}, "public suffix"),
        ({"domain": "example.co.uk; HttpOnly"}, "not a name"),
        ({"domain": "example.co.uk\r\nX: y"}, "not a name"),
        ({"path": "shop"}, "path"),
        ({"path": "/a;b"}, "path"),
        ({"path": "/a\nb"}, "path"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\r\n"}, "name"),
        ({"name": "a=b"}, "name"),
        ({"value": "a;b"}, "forbidden"),
        ({"value": "a\r\nSet-Cookie: b=c"}, "forbidden"),
        ({"value": "a\x00"}, "forbidden"),
        ({"value": "a\n"}, "forbidden"),
        ({"value": " secret-value"}, "forbidden"),
        ({"value": "ü"}, "forbidden"),
        ({"value": "a" * 4096}, "larger"),
        ({"same_site": "Lax\r\nX: y"}, "SameSite"),
        ({"name": "__Host-a", "domain": "example.co.uk"}, "promises"),
        ({"name": "__Host-a", "path": "/a"}, "promises"),
        ({"name": "__Secure-a", "is_secure": False}, "promises"),
    ],
)
def test_a_cookie_that_must_not_be_sent_is_refused(changes: dict[str, object], what: str) -> None:
    fields: dict[str, object] = {"name": "a", "value": "secret-value", "max_age_s": 60, **changes}
    with pytest.raises(CookieError, match=what) as raised:
        set_cookie_header(Cookie(**fields), HOST)  # type: ignore[arg-type]
    assert isinstance(raised.value, SgtmError)
    assert isinstance(raised.value, ValueError)
    assert raised.value.mend
    assert str(fields["value"]) not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_max_age_is_cut_to_400_days_and_never_negative() -> None:
    # R251, ga4-protocol 5.4: an export's 63,072,000 s are cut
    assert "; Max-Age=34560000;" in set_cookie_header(Cookie("a", "1", 63_072_000), HOST)
    assert "; Max-Age=0;" in set_cookie_header(Cookie("a", "1", -1), HOST)


def test_same_site_none_brings_secure() -> None:
    # R278: cross-origin beacons get cookies with None and Secure
    header = set_cookie_header(Cookie("a", "1", 60, is_secure=False, same_site="None"), HOST)
    assert header.endswith("; Secure; SameSite=None")


def test_a_host_bound_name_stays_host_only_under_auto() -> None:
    assert (
        set_cookie_header(Cookie("__Host-a", "1", 60), HOST)
        == "__Host-a=1; Max-Age=60; Path=/; Secure; SameSite=Lax"
    )


TEXT = st.text(max_size=12)


@given(name=TEXT, value=TEXT, domain=st.one_of(TEXT, st.just("auto")), path=TEXT.map("/{}".format), host=TEXT)
def test_no_header_can_be_split_or_given_an_attribute(
    name: str, value: str, domain: str, path: str, host: str
) -> None:
    try:
        header = set_cookie_header(Cookie(name, value, 60, domain=domain, path=path), host)
    except CookieError:
        return
    assert re.fullmatch(r"[ -~]*", header)  # R280: no control character, no line end
    parts = header.split(";")
    assert parts[0] == f"{name}={value}"
    assert [part.split("=")[0] for part in parts[1:]] in (
        [" Max-Age", " Path", " Secure", " SameSite"],
        [" Max-Age", " Domain", " Path", " Secure", " SameSite"],
    )
