"""Space: what the outbox may still take, and the reserve that gets it out of a full disk.

SPEC: reliability 0.9 and 1.3. On a full disk SQLite can neither checkpoint nor delete, so delivered records
could not be removed. The reserve file is given up at that moment and made again when there is room.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

_RESERVE_BYTES = 67_108_864
_RESERVE_SHARE = 8
"""Of a small volume one part in so many."""
_FULL, _FREE_AGAIN = 0.9, 0.8
_RATE_OVER_S = 30.0


class Room(Struct, frozen=True):
    """What was measured, in bytes."""

    used_bytes: int
    budget_bytes: int
    free_bytes: int
    """Free on the volume, besides the reserve."""
    full_because: str = ""
    """Why no record is taken; "" when there is room."""
    suspects: int = 0
    """Files that were set aside, in the same folder."""
    time_to_full_s: float | None = None
    """At the rate of the last half minute or so; None: it does not grow."""
    letters: int = 0
    """Dead letters that are kept."""
    letter_bytes: int = 0
    letters_fallen_out: int = 0
    """In this process so far."""


class Space:
    """Space of one folder. `budget_bytes` bounds the file."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder, self._budget = folder, budget_bytes
        self._reserve = folder / "reserve"
        volume = os.statvfs(folder)
        self.reserve_bytes = min(_RESERVE_BYTES, volume.f_blocks * volume.f_frsize // _RESERVE_SHARE)
        self.wal_bytes = self.reserve_bytes // 2
        """The WAL is truncated at this size, so that the reserve is always enough for a checkpoint."""
        self._has_reserve = False
        self._is_full = False
        self._before: tuple[float, int] | None = None
        self._growth = 0.0

    def make_reserve(self) -> None:
        """Make the reserve, if there is more room than it takes."""
        if self._has_reserve or self._free_bytes() < 2 * self.reserve_bytes:
            return
        try:
            opened = os.open(self._reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(opened, 0, self.reserve_bytes)
                os.ftruncate(opened, self.reserve_bytes)
            finally:
                os.close(opened)
        except OSError:
            self.drop_reserve()
        else:
            self._has_reserve = True

    def drop_reserve(self) -> None:
        """Give the reserve up."""
        self._has_reserve = False
        with suppress(OSError):
            self._reserve.unlink()

    def measure(self, used_bytes: int) -> Room:
        """Where we are. Full at 90 % of the budget or without spare room, free again at 80 %."""
        free = self._free_bytes() - (0 if self._has_reserve else self.reserve_bytes)
        why = self._full_because(used_bytes, free)
        self._is_full = bool(why)
        self._note_growth(used_bytes)
        room = max(0, min(int(self._budget * _FULL) - used_bytes, free - self.reserve_bytes))
        return Room(
            used_bytes=used_bytes,
            budget_bytes=self._budget,
            free_bytes=max(0, free),
            full_because=why,
            time_to_full_s=room / self._growth if self._growth > 0 else None,
        )

    def _full_because(self, used_bytes: int, free: int) -> str:
        share, spare = (_FREE_AGAIN, 1.25) if self._is_full else (_FULL, 1.0)
        if used_bytes >= share * self._budget:
            return f"the outbox holds {used_bytes} of {self._budget} bytes"
        if free < spare * self.reserve_bytes:
            return "the disk is full"
        return ""

    def _note_growth(self, used_bytes: int) -> None:
        now = time.monotonic()
        if self._before is None:
            self._before = (now, used_bytes)
        elif now - self._before[0] >= _RATE_OVER_S:
            self._growth = (used_bytes - self._before[1]) / (now - self._before[0])
            self._before = (now, used_bytes)

    def _free_bytes(self) -> int:
        volume = os.statvfs(self._folder)
        return volume.f_bavail * volume.f_frsize
