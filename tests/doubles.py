"""Stand-ins for what the pipeline is given: they note what they are told."""

import asyncio
from collections import deque

from sgtm.delivery.outbox import OutboxFull


class NotedCommit(asyncio.Future):
    """A commit that a test decides, with `set_result` and `set_exception`."""

    def then(self, function):
        self.add_done_callback(lambda _: function(self.exception()))


class NotingOutbox:
    def __init__(self, commit=None, *, is_full=False):
        self.told, self.commit, self.is_full = [], commit, is_full

    def append(self, record):
        if self.is_full:
            raise OutboxFull("full")
        self.told.append(("append", record))
        return 7, self.commit

    def ran(self, record_id, owing):
        self.told.append(("ran", record_id, owing))

    def settle(self, record_id, tag):
        self.told.append(("settle", record_id, tag))

    def bury(self, record_id, letter):
        self.told.append(("bury", record_id, letter.tag, letter.reason))

    def hand_back(self, record_id, hold, expires_micros):
        self.told.append(("hand back", record_id, hold, expires_micros))


class HeldLanes:
    def __init__(self, outcome=None):
        self.deliveries, self.outcome = deque(), outcome

    def deliver(self, delivery):
        self.deliveries.append(delivery)
        if self.outcome is not None:
            delivery.on_settled(self.outcome)


async def eventually(condition, timeout_s=10.0):
    """Wait until the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.005)
