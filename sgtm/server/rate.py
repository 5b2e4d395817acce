"""How often one network may ask: token buckets in a table that never grows.

SPEC: reliability 5 rule 3 and 2.4 (requests per IP). A bucket is one moment (the generic cell rate
algorithm): until when its requests so far are paid for at the allowed rate. A moment that lies in the
past is a full bucket, so an old slot is a free one and nothing has to be swept.
"""

import math
import socket
from array import array
from collections.abc import Hashable

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


def network_of(address: str, *, is_wide: bool) -> str:
    """Who is counted as one: the /64 of a canonical IPv6 address; of an IPv4 address the /24 where
    `is_wide`, else itself; "" of ""."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)[:8].hex()
    return address.rpartition(".")[0] if is_wide else address


def retry_after(wait_s: float) -> tuple[str, str]:
    """The Retry-After header: whole seconds, at least one."""
    return "Retry-After", str(max(1, math.ceil(wait_s)))
