"""OutboxFile: one SQLite file with one connection, used by one thread at a time.

SPEC: reliability 0.5 to 0.10 and 1.3. Rules:

- WAL with synchronous FULL, read back: NORMAL loses the last commits in a power cut.
- EXCLUSIVE before WAL, so there is no shared memory, no second process, and no second connection that
  could meet the WAL-reset race. Who commits also checkpoints.
- One row per group commit. What is settled stands in a row of its own, so that records are written once.
- Any error but "full" means that nothing the file says can be trusted any more (a failed fsync is told
  once, and later ones succeed for nothing): the owner abandons it.
"""

import os
import random
import stat
from contextlib import suppress
from pathlib import Path

import apsw
from msgspec import Struct

from sgtm.delivery.letter import LetterBounds
from sgtm.delivery.outbox.folder import sync_folder
from sgtm.delivery.outbox.letter_table import LetterRow, LetterTable
from sgtm.errors import SgtmError

SYNCHRONOUS = "FULL"
PAGE_BYTES = 4_096
APPLICATION_ID = 0x7367_746D
FORMAT = 1
_GENERATIONS = 20
"""A new file begins with a generation of so many random bits, so that ids of two files do not meet."""
_WAL_KEPT_BYTES = 33_554_432

_SCHEMA = f"""
CREATE TABLE batch(number INTEGER PRIMARY KEY, count INTEGER NOT NULL, at_micros INTEGER NOT NULL,
                   records BLOB NOT NULL);
CREATE TABLE bits(number INTEGER PRIMARY KEY, bits BLOB NOT NULL);
CREATE TABLE taken(source TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={FORMAT};
"""


class Unusable(SgtmError):
    """The file cannot be opened, or is not one of ours, or is damaged."""


class Row(Struct):
    """One group commit."""

    number: int
    count: int
    at_micros: int
    records: bytes | bytearray


class Change(Struct):
    """What one transaction writes."""

    rows: list[Row] = []
    bits: list[tuple[int, bytes]] = []
    finished: list[int] = []
    """Numbers of batches that owe nothing any more."""
    taken: list[tuple[str, int]] = []
    """How far another file has been copied into this one: (its name, last number)."""
    letters: list[LetterRow] = []


class Kept(Struct):
    """A row without its records: enough to know what is there."""

    number: int
    count: int
    at_micros: int
    bits: bytes | None


class OutboxFile:
    """An open file. `generation` is given where the file follows one that was set aside.

    Raises Unusable (opening), apsw.Error (everything else).
    """

    def __init__(
        self, path: Path, max_bytes: int, generation: int | None = None, bounds: LetterBounds | None = None
    ) -> None:
        self.path = path
        self.wal_pages = 0
        try:
            is_new = _create(path)
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        except (OSError, apsw.Error) as error:
            raise _unusable(path, type(error).__name__) from None
        try:
            self._prepare(max_bytes)
            self._begin_generation(generation)
            self.letters = LetterTable(self._connection, bounds or LetterBounds())
            if is_new:
                sync_folder(path.parent)
        except (OSError, apsw.Error) as error:
            self.abandon()
            raise _unusable(path, type(error).__name__) from None
        except Unusable:
            self.abandon()
            raise

    # -- writing ---------------------------------------------------------------------------------

    def write(self, change: Change) -> None:
        """Make a change durable. It is all there or not at all; after an error nobody knows which."""
        execute, many = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        try:
            for row in change.rows:
                execute(
                    "INSERT INTO batch VALUES(?,?,?,?)", (row.number, row.count, row.at_micros, row.records)
                )
            if change.bits:
                many("INSERT OR REPLACE INTO bits VALUES(?,?)", change.bits)
            if change.letters:
                self.letters.write(change.letters)
            if change.taken:
                many("INSERT OR REPLACE INTO taken VALUES(?,?)", change.taken)
            if change.finished:
                numbers = [(number,) for number in change.finished]
                many("DELETE FROM batch WHERE number=?", numbers)
                many("DELETE FROM bits WHERE number=?", numbers)
            execute("COMMIT")
        except apsw.Error:
            with suppress(apsw.Error):
                execute("ROLLBACK")
            raise

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Move what is in the WAL to its place."""
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._connection.wal_checkpoint("main", mode)
        if truncate:
            self.wal_pages = 0

    def shrink(self, pages: int) -> bool:
        """Give up to so many unused pages back to the file system; whether there are more."""
        self._connection.execute(f"PRAGMA incremental_vacuum({pages:d})").fetchall()
        return self._number("freelist_count") > 0

    # -- reading ---------------------------------------------------------------------------------

    @property
    def used_bytes(self) -> int:
        """Bytes of pages that hold something."""
        return (self._number("page_count") - self._number("freelist_count")) * PAGE_BYTES

    def kept(self) -> list[Kept]:
        """All rows without their records, oldest first."""
        found = self._connection.execute(
            "SELECT number, count, at_micros, bits FROM batch LEFT JOIN bits USING(number) ORDER BY number"
        )
        return [Kept(*row) for row in found]

    def records(self, number: int) -> bytes:
        """The records of one row; b"" if there is no such row."""
        found = self._connection.execute("SELECT records FROM batch WHERE number=?", (number,)).fetchall()
        records = found[0][0] if found else b""
        return records if isinstance(records, bytes) else b""

    def row(self, number: int) -> Row | None:
        """One row, if it is there."""
        found = self._connection.execute(
            "SELECT number, count, at_micros, records FROM batch WHERE number=?", (number,)
        ).fetchall()
        return Row(*found[0]) if found and isinstance(found[0][3], bytes) else None  # type: ignore[arg-type]

    def taken(self) -> dict[str, int]:
        """How far other files have been copied into this one."""
        return dict(self._connection.execute("SELECT source, number FROM taken"))

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Checkpoint and close. Raises apsw.Error."""
        self._connection.close()

    def abandon(self) -> None:
        """Close and leave the file as it is."""
        with suppress(apsw.Error):
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        with suppress(apsw.Error):
            self._connection.close(True)

    # -- opening ---------------------------------------------------------------------------------

    def _prepare(self, max_bytes: int) -> None:
        self._set("locking_mode", "EXCLUSIVE", "exclusive")
        self._connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        self._connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self._set("journal_mode", "WAL", "wal")
        self._connection.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
        self._connection.execute("PRAGMA mmap_size=0").fetchall()
        self._connection.execute("PRAGMA temp_store=MEMORY")
        self._connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}").fetchall()
        self._connection.wal_autocheckpoint(0)
        self._connection.set_wal_hook(self._note_wal)
        if self._number("synchronous") != ("OFF", "NORMAL", "FULL").index(SYNCHRONOUS):
            raise _unusable(self.path, "synchronous could not be set")
        self._require_ours()
        self._connection.execute(f"PRAGMA max_page_count={max(max_bytes // PAGE_BYTES, 64)}").fetchall()

    def _begin_generation(self, given: int | None) -> None:
        # also the proof that the file can be written
        self._connection.execute(
            "UPDATE meta SET value=coalesce(?, value+1) WHERE name='generation'", (given,)
        )
        found = self._connection.execute("SELECT value FROM meta WHERE name='generation'").fetchall()
        if not found or not isinstance(found[0][0], int):
            raise _unusable(self.path, "it does not say its generation")
        self.generation = found[0][0]
        """Comes once: numbers that are made from it come once too."""

    def _require_ours(self) -> None:
        """Make the tables in an empty file; refuse what is foreign, newer, or damaged."""
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0]
        if not tables and not self._number("application_id"):
            self._make_tables()
        if self._number("application_id") != APPLICATION_ID:
            raise _unusable(self.path, "it is another program's database")
        if self._number("user_version") > FORMAT:
            raise _unusable(self.path, "a later release wrote it")
        if self._connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise _unusable(self.path, "it is damaged")

    def _make_tables(self) -> None:
        generation = random.getrandbits(_GENERATIONS)
        with self._connection:
            self._connection.execute(_SCHEMA)
            self._connection.execute(
                "INSERT INTO meta VALUES('generation', ?), ('name', hex(randomblob(16)))",
                (generation,),
            )

    def _set(self, name: str, value: str, expected: str) -> None:
        said = self._connection.execute(f"PRAGMA {name}={value}").fetchall()
        if said != [(expected,)]:
            raise _unusable(self.path, f"{name} could not be set")

    def _number(self, name: str) -> int:
        value = self._connection.execute(f"PRAGMA {name}").fetchall()[0][0]
        return value if isinstance(value, int) else -1

    def _note_wal(self, _: apsw.Connection, __: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK


def _create(path: Path) -> bool:
    """An empty file that only its owner may read, if there is none; whether it was made."""
    wal = path.with_name(path.name + "-wal")
    is_new = not os.path.lexists(path)
    if is_new and os.path.lexists(wal):
        raise _unusable(path, "only its WAL is there")
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise _unusable(path, "it is no file")
        os.fchmod(opened, 0o600)
    finally:
        os.close(opened)
    return is_new


def _unusable(path: Path, why: str) -> Unusable:
    return Unusable(f"cannot be used: {why}", where=f"outbox file {path}", mend="it is set aside")
