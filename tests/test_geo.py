"""Where a visitor is: headers of trusted proxies, then a database of addresses."""

import os

import pytest
from cases import case_event, make_parameters, make_request
from geo_file import write_database
from hypothesis import given
from hypothesis import strategies as st

from sgtm import geo_database
from sgtm.component import find
from sgtm.container.check import check_container
from sgtm.event import undefined
from sgtm.geo_database import GeoDatabaseError, open_database, place_of_address, use_database
from sgtm.geo_headers import Names, Place, place_of_headers

BERLIN = {
    "country": {"iso_code": "DE"},
    "subdivisions": [{"iso_code": "BE"}, {"iso_code": "X"}],
    "city": {"names": {"en": "Berlin", "de": "Berlin!"}},
}
NETWORKS = {
    "203.0.113.0/24": BERLIN,
    "198.51.100.0/24": {"registered_country": {"iso_code": "FR"}},
    "192.0.2.0/24": {"country": {}},
}


@pytest.fixture
def database(tmp_path):
    yield write_database(tmp_path / "places.mmdb", NETWORKS)
    use_database("")
    geo_database._OPEN.clear()


def request(headers, **said):
    return make_request({"headers": headers, "is_peer_trusted": True, **said})


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        # SPEC: ga4-protocol: the region of Google's load balancer is like BRSP
        ({"X-Gclb-Country": "BR", "X-Gclb-Region": "BRSP"}, Place("BR", "SP")),
        ({"X-Gclb-Country": "BR"}, Place("BR")),
        (
            {"X-Appengine-Country": "us", "X-Appengine-Region": "ca", "X-Appengine-City": "los angeles"},
            Place("US", "CA", "los angeles"),
        ),
        ({"CF-IPCountry": "DE", "CF-Region-Code": "BE", "CF-IPCity": "Berlin"}, Place("DE", "BE", "Berlin")),
        ({"CloudFront-Viewer-Country": "GB", "CloudFront-Viewer-Country-Region": "ENG"}, Place("GB", "ENG")),
        ({"X-Vercel-IP-Country": "BR", "X-Vercel-IP-City": "S%C3%A3o%20Paulo"}, Place("BR", "", "São Paulo")),
        (
            {"X-Akamai-Edgescape": "georegion=246,country_code=US,region_code=CA,city=SANFRANCISCO"},
            Place("US", "CA", "SANFRANCISCO"),
        ),
        # what no proxy knows: the next is asked
        ({"CF-IPCountry": "XX", "CloudFront-Viewer-Country": "FR"}, Place("FR")),
        ({"CF-IPCountry": "T1"}, None),
        ({"X-Appengine-Country": "ZZ"}, None),
        ({"CF-IPCountry": "DE", "CF-Region-Code": "not a code"}, Place("DE")),
        ({"CF-IPCountry": "US", "CF-Region-Code": "US-NY"}, Place("US", "NY")),
        ({}, None),
    ],
)
def test_a_trusted_proxy_is_believed(headers, place):
    assert place_of_headers(request(headers)) == place


def test_nobody_else_is_believed():
    # SPEC: requirements R316: only from trusted proxies
    assert place_of_headers(request({"CF-IPCountry": "DE"}, is_peer_trusted=False)) is None


def test_headers_of_a_proxy_of_ones_own_take_the_place_of_all_others():
    names = Names("x-land", "x-region", "x-city")
    said = {"X-Land": "AT", "X-Region": "9", "X-City": "Wien", "CF-IPCountry": "DE"}
    assert place_of_headers(request(said), names) == Place("AT", "9", "Wien")
    assert place_of_headers(request({"CF-IPCountry": "DE"}), names) is None


@given(st.dictionaries(st.sampled_from(["cf-ipcountry", "cf-region-code", "x-akamai-edgescape"]), st.text()))
def test_no_header_makes_anything_but_a_place(headers):
    place = place_of_headers(
        request({name: text.encode("utf-8", "replace").decode() for name, text in headers.items()})
    )
    assert place is None or (place.country.isascii() and len(place.country) == 2 and len(place.region) <= 3)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.9", Place("DE", "BE", "Berlin")),
        ("198.51.100.1", Place("FR")),
        ("192.0.2.1", None),
        ("127.0.0.1", None),
        ("2001:db8::1", None),
        ("no address", None),
    ],
)
def test_a_database_tells_where_an_address_is(database, address, place):
    assert place_of_address(address, database) == place


def test_a_file_that_is_replaced_is_seen_when_a_container_is_checked(database, tmp_path):
    assert place_of_address("203.0.113.9", database).country == "DE"
    write_database(tmp_path / "new.mmdb", {"203.0.113.0/24": {"country": {"iso_code": "AT"}}})
    os.replace(tmp_path / "new.mmdb", database)
    assert place_of_address("203.0.113.9", database).country == "DE"
    open_database(database)
    assert place_of_address("203.0.113.9", database).country == "AT"


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_a_file_that_is_none_is_an_error_that_says_so(tmp_path, content):
    path = tmp_path / "broken.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GeoDatabaseError, match="cannot be opened"):
        use_database(str(path))
    assert geo_database.default_database() == ""


def test_a_variable_whose_database_is_none_does_not_know_and_looks_for_it_once(tmp_path, caplog):
    path = tmp_path / "later.mmdb"
    assert [place_of_address("203.0.113.9", str(path)) for _ in range(2)] == [None, None]
    assert len(caplog.records) == 1
    write_database(path, NETWORKS)
    assert place_of_address("203.0.113.9", str(path)) is None
    open_database(str(path))
    assert place_of_address("203.0.113.9", str(path)).country == "DE"


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(geo_database, "maxminddb", None)
    with pytest.raises(GeoDatabaseError, match=r"pip install 'sgtm\[geo\]'"):
        open_database("any.mmdb")


def value(type_, parameters, headers=None, data=None):
    component = find("variable", type_)
    case = {
        "parameters": parameters,
        "request": {"headers": headers or {}, "is_peer_trusted": True},
        "event": {"name": "x", "data": data or {}},
    }
    return component.function(case_event(case), make_parameters(component, parameters))


def test_the_database_is_asked_where_no_header_tells(database):
    assert value("geo", {"database": database}) == "DE"
    assert value("geo", {"database": database, "part": "city"}) == "Berlin"
    assert value("vr", {"database": database}) == "DE-BE"
    assert value("vr", {"database": database}, {"CF-IPCountry": "US"}) == "US"
    # an address that somebody has redacted or set is the one that counts
    assert value("vr", {"database": database}, data={"ip_override": "198.51.100.7"}) == "FR"


def test_the_database_of_the_process_is_asked_where_the_variable_names_none(database):
    assert value("geo", {}) is undefined
    use_database(database)
    assert value("geo", {}) == "DE"


def test_check_names_a_database_that_cannot_be_opened(tmp_path):
    path = tmp_path / "container.yaml"
    path.write_text(
        "sgtm: 1\nvariables:\n  - {name: Country, type: geo, parameters: {database: /none.mmdb}}\n"
    )
    said = [str(problem) for problem in check_container(path)]
    assert any("cannot be opened" in text and ".database" in text for text in said)
