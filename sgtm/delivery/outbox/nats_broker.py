"""Broker: the thread that talks to it, and what is known of it.

A thread of its own, so that calls of the engine never wait and its end can wait. What it knows is one frozen
struct, replaced whole: the loop's thread reads it whenever it likes.
"""

import asyncio
import concurrent.futures
import logging
import secrets
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from threading import Thread
from typing import Any, TypeVar

import msgspec
import uvloop
from msgspec.structs import replace

from sgtm.delivery.archive.keeping import Archive, Group
from sgtm.delivery.outbox import OutboxFull, OutboxUnavailable
from sgtm.delivery.outbox.nats_connection import (
    CONSUMER,
    REFUSED,
    Connection,
    NoAnswer,
    NoStream,
    StreamFull,
)
from sgtm.delivery.outbox.nats_letters import dead_stream_of
from sgtm.delivery.outbox.nats_message import Message, Taken
from sgtm.delivery.outbox.nats_promise import Promise, judge
from sgtm.errors import SettingsError
from sgtm.settings import Settings

log = logging.getLogger("sgtm.delivery.outbox")

OPEN_S = 5.0
PUBLISH_S = 8.0
"""A group is published again and again, under its id, for so long; its hits wait no longer."""
AGAIN_S = 0.1
GRACE_S = 3.0
"""A broker that does not answer for so long gets no new hits: they are refused at once."""
PULL_S = 2.0
WATCH_S = 2.0
CLOSE_S = 5.0
ACK, IN_PROGRESS = b"+ACK", b"+WPI"
_UNKNOWN = Promise(0, is_known=False)
_T = TypeVar("_T")


def later(delay_s: float) -> bytes:
    """The word that has a message handed out again after so long."""
    return b'-NAK {"delay": %d}' % int(delay_s * 1e9) if delay_s else b"-NAK"


class View(msgspec.Struct, frozen=True):
    """The broker as it was seen last."""

    promise: Promise = _UNKNOWN
    is_there: bool = True
    """Whether it has the stream and the consumer."""
    is_full: bool = False
    used_bytes: int = 0
    budget_bytes: int = 0
    oldest_micros: int | None = None
    ack_wait_s: float = 15.0
    max_message_bytes: int = 1_048_576
    letters: int = 0
    letter_bytes: int = 0


class Broker:
    """Connects when it is made. Raises SettingsError where what is there cannot be used."""

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        self._archive = archive
        self._archiving = ThreadPoolExecutor(1, "archive")
        self.view = View()
        self._failing_since: float | None = None
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="outbox-nats", daemon=True)
        self._thread.start()
        self._tasks: list[asyncio.Task[Any]] = []
        try:
            self.connection = self.wait(self._make(settings))
            self.wait(self._open())
        except NoAnswer as error:
            log.error("the broker cannot be reached", extra={"reason": str(error)})
        except BaseException:
            self.close()
            raise

    # -- from other threads ----------------------------------------------------------------------

    def submit(self, work: Coroutine[Any, Any, _T]) -> "concurrent.futures.Future[_T]":
        """Have something done by the broker's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The same, and wait for it."""
        return self.submit(work).result()

    @property
    def trouble(self) -> str:
        """Why records cannot be published at present; "" when they can."""
        if not self.view.is_there:
            return "the broker has no such stream or consumer"
        since = self._failing_since
        if since is not None and self._loop.time() - since > GRACE_S:
            return self.connection.last_error or "the broker does not answer"
        return ""

    def close(self) -> None:
        """The end; waits for the connection to close."""
        if self._thread.is_alive():
            with suppress(TimeoutError):
                self.submit(self._close()).result(CLOSE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_S)
        self._archiving.shutdown()
        if self._archive is not None:
            self._archive.close()
        if not self._thread.is_alive():
            self._loop.close()

    # -- in its own thread -----------------------------------------------------------------------

    async def publish(
        self, name: str, payload: bytes, subject: str = "", within_s: float = PUBLISH_S
    ) -> bool:
        """Publish under this id until the broker acknowledges it, and say whether it had it already. A try
        without an answer may have arrived, so the next one has the same id. Raises OutboxFull,
        OutboxUnavailable."""
        deadline = self._loop.time() + within_s
        while True:
            try:
                is_known = await self.connection.publish(name, payload, subject)
            except NoAnswer:
                self._fails()
                if self._loop.time() >= deadline:
                    raise OutboxUnavailable(
                        "the broker does not answer", where="outbox (nats)", mend="ask again later"
                    ) from None
                await asyncio.sleep(AGAIN_S)
            except StreamFull:
                self.view = replace(self.view, is_full=True)
                raise
            else:
                self._is_well()
                return is_known

    async def hand_on(self, reply: str, parts: Iterable[tuple[str, bytes]]) -> None:
        """Put what is left of a message back, and only then end the original. An id that is known already
        may be of something else, so another one is taken: a copy rather than a loss (SPEC: reliability 1.3).
        Raises OutboxFull, OutboxUnavailable, NoAnswer: then nothing has ended."""
        for name, payload in parts:
            group, _, attempt = name.rpartition(".")
            while await self.publish(f"{group}.{attempt}", payload):
                group += f"-{secrets.token_hex(3)}"
        await self.connection.say_surely(reply, ACK)

    async def end(
        self,
        reply: str,
        letters: "Iterable[concurrent.futures.Future[bool]]" = (),
        parts: Sequence[tuple[str, bytes]] = (),
        archived: Group | None = None,
    ) -> bool:
        """A message is done with here: first what was given up of it is kept, and what was done archived;
        then what is left is put back; then it ends. Where that cannot be, all of it comes again: False."""
        try:
            for letter in letters:
                await asyncio.wrap_future(letter)
            if archived is not None and self._archive is not None:
                await self._loop.run_in_executor(self._archiving, self._archive.write, [archived])
            if parts:
                await self.hand_on(reply, parts)
            else:
                await self.connection.say(reply, ACK)
        except (OutboxFull, NoAnswer) as error:
            log.warning("a message cannot be ended", extra={"reason": str(error)})
            await self.connection.say(reply, later(WATCH_S))
            return False
        return True

    async def put_back(
        self, part: tuple[str, bytes], originals: Sequence[Taken], archived: Sequence[Group | None]
    ) -> None:
        """Put back what is left of several messages as one, and then end each of them. Never raises."""
        try:
            while await self.publish(*part):
                part = (f"{secrets.token_hex(8)}.{part[0].rpartition('.')[2]}", part[1])
        except OutboxFull as error:  # they come again, whole
            log.warning("what waits cannot be put back", extra={"reason": str(error)})
            await self.say_all([(one.reply, later(WATCH_S)) for one in originals])
            return
        for one, done in zip(originals, archived, strict=True):
            await self.end(one.reply, one.letters, (), done)

    async def pull(self) -> Message | None:
        """The next message, or None after a while."""
        try:
            if self.connection.is_up:
                return await self.connection.pull(PULL_S)
        except NoAnswer as error:
            log.debug("no message", extra={"reason": str(error)})
        await asyncio.sleep(AGAIN_S)
        return None

    async def say_all(self, words: Iterable[tuple[str, bytes]]) -> None:
        """Acknowledge and the like, each message with its word."""
        for reply, word in words:
            await self.connection.say(reply, word)

    # -- what is known of it ---------------------------------------------------------------------

    def _is_well(self) -> None:
        self._failing_since = None
        if self.view.is_full:
            self.view = replace(self.view, is_full=False)

    def _fails(self) -> None:
        if self._failing_since is None:
            self._failing_since = self._loop.time()

    async def _make(self, settings: Settings) -> Connection:
        return Connection(settings)

    async def _open(self) -> None:
        """Connect and look. Raises NoAnswer: it goes on trying. Raises SettingsError."""
        connecting = asyncio.ensure_future(self.connection.connect())
        self._tasks.append(connecting)
        self._fails()
        try:
            async with asyncio.timeout(OPEN_S):
                await asyncio.shield(connecting)
                await self._look()
        except TimeoutError:
            self._failing_since = -GRACE_S
            if self.connection.last_error == REFUSED:
                mend = "see --nats-credentials-file, --nats-user and --nats-password-file"
                raise SettingsError(self.connection.last_error, where="outbox (nats)", mend=mend) from None
            raise NoAnswer(self.connection.last_error, where="outbox (nats)") from None
        except NoStream as error:
            raise SettingsError(error.what, where=error.where, mend=f"make it: {error.mend}") from None
        finally:
            self._tasks.append(asyncio.ensure_future(self._watch()))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                if self.connection.is_up:
                    await self._look()
                else:
                    self._fails()
            except NoStream:
                if self.view.is_there:
                    log.error("the broker has no such stream or consumer any more: sgtm outbox init")
                self.view = replace(self.view, is_there=False)
            except (NoAnswer, OutboxUnavailable):
                self._fails()

    async def _look(self) -> None:
        """Raises NoAnswer, NoStream, OutboxUnavailable."""
        stream = self.connection.stream
        info = await self.connection.ask(f"STREAM.INFO.{stream}")
        dead = (await self.connection.ask(f"STREAM.INFO.{dead_stream_of(stream)}"))["state"]
        consumer = await self.connection.ask(f"CONSUMER.INFO.{stream}.{CONSUMER}")
        facts = await self.connection.facts(info)
        promise, before = judge(facts), self.view.promise
        if promise != before:
            for weak in promise.weak:
                log.warning("the outbox promises less than it could", extra={"because": weak})
        state, budget = info["state"], max(0, facts.max_bytes)
        largest = min(size for size in (facts.max_payload, facts.max_message) if size > 0)
        self.view = View(
            promise=promise,
            is_full=self.view.is_full and budget - state["bytes"] < largest,
            used_bytes=state["bytes"],
            budget_bytes=budget,
            oldest_micros=_micros(state["first_ts"]) if state["messages"] else None,
            ack_wait_s=consumer["config"]["ack_wait"] / 1e9,
            max_message_bytes=largest,
            letters=dead["messages"],
            letter_bytes=dead["bytes"],
        )
        self._failing_since = None

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        with suppress(AttributeError):  # it was never made
            await self.connection.close()
        await asyncio.sleep(0)


def _micros(text: str) -> int:
    """`2026-11-24T10:55:01.929813594Z` in microseconds of Unix time."""
    return int(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp() * 1_000_000)
