"""SPEC: reliability 3 rule 2 and finding 16: our own table, embedded IPv4 forms included."""

from ipaddress import ip_address

import pytest

from sgtm.delivery.addresses import denied_by, faces, read_address

# rule -> addresses of it, first and last of a network where that says something
TABLE = {
    "": "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 "
    "128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.255 "
    "192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 203.0.114.0 223.255.255.255 "
    "2000:: 2001:200:: 2606:4700:4700::1111 2a00:1450:4001:81b::200e 2001:db7:ffff:: 2001:db9:: 2003:: "
    "3ffe:ffff:: 3fff:1000::",
    "unspecified": "0.0.0.0 0.0.0.1 0.255.255.255 ::",
    "cloud metadata": "169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 "
    "fd20:ce::254",
    "multicast": "224.0.0.0 224.0.0.1 239.255.255.255 ff00:: ff02::1 ff0e::1",
    "broadcast": "255.255.255.255",
    "loopback": "127.0.0.0 127.0.0.1 127.1.2.3 127.255.255.255 ::1",
    "private": "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255",
    "carrier NAT": "100.64.0.0 100.127.255.255",
    "link-local": "169.254.0.0 169.254.255.255 fe80:: fe80::1 febf:ffff::",
    "site-local": "fec0:: fec0::1 feff:ffff::",
    "unique local": "fc00:: fd12:3456::1 fdff:ffff::",
    "documentation": "192.0.2.0 192.0.2.255 198.51.100.1 203.0.113.9 2001:db8:: 2001:db8:ffff:: "
    "3fff:: 3fff:fff::",
    "benchmarking": "198.18.0.0 198.19.255.255 2001:2::1",
    "Teredo": "2001:: 2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "protocol assignments": "192.0.0.0 192.0.0.8 192.0.0.255 2001:1::1 2001:10:: 2001:20:: 2001:1ff:ffff::",
    "6to4": "192.88.99.1 192.88.99.255 2002:: 2002:a9fe:a9fe:: 2002:808:808::1",
    "NAT64": "64:ff9b:: 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1:: 64:ff9b:1:ffff::1",
    "IPv4 in IPv6": "::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:7f00:1 ::169.254.169.254 ::2 ::8.8.8.8",
    "discard": "100:: 100::ffff 100:0:0:1::1",
    "SRv6": "5f00:: 5f00:ffff::1",
    "reserved": "240.0.0.0 255.255.255.254 1:: 64:ff9c:: 200:: 400:: 1fff:ffff:: 4000:: "
    "6000:: 8000:: e000:: fe00::",
}
ROWS = [(text, rule) for rule, texts in TABLE.items() for text in texts.split()]


def test_the_table_of_this_test_is_long_enough():
    assert len(ROWS) == len(dict(ROWS)) >= 120


@pytest.mark.parametrize(("text", "rule"), ROWS)
def test_an_address_is_what_it_is(text, rule):
    denied = denied_by(ip_address(text))
    assert (denied.rule if denied else "") == rule


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("::ffff:10.1.2.3", ["10.1.2.3"]),  # RFC 4291, 2.5.5.2
        ("::ffff:0:10.1.2.3", ["10.1.2.3"]),  # RFC 2765, 2.1
        ("::10.1.2.3", ["10.1.2.3"]),  # RFC 4291, 2.5.5.1
        ("64:ff9b::10.1.2.3", ["10.1.2.3"]),  # RFC 6052, 2.1
        ("64:ff9b:1:a01:2:300::", ["10.1.2.3"]),  # RFC 6052, 2.2: a prefix of 48 bits
        ("64:ff9b:1::10.1.2.3", ["10.1.2.3"]),
        ("2002:a01:203::1", ["10.1.2.3"]),  # RFC 3056, 2
        ("2001:0:808:808::f5fe:fdfc", ["8.8.8.8", "10.1.2.3"]),  # RFC 4380, 4
        ("2606:4700::a01:203", []),
        ("::1", []),
        ("::", []),
        ("10.1.2.3", []),
    ],
)
def test_the_ipv4_address_inside_is_a_face_of_it(text, inner):
    assert [str(face) for face in faces(ip_address(text))][:1] == [str(ip_address(text))]
    assert set(map(ip_address, inner)) <= set(faces(ip_address(text))[1:])
    assert bool(inner) == (len(faces(ip_address(text))) > 1)


@pytest.mark.parametrize(
    "text", ["127.1", "2130706433", "0177.0.0.1", "fe80::1%eth0", "localhost", "", "[::1]"]
)
def test_only_a_canonical_text_is_an_address(text):
    assert read_address(text) is None
