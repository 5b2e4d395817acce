"""Hand: the messages that this process works on, and what their records still owe. No I/O.

A message is known by its id. It may come again while it is in hand (the broker was restarted, or a renewal
was lost), or just after it was finished (the acknowledgement was lost): neither runs it twice.
"""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future

from sgtm.delivery.archive.keeping import Group
from sgtm.delivery.outbox import Unfinished
from sgtm.delivery.outbox.held import Held, Hold
from sgtm.delivery.outbox.nats_message import Left, Message, Taken, read_message, write_left
from sgtm.delivery.outbox.records import read_record, write_record
from sgtm.messages import Record

ID_BITS = 10
"""A record id is the number of its message and, in so many bits, its place in it."""
MAX_DELIVERED = 10
"""A message that was handed out more often, and settled by nobody, is dangerous (SPEC: reliability 1.3:
attempts are counted by us; a server-side max_deliver leaves a stuck message)."""
MAX_FINISHED = 10_000


class Hand:
    """Messages by number, and the ids of those that were finished last."""

    def __init__(self, *, archives: bool = False) -> None:
        self._archives = archives
        self.count = self.size_bytes = 0
        """Of records that owe something."""
        self.held: dict[Hold, Held] = {}
        self._taken: dict[int, Taken] = {}
        self._by_name: dict[str, Taken] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._next_number = 1

    # -- take up ---------------------------------------------------------------------------------

    def knows(self, message: Message) -> bool:
        """Whether it is in hand, or was finished; it is answered where it came from last."""
        taken = self._by_name.get(message.name)
        if taken is not None:
            taken.reply = message.reply
        return taken is not None or self.is_finished(message)

    def is_finished(self, message: Message) -> bool:
        """Whether it was finished before."""
        return message.name in self._finished

    def __len__(self) -> int:
        """Messages in hand."""
        return len(self._taken)

    def take(self, message: Message) -> Taken | None:
        """Take it up; None where nothing of it can be read."""
        taken = read_message(message, self._next_number)
        if taken is None:
            return None
        self._next_number += 1
        self._taken[taken.batch.number] = self._by_name[taken.name] = taken
        self.count += taken.batch.unfinished_count
        self.size_bytes += taken.size_bytes
        return taken

    def drop(self, taken: Taken) -> None:
        """Let go of it, whatever it owes."""
        del self._taken[taken.batch.number], self._by_name[taken.name]
        self.count -= taken.batch.unfinished_count
        self.size_bytes -= taken.size_bytes

    def is_suspicious(self, taken: Taken) -> bool:
        """Whether too many have had it before."""
        return taken.delivered > MAX_DELIVERED

    def halves(self, taken: Taken) -> list[tuple[str, bytes]]:
        """The halves of a message with their ids, none where it holds one record."""
        left = taken.left()
        middle = len(left) // 2
        group, _, attempt = taken.next_name.rpartition(".")
        named = ((f"{group}a.{attempt}", left[:middle]), (f"{group}b.{attempt}", left[middle:]))
        return [(name, write_left(half, taken.attempt + 1)) for name, half in named] if middle else []

    def give_up_damaged(self, taken: Taken) -> int:
        """Records that cannot be read owe nothing any more; how many there are."""
        damaged = [
            index
            for index, payload in enumerate(taken.payloads)
            if payload is None or read_record(payload) is None
        ]
        for index in damaged:
            taken.batch.give_up(index)
            self._one_finished(taken, index)
        return len(damaged)

    def unfinished(self, taken: Taken) -> Iterator[Unfinished]:
        """What it owes, record by record."""
        for index in taken.batch.unfinished():
            record = self._record(taken, index)
            if record is not None:
                record_id = taken.batch.number << ID_BITS | index
                yield Unfinished(record_id, record, taken.batch.settled_tags(index))

    def all_unfinished(self) -> Iterator[Unfinished]:
        """The same of all messages, oldest first."""
        for taken in self._taken.values():
            yield from self.unfinished(taken)

    # -- finish ----------------------------------------------------------------------------------

    def ran(self, record_id: int, owing: frozenset[str]) -> bool:
        """The tags have run; whether the record is finished by that."""
        taken, index = self._find(record_id)
        is_finished = taken is not None and taken.batch.note_ran(index, owing)
        if taken is not None and is_finished:
            self._one_finished(taken, index)
        return is_finished

    def settle(self, record_id: int, tag: str) -> bool:
        """A tag owes nothing more; whether the record is finished by that."""
        taken, index = self._find(record_id)
        is_finished = taken is not None and taken.batch.note_settled(index, tag)
        if taken is not None and is_finished:
            self._one_finished(taken, index)
        return is_finished

    def end_if_finished(self, number: int) -> Taken | None:
        """A message that owes nothing any more, out of hand; else None."""
        taken = self._taken.get(number)
        if taken is None or not taken.batch.is_finished:
            return None
        self.drop(taken)
        self._finished[taken.name] = None
        if len(self._finished) > MAX_FINISHED:
            self._finished.popitem(last=False)
        return taken

    def not_ended(self, name: str) -> None:
        """The broker could not be told that it is finished: when it comes again it runs again."""
        self._finished.pop(name, None)

    def note_letter(self, record_id: int, letter: "Future[bool]") -> None:
        """A dead letter of the record is on its way."""
        taken, _ = self._find(record_id)
        if taken is not None:
            taken.letters.append(letter)

    def replies(self) -> list[str]:
        """Where messages in hand are renewed."""
        return [taken.reply for taken in self._taken.values()]

    def give_up(self) -> Iterator[tuple[Taken, list[tuple[str, bytes]]]]:
        """For the end: each message, and what is left of it under its new id; nothing where it may as well
        come again as it is."""
        for taken in list(self._taken.values()):
            is_begun = bool(taken.batch.done or taken.batch.settled)
            left = taken.left()
            part = (taken.next_name, write_left(left, taken.attempt + 1))
            yield taken, ([part] if is_begun and left else [])
            self.drop(taken)

    # -- what waits for a destination ------------------------------------------------------------

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox."""
        taken, index = self._find(record_id)
        if taken is not None and not taken.batch.done >> index & 1:
            bit = 1 << index
            taken.waiting[hold.tag] = taken.waiting.get(hold.tag, 0) | bit
            batch = taken.batch
            if not batch.at_micros and (record := self._record(taken, index)) is not None:
                batch.at_micros = record.request.received_micros
            self.held.setdefault(hold, Held()).add(batch.number, bit, expires_micros, batch.at_micros)

    def handed_back(self, hold: Hold, expired_by: int | None) -> Iterator[Unfinished]:
        """See Outbox."""
        while hold in self.held and (found := self.held[hold].take(expired_by)) is not None:
            taken, bits = self._taken.get(found.number), found.bits
            try:
                for index in list(taken.batch.owed_by(hold.tag, bits)) if taken is not None else ():
                    if self._taken.get(found.number) is not taken:
                        break  # it went back meanwhile
                    bits &= ~(1 << index)
                    if taken is not None and (record := self._record(taken, index)) is not None:
                        taken.waiting[hold.tag] &= ~(1 << index)
                        record_id = found.number << ID_BITS | index
                        yield Unfinished(record_id, record, taken.batch.settled_tags(index))
                bits = 0
            finally:
                if taken is not None and bits:
                    self.held[hold].add(found.number, bits, found.expires_micros, found.at_micros)
        if hold in self.held and not self.held[hold].count:
            del self.held[hold]

    def put_back(self, max_records: int, max_bytes: int) -> tuple[list[Taken], list[Left], int]:
        """Messages of which nobody works on anything, out of hand, with what is left of them, as one message
        may hold it; and its attempt."""
        chosen: list[Taken] = []
        left: list[Left] = []
        size = attempt = 0
        for taken in list(self._taken.values()):
            if not taken.waits:
                continue
            more = taken.left()
            size += sum(len(one.payload) for one in more)
            if chosen and (len(left) + len(more) > max_records or size > max_bytes):
                break
            self.drop(taken)
            chosen.append(taken)
            left += more
            attempt = max(attempt, taken.attempt + 1)
        return chosen, left, attempt

    def _record(self, taken: Taken, index: int) -> Record | None:
        payload = taken.payloads[index]
        return read_record(payload) if payload is not None else None

    def _find(self, record_id: int) -> tuple[Taken | None, int]:
        return self._taken.get(record_id >> ID_BITS), record_id & (1 << ID_BITS) - 1

    def _one_finished(self, taken: Taken, index: int) -> None:
        self.count -= 1
        if not self._archives:
            self.size_bytes -= taken.forget(index)


def archived(taken: Taken) -> Group | None:
    """Its records that are finished, as the archive takes them; None: there are none."""
    group = Group(bytearray(), 0, 0, 0)
    for index, payload in enumerate(taken.payloads):
        record = read_record(payload) if payload is not None and taken.batch.done >> index & 1 else None
        if record is not None:
            received = record.request.received_micros
            write_record(record, group.records)
            group.first_micros = min(group.first_micros or received, received)
            group.last_micros = max(group.last_micros, received)
            group.count += 1
    return group if group.count else None
