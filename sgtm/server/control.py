"""The channel between the supervisor and one worker: questions one way, answers the other.

Frames of four bytes of length and one message in MessagePack, over a pair of Unix sockets. The two
ends may be of different releases (a rolling restart takes new code): a field that one end does not
know is ignored, one that it misses has its default, a question that it does not know is answered
with an error. Nothing here waits for ever: a question has a time-out, a message a largest size, and
to an end that does not read nothing more is written.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from sgtm.errors import SgtmError

log = logging.getLogger("sgtm.server")

MAX_BYTES = 16 * 1024**2
"""Of one message; the largest is a container (at most 4 MB)."""
MAX_AT_ONCE = 64
"""Questions that are being answered at the same time."""

_LENGTH = struct.Struct("!I")
_NOTHING = Raw(msgspec.msgpack.encode(None))

T = TypeVar("T")
Answers = Callable[[str, Raw], Awaitable[Any]]


class NoAnswer(SgtmError):
    """The other end did not answer in time, is gone, or said that it cannot."""


class Gone(NoAnswer):
    """The other end has hung up."""


class Message(Struct, omit_defaults=True):
    """A question (with a kind) or the answer to the question of the same id."""

    id: int
    kind: str = ""
    body: Raw = _NOTHING
    error: str = ""


class Channel:
    """One end. `answers(kind, body)` answers the other end's questions; what it raises as SgtmError
    reaches the asker as NoAnswer, of anything else only the class."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers | None
    ) -> None:
        self._reader, self._writer, self._answers = reader, writer, answers
        self._asked: dict[int, asyncio.Future[Raw]] = {}
        self._last_id = 0
        self._answering: set[asyncio.Task[None]] = set()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(cls, own: socket.socket, answers: Answers | None = None) -> "Channel":
        """Take over one socket of a pair."""
        reader, writer = await asyncio.open_unix_connection(sock=own)
        return cls(reader, writer, answers)

    async def ask(self, kind: str, body: object = None, *, of: type[T], timeout_s: float) -> T:
        """The answer to a question. Raises NoAnswer."""
        self._last_id += 1
        number = self._last_id
        waiting = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                self._send(Message(number, kind, Raw(msgspec.msgpack.encode(body))))
                return msgspec.msgpack.decode(await waiting, type=of)
        except TimeoutError:
            raise NoAnswer(f"no answer in {timeout_s:g} s", where=kind) from None
        except msgspec.DecodeError as error:
            raise NoAnswer(f"an answer that cannot be read: {error}", where=kind) from None
        finally:
            del self._asked[number]

    async def wait_closed(self) -> None:
        """Wait until the other end is gone."""
        await asyncio.wait([self._reading])

    async def finish(self, timeout_s: float) -> None:
        """Hang up when everything is written."""
        self.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._writer.wait_closed()

    def close(self) -> None:
        """Hang up."""
        self._reading.cancel()
        self._writer.close()

    # -- frames ----------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        """Write one frame, or nothing. Raises NoAnswer."""
        frame = msgspec.msgpack.encode(message)
        if len(frame) > MAX_BYTES:
            raise NoAnswer(f"a message of {len(frame)} bytes is too large", where=message.kind)
        if self._reading.done() or self._writer.is_closing():
            raise Gone("the other end is gone", where=message.kind)
        if self._writer.transport.get_write_buffer_size() > MAX_BYTES:
            raise NoAnswer("the other end does not read", where=message.kind)
        self._writer.write(_LENGTH.pack(len(frame)) + frame)

    async def _read(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if length > MAX_BYTES:
                    raise ValueError("a frame is too large")
                frame = await self._reader.readexactly(length)
                self._take(msgspec.msgpack.decode(frame, type=Message))
        except (OSError, asyncio.IncompleteReadError):
            pass  # it is gone
        except ValueError as error:
            log.error("the control channel is out of step", extra={"error": type(error).__name__})
        finally:
            self._writer.close()
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(Gone("the other end is gone"))

    def _take(self, message: Message) -> None:
        if message.kind:
            self._start_answer(message)
            return
        waiting = self._asked.get(message.id)
        if waiting is None or waiting.done():
            return  # nobody waits any more
        if message.error:
            waiting.set_exception(NoAnswer(message.error))
        else:
            waiting.set_result(Raw(message.body).copy())

    def _start_answer(self, message: Message) -> None:
        if self._answers is None or len(self._answering) >= MAX_AT_ONCE:
            self._reply(Message(message.id, error="takes no more questions"))
            return
        task = asyncio.get_running_loop().create_task(self._answer(self._answers, message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, answers: Answers, message: Message) -> None:
        try:
            body = msgspec.msgpack.encode(await answers(message.kind, message.body))
            self._reply(Message(message.id, body=Raw(body)))
        except SgtmError as error:
            self._reply(Message(message.id, error=str(error)))
        except Exception as error:
            log.error("a question failed", extra={"question": message.kind, "error": type(error).__name__})
            self._reply(Message(message.id, error=f"raised {type(error).__name__}"))

    def _reply(self, message: Message) -> None:
        try:
            self._send(message)
        except NoAnswer as error:
            log.warning("an answer could not be sent", extra={"reason": error.what})
