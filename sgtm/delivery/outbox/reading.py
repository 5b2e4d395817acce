"""Reading: records of a file come back, whoever wants them again."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from itertools import chain
from typing import Any

from sgtm.delivery.outbox import Unfinished
from sgtm.delivery.outbox.batch import Batch
from sgtm.delivery.outbox.held import Hold, Taken
from sgtm.delivery.outbox.ledger import ID_BITS, Ledger
from sgtm.delivery.outbox.records import read_record, split_group
from sgtm.delivery.outbox.writer import Job

log = logging.getLogger("sgtm.delivery.outbox")

Ask = Callable[[Job], Awaitable[Any]]


class Reading:
    """Reads what the ledger says is there. `ask` raises OutboxUnavailable, and so does reading;
    `on_damaged` is called once for each record that cannot be read, which is given up then."""

    def __init__(self, ledger: Ledger, ask: Ask, on_damaged: Callable[[], None]) -> None:
        self._ledger, self._ask, self._on_damaged = ledger, ask, on_damaged

    async def read(self, batch: Batch, indexes: Iterable[int]) -> AsyncGenerator[Unfinished]:
        """The records at these places of the batch, while they can be had."""
        wanted = iter(indexes)
        first = next(wanted, None)
        if first is None or batch.state != "stored":
            return
        number = batch.number
        payloads = list(split_group(await self._ask(lambda store: store.read(number))))
        for index in chain((first,), wanted):
            if batch.state != "stored":
                return
            payload = payloads[index] if index < len(payloads) else None
            record = read_record(payload) if payload is not None else None
            if record is None:
                self._damaged(batch, index)
                continue
            yield Unfinished(number << ID_BITS | index, record, batch.settled_tags(index))

    async def handed_back(self, hold: Hold, expired_by: int | None) -> AsyncGenerator[Unfinished]:
        """See Outbox."""
        not_now: list[Taken] = []
        """Of batches that are being written, or whose file was lost a moment ago."""
        try:
            while (taken := self._ledger.take_held(hold, expired_by)) is not None:
                batch, waiting = self._ledger.batches.get(taken.number), taken.bits
                try:
                    if batch is not None and batch.state == "stored":
                        async for found in self.read(batch, batch.owed_by(hold.tag, waiting)):
                            waiting &= ~bit_of(found.record_id)
                            yield found
                        waiting = 0 if batch.state == "stored" else waiting
                finally:
                    if batch is not None and waiting:
                        not_now.append(taken._replace(bits=waiting))
        finally:
            for taken in not_now:
                self._ledger.put_back_held(hold, taken)

    def _damaged(self, batch: Batch, index: int) -> None:
        if self._ledger.give_up(batch, index):
            log.error("a record is damaged and lost", extra={"batch": batch.number, "index": index})
            self._on_damaged()


def bit_of(record_id: int) -> int:
    """The bit of a record in the maps of its batch."""
    return 1 << (record_id & (1 << ID_BITS) - 1)
