"""Store: the file of a slot through all its accidents. Used by the writer thread alone.

    commit -> ok
           -> full:        the reserve goes, what is settled is deleted, room comes back   (OutboxUnavailable)
           -> any other:   the file is set aside as `*.suspect`, a new one is opened       (OutboxUnavailable)

SPEC: reliability 0.8 (SQLite goes on after a failed fsync, so the policy is ours), 0.9, 0.12 (it starts with
anything in any file), 1.3.
"""

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import apsw
from msgspec.structs import replace

from sgtm.delivery.archive.keeping import Archive, Group
from sgtm.delivery.letter import KeptLetter, LetterBounds
from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.delivery.outbox.file import PAGE_BYTES, Change, Kept, OutboxFile, Unusable
from sgtm.delivery.outbox.folder import SlotFolder, set_aside, suspects_in
from sgtm.delivery.outbox.space import Room, Space

log = logging.getLogger("sgtm.delivery.outbox")

FILE_NAME = "outbox.sqlite"
IDLE_S = 1.0
_FULL_IDLE_S = 0.2
_PASSIVE_AT_BYTES = 4_194_304
_MEASURE_EVERY_S = 0.1
_REOPEN_EVERY_S = 0.5
_ROWS_AT_ONCE = 16
_WITHIN_MICROS = 600_000_000
"""Records of one commit are received within so long before or after the first of them."""
_VACUUM_PAGES = 1_000
"""A step of giving pages back; smaller where what it writes on the way could fill a small disk again."""


class Store:
    """Opens the file of the folder, whatever is in it. Raises SettingsError, OSError (folder)."""

    def __init__(
        self,
        folder: SlotFolder,
        budget_bytes: int,
        bounds: LetterBounds | None = None,
        archive: Archive | None = None,
    ) -> None:
        self._bounds = bounds or LetterBounds()
        self.archive = archive
        self.folder = folder
        self.path = folder.path / FILE_NAME
        self.suspects: list[Path] = []
        """What was set aside since somebody looked."""
        self._budget = budget_bytes
        self._space = Space(folder.path, budget_bytes)
        self._measured_at = self._tried_at = float("-inf")
        self._must_set_aside = False
        self._generation: int | None = None
        self._file: OutboxFile | None = None
        self._suspect_count = self._fallen_out = 0
        self._open()
        if self._file is None:  # what was there is set aside now
            self._open()
        self._space.make_reserve()
        self._suspect_count = len(suspects_in(folder.path))
        self.room = self._measure()

    @property
    def generation(self) -> int:
        """See OutboxFile."""
        return self._generation or 0

    @property
    def is_open(self) -> bool:
        """Whether there is a file that can be trusted."""
        return self._file is not None

    @property
    def idle_s(self) -> float:
        """After so long without work `tick` is to be called."""
        return _FULL_IDLE_S if self.room.full_because or self._file is None else IDLE_S

    def commit(self, change: Change) -> None:
        """Make a change durable. Raises OutboxUnavailable: nobody knows then whether it is."""
        file = self._require_file()
        try:
            self._archive_rows(file, change.finished)
            file.write(change)
        except apsw.FullError:
            self._make_room(change)
            raise _unavailable("the disk is full") from None
        except apsw.Error as error:
            self._give_up_file(error)
            raise _unavailable("its file failed and was set aside") from None
        try:
            self._tend(file)
        except apsw.FullError:
            self._make_room(Change())
        except apsw.Error as error:
            self._give_up_file(error)

    def _archive_rows(self, file: OutboxFile, numbers: list[int]) -> None:
        """Archive the records of batches that will be deleted."""
        if self.archive is None:
            return
        within = _WITHIN_MICROS
        for begin in range(0, len(numbers), _ROWS_AT_ONCE):
            rows = (file.row(number) for number in numbers[begin : begin + _ROWS_AT_ONCE])
            self.archive.write(
                Group(bytearray(row.records), row.count, row.at_micros - within, row.at_micros + within)
                for row in rows
                if row is not None
            )

    def read(self, number: int) -> bytes:
        """The records of a row. Raises OutboxUnavailable."""
        file = self._require_file()
        try:
            return file.records(number)
        except apsw.Error as error:
            self._give_up_file(error)
            raise _unavailable("its file failed and was set aside") from None

    def kept(self) -> list[Kept]:
        """What the file holds. Raises OutboxUnavailable."""
        file = self._require_file()
        try:
            return file.kept()
        except apsw.Error as error:
            self._give_up_file(error)
            raise _unavailable("its file failed and was set aside") from None

    def taken(self) -> dict[str, int]:
        """See OutboxFile. Raises OutboxUnavailable."""
        try:
            return self._require_file().taken()
        except apsw.Error as error:
            self._give_up_file(error)
            raise _unavailable("its file failed and was set aside") from None

    def page(self, after: int, count: int) -> list[KeptLetter]:
        """Dead letters; see Outbox. Raises OutboxUnavailable."""
        file = self._require_file()
        try:
            return file.letters.page(after, count)
        except apsw.Error as error:
            self._give_up_file(error)
            raise _unavailable("its file failed and was set aside") from None

    def forget(self, ids: Collection[str]) -> int:
        """Let dead letters go; see Outbox. Raises OutboxUnavailable."""
        file = self._require_file()
        try:
            forgotten = file.letters.forget(ids)
        except apsw.FullError:
            raise _unavailable("the disk is full") from None
        except apsw.Error as error:
            self._give_up_file(error)
            raise _unavailable("its file failed and was set aside") from None
        self.room = self._measure(self.room.full_because)
        return forgotten

    def tick(self) -> None:
        """Nothing to do: bring the file into order, measure, get out of a full disk or a lost file."""
        try:
            file = self._require_file()
            file.letters.age()
            if file.wal_pages:
                file.checkpoint(truncate=True)
            more = True
            while more and self.room.full_because:
                more = file.shrink(min(_VACUUM_PAGES, self._space.wal_bytes // (4 * PAGE_BYTES) + 1))
                file.checkpoint(truncate=True)
            self._space.make_reserve()
            self._suspect_count = len(suspects_in(self.folder.path))
            self.room = self._measure()
            if self.room.full_because and self.archive is not None and self.archive.give_way():
                self.room = self._measure()
        except OutboxUnavailable:
            return
        except apsw.FullError:
            self._space.drop_reserve()
        except apsw.Error as error:
            self._give_up_file(error)

    def close(self) -> None:
        """The orderly end: checkpoint, close, let the next owner in."""
        if self._file is not None:
            try:
                self._file.close()
            except apsw.Error:
                self._file.abandon()
        self._file = None
        if self.archive is not None:
            self.archive.close()
        self.folder.close()

    # -- accidents -------------------------------------------------------------------------------

    def _make_room(self, change: Change) -> None:
        self._space.drop_reserve()
        if self.archive is not None:
            self.archive.give_way()
        self.room = self._measure(full_because="the disk is full")
        file = self._file
        if file is None:
            return
        try:
            file.checkpoint(truncate=True)
            file.write(Change(bits=change.bits, finished=change.finished, letters=change.letters))
            file.checkpoint(truncate=True)
        except apsw.FullError:
            log.error("the outbox's disk is full, and the reserve did not help")
        except apsw.Error as error:
            self._give_up_file(error)

    def _give_up_file(self, error: Exception) -> None:
        """Nothing that the file says can be trusted: a new one takes its place."""
        log.error("the outbox file failed and is set aside", extra={"error": type(error).__name__})
        if self._file is not None:
            self._fallen_out += self._file.letters.fallen_out
            self._file.abandon()
            self._file = None
        self._must_set_aside = True
        self._open()

    def _require_file(self) -> OutboxFile:
        if self._file is None and time.monotonic() - self._tried_at >= _REOPEN_EVERY_S:
            self._open()
        if self._file is None:
            raise _unavailable("no file can be opened")
        return self._file

    def _open(self) -> None:
        """Open the file; if it cannot be used it is set aside, and the next call makes a new one."""
        self._tried_at = time.monotonic()
        try:
            if self._must_set_aside:
                self._set_aside()
            self._file = OutboxFile(self.path, self._budget, self._generation, self._bounds)
        except Unusable as error:
            log.error("the outbox file cannot be used", extra={"reason": str(error)})
            self._must_set_aside = True
        except OSError as error:
            log.error("the outbox folder failed", extra={"error": error.strerror})
        else:
            self._generation = self._file.generation

    def _set_aside(self) -> None:
        suspect = set_aside(self.path, self.folder.path)
        self._must_set_aside = False
        if suspect is not None:
            self.suspects.append(suspect)
            self._suspect_count += 1
            log.error("set aside", extra={"file": str(suspect)})

    # -- care ------------------------------------------------------------------------------------

    def _tend(self, file: OutboxFile) -> None:
        wal_bytes = file.wal_pages * PAGE_BYTES
        if wal_bytes >= self._space.wal_bytes:
            file.checkpoint(truncate=True)
        elif wal_bytes >= min(_PASSIVE_AT_BYTES, self._space.wal_bytes // 2):
            file.checkpoint()
        if time.monotonic() - self._measured_at >= _MEASURE_EVERY_S:
            self.room = self._measure()

    def _measure(self, full_because: str = "") -> Room:
        self._measured_at = time.monotonic()
        used = 0
        with suppress(apsw.Error):
            used = self._file.used_bytes if self._file is not None else 0
        room = self._space.measure(used)
        letters = self._file.letters if self._file is not None else None
        return replace(
            room,
            full_because=full_because or room.full_because,
            suspects=self._suspect_count,
            letters=letters.count if letters is not None else 0,
            letter_bytes=letters.bytes if letters is not None else 0,
            letters_fallen_out=self._fallen_out + (letters.fallen_out if letters is not None else 0),
        )


def _unavailable(what: str) -> OutboxUnavailable:
    return OutboxUnavailable(what, where="outbox (sqlite)", mend="ask again later; the log says more")
