"""Ledger of a replay: which records it has sent, so that it goes on where it was and sends nothing twice.

<data_folder>/replays/<name>.ledger      first line: a token that names it to the server; then one line
                                         per record that has come to an end: its key and how it ended
"""

import os
import re
import secrets
from pathlib import Path

from sgtm.errors import SettingsError

FOLDER = "replays"
FINAL = frozenset(("sent", "dead"))
"""Ends after which a record is not run again: what died is a dead letter now."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ReplayLedger:
    """Opens or begins one. Raises SettingsError."""

    def __init__(self, data_folder: str | Path, name: str, *, anew: bool = False) -> None:
        if _NAME.fullmatch(name) is None:
            raise SettingsError(f"{name!r} is no name", where="--id", mend="use letters, digits, - and _")
        self.path = Path(data_folder) / FOLDER / f"{name}.ledger"
        self.ended: set[str] = set()
        """Keys of records that are not run again."""
        self.token = secrets.token_hex(8)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if anew:
                self.path.unlink(missing_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._read()
        except OSError as error:
            raise SettingsError(
                error.strerror or "cannot be used", where=str(self.path), mend="give another --data-folder"
            ) from None

    def _read(self) -> None:
        with open(os.dup(self._file), encoding="ascii", errors="replace") as file:
            lines = file.read().split("\n")
        if not lines[0]:
            os.write(self._file, f"{self.token}\n".encode())
            return
        self.token = lines[0]
        if lines[-1]:  # its writer died on the way: that record is asked for again, and the server knows it
            os.write(self._file, b"\n")
        for line in lines[1:-1]:
            key, _, end = line.partition(" ")
            if end in FINAL:
                self.ended.add(key)

    def note(self, key: str, end: str) -> None:
        """A record has come to this end."""
        os.write(self._file, f"{key} {end}\n".encode())

    def close(self) -> None:
        """Make it durable."""
        os.fsync(self._file)
        os.close(self._file)
