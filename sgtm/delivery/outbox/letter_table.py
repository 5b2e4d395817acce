"""Dead letters of an outbox file: a table beside the records, so that a letter and what is settled by it are
one transaction. Used by the writer thread alone. Raises apsw.Error.
"""

from collections.abc import Collection

import apsw
import msgspec
from msgspec import Struct

from sgtm.delivery.clock import steady_micros
from sgtm.delivery.letter import KeptLetter, Letter, LetterBounds, decode_letter, encode_head
from sgtm.delivery.outbox.records import join_group, read_record, split_group, write_record

PAGE_BYTES = 4_194_304
_SOME = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS letter(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL, at_micros INTEGER NOT NULL, size INTEGER NOT NULL, letter BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS letter_kind ON letter(kind, size);
"""


class LetterRow(Struct):
    """A letter as it is written. `letter` is a group of two: its head, and the record."""

    id: str
    kind: str
    at_micros: int
    letter: bytes


class LetterTable:
    """The table in one open file."""

    def __init__(self, connection: apsw.Connection, bounds: LetterBounds) -> None:
        self._connection, self._bounds = connection, bounds
        self.count = self.bytes = 0
        self.fallen_out = 0
        """Letters that did not fit any more, or were too old."""
        connection.execute(_SCHEMA)
        self._measure()

    def write(self, rows: Collection[LetterRow]) -> None:
        """Keep these; what is over the bounds of its kind falls out. In the caller's transaction."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO letter(id, kind, at_micros, size, letter) VALUES(?,?,?,?,?)",
            [(row.id, row.kind, row.at_micros, len(row.letter), row.letter) for row in rows],
        )
        for kind in {row.kind for row in rows}:
            self._bound(kind)
        self._measure()
        self.age()

    def forget(self, ids: Collection[str]) -> int:
        """See Outbox."""
        self._connection.executemany("DELETE FROM letter WHERE id=?", [(one,) for one in ids])
        before = self.count
        self._measure()
        return before - self.count

    def age(self) -> None:
        """Let go what is too old."""
        if self.count:
            self._connection.execute("DELETE FROM letter WHERE at_micros<?", (self._oldest_micros(),))
            self.fallen_out += self._connection.changes()
            self._measure()

    def page(self, after: int, count: int) -> list[KeptLetter]:
        """See Outbox. A damaged one is passed over."""
        page: list[KeptLetter] = []
        size = 0
        for number, letter in self._connection.execute(
            "SELECT number, letter FROM letter WHERE number>? AND at_micros>=? ORDER BY number LIMIT ?",
            (after, self._oldest_micros(), count),
        ):
            size += len(letter)
            if page and size > PAGE_BYTES:
                break
            read = read_letter(letter)
            if read is not None:
                page.append(KeptLetter(number, read))
        return page

    def _oldest_micros(self) -> int:
        return steady_micros() - int(self._bounds.age_s * 1e6)

    def _bound(self, kind: str) -> None:
        while True:
            count, size = self._sums("WHERE kind=?", kind)
            over = max(count - self._bounds.count, 1 if size > self._bounds.bytes else 0)
            if over <= 0:
                return
            self._connection.execute(
                "DELETE FROM letter WHERE number IN "
                "(SELECT number FROM letter WHERE kind=? ORDER BY number LIMIT ?)",
                (kind, min(over, _SOME)),
            )
            self.fallen_out += self._connection.changes()

    def _measure(self) -> None:
        self.count, self.bytes = self._sums("")

    def _sums(self, where: str, *bindings: str) -> tuple[int, int]:
        found = self._connection.execute(
            f"SELECT count(*), coalesce(sum(size), 0) FROM letter {where}",  # noqa: S608  (ours)
            bindings,
        ).fetchall()[0]
        return tuple(value if isinstance(value, int) else 0 for value in found)  # type: ignore[return-value]


def row_of(letter: Letter) -> LetterRow:
    """What is written of a letter."""
    group = bytearray()
    write_record(letter.record, group)
    return LetterRow(
        letter.id, letter.kind, letter.at_micros, bytes(join_group([encode_head(letter)]) + group)
    )


def read_letter(written: bytes) -> Letter | None:
    """The letter, or None where its bytes are damaged."""
    payloads = list(split_group(written))
    if len(payloads) != 2 or payloads[0] is None or payloads[1] is None:
        return None
    record = read_record(payloads[1])
    try:
        return decode_letter(payloads[0], record) if record is not None else None
    except msgspec.DecodeError:
        return None
