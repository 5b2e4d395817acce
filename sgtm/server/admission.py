"""How many connections a worker holds, in all and from one address.

SPEC: reliability 2.4. Whoever comes when it is full is closed at once, before anything is read or
allocated for requests. The table has an entry for each network that is connected right now.
"""

import logging
import resource
from typing import Any

from sgtm.observability.metrics import Counters
from sgtm.server.proxy import TrustedProxies
from sgtm.server.rate import network_of
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

DESCRIPTOR_SHARE = 0.8
"""Of the descriptors of the process; the rest is for deliveries, files and the outbox."""


class Admission:
    """Counts connections in and out."""

    def __init__(
        self,
        settings: Settings,
        proxies: TrustedProxies,
        counters: Counters,
        *,
        most: int | None = None,
        full: str = "worker full",
    ) -> None:
        """`most` in the place of `settings.connections`; `full` is how it is counted that there are more."""
        self.most = min(settings.connections if most is None else most, _descriptors())
        self._full = full
        self.most_of_one = settings.connections_per_address
        self.open = 0
        self._proxies, self._counters = proxies, counters
        self._open_of: dict[str, int] = {}
        self._has_warned = False

    def enter(self, peer: Any) -> str | None:
        """Count a connection from `peer` (what the socket says): what to give back to `leave`, or None
        where there is no room for it."""
        if self.open >= self.most:
            self._counters.add("sgtm_connections_closed_total", self._full)
            return None
        network = self._limited_network(peer)
        if network:
            count = self._open_of.get(network, 0)
            if count >= self.most_of_one:
                self._counters.add("sgtm_connections_closed_total", "address full")
                self._warn()
                return None
            self._open_of[network] = count + 1
        self.open += 1
        return network

    def leave(self, network: str) -> None:
        """A connection that was let in has ended."""
        self.open -= 1
        if not network:
            return
        if self._open_of[network] == 1:
            del self._open_of[network]
        else:
            self._open_of[network] -= 1

    def _limited_network(self, peer: Any) -> str:
        """The network to count by; "" where the peer is a proxy of ours, or has no address."""
        if not self.most_of_one or not isinstance(peer, tuple):
            return ""
        address, is_trusted = self._proxies.judge_peer(peer[0])
        return "" if is_trusted else network_of(address, is_wide=False)

    def _warn(self) -> None:
        """Once: the likeliest cause is a proxy that nobody told us about."""
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "one address has too many connections; the next ones are closed",
                extra={"most": self.most_of_one, "hint": "a proxy of yours? name it with --trusted-proxy"},
            )


def _descriptors() -> int:
    """How many connections the limit of open files leaves room for."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 1 << 62
    return max(1, int(limit * DESCRIPTOR_SHARE))
