"""Who sent a request: canonical addresses, and how much a proxy in between may be believed.

SPEC: requirements R204, R279, R332, X21; reliability 5 rule 6; RFC 7239.

Anybody can write X-Forwarded-For. What a proxy of ours appended stands on the right of what came
in; so hops are read from the right, and the first one that is not a trusted proxy is the requester.
An untrusted peer is itself the requester, whatever it wrote.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from sgtm._fast.headers import find_header
from sgtm.settings import ForwardedHeader

Headers = tuple[tuple[bytes, bytes], ...]

MAX_HOPS = 32
"""Hops that are looked at, from the right; no chain of real proxies is as long."""

MAX_HOST_BYTES = 261
"""The longest name (RFC 1035 2.3.4) with a port; what is longer is not remembered."""

_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+")
_PORT = re.compile(r":[0-9]{0,5}$")


class Requester(Struct, frozen=True):
    """Whose request it is: canonical IP, believed or not, and the address that the browser used."""

    remote_address: str
    is_peer_trusted: bool
    scheme: str
    host: str


class _Hop(Struct, frozen=True):
    """What one proxy wrote about the connection that it accepted; "" where it wrote nothing."""

    address: str = ""
    scheme: str = ""
    host: str = ""


def canonical_address(text: str) -> str:
    """An IP as everything behind the server sees it, or "" where `text` is none.

    Port, brackets, zone and quotes go, IPv4 in IPv6 becomes IPv4, IPv6 its shortest lower-case form.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def canonical_host(text: str) -> str:
    """A host in lower case, without port and trailing dot; "" where `text` cannot be one."""
    host = _PORT.sub("", text.strip().lower()).rstrip(".")
    return host if _HOST.fullmatch(host) else ""


class CdnHeader(Struct, frozen=True):
    """The header in which a CDN writes who connected to it. It overwrites what a browser put there."""

    name: bytes
    has_port: bool = False
    """`198.51.100.7:46532`, and IPv6 without brackets: what follows the last colon is a port."""


CDN_HEADERS: dict[str, CdnHeader] = {
    # developers.cloudflare.com/fundamentals/reference/http-headers
    "cloudflare": CdnHeader(b"cf-connecting-ip"),
    # fastly.com/documentation/reference/http/http-headers/Fastly-Client-IP: the service's own VCL has to
    # set it, since the edge keeps what the browser wrote
    "fastly": CdnHeader(b"fastly-client-ip"),
    # docs.aws.amazon.com/AmazonCloudFront, "Add CloudFront request headers"
    "cloudfront": CdnHeader(b"cloudfront-viewer-address", has_port=True),
    # techdocs.akamai.com/property-mgr, "Origin Server": True Client IP Header
    "akamai": CdnHeader(b"true-client-ip"),
    # learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol: X-Azure-ClientIP "can be
    # arbitrarily overwritten by a user", the address of the socket cannot
    "azure-front-door": CdnHeader(b"x-azure-socketip"),
}
"""Presets by the name of the CDN. Google's load balancer has no header of its own: see `_hops`."""

CLOUDFRONT_SCHEME = b"cloudfront-forwarded-proto"


class TrustedProxies:
    """The networks whose word is taken, and the header family or the CDN's header that they write."""

    def __init__(self, networks: Sequence[str] = (), family: ForwardedHeader = "x-forwarded") -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._family = family
        # Peers and hops repeat: proxies are few, and a browser sends several hits. The cache is
        # bounded, so a flood of addresses costs their parsing and no memory.
        self._judge = lru_cache(maxsize=4096)(self._judge_anew)

    def requester(self, peer: str, headers: Headers, scheme: str) -> Requester:
        """Whose request it is: `peer` is the socket's address, header names are in lower case."""
        address, is_trusted = self.judge_peer(peer)
        host = _host_of(headers)
        if not is_trusted:
            return Requester(address, False, scheme, host)
        hop = self._requesting_hop(address, headers)
        return Requester(hop.address, True, hop.scheme or scheme, hop.host or host)

    def judge_peer(self, peer: str) -> tuple[str, bool]:
        """(canonical address, whether it is a trusted proxy) of a socket's address."""
        return self._judge(peer) if self._networks else (_plain_peer(peer), False)

    def _judge_anew(self, text: str) -> tuple[str, bool]:
        """(canonical address, whether it is a trusted proxy)."""
        address = canonical_address(text)
        if not address:
            return "", False
        parsed = ipaddress.ip_address(address)
        return address, any(parsed in network for network in self._networks)

    def _requesting_hop(self, peer: str, headers: Headers) -> _Hop:
        """The hop behind which nobody is trusted; where it is unreadable, the last readable one."""
        found = _Hop(peer)
        for hop in _hops(headers, self._family):
            address, is_trusted = self._judge(hop.address)
            if not address:
                return _Hop(found.address, hop.scheme, hop.host)
            found = _Hop(address, hop.scheme, hop.host)
            if not is_trusted:
                break
        return found


def _host_of(headers: Headers) -> str:
    value = find_header(headers, b"host")
    if value is None:
        return ""
    return (_host_in if len(value) <= MAX_HOST_BYTES else _host_in.__wrapped__)(value)


@lru_cache(maxsize=1024)
def _host_in(value: bytes) -> str:
    """Hosts repeat as peers do."""
    return canonical_host(value.decode("latin-1"))


def _plain_peer(peer: str) -> str:
    """Canonical form of what the kernel says about a peer, without parsing it."""
    if ":" in peer:
        return canonical_address(peer)
    return peer


def _hops(headers: Headers, family: str) -> list[_Hop]:
    """Hops from the right-most on, at most MAX_HOPS."""
    if family in CDN_HEADERS:
        return [_cdn_hop(headers, CDN_HEADERS[family])]
    forwarded = [_forwarded_hop(element) for element in _elements(headers, b"forwarded")]
    if family == "forwarded":
        return forwarded
    addresses = _elements(headers, b"x-forwarded-for")
    if family == "google":
        # cloud.google.com/load-balancing/docs/https: "<client-ip>,<load-balancer-ip>" is appended
        addresses = addresses[1:]
    elif forwarded and not addresses:
        return forwarded
    scheme, host = _scheme_and_host(headers)
    return [_Hop(address, scheme, host) for address in addresses or [""]]


def _scheme_and_host(headers: Headers) -> tuple[str, str]:
    """What X-Forwarded-Proto and -Host say.

    Proxies overwrite these two. Where one appends, only the right-most value is surely its own: a value
    further left may be the requester's, since not every proxy on the way writes one."""
    scheme = _scheme(next(iter(_elements(headers, b"x-forwarded-proto")), ""))
    return scheme, canonical_host(next(iter(_elements(headers, b"x-forwarded-host")), ""))


def _cdn_hop(headers: Headers, cdn: CdnHeader) -> _Hop:
    """The one hop that a CDN writes; without an address where its header is missing."""
    address = next(iter(_elements(headers, cdn.name)), "")
    scheme, host = _scheme_and_host(headers)
    if cdn.has_port:
        address = address.rpartition(":")[0]
        scheme = _scheme(next(iter(_elements(headers, CLOUDFRONT_SCHEME)), "")) or scheme
    return _Hop(address, scheme, host)


def _elements(headers: Headers, wanted: bytes) -> list[str]:
    """The elements of all lines of a header, joined in order, then counted from the right.

    A comma separates even inside quotes: else a requester's unclosed quote would swallow the element
    that the proxy appended, and his own would count. What we need never has a comma in it.
    """
    lines = [value.decode("latin-1") for name, value in headers if name == wanted]
    return ",".join(lines).split(",")[: -MAX_HOPS - 1 : -1] if lines else []


def _scheme(text: str) -> str:
    scheme = text.strip().lower()
    return scheme if scheme in ("http", "https") else ""


def _forwarded_hop(element: str) -> _Hop:
    """One element of `Forwarded`: `for="[2001:db8::1]:4711";proto=https;host=shop.example`."""
    pairs: dict[str, str] = {}
    for part in element.split(";"):
        name, _, value = part.strip().partition("=")
        pairs.setdefault(name.lower(), value.strip('"'))
    return _Hop(pairs.get("for", ""), _scheme(pairs.get("proto", "")), canonical_host(pairs.get("host", "")))
