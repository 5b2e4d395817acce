"""Taking over: records in other files become our own, once.

Other files are those of slots that are gone (adopted, then deleted) and those that were set aside as suspect
(salvaged, then kept for somebody to look at). Order: read, make durable in our file together with how
far we have come, then delete, then sync the folder; whoever is killed on the way goes on where he was
(SPEC: reliability 0.13, 1.3 salvage, 1.4 row 3).
"""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.delivery.outbox.batch import Batch
from sgtm.delivery.outbox.file import Change, Row
from sgtm.delivery.outbox.folder import SlotFolder, set_aside, suspects_in, sync_folder
from sgtm.delivery.outbox.ledger import ID_BITS, Ledger
from sgtm.delivery.outbox.letter_table import LetterRow
from sgtm.delivery.outbox.records import split_group
from sgtm.delivery.outbox.source import Source, SourceRow
from sgtm.delivery.outbox.store import FILE_NAME, Store
from sgtm.delivery.outbox.writer import Job

log = logging.getLogger("sgtm.delivery.outbox")

LETTERS_AT_ONCE = 50
LETTERS = "/letters"
"""Behind the name of a file: how far its dead letters have been taken over."""
ALL = 2**62
"""How far a file has been taken over when nothing is left in it."""


class Taken(Struct):
    """A file to take over."""

    path: Path
    folder: SlotFolder | None = None
    """Its slot's folder, which is ours to delete; None: the file stays."""
    is_of_this_process: bool = False
    """It was ours a moment ago, so we know what in it still owes something."""


class Owner(Protocol):
    """The outbox that takes over."""

    ledger: Ledger
    failed_commits: set[int]

    async def ask(self, job: Job) -> Any:
        """The result of a job in the writer's thread. Raises OutboxUnavailable."""

    def require_room(self) -> None:
        """Raises OutboxFull."""

    def count_salvaged(self, records: int) -> None:
        """So many records were taken over."""


class TakingOver:
    """The files that wait to be taken over, and how far each has been."""

    def __init__(
        self,
        folder: Path,
        sources: Iterable[Taken],
        progress: dict[str, int],
        find: Callable[[], list[Taken]],
    ) -> None:
        self._folder, self._sources = folder, list(sources)
        self._progress, self._find = progress, find

    def add(self, suspects: list[Path]) -> None:
        """Files of this process that were set aside."""
        self._sources += [Taken(path, is_of_this_process=True) for path in suspects]

    async def run(self, owner: Owner) -> None:
        """Take over all that is waiting or can be found. Raises OutboxUnavailable, OutboxFull: goes on
        there the next time."""
        self._sources += await owner.ask(lambda _: self._find())
        while self._sources:
            await self._take(owner, self._sources[0])
            self._sources.pop(0)

    def close(self) -> None:
        """Let others have what was not taken over."""
        for taken in self._sources:
            if taken.folder is not None:
                taken.folder.close()

    async def _take(self, owner: Owner, taken: Taken) -> None:
        if await owner.ask(lambda _: os.path.lexists(taken.path)):
            source: Source = await owner.ask(lambda _: Source(taken.path))
            try:
                name = await owner.ask(lambda _: source.name)
                if self._progress.get(name, -1) < ALL:
                    await self._take_rows(owner, source, name, taken)
                    await self._take_letters(owner, source, name + LETTERS)
                    await self._note(owner, name, ALL)
            finally:
                await owner.ask(lambda _: source.close())
            if taken.folder is not None and not source.is_whole:
                await owner.ask(lambda _: set_aside(taken.path, self._folder))
        if taken.folder is not None:
            await self._finish_folder(owner, taken.folder)
        if taken.is_of_this_process:
            owner.failed_commits.clear()

    async def _take_rows(self, owner: Owner, source: Source, name: str, taken: Taken) -> None:
        before = self._progress.get(name, -1)
        records = 0
        for number in await owner.ask(lambda _: source.numbers()):
            if number > before:
                row = await owner.ask(partial(_read_row, source, number))
                if row is not None:
                    records += await self._take_row(owner, row, name, taken)
        owner.count_salvaged(records)
        log.warning(
            "records were taken over",
            extra={"file": str(taken.path), "records": records, "whole": source.is_whole},
        )

    async def _take_row(self, owner: Owner, row: SourceRow, name: str, taken: Taken) -> int:
        batch = self._batch_for(owner, row, taken)
        if batch is None:
            return 0
        owner.require_room()
        bits = batch.encode()
        change = Change(
            rows=[Row(batch.number, batch.count, batch.at_micros, row.records)],
            bits=[(batch.number, bits)] if batch.settled or batch.done else [],
            taken=[(name, row.number)],
        )
        try:
            await owner.ask(lambda store: store.commit(change))
        except OutboxUnavailable:
            if batch.state == "waiting":
                owner.ledger.not_stored(batch)
            raise
        self._progress[name] = row.number
        owner.ledger.stored(batch)
        return batch.count

    async def _take_letters(self, owner: Owner, source: Source, name: str) -> None:
        while found := await owner.ask(partial(_read_letters, source, self._progress.get(name, -1))):
            owner.require_room()
            number = found[-1][0]
            change = Change(letters=[row for _, row in found], taken=[(name, number)])
            await owner.ask(partial(_commit, change))
            self._progress[name] = number

    def _batch_for(self, owner: Owner, row: SourceRow, taken: Taken) -> Batch | None:
        """The batch that the row becomes; None if nothing in it owes anything."""
        if taken.is_of_this_process:
            known = owner.ledger.batches.get(row.number)
            if known is not None:
                return known if known.state == "lost" else None
            if row.number not in owner.failed_commits:
                return None
        count = max(len(list(split_group(row.records))), row.count if 0 < row.count < 1 << ID_BITS else 0)
        batch = Batch(-1, min(count, (1 << ID_BITS) - 1), row.at_micros)
        if row.bits is not None:
            batch.decode(row.bits)
        if not count or batch.is_finished:
            return None
        owner.ledger.adopt(batch)
        return batch

    async def _note(self, owner: Owner, name: str, number: int) -> None:
        await owner.ask(lambda store: store.commit(Change(taken=[(name, number)])))
        self._progress[name] = number

    async def _finish_folder(self, owner: Owner, folder: SlotFolder) -> None:
        """Delete what is empty now; what was set aside in it is salvaged too, and kept with ours."""
        for suspect in suspects_in(folder.path):
            await self._take(owner, Taken(suspect))
            await owner.ask(partial(_keep_suspect, suspect, self._folder))
        await owner.ask(lambda _: _delete(folder))
        folder.close()


def _keep_suspect(suspect: Path, folder: Path, _: Store) -> None:
    set_aside(suspect, folder)


def _read_letters(source: Source, after: int, _: Store) -> list[tuple[int, LetterRow]]:
    return source.letters(after, LETTERS_AT_ONCE)


def _commit(change: Change, store: Store) -> None:
    store.commit(change)


def _read_row(source: Source, number: int, _: Store) -> SourceRow | None:
    return source.row(number)


def _delete(folder: SlotFolder) -> None:
    """A folder whose records are ours now."""
    with suppress(OSError):
        for name in (FILE_NAME, FILE_NAME + "-wal", "reserve", "lock"):
            (folder.path / name).unlink(missing_ok=True)
        sync_folder(folder.path)
        folder.path.rmdir()
        sync_folder(folder.path.parent)
