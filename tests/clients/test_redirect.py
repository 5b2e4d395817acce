"""The redirect client: a link leads to listed hosts, whatever is tried. SPEC: R66, R330."""

from urllib.parse import quote, urlsplit

import ada_url
import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients.redirect import Parameters, claim
from sgtm.messages import Claimed

HOSTS = ("shop.example", "*.shop.test", "xn--bcher-kva.example")
PARAMETERS = Parameters(paths=("/go",), hosts=HOSTS)


def follow(query):
    request = msgspec.structs.replace(make_request({"target": "/go"}), query=query)
    said = claim(request, PARAMETERS)
    assert isinstance(said, Claimed)
    return said


def is_listed(host):
    return host in ("shop.example", "xn--bcher-kva.example") or (host or "").endswith(".shop.test")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/",
        "http://shop.example",
        "HTTPS://SHOP.EXAMPLE/A",
        "https://shop.example:8443/a?b=c&d=e#f",
        "https://a.b.shop.test/?next=https://evil.example/",
        "https://shop.example/@evil.example",
        "https://shop.example?@evil.example",
        "https://shop.example#@evil.example",
        "https://shop.example//evil.example",
        "https://shop.example/%0d%0aSet-Cookie:%20a=b",
        "https://xn--bcher-kva.example/",
    ],
)
def test_a_link_leads_to_a_listed_host(url):
    said = follow(b"url=" + quote(url, safe="").encode())
    assert (said.answer.status, dict(said.answer.headers)) == (302, {"Location": url})
    assert said.events[0]["link_url"] == url
    assert is_listed(urlsplit(url).hostname)


@pytest.mark.parametrize(
    "url",
    # hosts
    [
        "https://evil.example/",
        "https://shop.test/",
        "https://evilshop.example/",
        "https://shop.example.evil.example/",
    ]
    + ["https://shop.example./", "https://.shop.example/", "https://shop%2Eexample/", "https://[::1]/"]
    # users
    + [
        "https://shop.example@evil.example/",
        "https://shop.example:443@evil.example/",
        "https://a:b@shop.example/",
    ]
    # slashes
    + ["//shop.example/", "//evil.example/", "/\\evil.example", "https:/shop.example/", "https:shop.example/"]
    + ["https:\\\\shop.example\\", "https://shop.example\\@evil.example/", "https:///shop.example/", "/", "a"]
    # ports
    + ["https://shop.example:/", "https://shop.example:port/", "https://shop.example:999999/"]
    # lines, blanks and other controls
    + ["https://shop.example/\r\nSet-Cookie: a=b", "https://shop.example/\n", "https://shop.example\t/"]
    + [
        " https://shop.example/",
        "https://shop.example/ ",
        "https://shop.example/\x00",
        "ht\ntps://shop.example/",
    ]
    # letters of other scripts, among them those that are ASCII once they are folded
    + ["https://bücher.example/", "https://ⓢhop.example/", "https://ſhop.example/", "httpſ://shop.example/"]
    + [
        "https://shop。example/",
        "https://shop.example/é",
        "https://\u212a.shop.test/",
        "https://shop.example/\ufffd",
    ]
    # encoded once more
    + ["https%3A%2F%2Fshop.example%2F", "%2F%2Fevil.example", "https://shop.example%5C@evil.example/"]
    # schemes
    + ["javascript:alert(1)", "data:text/html,x", "ftp://shop.example/", "https", ""],
)
def test_no_link_leads_elsewhere(url):
    said = follow(b"url=" + quote(url, safe="").encode())
    assert (said.events, said.answer.status, said.answer.headers) == ([], 400, ())
    assert len(said.warnings) == 1


def test_the_first_of_two_addresses_counts():
    assert follow(b"url=https://evil.example/&url=https://shop.example/").answer.status == 400
    assert follow(b"%75rl=https://shop.example/&url=https://evil.example/").answer.status == 302


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["*"],
        ["*.*"],
        ["shop.example:443"],
        ["https://shop.example"],
        ["Shop.example"],
        ["bücher.example"],
    ],
)
def test_hosts_that_could_never_be_met_are_refused(hosts):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"paths": ["/go"], "hosts": hosts}, Parameters)


PIECES = ["https:", "http:", "//", "/", "\\", "@", ":", "443", "shop.example", ".shop.test", "evil.example"]
PIECES += ["?", "#", "%2f", "%5c", "\t", "\n", "\r", " ", ".", "ſ", "é", "\x00", "[", "]", "a"]


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=9))
def test_where_a_browser_would_go_is_listed_or_the_link_leads_nowhere(pieces):
    said = follow(b"url=" + quote("".join(pieces), safe="").encode())
    location = dict(said.answer.headers).get("Location")
    assert (location is None) == (said.answer.status == 400) == (said.events == [])
    if location is not None:
        # as a browser reads it (WHATWG), from a page of somebody else
        assert is_listed(ada_url.URL(location, base="https://evil.example/x").hostname)


@given(query=st.binary(max_size=60), headers=st.binary(max_size=20))
def test_no_bytes_raise(query, headers):
    request = msgspec.structs.replace(
        make_request({"target": "/go"}),
        query=query,
        headers=((b"referer", headers), (b"user-agent", headers)),
    )
    assert isinstance(claim(request, PARAMETERS), Claimed)
