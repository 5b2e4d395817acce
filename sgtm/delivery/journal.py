"""Journal: each try to deliver and how it ended, one short entry, kept as long as the archive.

    settling --note--> buffer --each second, in a thread--> journal/slot-N/TIME-PID.journal --> read_tries

The record of a hit says everything but what vendors answered; this says that (SPEC: requirements R350).
An entry names the record by when it came and its seed. It holds nothing of the event, and of an answer only
its status and the tag's own words for it. Entries are not synced: what a crash takes is delivered, and
noted, again.

    file  = "SGTMJRN1", then frames
    frame = magic (4 bytes), length u32, crc32 u32 of what follows, zlib of msgpack: a list of tries
"""

import asyncio
import logging
import os
import struct
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from sgtm.delivery.clock import steady_micros
from sgtm.delivery.named_by_time import begin_file, write_all
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery.journal")

FOLDER = "journal"
SUFFIX = ".journal"
HEADER = b"SGTMJRN1"
FLUSH_S = 1.0
FILE_S = 3_600.0
MOST_WAITING = 50_000
"""Entries that may wait for a disk that has stalled; what comes beyond is let go, and counted."""
MAX_REASON = 200
GIVEN_UP = "given up"
"""Outcome of the last entry of what nobody tries any more."""
MAX_FRAME_BYTES = 67_108_864
_MAGIC = b"\xa5\x9eSJ"
_HEAD = struct.Struct("<4sII")
_CLEAN_EVERY_S = 60.0


class Noted(Struct, frozen=True, array_like=True):
    """One attempt to deliver what one tag made of one event."""

    received_micros: int
    seed: int
    """Of the request that it goes back to; with `received_micros` it names the record."""
    event_index: int
    tag: str
    destination: str
    at_micros: int
    """When it ended (Unix time)."""
    attempt: int
    status: int
    """HTTP status; 0: there was no answer."""
    outcome: str
    """See `Outcome.kind`; GIVEN_UP where no attempt ended, but all of them."""
    reason: str

    @property
    def record(self) -> tuple[int, int]:
        """What names its record."""
        return self.received_micros, self.seed


class Journal:
    """The journal of one slot. Nothing is on the disk before something is noted."""

    def __init__(
        self, data_folder: str | Path, slot: int, age_s: float, max_bytes: int, counters: Counters
    ) -> None:
        self._folder = Path(data_folder) / FOLDER / f"slot-{slot}"
        self._age_s, self._max_bytes, self._counters = age_s, max_bytes, counters
        self._waiting: list[Noted] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._file: int | None = None
        self._opened_at = self._cleaned_at = float("-inf")

    def note(self, entry: Noted) -> None:
        """Keep this soon. Called in the loop's thread."""
        if len(self._waiting) >= MOST_WAITING:
            self._counters.add("sgtm_journal_lost_total")
            return
        self._waiting.append(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    async def close(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await asyncio.to_thread(self._write, self._taken())
        self._end_file()

    def _taken(self) -> list[Noted]:
        taken, self._waiting = self._waiting, []
        return taken

    def _flush(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(FLUSH_S, self._flush)
        else:
            self._writing = loop.run_in_executor(None, self._write, self._taken())

    # -- files, in another thread ----------------------------------------------------------------

    def _write(self, entries: list[Noted]) -> None:
        if not entries:
            return
        packed = zlib.compress(msgspec.msgpack.encode(entries), 3)
        frame = _HEAD.pack(_MAGIC, len(packed), zlib.crc32(packed)) + packed
        try:
            file = self._file
            if file is None or time.monotonic() - self._opened_at >= FILE_S:
                file = self._begin_file()
            write_all(file, frame)
        except OSError as error:
            self._end_file()  # what stands half in it is passed over by readers
            self._counters.add("sgtm_journal_lost_total", amount=len(entries))
            log.error("tries are not noted", extra={"tries": len(entries), "error": error.strerror})
        if time.monotonic() - self._cleaned_at >= _CLEAN_EVERY_S:
            self._clean()

    def _begin_file(self) -> int:
        self._end_file()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file, _ = begin_file(self._folder, SUFFIX, HEADER)
        self._file, self._opened_at = file, time.monotonic()
        return file

    def _end_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file = None

    def _clean(self) -> None:
        """Delete what is too old, and the oldest beyond the bound; of slots that are gone, slot 0 does."""
        self._cleaned_at = time.monotonic()
        before, size = steady_micros() / 1e6 - self._age_s, 0
        pattern = f"slot-*/*{SUFFIX}" if self._folder.name == "slot-0" else f"{self._folder.name}/*{SUFFIX}"
        for path in sorted(self._folder.parent.glob(pattern), key=lambda path: path.name, reverse=True):
            with suppress(OSError):
                said = path.stat()
                is_own = path.parent == self._folder
                size += said.st_size * is_own
                if said.st_mtime < before or (is_own and size > self._max_bytes):
                    path.unlink()


def read_tries(data_folder: str | Path, records: Collection[tuple[int, int]]) -> Iterator[Noted]:
    """The tries of these records, of all slots, file by file. Damaged parts are passed over."""
    wanted = frozenset(records)
    earliest = min((received for received, _ in wanted), default=0)
    paths = sorted(Path(data_folder, FOLDER).glob(f"slot-*/*{SUFFIX}"), key=lambda path: path.name)
    for path in paths:
        try:
            if path.stat().st_mtime * 1e6 < earliest:
                continue
            data = path.read_bytes()
        except OSError:  # its time was over
            continue
        for entry in _entries(data):
            if entry.record in wanted:
                yield entry


def _entries(data: bytes) -> Iterator[Noted]:
    at = data.find(_MAGIC)
    while at >= 0:
        following = at + 1
        if len(data) - at >= _HEAD.size:
            _, length, checksum = _HEAD.unpack_from(data, at)
            packed = data[at + _HEAD.size : at + _HEAD.size + length]
            if len(packed) == length and zlib.crc32(packed) == checksum:
                following = at + _HEAD.size + length
                with suppress(zlib.error, msgspec.MsgspecError):
                    unpacked = zlib.decompressobj().decompress(packed, MAX_FRAME_BYTES)
                    yield from msgspec.msgpack.decode(unpacked, type=list[Noted])
        at = data.find(_MAGIC, following)
