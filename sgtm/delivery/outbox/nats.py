"""The nats engine: many machines, one stream of JetStream. Whoever appends a record need not run its tags.

    append -> the open group -> one message for all that wait -> PubAck -> the answers leave
    left_over <- the next message <- the stream       ran, settle -> all its records finished -> ack

While a message is on its way the next group fills, so a slow broker makes groups larger. A message is
in hand until its records are finished; its time is renewed meanwhile by the loop, so that those of a process
that hangs or dies come to another one. What is left at the end of a process goes back under a new id, and
then the original is acknowledged (SPEC: design.md Delivery; reliability 0.1 to 0.4, 1.3).
"""

import asyncio
import concurrent.futures
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from sgtm.delivery.archive.keeping import Archive
from sgtm.delivery.letter import KeptLetter, Letter, now_micros
from sgtm.delivery.outbox import OutboxFull, OutboxState, OutboxUnavailable, Unfinished
from sgtm.delivery.outbox.group import MAX_RECORDS, Group
from sgtm.delivery.outbox.held import Held, Hold
from sgtm.delivery.outbox.nats_broker import ACK, CLOSE_S, IN_PROGRESS, Broker, later
from sgtm.delivery.outbox.nats_connection import NoAnswer
from sgtm.delivery.outbox.nats_hand import ID_BITS, Hand, archived
from sgtm.delivery.outbox.nats_letters import forget, page, subject_of_letter, write_letter
from sgtm.delivery.outbox.nats_message import Message, Taken, write_left
from sgtm.delivery.outbox.nats_publishing import MAX_BYTES, Publishing
from sgtm.messages import Record
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.delivery.outbox")

MAX_HAND = 1_000
MAX_HAND_BYTES = 33_554_432
"""Messages in hand, and their bytes, beyond which what only waits goes back, or no more is taken up."""
FIRST_BACK_S, LONGEST_BACK_S = 5.0, 120.0
"""For so long nobody takes up what went back; longer with each time."""
_BUSY_S = 0.05
_T = TypeVar("_T")
ELSEWHERE = -1
"""The id of what is appended: whoever gets the message has one for it."""


class NatsOutbox:
    """The part of the outbox that one worker has. `wanted` is the durability below which nothing is taken.
    Dead letters are everybody's, so one worker of a server tells of them."""

    def __init__(
        self,
        broker: Broker,
        counters: Counters,
        wanted: int = 0,
        archive: Archive | None = None,
        *,
        tells_letters: bool = True,
    ) -> None:
        self._broker, self._counters, self._wanted = broker, counters, wanted
        self._archive, self._tells_letters = archive, tells_letters
        self._loop: asyncio.AbstractEventLoop | None = None
        self._publishing = Publishing(broker, counters)
        self._is_closed = False
        self._hand = Hand(archives=archive is not None)
        self._words: list[tuple[str, bytes]] = []
        self._renewal: asyncio.TimerHandle | None = None

    @property
    def broker(self) -> Broker:
        """For what else is kept there."""
        return self._broker

    def __len__(self) -> int:
        """Records that this process has: those on their way to the broker, and those in hand."""
        return self._hand.count + len(self._publishing)

    # -- records come ----------------------------------------------------------------------------

    def append(self, record: Record) -> tuple[int, Group]:
        """See Outbox. Its tags run where the message is taken up."""
        if self._is_closed:
            raise OutboxFull("is closed", where="outbox", mend="the process is going down: ask again later")
        because = self._refuses_because()
        if because:
            raise OutboxFull(because, where="outbox (nats)", mend="ask again later; the log says more")
        return ELSEWHERE, self._publishing.add(record)

    def _refuses_because(self) -> str:
        if self._publishing.is_stuck:
            return "the broker does not keep up"
        if self._broker.view.promise.durability < self._wanted:
            return "the broker promises less than --require-durable asks for"
        return self._broker.trouble

    # -- messages are taken up -------------------------------------------------------------------

    async def left_over(self) -> AsyncIterator[Unfinished]:
        """See Outbox: here it is the way of every record, not of those that are left over alone."""
        self._renew_later()
        while not self._is_closed:
            if len(self._hand) > MAX_HAND or self._hand.size_bytes > MAX_HAND_BYTES:
                if not self._put_back():
                    await asyncio.sleep(_BUSY_S)
                continue
            message = await asyncio.wrap_future(self._broker.submit(self._broker.pull()))
            if message is not None and not self._is_closed:
                for found in self._take(message):
                    yield found

    def _take(self, message: Message) -> Iterator[Unfinished]:
        if self._hand.knows(message):  # its time had run out, or an acknowledgement was lost
            if self._hand.is_finished(message):
                self._say(message.reply, ACK)
            return
        taken = self._hand.take(message)
        if taken is None:
            self._set_aside(message, "unreadable")
            return
        wait_s = taken.not_before / 1e6 - time.time()
        if wait_s > 0:
            self._hand.drop(taken)
            self._say(message.reply, later(wait_s))
            return
        damaged = self._hand.give_up_damaged(taken)
        if damaged:
            self._counters.add("sgtm_outbox_records_damaged_total", amount=damaged)
            log.error("records are damaged and lost", extra={"records": damaged})
            self._end_if_finished(taken.batch.number)
        if self._hand.is_suspicious(taken):
            self._isolate(taken)
            return
        yield from self._hand.unfinished(taken)

    def _put_back(self) -> bool:
        """Too much is in hand: what only waits for a destination goes back to the broker for a while, small
        messages as one; whether there was any. The originals end when it is there."""
        chosen, left, attempt = self._hand.put_back(MAX_RECORDS, MAX_BYTES)
        if chosen:
            delay_s = min(LONGEST_BACK_S, FIRST_BACK_S * 2.0 ** min(attempt, 10))
            back = write_left(left, attempt, int((time.time() + delay_s) * 1e6))
            name = f"{secrets.token_hex(8)}.{attempt}"
            done = [archived(taken) if self._archive is not None else None for taken in chosen]
            self._broker.submit(self._broker.put_back((name, back), chosen, done))
        return bool(chosen)

    reads_again = True

    def hand_back(self, record_id: int, hold: Hold, expires_micros: int) -> None:
        """See Outbox. It waits in hand, until there is too much of it."""
        self._hand.hand_back(record_id, hold, expires_micros)

    def holds(self) -> Mapping[Hold, Held]:
        """See Outbox."""
        return self._hand.held

    async def handed_back(self, hold: Hold, expired_by: int | None = None) -> AsyncGenerator[Unfinished]:
        """See Outbox."""
        for found in self._hand.handed_back(hold, expired_by):
            yield found

    def _isolate(self, taken: Taken) -> None:
        """Whoever takes it up dies of it: its halves go back, and what is alone is given up."""
        log.error("a message was handed out again and again", extra={"times": taken.delivered})
        halves = self._hand.halves(taken)
        if halves:
            self._hand.drop(taken)
            self._broker.submit(self._broker.end(taken.reply, parts=halves))
            return
        for found in list(self._hand.unfinished(taken)):
            reason = f"handed out {taken.delivered - 1} times, and never settled"
            self.bury(found.record_id, build_letter(found, reason))
            self.ran(found.record_id, frozenset())

    def _set_aside(self, message: Message, reason: str) -> None:
        self._counters.add("sgtm_outbox_records_damaged_total")
        log.error("a message is set aside", extra={"reason": reason, "id": message.name})
        stream = self._broker.connection.stream
        copy = self._broker.submit(
            self._broker.publish("", message.payload, f"{stream}.dead.{reason}.{message.name}")
        )
        self._broker.submit(self._broker.end(message.reply, [copy]))

    def ran(self, record_id: int, owing: frozenset[str]) -> None:
        """See Outbox."""
        if self._hand.ran(record_id, owing):
            self._end_if_finished(record_id >> ID_BITS)

    def settle(self, record_id: int, tag: str) -> None:
        """See Outbox."""
        if self._hand.settle(record_id, tag):
            self._end_if_finished(record_id >> ID_BITS)

    def bury(self, record_id: int, letter: Letter) -> None:
        """See Outbox. The letter leaves at once; its message does not end before it has arrived."""
        self._counters.add("sgtm_letters_total", letter.tag)
        subject = subject_of_letter(self._broker.connection.stream, letter)
        future = self._broker.submit(self._broker.publish("", write_letter(letter), subject))
        self._hand.note_letter(record_id, future)

    async def letters(self, after: int = 0, count: int = 100) -> list[KeptLetter]:
        """See Outbox."""
        return await self._ask(page(self._broker.connection, after, count)) if self._tells_letters else []

    async def forget(self, ids: Collection[str]) -> int:
        """See Outbox."""
        return await self._ask(forget(self._broker.connection, ids)) if self._tells_letters else 0

    async def _ask(self, question: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await asyncio.wrap_future(self._broker.submit(question))
        except NoAnswer as error:
            raise OutboxUnavailable(str(error), where="outbox (nats)", mend="ask again later") from None

    def _end_if_finished(self, number: int) -> None:
        taken = self._hand.end_if_finished(number)
        if taken is None:
            return
        done = archived(taken) if self._archive is not None else None
        if done is None and not taken.letters:
            self._say(taken.reply, ACK)
            return
        loop, name = self._in_loop(), taken.name

        def ended(future: "concurrent.futures.Future[bool]") -> None:
            if not loop.is_closed() and (future.cancelled() or not future.result()):
                loop.call_soon_threadsafe(self._hand.not_ended, name)

        self._broker.submit(self._broker.end(taken.reply, taken.letters, (), done)).add_done_callback(ended)

    def _say(self, reply: str, word: bytes) -> None:
        """Tell the broker, with what else there is to tell."""
        if not self._words:
            self._in_loop().call_soon(self._say_all)
        self._words.append((reply, word))

    def _say_all(self) -> None:
        words, self._words = self._words, []
        if words and not self._is_closed:
            self._broker.submit(self._broker.say_all(words))

    def _renew_later(self) -> None:
        if not self._is_closed:
            self._renewal = self._in_loop().call_later(self._broker.view.ack_wait_s / 2, self._renew)

    def _renew(self) -> None:
        replies = self._hand.replies()
        if replies:
            self._broker.submit(self._broker.say_all([(reply, IN_PROGRESS) for reply in replies]))
        self._renew_later()

    async def unfinished(self) -> AsyncIterator[Unfinished]:
        """See Outbox: what is in hand here. What the broker holds is everybody's."""
        for found in list(self._hand.all_unfinished()):
            yield found

    # -- how it is, and the end ------------------------------------------------------------------

    def state(self) -> OutboxState:
        """See Outbox. Bytes and age are those of the stream, records those of this process."""
        view = self._broker.view
        because = "closed" if self._is_closed else self._refuses_because()
        return OutboxState(
            engine="nats",
            durability=view.promise.durability,
            records=len(self),
            full_because=because or ("the stream is full" if view.is_full else ""),
            used_bytes=view.used_bytes,
            budget_bytes=view.budget_bytes,
            oldest_micros=view.oldest_micros,
            letters=view.letters if self._tells_letters else 0,
            letter_bytes=view.letter_bytes if self._tells_letters else 0,
            archive_bytes=self._archive.bytes if self._archive is not None else 0,
        )

    def close(self) -> None:
        """See Outbox. What is in hand goes back to the broker."""
        if self._is_closed:
            return
        if self._renewal is not None:
            self._renewal.cancel()
        until = time.monotonic() + CLOSE_S
        self._is_closed = True
        self._publishing.close(until)
        work: list[concurrent.futures.Future[Any]] = [self._broker.submit(self._broker.say_all(self._words))]
        for taken, parts in self._hand.give_up():
            if parts:
                done = archived(taken) if self._archive is not None else None
                work.append(self._broker.submit(self._broker.end(taken.reply, taken.letters, parts, done)))
            else:
                work.append(self._broker.submit(self._broker.say_all([(taken.reply, later(0))])))
        concurrent.futures.wait(work, max(1.0, until - time.monotonic()))
        self._broker.close()

    def _in_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop


def build_letter(found: Unfinished, reason: str) -> Letter:
    """Of a record that nobody could run."""
    return Letter(
        record=found.record,
        kind="build",
        tag="",
        reason=reason,
        at_micros=now_micros(),
        container_version=found.record.container_version,
        settled=tuple(found.settled),
    )
