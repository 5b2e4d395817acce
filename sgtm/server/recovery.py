"""Recovery: run records again beside the traffic: those of an earlier process, and those handed back.

left over     once each, with all tags that owe something, oldest first; what a lane cannot take comes back
handed back   when its destination can take it, that tag alone; or when it has expired, so that it becomes a
              dead letter in time though the destination is still down

Hits that come now go first: the lanes take what is run again only while little waits in them, and it is asked
for at a bounded rate and only then; so memory is bounded too, however long an outage was, and nothing is run
into a lane that is shut, but for the one record that is its probe (SPEC: design.md Delivery; reliability
1.3).
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from sgtm.delivery.clock import steady_micros
from sgtm.delivery.lanes import Lanes
from sgtm.delivery.outbox import Outbox, OutboxFull
from sgtm.delivery.outbox.held import Hold
from sgtm.hit import Again
from sgtm.messages import Record
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline
from sgtm.server.earlier import EarlierContainers

log = logging.getLogger("sgtm.server")

_AT_ONCE = 20
_PAUSE_S = 0.01
"""After so many records the traffic has its turn: 2,000 records a second at most."""
_BUSY_S = 0.05
"""The same while some lane has enough to do: what is left over for others still comes."""
_TURN = 200
"""After so many records another destination has its turn."""
_LOOK_S = 0.1
"""How often it is looked whether a destination can take what waits for it."""
EXPIRY_S = 5.0
"""How often, and how late, what has expired while it waited is looked for."""


class Recovery:
    """The tasks that run records again, from `start` to `stop`. `is_only_way`: all records come so (nats),
    and there are no hits that go first."""

    def __init__(
        self,
        pipeline: Pipeline,
        outbox: Outbox,
        lanes: Lanes,
        counters: Counters,
        earlier: EarlierContainers,
        now_micros: Callable[[], int] = steady_micros,
        *,
        is_only_way: bool = False,
    ) -> None:
        self._pipeline, self._outbox, self._lanes = pipeline, outbox, lanes
        self._counters, self._earlier, self._now_micros = counters, earlier, now_micros
        self._pause_s = 0.0 if is_only_way else _PAUSE_S
        self._swept_micros = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run_left_over()), loop.create_task(self._run_handed_back())]

    def stop(self) -> None:
        """End with the next turn of the loop; what was not run yet stays in the outbox."""
        for task in self._tasks:
            task.cancel()

    async def _run_left_over(self) -> None:
        records = 0
        async for found in self._outbox.left_over():
            if not records:
                log.info("running left-over records again")
            await self._run_again(found.record, Again(found.record_id, found.settled))
            records += 1
            self._counters.add("sgtm_records_run_again_total", "left over")
            if records % _AT_ONCE == 0:
                await asyncio.sleep(_BUSY_S if self._lanes.is_busy else self._pause_s)

    async def _run_again(self, record: Record, again: Again) -> None:
        container = await self._earlier.of(record.container_version, self._pipeline.container)
        await self._pipeline.run_again(record, again, container)

    async def _run_handed_back(self) -> None:
        while True:
            records = 0
            for hold in list(self._outbox.holds()):
                if self._lanes.wants(hold):
                    records += await self._run_hold(hold, None)
            for hold in self._with_expired():
                records += await self._run_hold(hold, self._now_micros())
            await asyncio.sleep(_PAUSE_S if records else _LOOK_S)

    async def _run_hold(self, hold: Hold, expired_by: int | None) -> int:
        """Run what waits for this, while it is wanted or has expired; how many records it was."""
        records = 0
        try:
            async with aclosing(self._outbox.handed_back(hold, expired_by)) as waiting:
                async for found in waiting:
                    again = Again(found.record_id, found.settled, only=frozenset((hold.tag,)))
                    await self._run_again(found.record, again)
                    records += 1
                    self._counters.add("sgtm_records_run_again_total", "handed back")
                    if records % _AT_ONCE == 0:
                        await asyncio.sleep(_PAUSE_S)
                    if records >= _TURN or (expired_by is None and not self._lanes.wants(hold)):
                        break
        except OutboxFull:  # the disk fails: what waits goes on waiting
            await asyncio.sleep(1.0)
        if expired_by is not None and records >= _TURN:
            self._swept_micros = 0  # there may be more
        return records

    def _with_expired(self) -> list[Hold]:
        """What holds something that has expired, looked for now and then."""
        now = self._now_micros()
        if abs(now - self._swept_micros) < EXPIRY_S * 1_000_000:
            return []
        self._swept_micros = now
        holds = self._outbox.holds().items()
        return [hold for hold, held in holds if (held.first_expires_micros or now + 1) <= now]
