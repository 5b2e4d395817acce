"""How often one network, visitor, property or path may ask: token buckets in tables that never grow.

SPEC: requirement R207; reliability 5 rule 3 and 2.4 (requests per IP). Each worker counts for itself.

A bucket is one moment (the generic cell rate
algorithm): until when its requests so far are paid for at the allowed rate. A moment that lies in the
past is a full bucket, so an old slot is a free one and nothing has to be swept.
"""

import math
import socket
from array import array
from collections.abc import Hashable, Iterator

from sgtm._fast.collect import find_parameter
from sgtm.container.container import Endpoint
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

SLOTS = 65_536
"""Slots of a table: 16 bytes each, 1 MiB, whatever comes."""

_MASK = SLOTS - 1
_64_BITS = (1 << 64) - 1


class RateTable:
    """Token buckets of one rate (requests a second) and burst (requests at once, at least 1)."""

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._allowance = (burst - 1) * self._interval
        self._owners = array("Q", bytes(8 * SLOTS))
        self._paid_until = array("d", bytes(8 * SLOTS))

    def take(self, key: Hashable, now: float) -> float:
        """Take a token at `now` (seconds, never going back): 0.0, or the seconds until there is one."""
        # Python's hash is keyed by chance at start: nobody outside can aim at a slot.
        owner = hash(key) & _64_BITS
        slot = self._slot_of(owner)
        paid_until = max(self._paid_until[slot], now) if self._owners[slot] == owner else now
        wait_s = paid_until - self._allowance - now
        if wait_s > 1e-9:
            return wait_s
        self._owners[slot], self._paid_until[slot] = owner, paid_until + self._interval
        return 0.0

    def _slot_of(self, owner: int) -> int:
        """The owner's slot, or of its two choices the one whose bucket is fuller: the least is lost."""
        first, second = owner & _MASK, (owner >> 16) & _MASK
        if self._owners[first] == owner:
            return first
        if self._owners[second] == owner or self._paid_until[second] < self._paid_until[first]:
            return second
        return first


class Rates:
    """All rates of a worker. A rate that is not set costs nothing, not even its table."""

    def __init__(self, settings: Settings, counters: Counters) -> None:
        def table(rate: int) -> RateTable | None:
            return RateTable(rate, max(settings.rate_burst, rate)) if rate else None

        self._counters, self._enforces = counters, settings.rate_mode == "enforce"
        self._requests, self._collects = table(settings.request_rate), table(settings.collect_rate)
        self._client_ids = table(settings.client_id_rate)
        self._measurement_ids = table(settings.measurement_id_rate)
        self._paths = table(settings.path_rate)
        tables = (self._requests, self._collects, self._client_ids, self._measurement_ids, self._paths)
        self.is_any_set = any(table is not None for table in tables)

    def wait_s(self, endpoint: Endpoint | None, path: str, query: bytes, address: str, now: float) -> float:
        """Count a request at `now` (seconds, never going back): 0.0, or after how many seconds it would be
        let in. `address` is the requester's, not a proxy's; one without an address is not limited by it.

        The narrowest counts first: whoever floods is stopped before he uses up what others share.
        """
        if not self.is_any_set:
            return 0.0
        for by, table, key in self._buckets(endpoint, path, query, address):
            wait_s = table.take(key, now)
            if wait_s:
                self._counters.add("sgtm_rates_exceeded_total", by)
                if self._enforces:
                    return wait_s
        return 0.0

    def _buckets(
        self, endpoint: Endpoint | None, path: str, query: bytes, address: str
    ) -> Iterator[tuple[str, RateTable, Hashable]]:
        """(what is counted, its table, whose bucket). Paths that no client names share one."""
        owner = endpoint.owner.component if endpoint is not None else None
        if self._client_ids is not None and owner is not None and (id_ := _id(query, owner.client_id_key)):
            yield "client id", self._client_ids, id_
        networks = self._collects if endpoint is not None and endpoint.is_collect else self._requests
        if networks is not None and address:
            yield "network", networks, network_of(address, is_wide=True)
        ids = self._measurement_ids
        if ids is not None and owner is not None and (id_ := _id(query, owner.measurement_id_key)):
            yield "measurement id", ids, id_
        if self._paths is not None:
            yield "path", self._paths, path if endpoint is not None else ""


def _id(query: bytes, key: bytes) -> str | None:
    return find_parameter(query, key) if key else None


def network_of(address: str, *, is_wide: bool) -> str:
    """Who is counted as one: the /64 of a canonical IPv6 address; of an IPv4 address the /24 where
    `is_wide`, else itself; "" of ""."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)[:8].hex()
    return address.rpartition(".")[0] if is_wide else address


def retry_after(wait_s: float) -> tuple[str, str]:
    """The Retry-After header: whole seconds, at least one."""
    return "Retry-After", str(max(1, math.ceil(wait_s)))
