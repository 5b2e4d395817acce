"""A SQLite file that the processes of one machine share: opened, bounded, and given up when it fails.

Several processes commit and checkpoint, so it needs a SQLite without the WAL-reset race: apsw brings one,
older ones are refused (SPEC: reliability 0.7).
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

SAFE_VERSION = 3_051_003
"""The first SQLite without the WAL-reset race."""
_BUSY_MS = 2_000
_WAL_KEPT_BYTES = 4_194_304


class SharedFile:
    """The file, opened. `path` None: in memory. Raises apsw.Error, OSError; one that cannot be read is
    given up."""

    def __init__(self, path: Path | None, schema: str) -> None:
        if _version() < SAFE_VERSION:
            raise apsw.Error(f"SQLite {apsw.sqlite_lib_version()} must not be shared by processes")
        self._path = path
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self.connection = apsw.Connection(str(path) if path is not None else ":memory:")
        self._inode = path.stat().st_ino if path is not None else 0
        try:
            self.connection.set_busy_timeout(_BUSY_MS)
            self._share()
            self.connection.execute("PRAGMA synchronous=NORMAL")
            self.connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}").fetchall()
            self.connection.execute(schema)
        except apsw.BusyError:
            self.close()
            raise
        except apsw.Error:
            self.abandon()
            raise

    def _share(self) -> None:
        """Switch to WAL. Where several processes begin the file at one moment SQLite does not wait for the
        others, whatever the busy timeout (it could be a deadlock): so we do."""
        ends = time.monotonic() + _BUSY_MS / 1_000
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode=WAL").fetchall()
                return
            except apsw.BusyError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.005)

    def execute(self, statement: str, values: Any = ()) -> apsw.Cursor:
        """Run a statement. Raises apsw.Error."""
        return self.connection.execute(statement, values)

    def roll_back(self) -> None:
        """Give up the open transaction, if there is one."""
        with suppress(apsw.Error):
            self.connection.execute("ROLLBACK")

    @property
    def is_replaced(self) -> bool:
        """Whether another process has given the file up and begun a new one, or somebody has deleted it."""
        if self._path is None:
            return False
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def close(self) -> None:
        """Let go of it."""
        with suppress(apsw.Error):
            self.connection.close()

    def abandon(self) -> None:
        """What it says cannot be trusted: it goes, unless another worker has begun a new one already."""
        self.close()
        if self._path is None:
            return
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                for suffix in ("-wal", "-shm", ""):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def is_passing(error: Exception) -> bool:
    """Whether the file itself is sound: it is locked, or the disk is full."""
    return isinstance(error, (apsw.BusyError, apsw.FullError))


def _version() -> int:
    major, minor, patch = (int(part) for part in apsw.sqlite_lib_version().split(".")[:3])
    return major * 1_000_000 + minor * 1_000 + patch
