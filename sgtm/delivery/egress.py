"""Egress: the one door through which every outgoing connection goes.

    admit(url)  ->  Passage  ->  connector: name -> addresses  ->  open_socket(address)  ->  connect

No text of a host is judged to be harmless: `open_socket` makes the socket for each address of each
attempt and refuses there, and the address that it is given is the one that is connected to. So
neither a spelling (`0x7f.1`) nor a name server that changes its answer leads anywhere else. What a
text can do is be on a list: `--egress-allow`, and with `--airgapped` the container's destinations.

SPEC: reliability 3, rules 1 to 5, findings 16 and 17; requirements R183, R360.
"""

import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Collection, Iterable
from contextvars import ContextVar

import aiohttp
from aiohttp.abc import AbstractResolver
from msgspec import Struct
from yarl import URL

from sgtm.delivery.addresses import METADATA_NAMES, Address, Denied, Network, denied_by, faces, read_address
from sgtm.delivery.errors import AddressRefused, Refused
from sgtm.delivery.request_writer import origin_of
from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.settings_sources import read_destination

log = logging.getLogger("sgtm.delivery")

DNS_CACHE_S = 10
"""How long a name's addresses are kept (SPEC: 1 s to 5 min); they are judged at each connect all the
same."""
KEPT_IDLE_S = 30.0
PORTS = frozenset({80, 443})
_SAME_LINE_AFTER_S = 60.0
_MAX_LINES = 1_000
_MAX_LET_IN = 1_000

_SCOPE = Denied("scope id or no address", "", is_final=True)
_METADATA_NAME = Denied("cloud metadata", "", is_final=True)
_OWN_LISTENER = Denied("own listener", "", is_final=True)
_PORT = Denied("port", "")
_NOT_LISTED = Denied("not listed", "")


class Passage(Struct):
    """One request on its way through the door."""

    host: str
    """As in the URL, in lower case, without brackets and a dot at its end."""
    port: int
    refusal: Refused | None = None
    """Why an address of the host was not connected to; the last one."""


_passage: ContextVar[Passage] = ContextVar("passage")
"""Of the request that is being sent: what a socket is opened for. Tasks that race for a connection
inherit it."""


class Egress:
    """What may be connected to. Without any settings: public addresses, ports 80 and 443.

    `allow` are networks and hosts (see `read_destination`) that may be private and have any port.
    `destinations` are the (host, port) that the container names: their ports are allowed, and with
    `is_airgapped` nothing else is but what `allow` says. `listener` is the own socket's name. With a
    `proxy` the names are looked up there, and it decides where they lead; what is written out is judged
    here all the same. `sources` are own addresses to send from, one of a kind.
    """

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        destinations: Collection[tuple[str, int]] = (),
        is_airgapped: bool = False,
        listener: tuple[str, int] | None = None,
        counters: Counters | None = None,
        resolver: AbstractResolver | None = None,
        proxy: str = "",
        sources: Iterable[str] = (),
    ) -> None:
        read = [read_destination(text) for text in allow]
        self._networks: list[Network] = [one for one in read if not isinstance(one, str)]
        self._hosts = frozenset(one for one in read if isinstance(one, str) and one[0] != "*")
        self._suffixes = tuple(one[1:] for one in read if isinstance(one, str) and one[0] == "*")
        self._let_in: set[tuple[str, int]] = set()
        self.use_destinations(destinations)
        self._is_airgapped = is_airgapped
        self._listener = (ipaddress.ip_address(listener[0]), listener[1]) if listener else None
        self._counters, self._resolver = counters, resolver
        self.proxy = URL(proxy) if proxy else None
        """Every request goes through it, if there is one."""
        self._sources = _own_addresses(sources)
        self._said: dict[tuple[str, str], float] = {}

    def use_destinations(self, destinations: Iterable[tuple[str, int]]) -> None:
        """The (host, port) that containers name, from now on."""
        self._destinations = frozenset((_bare(host), port) for host, port in destinations)
        self._let_in.clear()

    def connector(self, connections: int, tls: ssl.SSLContext) -> aiohttp.TCPConnector:
        """A pool of connections behind this door, `connections` to one host at most."""
        return aiohttp.TCPConnector(
            limit=0,
            limit_per_host=connections,
            keepalive_timeout=KEPT_IDLE_S,
            ttl_dns_cache=DNS_CACHE_S,
            ssl=tls,
            resolver=self._resolver,
            socket_factory=self.open_socket,
        )

    @property
    def resolver(self) -> AbstractResolver | None:
        """Who is asked for addresses; None: the machine's own."""
        return self._resolver

    def admit(self, url: str) -> Passage:
        """Let a request in, before any name is looked up. What it connects to is seen then.

        Raises Refused: it is no URL, names a metadata service or, airgapped, what nobody listed."""
        _, host, port = origin_of(url)
        return self.admit_host(host, port)

    def admit_host(self, host: str, port: int) -> Passage:
        """The same for a URL that `origin_of` has read."""
        passage = Passage(_bare(host), port)
        if passage.host in METADATA_NAMES:
            raise self._refused(passage, _METADATA_NAME)
        if self._is_airgapped and not self._is_listed(passage):
            raise self._refused(passage, _NOT_LISTED)
        if self.proxy is not None:
            self._admit_to_proxy(passage)
        _passage.set(passage)
        if len(self._let_in) >= _MAX_LET_IN:
            self._let_in.clear()
        self._let_in.add((host, port))
        return passage

    def would_admit(self, host: str, port: int) -> bool:
        """Whether `admit_host` has let this in and would again: all that a request has to know that needs no
        new connection. False: ask."""
        return (host, port) in self._let_in

    def _admit_to_proxy(self, passage: Passage) -> None:
        """What can be judged before the proxy looks a name up: an address that is written out, and the
        port. Raises Refused."""
        host, port = passage.host, passage.port
        if read_address(host) is not None:
            denied = self.judge(host, host, port)
        else:
            is_open = port in PORTS or self._names(host) or (host, port) in self._destinations
            denied = None if is_open else _PORT
        if denied is not None:
            raise self._refused(passage, denied)

    def open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """The socket for one address of one attempt. Raises OSError if it may not be connected to, and
        LookupError for a connection that belongs to no passage."""
        family, kind, protocol, _, name = info
        passage = _passage.get()
        # the operator has named the proxy, so it may stand anywhere
        denied = self.judge(passage.host, str(name[0]), int(name[1])) if self.proxy is None else None
        if denied is not None:
            passage.refusal = self._refused(passage, denied)
            raise OSError("refused")
        return self._socket_from(socket.socket(family, kind, protocol))

    def _socket_from(self, made: socket.socket) -> socket.socket:
        """The socket, bound to our source address of its kind. Raises OSError where we have none."""
        if self._sources:
            source = self._sources.get(4 if made.family == socket.AF_INET else 6)
            try:
                if source is None:
                    raise OSError("no source address of this kind")
                made.bind((source, 0))
            except OSError:
                made.close()
                raise
        return made

    def judge(self, host: str, address: str, port: int) -> Denied | None:
        """Why `address`, which `host` led to, may not be connected to at `port`."""
        found = read_address(address)
        if found is None:
            return _SCOPE
        is_named = self._names(host)
        for face in faces(found):
            if self._is_own(face, port):
                return _OWN_LISTENER
            denied = denied_by(face)
            if denied is not None and (denied.is_final or not (is_named or self._holds(face))):
                return denied
        if is_named or self._holds(found) or port in PORTS or (host, port) in self._destinations:
            return None
        return _PORT

    def _names(self, host: str) -> bool:
        return host in self._hosts or host.endswith(self._suffixes)

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _is_listed(self, passage: Passage) -> bool:
        host = passage.host
        if (host, passage.port) in self._destinations or self._names(host):
            return True
        address = read_address(host)
        return address is not None and self._holds(address)

    def _is_own(self, address: Address, port: int) -> bool:
        if self._listener is None or self._listener[1] != port:
            return False
        own = self._listener[0]
        return _is_of_this_machine(address) if own.is_unspecified else address == own

    def _refused(self, passage: Passage, denied: Denied) -> Refused:
        """Count it, say it (the same line once a minute), and make the error, which names no host."""
        if self._counters is not None:
            self._counters.add("sgtm_egress_refused_total", denied.rule)
        what, mend = _words(denied)
        self._say(passage, denied, mend)
        # A name may lead elsewhere in a minute (split horizon, a resolver with a fault); nothing else will.
        is_fixed = denied in (_METADATA_NAME, _NOT_LISTED, _PORT) or read_address(passage.host) is not None
        return (Refused if is_fixed else AddressRefused)(what, where="host", mend=mend)

    def _say(self, passage: Passage, denied: Denied, mend: str) -> None:
        key, now = (passage.host, denied.rule), time.monotonic()
        if now < self._said.get(key, float("-inf")) + _SAME_LINE_AFTER_S:
            return
        if len(self._said) >= _MAX_LINES:
            self._said.clear()
        self._said[key] = now
        said = {"host": passage.host, "port": passage.port, "rule": denied.rule, "mend": mend}
        log.warning("a destination was refused", extra=said)


def _words(denied: Denied) -> tuple[str, str]:
    """(what, mend) of a refusal, without host and address."""
    if denied is _PORT:
        return "this port is not 80 or 443, nor named in the container", "serve with --egress-allow HOST"
    if denied is _NOT_LISTED:
        return "airgapped, and this is no destination of the container", "serve with --egress-allow HOST"
    what = f"leads to an address that is not to be connected to ({denied.rule})"
    if denied.is_final:
        return what, "no setting allows it"
    return what, f"if it is yours, serve with --egress-allow HOST or --egress-allow {denied.network}"


def _own_addresses(texts: Iterable[str]) -> dict[int, str]:
    """IP version -> own address to send from. Raises SettingsError."""
    found: dict[int, str] = {}
    for text in texts:
        version = ipaddress.ip_address(text).version
        where = f"--egress-source {text}"
        if version in found:
            raise SettingsError(f"is a second one of IPv{version}", where=where, mend="give one of each kind")
        found[version] = text
        try:
            with socket.socket(
                socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM
            ) as one:
                one.bind((text, 0))
        except OSError:
            mend = "give an address that one of its interfaces has"
            raise SettingsError("is no address of this machine", where=where, mend=mend) from None
    return found


def _bare(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _is_of_this_machine(address: Address) -> bool:
    """Whether a listener on all addresses has this one: the kernel then sends from it. Sends nothing."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return str(probe.getsockname()[0]) == str(address)
    except OSError:
        return False
