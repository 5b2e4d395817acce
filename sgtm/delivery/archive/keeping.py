"""Keeping: writes segments and deletes what is too old or too much.

Delivering comes before archiving: what cannot be archived (the disk is full, or fails) is let go, counted and
said, rather than kept where it would stop new hits. Where the outbox needs room the archive gives way.
"""

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from msgspec import Struct

from sgtm.delivery.archive.segment import HEADER, frame_of
from sgtm.delivery.clock import steady_micros
from sgtm.delivery.named_by_time import begin_file, write_all
from sgtm.delivery.outbox.folder import sync_folder
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery.archive")

FOLDER = "archive"
SUFFIX = ".segment"
SEGMENT_BYTES = 67_108_864
SEGMENT_S = 3_600.0
"""A segment gets no more after so long, so that what is kept by time is deleted in small parts."""
FRAME_BYTES = 262_144
"""Small groups are compressed together, up to so much."""
GIVES_WAY_BYTES = 134_217_728
_CLEAN_EVERY_S = 60.0
_LIVING_S = 120.0
"""What was written to so lately may have a writer."""
_SLOT = re.compile(r"slot-([0-9]{1,4})")


class Group(Struct):
    """Records that are archived together, and when the first and the last of them were received."""

    records: bytearray
    count: int
    first_micros: int
    last_micros: int


class Archive:
    """The archive of one slot of so many. Nothing is on the disk before something is archived."""

    def __init__(
        self,
        data_folder: str | Path,
        slot: int,
        workers: int,
        age_s: float,
        max_bytes: int,
        counters: Counters,
    ) -> None:
        self._root = Path(data_folder) / FOLDER
        self._folder = self._root / f"slot-{slot}"
        self._slot, self._workers = slot, workers
        self._age_s, self._max_bytes, self._counters = age_s, max_bytes, counters
        self.bytes = 0
        """What this slot's segments take on the disk."""
        self._file: int | None = None
        self._path = self._folder
        self._written = 0
        self._opened_at = self._cleaned_at = float("-inf")
        self._lock = Lock()
        self.clean()

    def write(self, groups: Iterable[Group]) -> None:
        """Make these durable, or count them as lost. Never raises. One caller after the other."""
        with self._lock:
            self._write_groups(list(groups))

    def _write_groups(self, groups: list[Group]) -> None:
        frames = [frame_of(one.records, one.first_micros, one.last_micros) for one in joined(groups)]
        records = sum(group.count for group in groups)
        try:
            try:
                self._write(frames)
            except OSError:
                self._end_segment()
                self.give_way()
                self._write(frames)
            self._counters.add("sgtm_archive_records_total", amount=records)
        except OSError as error:
            self._end_segment()
            self.count_lost(records)
            log.error("records are not archived", extra={"records": records, "error": error.strerror})
        if time.monotonic() - self._cleaned_at >= _CLEAN_EVERY_S:
            self.clean()

    def count_lost(self, records: int) -> None:
        """So many records are not archived."""
        self._counters.add("sgtm_archive_records_lost_total", amount=records)

    def clean(self) -> None:
        """Delete segments that are too old, and the oldest beyond the bound."""
        self._cleaned_at = time.monotonic()
        kept: list[tuple[Path, int]] = []
        before = steady_micros() / 1e6 - self._age_s
        for path in self._segments():
            with suppress(OSError):
                said = path.stat()
                if said.st_mtime < before and path != self._path:
                    self._delete(path)
                else:
                    kept.append((path, said.st_size))
        self.bytes = sum(size for _, size in kept)
        self._bound(kept, self._max_bytes)

    def give_way(self) -> bool:
        """Let go of the oldest segments, for the outbox needs the room; whether there were any."""
        with suppress(OSError):
            kept = [(path, path.stat().st_size) for path in self._segments()]
            before = self.bytes = sum(size for _, size in kept)
            self._bound(kept, max(before - GIVES_WAY_BYTES, 0))
            return self.bytes < before
        return False

    def close(self) -> None:
        """The end of the open segment."""
        with self._lock:
            self._end_segment()

    # -- files -----------------------------------------------------------------------------------

    def _write(self, frames: list[bytes]) -> None:
        for frame in frames:
            file = self._file
            if file is None or self._is_full:
                file = self._begin_segment()
            write_all(file, frame)
            self._written += len(frame)
            self.bytes += len(frame)
        if self._file is not None:
            os.fdatasync(self._file)

    @property
    def _is_full(self) -> bool:
        return self._written >= SEGMENT_BYTES or time.monotonic() - self._opened_at >= SEGMENT_S

    def _begin_segment(self) -> int:
        if self._file is not None:
            os.fdatasync(self._file)
        self._end_segment()
        for folder in (self._root, self._folder):
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_folder(folder.parent)
        file, self._path = begin_file(self._folder, SUFFIX, HEADER)
        self._file = file
        sync_folder(self._folder)
        self._written, self._opened_at = len(HEADER), time.monotonic()
        self.clean()
        return file

    def _end_segment(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file = None

    def _segments(self) -> Iterator[Path]:
        """Those that are ours to delete, oldest first: of this slot, and our share of vanished slots."""
        folders = []
        with suppress(OSError):
            for folder in self._root.iterdir():
                match = _SLOT.fullmatch(folder.name)
                number = int(match[1]) if match else -1
                if number == self._slot or (number >= self._workers and number % self._workers == self._slot):
                    folders.append(folder)
        paths = [path for folder in folders for path in folder.glob(f"*{SUFFIX}")]
        return iter(sorted(paths, key=lambda path: path.name))

    def _bound(self, kept: list[tuple[Path, int]], max_bytes: int) -> None:
        living = time.time() - _LIVING_S
        for path, size in kept:
            if self.bytes <= max_bytes:
                return
            with suppress(OSError):
                if path != self._path and (path.stat().st_mtime < living or _is_own(path)):
                    self._delete(path)
                    self.bytes -= size

    def _delete(self, path: Path) -> None:
        path.unlink()
        self._counters.add("sgtm_archive_segments_deleted_total")


def joined(groups: Iterable[Group]) -> Iterator[Group]:
    """The same records in groups of a sensible size."""
    current: Group | None = None
    for group in groups:
        if current is None:
            current = Group(bytearray(group.records), group.count, group.first_micros, group.last_micros)
        else:
            current.records += group.records
            current.count += group.count
            current.first_micros = min(current.first_micros, group.first_micros)
            current.last_micros = max(current.last_micros, group.last_micros)
        if len(current.records) >= FRAME_BYTES:
            yield current
            current = None
    if current is not None:
        yield current


def _is_own(path: Path) -> bool:
    """Whether this process wrote it, so that nobody else writes to it now."""
    return path.name.split("-")[1:2] == [str(os.getpid())]
