"""Trusted proxies: whose request is it."""

import ipaddress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.server.proxy import (
    CDN_HEADERS,
    MAX_HOPS,
    Requester,
    TrustedProxies,
    canonical_address,
    canonical_host,
)
from sgtm.settings import ForwardedHeader

PROXY = "10.0.0.1"
CDN = "198.51.100.7"
CLIENT = "203.0.113.9"
TRUSTED = TrustedProxies(["10.0.0.0/8", "198.51.100.0/24", "2001:db8:aaaa::/48"])


def ask(proxies: TrustedProxies, peer: str, *lines: tuple[str, str]) -> Requester:
    headers = [(b"host", b"internal.example:8080")]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    return proxies.requester(peer, tuple(headers), "http")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        # SPEC: R332: port, brackets, zone, v4-mapped
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::FFFF:203.0.113.9]:443", "203.0.113.9"),
        ("::ffff:cb00:7109", "203.0.113.9"),
        # not addresses
        ("", ""),
        ("unknown", ""),
        ("_hidden", ""),
        ("203.0.113", ""),
        ("203.0.113.9.1", ""),
        ("0203.0.113.9", ""),
        ("3405803785", ""),
        ("0x7f.1", ""),
        ("203.0.113.9\x00", ""),
        ("[2001:db8::1", "2001:db8::1"),
        ("shop.example", ""),
        ("١.١.١.١", ""),
    ],
)
def test_addresses_are_canonical_or_nothing(text: str, canonical: str) -> None:
    assert canonical_address(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Shop.Example", "shop.example"),
        ("shop.example:8080", "shop.example"),
        ("shop.example.", "shop.example"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ("my_shop.example", "my_shop.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("", ""),
        ("shop.example/evil", ""),
        ("user@shop.example", ""),
        ("shop.example, evil.example", ""),
        ("shop.example:port", ""),
        ("shop example", ""),
        ("shop.example\r\nSet-Cookie: a=b", ""),
        ("[::1", ""),
    ],
)
def test_hosts_are_canonical_or_nothing(text: str, canonical: str) -> None:
    assert canonical_host(text) == canonical


def test_whatever_an_untrusted_peer_writes_is_ignored() -> None:
    # SPEC: R279 forged X-Forwarded-For; X21; reliability 5 rule 6
    forged = [
        ("X-Forwarded-For", "1.1.1.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=1.1.1.1;proto=https;host=evil.example"),
    ]
    expected = Requester(CLIENT, False, "http", "internal.example")
    assert ask(TRUSTED, CLIENT, *forged) == expected
    assert ask(TrustedProxies(), CLIENT, *forged) == expected


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([CLIENT], CLIENT),
        # what the browser wrote itself stands on the left
        ([f"1.1.1.1, {CLIENT}"], CLIENT),
        ([f"10.9.9.9, {CLIENT}"], CLIENT),
        # trusted hops in between are passed
        ([f"1.1.1.1, {CLIENT}, {CDN}"], CLIENT),
        ([f"1.1.1.1,{CLIENT},{CDN},10.2.3.4"], CLIENT),
        # several lines are joined in order
        (["1.1.1.1", CLIENT], CLIENT),
        ([f"1.1.1.1, {CLIENT}", CDN], CLIENT),
        # only trusted hops: the furthest one asked
        (["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        # ports, brackets, mapped
        ([f"{CLIENT}:5000"], CLIENT),
        (["[2001:db8::9]:5000, [2001:db8:aaaa::1]:443"], "2001:db8::9"),
        ([f"::ffff:{CLIENT}, ::ffff:{CDN}"], CLIENT),
        # an unreadable hop hides what is behind it: the last readable one counts
        ([f"{CLIENT}, unknown"], PROXY),
        ([f"{CLIENT}, , {CDN}"], CDN),
        ([""], PROXY),
        ([f"{CLIENT}, <script>, 10.2.3.4"], "10.2.3.4"),
        ([], PROXY),
    ],
)
def test_the_right_most_untrusted_hop_is_the_requester(lines: list[str], address: str) -> None:
    requester = ask(TRUSTED, PROXY, *(("X-Forwarded-For", line) for line in lines))
    assert requester.remote_address == address
    assert requester.is_peer_trusted


def test_host_and_scheme_come_from_a_trusted_peer() -> None:
    # SPEC: R204, R205
    requester = ask(
        TRUSTED,
        PROXY,
        ("X-Forwarded-For", CLIENT),
        ("X-Forwarded-Proto", "HTTPS"),
        ("X-Forwarded-Host", "Shop.Example:443"),
    )
    assert requester == Requester(CLIENT, True, "https", "shop.example")


def test_a_proxy_that_writes_only_the_scheme_is_heard() -> None:
    requester = ask(TRUSTED, PROXY, ("X-Forwarded-Proto", "https"))
    assert requester == Requester(PROXY, True, "https", "internal.example")


def test_of_appended_hosts_only_the_right_most_counts() -> None:
    requester = ask(
        TRUSTED,
        PROXY,
        ("X-Forwarded-For", f"{CLIENT}, {CDN}"),
        ("X-Forwarded-Host", "evil.example, shop.example"),
    )
    assert requester.host == "shop.example"


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto"])
def test_nonsense_from_a_trusted_peer_changes_nothing(name: str) -> None:
    requester = ask(TRUSTED, PROXY, ("X-Forwarded-For", CLIENT), (name, "a/../b\x7f"))
    assert requester == Requester(CLIENT, True, "http", "internal.example")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # RFC 7239 section 4: the examples
        (["for=203.0.113.9"], (CLIENT, "http", "internal.example")),
        (['For="[2001:db8:cafe::17]:4711"'], ("2001:db8:cafe::17", "http", "internal.example")),
        (["for=203.0.113.9;proto=https;by=10.0.0.1"], (CLIENT, "https", "internal.example")),
        ([f"for=1.1.1.1, for={CLIENT};host=shop.example, for={CDN}"], (CLIENT, "http", "shop.example")),
        (
            [f"for={CLIENT};proto=https;host=shop.example", f"for={CDN};proto=http"],
            (CLIENT, "https", "shop.example"),
        ),
        (["for=unknown;proto=https"], (PROXY, "https", "internal.example")),
        (["for=_hidden, for=_SEVKISEK"], (PROXY, "http", "internal.example")),
        (["nonsense"], (PROXY, "http", "internal.example")),
    ],
)
def test_forwarded_is_understood(lines: list[str], expected: tuple[str, str, str]) -> None:
    for family in ("x-forwarded", "forwarded"):
        proxies = TrustedProxies(["10.0.0.0/8", "198.51.100.0/24"], family)
        requester = ask(proxies, PROXY, *(("Forwarded", line) for line in lines))
        assert (requester.remote_address, requester.scheme, requester.host) == expected


def test_an_unclosed_quote_does_not_swallow_the_element_of_the_proxy() -> None:
    forged = f'for=1.1.1.1;x=", for={CLIENT};by="_p"'
    assert ask(TRUSTED, PROXY, ("Forwarded", forged)).remote_address == CLIENT


def test_a_header_of_the_other_family_is_not_believed() -> None:
    """A proxy that writes one family passes on the other as the browser wrote it."""
    both = [("X-Forwarded-For", CLIENT), ("Forwarded", "for=1.1.1.1;host=evil.example")]
    assert ask(TRUSTED, PROXY, *both) == Requester(CLIENT, True, "http", "internal.example")
    rfc = TrustedProxies(["10.0.0.0/8"], "forwarded")
    forged = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https"), ("Forwarded", f"for={CLIENT}")]
    assert ask(rfc, PROXY, *forged) == Requester(CLIENT, True, "http", "internal.example")


def test_names_with_an_underscore_are_other_names() -> None:
    # SPEC: reliability 2.4: header names with `_` are ignored for trust decisions
    assert ask(TRUSTED, PROXY, ("X_Forwarded_For", "1.1.1.1")).remote_address == PROXY


def test_a_mapped_peer_is_matched_as_ipv4() -> None:
    requester = ask(TRUSTED, "::ffff:10.0.0.1", ("X-Forwarded-For", CLIENT))
    assert requester.remote_address == CLIENT
    assert ask(TrustedProxies(), "::ffff:203.0.113.9").remote_address == CLIENT
    assert ask(TrustedProxies(), "fe80::1%eth0").remote_address == "fe80::1"


def test_a_long_chain_costs_a_bounded_number_of_looks() -> None:
    chain = ",".join(["1.1.1.1", *["10.0.0.9"] * 4000])
    assert ask(TRUSTED, PROXY, ("X-Forwarded-For", chain)).remote_address == "10.0.0.9"
    assert MAX_HOPS < 4000


addresses = st.ip_addresses().map(str)
junk = st.text(st.characters(max_codepoint=255), max_size=40)


@given(st.lists(addresses | junk, max_size=6), addresses.filter(lambda a: canonical_address(a) == a))
def test_nothing_left_of_the_proxys_own_entry_changes_the_requester(forged: list[str], client: str) -> None:
    # SPEC: X21: count from the right with trusted proxies
    proxies = TrustedProxies(["10.0.0.1/32"])
    if client == "10.0.0.1":
        return
    honest = ask(proxies, "10.0.0.1", ("X-Forwarded-For", client))
    assert ask(proxies, "10.0.0.1", ("X-Forwarded-For", ",".join([*forged, client]))) == honest
    assert honest.remote_address == client


@given(junk, st.lists(st.tuples(st.sampled_from(["x-forwarded-for", "forwarded", "x-forwarded-host"]), junk)))
def test_no_header_makes_it_raise_and_every_address_is_canonical(
    peer: str, lines: list[tuple[str, str]]
) -> None:
    address = ask(TRUSTED, PROXY, *lines).remote_address
    assert str(ipaddress.ip_address(address)) == address
    ask(TRUSTED, peer, *lines)


@given(st.text())
def test_canonical_forms_are_stable(text: str) -> None:
    address, host = canonical_address(text), canonical_host(text)
    assert canonical_address(address) == address
    assert canonical_host(host) == host


CDN_LINES = [
    ("cloudflare", "CF-Connecting-IP", "2001:DB8::9", "2001:db8::9"),
    ("cloudflare", "CF-Connecting-IP", f"::ffff:{CLIENT}", CLIENT),
    ("fastly", "Fastly-Client-IP", CLIENT, CLIENT),
    ("cloudfront", "CloudFront-Viewer-Address", f"{CLIENT}:46532", CLIENT),
    # as CloudFront writes it: no brackets, and a port that looks like one more group
    ("cloudfront", "CloudFront-Viewer-Address", "2001:db8:0:0:0:0:0:9:46532", "2001:db8::9"),
    ("cloudfront", "CloudFront-Viewer-Address", "2001:db8::9:4653", "2001:db8::9"),
    ("cloudfront", "CloudFront-Viewer-Address", "[2001:db8::9]:46532", "2001:db8::9"),
    ("akamai", "True-Client-IP", CLIENT, CLIENT),
    ("azure-front-door", "X-Azure-SocketIP", CLIENT, CLIENT),
    # the load balancer appends the requester and its own address
    ("google", "X-Forwarded-For", f"{CLIENT}, 192.0.2.80", CLIENT),
    ("google", "X-Forwarded-For", f"1.1.1.1, {CLIENT}, 192.0.2.80", CLIENT),
    ("google", "X-Forwarded-For", f"1.1.1.1, {CLIENT}, {CDN}, 192.0.2.80", CLIENT),
]


@pytest.mark.parametrize(("family", "name", "value", "address"), CDN_LINES)
def test_the_header_of_a_cdn_is_believed_from_its_own_addresses_only(family, name, value, address) -> None:
    proxies = TrustedProxies(["10.0.0.0/8", "198.51.100.0/24"], family)
    lines = [("X-Forwarded-Proto", "https"), (name, value)]
    assert ask(proxies, PROXY, *lines) == Requester(address, True, "https", "internal.example")
    assert ask(proxies, "9.9.9.9", *lines) == Requester("9.9.9.9", False, "http", "internal.example")
    # where the CDN wrote nothing, what a browser may have written in another header does not count
    others = [] if family == "google" else [("X-Forwarded-For", "1.1.1.1")]
    others += [("Forwarded", "for=1.1.1.1"), ("X-Real-IP", "1.1.1.1"), ("X-Azure-ClientIP", "1.1.1.1")]
    assert ask(proxies, PROXY, *others).remote_address == PROXY


@pytest.mark.parametrize("family", ["cloudflare", "cloudfront", "google"])
@pytest.mark.parametrize("value", ["", "unknown", CLIENT + ",", "<script>", ","])
def test_an_unreadable_header_of_a_cdn_leaves_the_peer(family, value) -> None:
    names = {"cloudflare": "CF-Connecting-IP", "cloudfront": "CloudFront-Viewer-Address"}
    proxies = TrustedProxies(["10.0.0.0/8"], family)
    if family == "google" and value == CLIENT + ",":
        value = CLIENT  # the balancer's own address alone
    assert ask(proxies, PROXY, (names.get(family, "X-Forwarded-For"), value)).remote_address == PROXY


def test_the_scheme_of_a_browser_comes_from_cloudfronts_own_header() -> None:
    lines = [("CloudFront-Viewer-Address", f"{CLIENT}:1"), ("CloudFront-Forwarded-Proto", "https")]
    proxies = TrustedProxies(["10.0.0.0/8"], "cloudfront")
    assert ask(proxies, PROXY, ("X-Forwarded-Proto", "http"), *lines).scheme == "https"


def test_every_name_of_the_setting_has_a_meaning() -> None:
    known = {"x-forwarded", "forwarded", "google", *CDN_HEADERS}
    assert set(get_args(ForwardedHeader)) == known
