"""Audit trail: which container was served since when, who had it served, and what it changed.

    <data_folder>/audit.jsonl     a line each time that a container begins to be served; see AuditEntry

Names of what was changed stand in it, no values. Bounded: when the file is over MAX_BYTES its older half
goes. SPEC: requirements R247.
"""

import os
import pwd
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from sgtm import __version__
from sgtm.container.diff import Change, Names, diff
from sgtm.container.model import ContainerVersion
from sgtm.container.native import read_source
from sgtm.container.versions import Versions, write_whole
from sgtm.errors import SgtmError

FILE_NAME = "audit.jsonl"
MAX_BYTES = 1_048_576
MOST_NAMED = 8
MOST_BY = 100

How = Literal["start", "signal", "watch", "admin", "rollback"]
"""The server began with it; SIGHUP; its file changed; POST /reload; `sgtm rollback`."""


class AuditEntry(Struct, frozen=True):
    """One line."""

    at_s: float
    """Unix time."""
    how: How
    by: str
    """A user of the operating system: the server's own, of `watch` the file's owner, else who says so with
    the admin token, or `admin`."""
    before: str
    """Version that was served until then; "": none is known."""
    after: str
    changed: str
    """In words; "" where there is nothing to compare with."""
    path: str = ""
    release: str = ""
    """Of sgtm."""


class AuditTrail:
    """The trail of one data folder."""

    def __init__(self, data_folder: str | Path) -> None:
        self._path = Path(data_folder) / FILE_NAME
        self._versions = Versions(data_folder)

    def entries(self) -> list[AuditEntry]:
        """All, oldest first; lines that nobody can read are left out. Raises OSError."""
        found: list[AuditEntry] = []
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                found.append(msgspec.json.decode(line, type=AuditEntry))
        return found

    def note(self, how: How, by: str, version: str, source: bytes, path: str) -> AuditEntry:
        """The container `source` begins to be served. Raises OSError."""
        entries = self.entries()
        before = entries[-1].after if entries else ""
        changed = self._changed(before, version, source, path)
        by = "".join(char for char in by if char.isprintable())[:MOST_BY]
        entry = AuditEntry(time.time(), how, by, before, version, changed, path, __version__)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(self._path, flags, 0o600), "ab") as file:
            file.write(self._line_end() + msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._bound()
        return entry

    def _line_end(self) -> bytes:
        """What ends the line before, if the machine went down within it."""
        return b"" if self._path.read_bytes()[-1:] in (b"", b"\n") else b"\n"

    def _bound(self) -> None:
        if self._path.stat().st_size > MAX_BYTES:
            newer = self._path.read_bytes()[-MAX_BYTES // 2 :]
            write_whole(self._path, newer.partition(b"\n")[2], 0o600)

    def _changed(self, before: str, version: str, source: bytes, path: str) -> str:
        if not before or before == version:
            return "nothing" if before else ""
        try:
            kept = self._versions.find(before).path
            return sentence(diff(_model(kept.read_bytes(), kept.name), _model(source, path)))
        except (OSError, SgtmError):
            return "not known: the version before is not kept any more"
        except Exception as error:  # a fault of ours, which must not keep the container from being served
            return f"not known: {type(error).__name__}"


def user() -> str:
    """Name of the user that this process runs as."""
    return _name_of(os.geteuid())


def owner_of(path: str | Path) -> str:
    """Name of the user that a file belongs to."""
    try:
        return _name_of(os.stat(path).st_uid)
    except OSError:
        return "unknown"


def sentence(changes: list[Change]) -> str:
    """`added tag "A"; changed tag "B" (parameters.url)`, names only."""
    said = [_one(change) for change in changes[:MOST_NAMED]]
    rest = Counter(change.change for change in changes[MOST_NAMED:])
    said += [f"{count} more {word}" for word, count in rest.items()]
    return "; ".join(said) or "nothing that `sgtm diff` tells: comments, order of keys, or templates"


def _one(change: Change) -> str:
    name = f' "{change.name[:80]}"' if change.name else ""
    fields = list(dict.fromkeys(field.field for field in change.fields))
    more = f" and {len(fields) - 3} more" if len(fields) > 3 else ""
    inside = f" ({', '.join(fields[:3])[:120]}{more})" if fields and change.change == "changed" else ""
    return f"{change.change} {change.kind.removesuffix('s')}{name}{inside}"


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _model(source: bytes, name: str) -> ContainerVersion:
    return read_source(source, name, Names()).model
