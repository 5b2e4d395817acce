"""What IP addresses are for: the table of those that a server has no business to connect to.

Our own table, not `ipaddress.is_global`, which calls 64:ff9b::a9fe:a9fe (NAT64 of 169.254.169.254),
2002:a9fe:a9fe:: (6to4), fec0::1 and 224.0.0.1 global. An IPv4 address inside an IPv6 address is
taken out and is a face of it: each face is judged. What the table does not know of IPv6 is denied,
since only 2000::/3 is given out (IANA, IPv6 Special-Purpose Address Registry).

SPEC: reliability 3, rule 2, and finding 16.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from msgspec import Struct

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Denied(Struct, frozen=True):
    """Why an address is not to be connected to."""

    rule: str
    """What it is, in a word or two; one of a closed list, fit for a label."""
    network: str
    """The network of the table that it lies in."""
    is_final: bool = False
    """No setting can allow it."""


METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
"""Their addresses are denied too; the names are a second lock."""

_FINAL: dict[str, tuple[str, ...]] = {
    "cloud metadata": (
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    ),
    "unspecified": ("0.0.0.0/8", "::"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "broadcast": ("255.255.255.255",),
}
_DENIED: dict[str, tuple[str, ...]] = {
    "loopback": ("127.0.0.0/8", "::1"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "carrier NAT": ("100.64.0.0/10",),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "site-local": ("fec0::/10",),
    "unique local": ("fc00::/7",),
    "documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    "benchmarking": ("198.18.0.0/15", "2001:2::/48"),
    "Teredo": ("2001::/32",),
    "protocol assignments": ("192.0.0.0/24", "2001::/23"),
    "6to4": ("192.88.99.0/24", "2002::/16"),
    "NAT64": ("64:ff9b::/96", "64:ff9b:1::/48"),
    "IPv4 in IPv6": ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96"),
    "discard": ("100::/64", "100:0:0:1::/64"),
    "SRv6": ("5f00::/16",),
    "reserved": ("240.0.0.0/4", "::/3", "4000::/2", "8000::/1"),
}


def _rows() -> Iterator[tuple[Network, Denied]]:
    for rules, is_final in ((_FINAL, True), (_DENIED, False)):
        for rule, networks in rules.items():
            for network in networks:
                yield ip_network(network), Denied(rule, network, is_final)


_ROWS = tuple(_rows())
"""In the order of judgement: the first that holds an address names it."""


def read_address(text: str) -> Address | None:
    """The address of a canonical text; None for a name, an old spelling (`127.1`) or a scope id."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def denied_by(address: Address) -> Denied | None:
    """The first row that holds the address itself, whatever is inside of it."""
    return next((denied for network, denied in _ROWS if address in network), None)


def faces(address: Address) -> tuple[Address, ...]:
    """The address, and each IPv4 address that a gateway may read out of it."""
    return (address,) if isinstance(address, IPv4Address) else (address, *_embedded(address))


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    octets = address.packed
    if octets[:2] == b"\x20\x02":  # 6to4: RFC 3056, 2
        yield IPv4Address(octets[2:6])
    elif octets[:4] == b"\x20\x01\0\0":  # Teredo: RFC 4380, 4: the server, and the client inverted
        yield IPv4Address(octets[4:8])
        yield IPv4Address(bytes(octet ^ 0xFF for octet in octets[12:]))
    elif octets[:6] == b"\0\x64\xff\x9b\0\1":  # any length of prefix: RFC 8215, RFC 6052, 2.2
        found = (octets[6:8] + octets[9:11], octets[7:8] + octets[9:12], octets[9:13], octets[12:])
        yield from (IPv4Address(four) for four in found if four[0])
    elif octets[:12] in _LAST_FOUR and int(address) > 1:
        yield IPv4Address(octets[12:])


_LAST_FOUR = frozenset(
    IPv6Address(prefix).packed[:12] for prefix in ("64:ff9b::", "::ffff:0:0", "::ffff:0:0:0", "::")
)
