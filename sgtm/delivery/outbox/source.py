"""Source: another outbox file, read row by row and never written, whole or damaged.

It may be what a vanished slot left behind, or what was set aside as suspect. SPEC: reliability 1.3 (salvage),
0.12 (one bad record must not block the rest).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

import apsw
from msgspec import Struct

from sgtm.delivery.outbox.letter_table import LetterRow, read_letter

_PIECE_BYTES = 65_536
_PROBES = 5_000
_MAX_RECORDS_BYTES = 1_073_741_824


class SourceRow(Struct):
    """What could be read of one row."""

    number: int
    count: int
    at_micros: int
    records: bytes
    bits: bytes | None
    is_whole: bool


class Source:
    """Reads a file; whatever is in it, there is no exception: what cannot be read is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_whole = True
        """Nothing that could not be read has been met so far."""
        self._connection: apsw.Connection | None = None
        self._is_empty = False
        """Its maker died before there were tables."""
        try:
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._connection.execute("PRAGMA query_only=1")
            tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            self._is_empty = tables == [(0,)]
            if not self._is_empty:
                self._connection.execute("SELECT number FROM batch LIMIT 1").fetchall()
        except apsw.Error:
            self.is_whole = False

    @property
    def name(self) -> str:
        """What tells the file from all others, wherever it lies and whatever it is called."""
        if self._connection is not None:
            with suppress(apsw.Error):
                found = self._connection.execute("SELECT value FROM meta WHERE name='name'").fetchall()
                if found and isinstance(found[0][0], str):
                    return found[0][0]
        said = os.lstat(self.path)
        return f"{said.st_ino}-{said.st_size}-{said.st_mtime_ns}"

    def numbers(self) -> list[int]:
        """Numbers of the rows that can be reached: upwards and downwards to the damage,
        and those near them."""
        found = set(self._walk("ASC"))
        if not self.is_whole:
            found.update(self._walk("DESC"))
            found.update(self._neighbours(found))
        return sorted(found)

    def row(self, number: int) -> SourceRow | None:
        """A row, as far as it can be read."""
        if self._connection is None:
            return None
        try:
            found = self._connection.execute(
                "SELECT count, at_micros FROM batch WHERE number=?", (number,)
            ).fetchall()
            if not found:
                return None
            records, is_whole = self._records(self._connection, number)
        except apsw.Error:
            self.is_whole = False
            return None
        self.is_whole = self.is_whole and is_whole
        count, at_micros = (value if isinstance(value, int) else 0 for value in found[0])
        return SourceRow(number, count, at_micros, records, self._bits(self._connection, number), is_whole)

    def letters(self, after: int, count: int) -> list[tuple[int, LetterRow]]:
        """Dead letters as they were written, with their numbers above `after`, as far as they can be
        read. A file of an earlier release may have none."""
        found: list[tuple[int, LetterRow]] = []
        if self._connection is None or self._is_empty:
            return found
        try:
            for number, *row in self._connection.execute(
                "SELECT number, id, kind, at_micros, letter FROM letter WHERE number>? "
                "ORDER BY number LIMIT ?",
                (after, count),
            ):
                if isinstance(row[-1], bytes) and read_letter(row[-1]) is not None:
                    found.append((number, LetterRow(*row)))
        except apsw.SQLError:
            return found
        except apsw.Error:
            self.is_whole = False
        return found

    def close(self) -> None:
        """Leave the file as it was found."""
        if self._connection is not None:
            with suppress(apsw.Error):
                self._connection.close(True)

    def _records(self, connection: apsw.Connection, number: int) -> tuple[bytes, bool]:
        read = bytearray()
        with connection.blob_open("main", "batch", "records", number, False) as blob:
            size = min(blob.length(), _MAX_RECORDS_BYTES)
            try:
                while len(read) < size:
                    read += blob.read(min(_PIECE_BYTES, size - len(read)))
            except apsw.Error:
                # a page that cannot be reached: the records before it are good
                return bytes(read), False
        return bytes(read), True

    def _bits(self, connection: apsw.Connection, number: int) -> bytes | None:
        with suppress(apsw.Error):
            found = connection.execute("SELECT bits FROM bits WHERE number=?", (number,)).fetchall()
            if found and isinstance(found[0][0], bytes):
                return found[0][0]
        return None

    def _neighbours(self, found: set[int]) -> list[int]:
        """Rows that a walk from either end does not reach, because a page before them is damaged. Their
        numbers lie close together, so they are asked for one by one."""
        if not found:
            return []
        low, high = min(found), max(found)
        below, above = range(max(low - _PROBES, 0), low), range(high + 1, high + _PROBES)
        between = islice((number for number in range(low, high) if number not in found), _PROBES)
        return [number for number in chain(below, between, above) if self._has(number)]

    def _has(self, number: int) -> bool:
        with suppress(apsw.Error):
            asked = "SELECT number FROM batch WHERE number=?"
            return self._connection is not None and bool(
                self._connection.execute(asked, (number,)).fetchall()
            )
        return False

    def _walk(self, direction: str) -> Iterator[int]:
        if self._connection is None or self._is_empty:
            return
        try:
            for (number,) in self._connection.execute(
                f"SELECT number FROM batch ORDER BY number {direction}"  # noqa: S608  (ASC or DESC)
            ):
                yield number
        except apsw.Error:
            self.is_whole = False
