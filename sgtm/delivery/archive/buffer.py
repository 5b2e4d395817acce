"""Buffer: finished records of an engine that has no writer thread of its own, on their way to the archive."""

import asyncio
from contextlib import suppress

from sgtm.delivery.archive.keeping import FRAME_BYTES, Archive, Group
from sgtm.delivery.outbox.records import write_record
from sgtm.messages import Record

FLUSH_S = 1.0
MAX_BYTES = 16 * FRAME_BYTES
"""What may wait for a disk that has stalled; what comes beyond is let go, and counted."""


class ArchiveBuffer:
    """Collects records in the loop's thread and has them written in another, one piece at a time."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._group: Group | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def add(self, record: Record) -> None:
        """Archive this soon."""
        received = record.request.received_micros
        group = self._group
        if group is None:
            group = self._group = Group(bytearray(), 0, received, received)
        if len(group.records) >= MAX_BYTES:
            self.archive.count_lost(1)
            return
        write_record(record, group.records)
        group.count += 1
        group.first_micros = min(group.first_micros, received)
        group.last_micros = max(group.last_micros, received)
        if self._timer is None:
            with suppress(RuntimeError):  # outside a loop `close` writes it
                self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def close(self) -> None:
        """Write what is left. May wait for the disk; a write that is under way ends first."""
        if self._timer is not None:
            self._timer.cancel()
        self._write()
        self.archive.close()

    def _flush(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(FLUSH_S, self._flush)
            return
        self._writing = loop.run_in_executor(None, self._write)

    def _write(self) -> None:
        group, self._group = self._group, None
        self.archive.write([group] if group is not None else [])
