"""Recovery: run records again that an earlier process left behind, beside the traffic.

Oldest first, at a bounded rate, and never more than the lanes can hold: hits that come now go first, and a
vendor that is down is not handed a backlog that its lane would have to give up (SPEC: design.md Delivery;
reliability 1.3). A record is asked for only when there is room for it, so memory is bounded too.
"""

import asyncio
import logging

from sgtm.delivery.lanes import Lanes
from sgtm.delivery.outbox import Outbox
from sgtm.hit import Again
from sgtm.pipeline import Pipeline

log = logging.getLogger("sgtm.server")

MAX_PENDING = 2_000
"""Deliveries in the lanes above which no record is run again."""
_AT_ONCE = 20
_PAUSE_S = 0.01
"""After so many records the traffic has its turn: 2,000 records a second at most."""
_BUSY_S = 0.05


class Recovery:
    """The task that runs left-over records again, from `start` to `stop`."""

    def __init__(self, pipeline: Pipeline, outbox: Outbox, lanes: Lanes) -> None:
        self._pipeline, self._outbox, self._lanes = pipeline, outbox, lanes
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """End with the next turn of the loop; what was not run yet stays in the outbox."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        records = 0
        async for found in self._outbox.left_over():
            if not records:
                log.info("running left-over records again")
            while self._lanes.pending >= MAX_PENDING:  # noqa: ASYNC110  (every settled delivery would wake it)
                await asyncio.sleep(_BUSY_S)
            await self._pipeline.run_again(found.record, Again(found.record_id, found.settled))
            records += 1
            if records % _AT_ONCE == 0:
                await asyncio.sleep(_PAUSE_S)
