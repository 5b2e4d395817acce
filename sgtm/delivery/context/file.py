"""The file of the context store: what is done to it inside of one transaction."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from sgtm.delivery.context import Erased
from sgtm.delivery.context.pairs import Meeting, Met, decide, read_pair, write_pair
from sgtm.delivery.context.rows import (
    MAX_ROW_BYTES,
    Row,
    read_row,
    row_after,
    withdrawn,
    without,
    write_row,
)
from sgtm.delivery.context.rules import ContextRules
from sgtm.delivery.context.values import Saver
from sgtm.delivery.shared_file import SharedFile
from sgtm.event import Event

MAX_ERASED = 1_000
"""Keys beside a key that are erased with it."""
_FORGET_AT_ONCE = 500
_ROW, _PAIR = 0, 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept(kind INTEGER, key BLOB, content BLOB NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS until ON kept(until);
CREATE TABLE IF NOT EXISTS totals(entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM totals);
CREATE TRIGGER IF NOT EXISTS kept_in AFTER INSERT ON kept BEGIN
  UPDATE totals SET entries=entries+1, bytes=bytes+64+length(new.content); END;
CREATE TRIGGER IF NOT EXISTS kept_changed AFTER UPDATE ON kept BEGIN
  UPDATE totals SET bytes=bytes+length(new.content)-length(old.content); END;
CREATE TRIGGER IF NOT EXISTS kept_out AFTER DELETE ON kept BEGIN
  UPDATE totals SET entries=entries-1, bytes=bytes-64-length(old.content); END;
"""
_PUT = """
INSERT INTO kept VALUES(?, ?, ?, ?)
ON CONFLICT(kind, key) DO UPDATE SET content=excluded.content, until=excluded.until
"""
_OLDEST = "DELETE FROM kept WHERE (kind, key) IN (SELECT kind, key FROM kept ORDER BY until LIMIT ?)"
_OVER = "DELETE FROM kept WHERE (kind, key) IN (SELECT kind, key FROM kept WHERE until <= ? LIMIT ?)"


class Bounds(Struct, frozen=True):
    """How much is kept at most; beyond that the oldest goes."""

    entries: int
    bytes: int


class Counts(Struct):
    """What was done since somebody asked."""

    saved: int = 0
    fallen_out: int = 0
    entries: int = 0
    bytes: int = 0


class ContextFile(SharedFile):
    """Opened. Everything raises apsw.Error where the file fails."""

    def __init__(self, path: Path | None, bounds: Bounds) -> None:
        super().__init__(path, _SCHEMA)
        self._bounds, self._counts = bounds, Counts()
        self._saver: Saver | None = None

    def begin(self, *, is_synced: bool) -> None:
        """Begin a transaction, which is on the disk when it is committed, or not before long."""
        self.execute(f"PRAGMA synchronous={'FULL' if is_synced else 'NORMAL'}")
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make room where there is too much, and commit."""
        entries, size = self._totals()
        while entries and (entries > self._bounds.entries or size > self._bounds.bytes):
            count = max(1, entries - self._bounds.entries, 10 if size > self._bounds.bytes else 0)
            self.execute(_OLDEST, (count,))
            self._counts.fallen_out += self.connection.changes()
            entries, size = self._totals()
        self._counts.entries, self._counts.bytes = entries, size
        self.execute("COMMIT")

    def _totals(self) -> tuple[int, int]:
        found: list[Any] = self.execute("SELECT entries, bytes FROM totals").fetchall()
        entries, size = found[0]
        return entries, size

    def forget(self, now: int) -> None:
        """Delete some of what is over."""
        self.execute(_OVER, (now, _FORGET_AT_ONCE))

    def take_counts(self) -> Counts:
        """What was done, and how much there is."""
        counts, self._counts = self._counts, Counts(entries=self._counts.entries, bytes=self._counts.bytes)
        return counts

    # -- rows ------------------------------------------------------------------------------------

    def save(self, saves: Sequence[tuple[Event, ContextRules, bool]]) -> None:
        """Keep what these events tell, each row written once."""
        rows: dict[bytes, Row | None] = {}
        changed: dict[bytes, Row] = {}

        def known(key: bytes) -> Row | None:
            if key not in rows:
                rows[key] = self._row(key)
            return rows[key]

        for event, rules, is_unset_granted in saves:
            if self._saver is None or self._saver.rules is not rules:
                self._saver = Saver(rules, is_unset_granted=is_unset_granted)
            snapshot = self._saver.snapshot(event)
            if snapshot is None:
                continue
            self._counts.saved += 1
            client = known(snapshot.client) if snapshot.client is not None else None
            for key in withdrawn(map(known, snapshot.keys), snapshot):
                if (row := known(key)) is not None:
                    rows[key] = changed[key] = without(row, snapshot)
            for key in snapshot.keys:
                rows[key] = changed[key] = row_after(known(key), client, snapshot, key)
        for key, row in changed.items():
            self._put_row(key, row)

    def _row(self, key: bytes) -> Row | None:
        content = self._content(_ROW, key)
        return read_row(content) if content is not None else None

    def _put_row(self, key: bytes, row: Row) -> None:
        try:
            content = write_row(row)
        except (TypeError, ValueError, RecursionError, OverflowError):  # nothing that could be kept
            return
        if len(content) <= MAX_ROW_BYTES:
            self.execute(_PUT, (_ROW, key, content, row.until))

    def find(self, keys: Sequence[bytes]) -> tuple[int, Row] | None:
        """See ContextStore."""
        for number, key in enumerate(keys):
            row = self._row(key)
            if row is not None:
                return number, row
        return None

    # -- pairs -----------------------------------------------------------------------------------

    def meet(self, meeting: Meeting) -> Met:
        """See ContextStore."""
        content = self._content(_PAIR, meeting.key)
        pair, met = decide(read_pair(content) if content is not None else None, meeting)
        if pair is not None:
            self.execute(_PUT, (_PAIR, meeting.key, write_pair(pair), pair.until))
        return met

    # -- erasure ---------------------------------------------------------------------------------

    def erase(self, keys: Sequence[bytes], rules: ContextRules) -> Erased:
        """See ContextStore. Of a pair it stays known who was sent."""
        wanted, erased = dict.fromkeys(keys), Erased()
        for key in keys:
            if (row := self._row(key)) is not None:
                wanted.update(dict.fromkeys(row.beside))
        for key in list(wanted):
            if (row := self._row(key)) is not None:
                wanted.update(dict.fromkeys(row.beside))
        for key in list(wanted)[:MAX_ERASED]:
            self.execute("DELETE FROM kept WHERE kind=? AND key=?", (_ROW, key))
            erased.rows += self.connection.changes()
            erased.halves += sum(map(self._erase_half, rules.pair_keys(key)))
        return erased

    def _erase_half(self, key: bytes) -> int:
        content = self._content(_PAIR, key)
        pair = read_pair(content) if content is not None else None
        if pair is None or not pair.data:
            return 0
        self.execute(_PUT, (_PAIR, key, write_pair(pair.emptied()), pair.until))
        return 1

    def _content(self, kind: int, key: bytes) -> bytes | None:
        found: Any = self.execute("SELECT content FROM kept WHERE kind=? AND key=?", (kind, key)).fetchall()
        return found[0][0] if found else None
