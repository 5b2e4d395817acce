"""Lanes: takes deliveries, one lane per destination, so that no vendor slows another.

A destination is a host (scheme, name, port) with one credential. What happens inside one stands in
`lane.py`; here is only the way to the right lane, and the end of all of them.
"""

import asyncio
import random
from collections.abc import Callable

from sgtm._fast.vendor_http import authority_size
from sgtm.delivery.clock import Clock, LoopClock
from sgtm.delivery.delivery import Delivery, DeliveryRules
from sgtm.delivery.errors import Refused
from sgtm.delivery.journal import Journal
from sgtm.delivery.lane import Lane
from sgtm.delivery.outbox.held import Hold
from sgtm.delivery.queue import LaneLimits
from sgtm.delivery.request_writer import origin_of
from sgtm.delivery.sender import Sender
from sgtm.delivery.settling import OnDead, Settling
from sgtm.delivery.standing import LaneState
from sgtm.messages import CredentialUse, Outcome
from sgtm.observability.metrics import Counters

__all__ = ["Delivery", "DeliveryRules", "LaneLimits", "LaneState", "Lanes", "OnDead"]

_Key = tuple[str, str, int, CredentialUse | None]


class Lanes:
    """All lanes of a worker. Lives on one event loop; the sender stays its maker's to close.

    `on_dead(delivery, outcome)` is called for each delivery that is given up, before `on_settled`.
    `hands_back`: whoever hands deliveries over can do so again, so lanes that are shut or full keep none
    (`HandedBack`); ask `wants` when they can take them. A `journal` hears of every attempt; it is closed with
    them.
    """

    def __init__(
        self,
        sender: Sender,
        counters: Counters,
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
        limits: LaneLimits | None = None,
        max_lanes: int = 1_000,
        on_dead: OnDead | None = None,
        hands_back: bool = False,
        journal: Journal | None = None,
    ) -> None:
        self._hands_back, self._journal = hands_back, journal
        self._sender, self._chance, self._limits = sender, chance, limits or LaneLimits()
        self._clock = clock or LoopClock()
        self._settling = Settling(counters, self._clock, on_dead, journal)
        self._lanes: dict[_Key, Lane] = {}
        self._known: dict[tuple[str, CredentialUse | None], Lane] = {}
        """The same, by what stands before a URL's path, so that it is read once."""
        self._max_lanes = max_lanes
        self._retired: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def pending(self) -> int:
        """Deliveries taken and not settled."""
        return self._settling.pending

    def deliver(self, delivery: Delivery) -> None:
        """Take one delivery; its `on_settled` is called exactly once. Never raises, never waits."""
        self._settling.pending += 1
        if self._is_closed:
            self._settling.handed_back(delivery, (), "the process is going down")
            return
        request = delivery.request
        authority = request.url[: authority_size(request.url)]
        lane = self._known.get((authority, request.credential)) or self._find_lane(delivery, authority)
        if lane is not None:
            lane.add(delivery)

    def _find_lane(self, delivery: Delivery, authority: str) -> Lane | None:
        """Where it goes, which `authority` says if it is not empty; None: nowhere, and it is given up."""
        request = delivery.request
        try:
            origin = origin_of(request.url)
        except Refused as error:
            self._settling.dead(delivery, "", Outcome("dead", f"Refused: {error}"))
            return None
        key = (*origin, request.credential)
        lane = self._lanes.get(key) or self._new_lane(key)
        if lane is None:
            self._settling.dead(delivery, origin[1], Outcome("dead", "too many destinations"))
        elif authority:
            if len(self._known) >= self._max_lanes:
                self._known.clear()
            self._known[authority, request.credential] = lane
        return lane

    def wants(self, hold: Hold) -> bool:
        """Whether there is a use and room for a record that waits for this."""
        lane = self._lanes.get(hold.destination)  # type: ignore[call-overload]
        return not self._is_closed and (lane is None or lane.wants(hold.tag))

    @property
    def is_busy(self) -> bool:
        """Whether some lane has enough to do with what comes now."""
        return any(lane.is_busy for lane in self._lanes.values())

    def destinations(self) -> list[LaneState]:
        """The state of every lane, by destination."""
        return sorted(
            (lane.state() for lane in self._lanes.values()),
            key=lambda state: (state.destination, state.credential),
        )

    async def drain(self, timeout_s: float) -> int:
        """Wait until everything is settled, `timeout_s` at most. How many are still pending."""
        for lane in self._lanes.values():
            lane.flush()
        try:
            async with asyncio.timeout(timeout_s):
                await self._settling.nothing_pending()
        except TimeoutError:
            pass
        return self.pending

    async def close(self) -> None:
        """Stop all lanes. What is not settled is handed back with a `retry` outcome: still owed."""
        self._is_closed = True
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()), *self._retired)
        self._lanes.clear()
        self._known.clear()
        if self._journal is not None:
            await self._journal.close()

    def _new_lane(self, key: _Key) -> Lane | None:
        if len(self._lanes) >= self._max_lanes and not self._retire_one():
            return None
        scheme, host, port, credential = key
        lane = self._lanes[key] = Lane(
            f"{scheme}://{host}:{port}",
            credential.name if credential is not None else "",
            sender=self._sender,
            settling=self._settling,
            clock=self._clock,
            chance=self._chance,
            limits=self._limits,
            key=key,
            hands_back=self._hands_back,
        )
        return lane

    def _retire_one(self) -> bool:
        """Make room for another destination: the oldest lane at rest goes, one that is shut last."""
        idle = [(key, lane) for key, lane in self._lanes.items() if lane.is_idle]
        key = min(idle, key=lambda pair: pair[1].is_shut)[0] if idle else None
        if key is None:
            return False
        self._known.clear()
        closing = asyncio.get_running_loop().create_task(self._lanes.pop(key).close())
        self._retired.add(closing)
        closing.add_done_callback(self._retired.discard)
        return True
