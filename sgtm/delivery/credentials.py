"""Where secrets come from: the environment or a file, read when a request is sent.

Nothing but the sender asks for a value, so nothing that is queued, logged or shown holds one, and
a rotated secret heals what is queued.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from sgtm.delivery.errors import CredentialMissing


class CredentialSource(Struct, frozen=True):
    """One secret of the container: exactly one of the three fields is set."""

    environment: str = ""
    file: str = ""
    literal: str = ""
    """Written into the container file itself: works, and `check` warns."""

    def __repr__(self) -> str:
        return f"CredentialSource({self.environment or self.file or '<literal>'})"


class Credentials:
    """All secrets of a container, by name; values are read anew each time (files when they changed).

    White space around a value is dropped: files and variables often end in a line break.
    """

    def __init__(self, sources: Mapping[str, CredentialSource]) -> None:
        self.sources = sources
        """May be replaced at any time: the next value is read from the new ones."""
        self._files: dict[str, tuple[tuple[int, int, int], str]] = {}

    def value(self, name: str) -> str:
        """The secret called `name`. Raises CredentialMissing."""
        source = self.sources.get(name)
        value = "" if source is None else self._read(source).strip()
        if not value:
            raise CredentialMissing(
                "has no value", where=f"credential {name!r}", mend="set its variable or write its file"
            )
        return value

    def _read(self, source: CredentialSource) -> str:
        if source.environment:
            return os.environ.get(source.environment, "")
        return self._read_file(source.file) if source.file else source.literal

    def _read_file(self, path: str) -> str:
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            known = self._files.get(path)
            if known is None or known[0] != stamp:
                known = self._files[path] = (stamp, Path(path).read_text())
            return known[1]
        except (OSError, UnicodeDecodeError):
            return ""
