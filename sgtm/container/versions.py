"""Versions: the source of every container that was served, so that yesterday's is back in seconds.

    <data_folder>/versions/<version>.yaml (or .json)     as it was in its file, `${ENV}` unresolved

A version is named by the hash of its source, as in logs and records: of its file, of the templates that this
names, and of what the settings file says about an export. Nothing else is kept: secrets come from the
environment when it is served again. What an export or a container.yaml holds in plain text is on disk here
as it is in the file itself, so the folder is its owner's alone.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from sgtm.container.compile import version_of
from sgtm.errors import SgtmError

KEPT = 50
_SUFFIXES = (".yaml", ".json")


class UnknownVersion(SgtmError):
    """No version, or more than one, has this name."""


class Version(Struct, frozen=True):
    """One kept source."""

    version: str
    served_at: float
    """When it was last begun to be served, Unix time in seconds."""
    path: Path


class Versions:
    """The kept sources of one data folder. `folder` is made with the first version."""

    def __init__(self, data_folder: str | Path) -> None:
        self._folder = Path(data_folder) / "versions"

    def keep(self, source: bytes, file_name: str) -> None:
        """Keep what is served from now on; the oldest beyond KEPT go. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        suffix = ".json" if file_name.endswith(".json") else ".yaml"
        path = self._folder / f"{version_of(source)}{suffix}"
        if not path.exists():
            write_whole(path, source, 0o600)
        os.utime(path)
        for old in self.all()[KEPT:]:
            with suppress(OSError):
                old.path.unlink()

    def all(self) -> list[Version]:
        """What is kept, the one that was served last first."""
        found: list[Version] = []
        with suppress(OSError):
            paths = [path for path in self._folder.iterdir() if path.suffix in _SUFFIXES]
            found.extend(Version(path.stem, path.stat().st_mtime, path) for path in paths)
        return sorted(found, key=lambda one: (-one.served_at, one.version))

    def find(self, name: str) -> Version:
        """The version whose name begins so. Raises UnknownVersion."""
        found = [one for one in self.all() if name and one.version.startswith(name)]
        if len(found) != 1:
            known = ", ".join(one.version for one in self.all()[:10]) or "none"
            what = (
                f"{name!r} is the begin of {len(found)} versions"
                if found
                else f"there is no version {name!r}"
            )
            raise UnknownVersion(what, where=str(self._folder), mend=f"kept are: {known}")
        return found[0]


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file so that nobody ever sees half of it. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
