"""Publishing: records on their way to the broker, in groups.

While one message is on its way the next group fills; only full groups fly several at a time. Lives in the
loop's thread, and hears of the broker's thread when a message has landed.
"""

import asyncio
import concurrent.futures
import logging
import secrets
import time
from collections import deque

from sgtm.delivery.outbox import OutboxFull, OutboxUnavailable
from sgtm.delivery.outbox.batch import Batch
from sgtm.delivery.outbox.group import MAX_RECORDS, Group
from sgtm.delivery.outbox.nats_broker import Broker
from sgtm.delivery.outbox.nats_message import write_message
from sgtm.delivery.outbox.records import write_record
from sgtm.messages import Record
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery.outbox")

MAX_BYTES = 786_432
"""A message is cut here: the broker takes 1 MB unless it is told otherwise."""
WINDOW = 8
"""Messages under way; one that is not full goes alone."""
MAX_WAITING = 64
LINGER_S = 0.002
LINGER_ABOVE = 20
"""After a message of more records the next one waits a moment for company."""
_HEAD_BYTES = 1_024
"""More than a message's head and headers take."""


class Publishing:
    """Takes records, and tells each group when the broker has acknowledged it."""

    def __init__(self, broker: Broker, counters: Counters) -> None:
        self._broker, self._counters = broker, counters
        self._name, self._next_number = secrets.token_hex(6), 0
        self._open: Group | None = None
        self._waiting: deque[Group] = deque()
        self._flying: dict[Group, concurrent.futures.Future[bool]] = {}
        self._is_due = self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        """Records that have not landed."""
        waiting = [*self._waiting, *self._flying, *([self._open] if self._open is not None else [])]
        return sum(group.batch.count for group in waiting)

    @property
    def is_stuck(self) -> bool:
        """Whether too much waits for the broker."""
        return len(self._waiting) >= MAX_WAITING

    def add(self, record: Record) -> Group:
        """Take a record; await the group. Raises OutboxFull where it is too large."""
        group = self._open
        if group is None:
            group = self._open = self._new_group(record.request.received_micros)
        begin = len(group.records)
        write_record(record, group.records)
        size = len(group.records) - begin
        if size + _HEAD_BYTES > self._broker.view.max_message_bytes:
            del group.records[begin:]
            mend = "raise max_payload of the server and max_msg_size of the stream, or lower --body-bytes"
            raise OutboxFull(f"a record of {size} bytes is too large", where="outbox (nats)", mend=mend)
        if begin and len(group.records) > MAX_BYTES:
            group = self._cut(group, begin, record.request.received_micros)
        group.batch.count += 1
        if group.batch.count >= MAX_RECORDS or len(group.records) >= MAX_BYTES:
            self._seal()
        if not self._is_due and len(self._flying) < (WINDOW if self._waiting else 1):
            self._become_due(0.0)
        return group

    def _new_group(self, at_micros: int) -> Group:
        self._next_number += 1
        return Group(Batch(self._next_number, 0, at_micros))

    def _cut(self, group: Group, begin: int, at_micros: int) -> Group:
        """The record that begins there goes into the next group."""
        last = group.records[begin:]
        del group.records[begin:]
        self._seal()
        self._open = self._new_group(at_micros)
        self._open.records += last
        return self._open

    def _seal(self) -> None:
        if self._open is not None:
            self._waiting.append(self._open)
            self._open = None

    def _become_due(self, delay_s: float) -> None:
        loop = self._in_loop()
        self._is_due = True
        if delay_s:
            loop.call_later(delay_s, self._publish)
        else:
            loop.call_soon(self._publish)

    def _publish(self) -> None:
        self._is_due = False
        while len(self._flying) < WINDOW and (self._waiting or (self._open is not None and not self._flying)):
            if not self._waiting:
                self._seal()
            self._fly(self._waiting.popleft())

    def _fly(self, group: Group) -> None:
        name = f"{self._name}-{group.batch.number}.0"
        future = self._flying[group] = self._broker.submit(
            self._broker.publish(name, write_message(group.records))
        )
        loop = self._in_loop()

        def done(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._landed, group)

        future.add_done_callback(done)

    def _landed(self, group: Group) -> None:
        """The broker has said something of a group, or nobody hears it any more."""
        future = self._flying.pop(group, None)
        if future is None:
            return
        error = None if future.cancelled() else future.exception()
        if error is None and not future.cancelled():
            self._counters.add("sgtm_outbox_commits_total")
            group.done(None)
        else:
            self._counters.add("sgtm_outbox_commits_failed_total")
            log.error(
                "a group of records was not kept",
                extra={
                    "records": group.batch.count,
                    "reason": str(error) if isinstance(error, OutboxFull) else "",
                },
            )
            group.done(error if isinstance(error, OutboxFull) else _unavailable())
        if not self._is_closed and not self._is_due and (self._waiting or self._open is not None):
            is_busy = group.batch.count > LINGER_ABOVE and not self._waiting
            self._become_due(LINGER_S if is_busy else 0.0)

    def close(self, until: float) -> None:
        """Publish what is left, waiting for it until then (of `time.monotonic`)."""
        self._seal()
        self._is_closed = True
        while (self._waiting or self._flying) and time.monotonic() < until:
            while self._waiting:
                self._fly(self._waiting.popleft())
            concurrent.futures.wait(self._flying.values(), max(0.0, until - time.monotonic()))
            for group, future in list(self._flying.items()):
                future.cancel()  # nothing, where it is done
                self._landed(group)

    def _in_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop


def _unavailable() -> OutboxUnavailable:
    return OutboxUnavailable("failed", where="outbox (nats)", mend="ask again later; the log says more")
