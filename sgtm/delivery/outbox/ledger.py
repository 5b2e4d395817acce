"""Ledger: what is owed, in memory, beside the file: batches by number, and what has to be written next."""

from collections.abc import Iterator

from sgtm.delivery.outbox.batch import Batch
from sgtm.delivery.outbox.file import Change, Kept
from sgtm.delivery.outbox.held import Held, Hold, Taken
from sgtm.delivery.outbox.letter_table import LetterRow

ID_BITS = 10
"""A record id is the number of its batch and, in so many bits, its place in it."""
SEQUENCE_BITS = 32
_MAX_BITS_A_CHANGE = 500
_MAX_LETTERS_A_CHANGE = 500


class Ledger:
    """Batches that owe something. Numbers rise; those of two generations of a file never meet."""

    def __init__(self, generation: int) -> None:
        self.batches: dict[int, Batch] = {}
        self.count = 0
        """Records that owe something."""
        self.held: dict[Hold, Held] = {}
        """Records that wait for a destination."""
        self._next_number = generation << SEQUENCE_BITS
        self._finished: list[int] = []
        self._dirty: dict[int, Batch] = {}
        self._letters: list[LetterRow] = []
        """Dead letters to be written: with what they settle, or before it."""

    @property
    def owes_a_change(self) -> bool:
        """Whether something was settled that is not written yet."""
        return bool(self._finished or self._dirty or self._letters)

    @property
    def oldest_micros(self) -> int | None:
        """When the first record of the oldest batch was received."""
        oldest = next(iter(self.batches.values()), None)
        return oldest.at_micros if oldest is not None else None

    def new_batch(self, at_micros: int) -> Batch:
        """An empty batch with a number that never comes again."""
        batch = Batch(self._next_number, 0, at_micros)
        self._next_number += 1
        self.batches[batch.number] = batch
        return batch

    def adopt(self, batch: Batch) -> None:
        """A batch of another file gets a number of ours."""
        batch.number = self._next_number
        self._next_number += 1
        self.batches[batch.number] = batch
        self.count += batch.unfinished_count

    def restore(self, kept: Kept) -> None:
        """A batch that an earlier process left in the file."""
        batch = Batch(kept.number, kept.count, kept.at_micros)
        batch.state = "stored"
        if kept.bits is not None:
            batch.decode(kept.bits)
        self.batches[batch.number] = batch
        self.count += batch.unfinished_count
        self._note_change(batch)

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """See Outbox."""
        batch = self.batches.get(record_id >> ID_BITS)
        if batch is not None and batch.note_ran(record_id & (1 << ID_BITS) - 1, owing):
            self._one_finished(batch)

    def settle(self, record_id: int, tag: str) -> None:
        """See Outbox."""
        batch = self.batches.get(record_id >> ID_BITS)
        if batch is None:
            return
        if batch.note_settled(record_id & (1 << ID_BITS) - 1, tag):
            self._one_finished(batch)
        elif batch.state == "stored":
            self._dirty[batch.number] = batch

    def bury(self, row: LetterRow) -> None:
        """See Outbox."""
        self._letters.append(row)

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox."""
        number, bit = record_id >> ID_BITS, 1 << (record_id & (1 << ID_BITS) - 1)
        batch = self.batches.get(number)
        if batch is not None and not batch.done & bit:
            self.held.setdefault(hold, Held()).add(number, bit, expires_micros, batch.at_micros)

    def take_held(self, hold: Hold, expired_by: int | None = None) -> Taken | None:
        """The next ones that wait for this; a hold ends with its last record."""
        held = self.held.get(hold)
        taken = held.take(expired_by) if held is not None else None
        if held is not None and not held.count:
            del self.held[hold]
        return taken

    def put_back_held(self, hold: Hold, taken: Taken) -> None:
        """These go on waiting."""
        self.held.setdefault(hold, Held()).add(*taken)

    def give_up(self, batch: Batch, index: int) -> bool:
        """A record that cannot be read; whether it still owed something."""
        is_new = batch.give_up(index)
        if is_new:
            self._one_finished(batch)
        return is_new

    def stored(self, batch: Batch) -> None:
        """The batch is in the file."""
        batch.state = "stored"
        if batch.number not in self.batches:  # it was finished while it was written
            self._finished.append(batch.number)
        elif batch.done or batch.settled:
            self._note_change(batch)

    def not_stored(self, batch: Batch) -> None:
        """The batch could not be committed: nobody was promised anything."""
        if self.batches.pop(batch.number, None) is not None:
            self.count -= batch.unfinished_count

    def file_lost(self) -> None:
        """A new file took the place of the one that all stored batches are in. Those that still owe
        something wait to be found in the old one."""
        for batch in self.batches.values():
            if batch.state == "stored":
                batch.state = "lost"
        self._finished.clear()
        self._dirty.clear()

    def take_change(self) -> Change:
        """What was settled since the last change. `put_back` it if it could not be written."""
        letters, self._letters = self._letters[:_MAX_LETTERS_A_CHANGE], self._letters[_MAX_LETTERS_A_CHANGE:]
        if self._letters:  # what is settled by the others must not be written before them
            return Change(letters=letters)
        finished, self._finished = self._finished, []
        if len(self._dirty) <= _MAX_BITS_A_CHANGE:
            dirty, self._dirty = self._dirty, {}
        else:
            numbers = list(self._dirty)[:_MAX_BITS_A_CHANGE]
            dirty = {number: self._dirty.pop(number) for number in numbers}
        return Change(
            bits=[(number, batch.encode()) for number, batch in dirty.items()],
            finished=finished,
            letters=letters,
        )

    def put_back(self, change: Change) -> None:
        """A change that may not have been written is written again with the next one."""
        self._letters[:0] = change.letters
        self._finished.extend(change.finished)
        for number, _ in change.bits:
            batch = self.batches.get(number)
            if batch is not None and batch.state == "stored":
                self._dirty[number] = batch

    def in_order(self) -> Iterator[Batch]:
        """Batches that are in the file, oldest first."""
        for number in sorted(self.batches):
            batch = self.batches.get(number)
            if batch is not None and batch.state == "stored":
                yield batch

    def _one_finished(self, batch: Batch) -> None:
        self.count -= 1
        if batch.state != "waiting":
            self._note_change(batch)

    def _note_change(self, batch: Batch) -> None:
        if batch.is_finished:
            del self.batches[batch.number]
            self._dirty.pop(batch.number, None)
            if batch.state == "stored":
                self._finished.append(batch.number)
        elif batch.state == "stored" and (batch.done or batch.settled):
            self._dirty[batch.number] = batch
