"""What `sgtm doctor` looks at on the machine: Python, limits of the system, the clock, the data folder."""

import importlib
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sgtm import __version__, _fast
from sgtm.cli._findings import Finding, error, good, warning
from sgtm.delivery.outbox.folder import medium_of, suspects_in
from sgtm.delivery.outbox.opening import slot_folders
from sgtm.errors import SettingsError
from sgtm.server.certificates import SOON_S, Certificates
from sgtm.server.data_folder import TOKEN_FILE
from sgtm.server.listening import BACKLOG
from sgtm.settings import Settings

LEAST_PYTHON = (3, 11)
LEAST_FILES = 8192
LEAST_FREE = 0.15
"""Of the disk of the data folder; as the alert SgtmDiskLow says."""
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
DAY_S = 86_400.0
_EARLIEST_S = Path(__file__).stat().st_mtime - DAY_S
"""No clock is right that is before the day on which this file was written."""


def machine() -> Iterator[Finding]:
    """Python, the compiled core, limits, the clock."""
    version = f"{platform.python_implementation()} {platform.python_version()}, sgtm {__version__}"
    if sys.version_info[:2] < LEAST_PYTHON:
        yield error("Python", version, "install Python 3.11 or later")
    else:
        yield good("Python", version)
    yield _compiled_core()
    yield _open_files()
    yield from _queue()
    now = time.time()
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < _EARLIEST_S:
        yield error("clock", f"says {moment}: before sgtm was installed", "set it, as with chrony")
    else:
        yield good("clock", moment)


def _compiled_core() -> Finding:
    names = sorted({path.name.partition(".")[0] for path in Path(_fast.__path__[0]).glob("*.so")})
    try:
        for name in names:
            importlib.import_module(f"{_fast.__name__}.{name}")
    except ImportError as problem:
        what, mend = f"cannot be loaded: {problem.name}", "install sgtm again for this Python"
        return error("compiled core", what, mend)
    if not names:
        return error("compiled core", "is not there", "pip install --force-reinstall sgtm")
    return good("compiled core", f"{len(names)} modules")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        mend = f"each connection is a file: LimitNOFILE=65536 in the unit, or ulimit -n (up to {hard})"
        return warning("open files", f"{soft} at most", mend)
    return good("open files", f"{soft} at most")


def _queue() -> Iterator[Finding]:
    try:
        most = int(SOMAXCONN.read_text())
    except (OSError, ValueError):  # not Linux
        return
    if most < BACKLOG:
        mend = f"sysctl -w net.core.somaxconn={BACKLOG}: else bursts of connections are refused"
        yield warning("net.core.somaxconn", f"{most}, sgtm asks for {BACKLOG}", mend)
    else:
        yield good("net.core.somaxconn", f"{most}")


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Rights, medium, room, and what was set aside."""
    folder = Path(settings.data_folder)
    where = f"data folder {folder}"
    if not folder.is_dir():
        if folder.exists():
            yield error(where, "is no folder", "give another --data-folder")
        else:
            mend = "the server makes it; if it serves already, give its own --data-folder"
            yield warning(where, "is not there", mend)
        return
    yield _rights(folder, where)
    yield from _token(folder / TOKEN_FILE)
    if settings.outbox == "sqlite":
        yield _medium(folder, where, settings)
    yield _room(folder, where)
    suspects = [path for slot in slot_folders(folder) for path in suspects_in(slot)]
    if suspects:
        mend = f"docs/degradation.md says what it is; look at the disk, then delete {suspects[0]}"
        yield warning(where, f"{len(suspects)} outbox files were set aside", mend)


def _rights(folder: Path, where: str) -> Finding:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return error(where, "cannot be written by this user", "run as the server's user, or chown it")
    mode = folder.stat().st_mode & 0o777
    if mode & 0o007:
        return warning(where, f"others may look into it ({mode:03o})", f"chmod o-rwx {folder}")
    return good(where, f"its rights are {mode:03o}")


def _token(path: Path) -> Iterator[Finding]:
    if path.exists() and path.stat().st_mode & 0o077:
        yield error(
            f"{path}",
            "others can read the admin token",
            f"chmod 600 {path}; to be safe, delete it and restart",
        )


def _medium(folder: Path, where: str, settings: Settings) -> Finding:
    try:
        medium = medium_of(folder, allows_fuse=settings.outbox_on_fuse)
    except SettingsError as problem:
        return error(where, problem.what, problem.mend)
    if medium == "memory":
        return warning(where, "its disk is memory: lost with the machine", "put it on a disk")
    return good(where, "is on a disk")


def _room(folder: Path, where: str) -> Finding:
    disk = shutil.disk_usage(folder)
    said = f"{disk.free / 1e9:.1f} GB are free, {disk.free / disk.total:.0%}"
    if disk.free < LEAST_FREE * disk.total:
        return warning(where, said, "make room: when it is full hits are answered 503")
    return good(where, said)


def certificates(settings: Settings) -> Iterator[Finding]:
    """Those that the settings name: can they be used, and until when."""
    try:
        found = Certificates.of(settings)
    except SettingsError as problem:
        yield error(problem.where, problem.what, problem.mend)
        return
    if found is None:
        return
    left_s = found.expires_s - time.time()
    said = f"the first ends in {left_s / DAY_S:.0f} days" if left_s > 0 else "one is over"
    if left_s < SOON_S:
        mend = "renew it; the server reads its file again by itself"
        yield (warning if left_s > 0 else error)("certificates", said, mend)
    else:
        yield good("certificates", said)
