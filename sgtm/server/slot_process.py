"""The process of one worker: python -m sgtm.server.slot_process CONTROL_FD LISTENING_FD

A fresh interpreter rather than a fork, so that a rolling restart takes new code, and so that no
thread, no lock and no event loop of the supervisor's is inherited. It does what it is asked over the
control channel, and when that closes (the supervisor is gone) it drains and ends by itself.
Signals to end are the supervisor's to give: a service manager sends them to all processes at once.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from typing import Any

import msgspec
import uvloop
from msgspec import Raw

from sgtm.container.compile import load_container
from sgtm.errors import ContainerError, SettingsError, SgtmError
from sgtm.observability import logs
from sgtm.server.child import Begin, Begun, Delay
from sgtm.server.collector import spare_modules
from sgtm.server.control import Channel
from sgtm.server.loop_errors import log_loop_error
from sgtm.server.questions import Pulse, UnknownQuestion, WorkerAnswers
from sgtm.server.worker import Worker
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

LAST_ANSWER_S = 1.0


class SlotProcess:
    """Answers what only a process of its own is asked, and hands the rest to its worker."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._answers: WorkerAnswers | None = None
        self.worker: Worker | None = None
        self.status = os.EX_OK
        self.is_over = asyncio.Event()
        self._table = {
            "begin": self._begin,
            "accept": self._accept,
            "release": self._release,
            "drain": self._drain,
            "close": self._close,
        }

    async def __call__(self, question: str, body: Raw) -> Any:
        """The answer to one question."""
        answer = self._table.get(question)
        if answer is not None:
            return await answer(body)
        if self._answers is None:
            raise UnknownQuestion("before `begin`", where=question)
        return await self._answers(question, body)

    async def _begin(self, body: Raw) -> Begun:
        begin = msgspec.msgpack.decode(body, type=Begin)
        settings = msgspec.convert(begin.settings, Settings)
        logs.configure(begin.log_level, settings.log_format)
        try:
            container = load_container(begin.source.path, source=begin.source.content)
            worker = Worker(container, settings, self._listening, slot=begin.slot, workers=settings.workers)
        except Exception as error:
            self._cannot_start(error)
            raise
        self.worker, self._answers = worker, WorkerAnswers(worker)
        return Begun(container.version)

    async def _accept(self, _: Raw) -> None:
        try:
            await self._begun().start()
        except Exception as error:
            self._cannot_start(error)
            raise

    def _cannot_start(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, SgtmError) else type(error).__name__
        log.error("a worker cannot start", extra={"reason": reason})
        self._end(2 if isinstance(error, (ContainerError, SettingsError)) else 1)

    async def _release(self, _: Raw) -> None:
        await self._begun().release()

    async def _drain(self, body: Raw) -> Pulse | None:
        delay_s = msgspec.msgpack.decode(body, type=Delay).delay_s
        await self._begun().drain(delay_s)
        last: Pulse | None = None
        if self._answers is not None:
            last = await self._answers("pulse", Raw(b""))
        # the answer is on its way before the process is
        asyncio.get_running_loop().call_soon(self._end, os.EX_OK)
        return last

    async def _close(self, _: Raw) -> None:
        await self._begun().close()
        asyncio.get_running_loop().call_soon(self._end, 1)

    def _begun(self) -> Worker:
        if self.worker is None:
            raise UnknownQuestion("before `begin`")
        return self.worker

    def _end(self, status: int) -> None:
        self.status = status
        self.is_over.set()

    async def orphaned(self) -> None:
        """Nobody asks any more."""
        if self.worker is not None and not self.is_over.is_set():
            log.warning("the supervisor is gone: draining", extra={"slot": self.worker.slot})
            await self.worker.drain(0.0)


async def live(control: socket.socket, listening: socket.socket) -> int:
    """Answer until the end; the exit status."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, lambda: None)
    process = SlotProcess(listening)
    channel = await Channel.open(control, process)
    gone = asyncio.ensure_future(channel.wait_closed())
    over = asyncio.ensure_future(process.is_over.wait())
    await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        await process.orphaned()
    else:
        await channel.finish(LAST_ANSWER_S)
        gone.cancel()
    over.cancel()
    return process.status


def main() -> int:
    """Take over the two sockets and live."""
    spare_modules()
    control, listening = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    with listening:
        return uvloop.run(live(control, listening))


if __name__ == "__main__":
    sys.exit(main())
