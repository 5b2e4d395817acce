"""The folder of one slot: private, locked by its owner, on a disk that deserves the name.

SPEC: reliability 1.3: mode 0700, an advisory lock that tells a living owner, fsync of a folder after
each name that comes or goes in it, network file systems refused, memory said.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from sgtm.errors import SettingsError, SgtmError

log = logging.getLogger("sgtm.delivery.outbox")

MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ocfs2", "gfs2")
)
_MEMORY = frozenset(("tmpfs", "ramfs"))
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))

Medium = Literal["disk", "memory"]


class FolderInUse(SgtmError):
    """Another living process owns the folder. Trying again later may help."""


class SlotFolder:
    """`<data_folder>/slot-N-K`, locked until `close`. Raises FolderInUse, SettingsError."""

    def __init__(self, path: Path, *, allows_fuse: bool = False) -> None:
        self.path = path
        _make(path)
        self.medium: Medium = medium_of(path, allows_fuse=allows_fuse)
        try:
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _cannot_be_used(path, error) from None
        try:
            self._take_lock()
            _make_durable(path)
        except OSError as error:
            os.close(self._lock)
            raise _cannot_be_used(path, error) from None
        except FolderInUse:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let the next owner in."""
        os.close(self._lock)

    def __enter__(self) -> "SlotFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_lock(self) -> None:
        lock = self.path / "lock"
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # whoever had it may have deleted the folder meanwhile
            is_ours = os.path.samestat(os.fstat(self._lock), os.stat(lock))
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        if not is_ours:
            raise FolderInUse(
                "another process owns it",
                where=f"outbox folder {self.path}",
                mend="stop it, or give this one another --data-folder",
            )


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def set_aside(path: Path, into: Path) -> Path | None:
    """Give what cannot be used (and the WAL that belongs to it) a free name that ends in `.suspect`, in
    the folder `into`; the new path, or None if there was nothing. Raises OSError."""
    wal = path.with_name(path.name + "-wal")
    if not os.path.lexists(path) and not os.path.lexists(wal):
        return None
    number = 1
    while os.path.lexists(suspect := into / f"outbox-{number}.suspect"):
        number += 1
    # the WAL first: beside a file that is not its own it would be applied to that
    if os.path.lexists(wal):
        wal.rename(suspect.with_name(suspect.name + "-wal"))
    if os.path.lexists(path):
        path.rename(suspect)
    for folder in {into, path.parent}:
        sync_folder(folder)
    return suspect


def suspects_in(folder: Path) -> list[Path]:
    """What was set aside, oldest first."""
    return sorted(folder.glob("*.suspect"), key=lambda path: (len(path.name), path.name))


def medium_of(path: Path, *, allows_fuse: bool = False) -> Medium:
    """Whether `path` is on a disk or in memory. Raises SettingsError where it is on the network."""
    kind = _filesystem_of(path)
    is_fuse = kind.startswith("fuse") and kind != "fuseblk"
    if kind.removeprefix("fuse.") in _NETWORK or (is_fuse and not allows_fuse):
        raise SettingsError(
            f"is on a file system ({kind}) whose locks and syncs cannot be relied on",
            where=f"outbox folder {path}",
            mend="put --data-folder on a local disk"
            + (", or give --outbox-on-fuse if you know better" if is_fuse else ""),
        )
    return "memory" if kind in _MEMORY else "disk"


def _filesystem_of(path: Path) -> str:
    """Type of the file system that holds `path`, from mountinfo: the mount with the device of the path
    and the longest mount point above it."""
    place, best, kind = path.resolve(), -1, "unknown"
    for mount_point, mounted in _mounts():
        if place.is_relative_to(mount_point) and len(mount_point.parts) >= best:
            best, kind = len(mount_point.parts), mounted
    return kind


def _mounts() -> Iterator[tuple[Path, str]]:
    try:
        lines = MOUNTINFO.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        parts = before.split(" ")
        if len(parts) > 4 and after:
            mount_point = parts[4]
            for escape, text in _ESCAPES:
                mount_point = mount_point.replace(escape, text)
            yield Path(mount_point), after.split(" ")[0]


def _make(path: Path) -> None:
    """The folder and those above it, private."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
            with suppress(PermissionError):
                sync_folder(folder.parent)
        path.chmod(0o700)
    except OSError as error:
        raise _cannot_be_used(path, error) from None


def _make_durable(path: Path) -> None:
    """Sync the names of the folder and of the one above it, whoever made them: their maker may have died
    before it came to that. What is above belongs to somebody else, and may be closed to us."""
    sync_folder(path)
    sync_folder(path.parent)
    with suppress(PermissionError):
        sync_folder(path.parent.parent)


def _cannot_be_used(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"cannot be used: {error.strerror}",
        where=f"outbox folder {path}",
        mend="give a --data-folder that this user may write to",
    )
