"""Child: one worker process, as the supervisor sees it."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import Struct

from sgtm.errors import SgtmError
from sgtm.observability.exposition import Sample, only_grows
from sgtm.server.control import Channel, Gone, NoAnswer
from sgtm.server.questions import Pulse, Source

T = TypeVar("T")

OWN_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "SGTM_ADMIN_TOKEN")
"""What concerns the supervisor alone."""
ANSWER_S = 5.0
LAST_WORDS_S = 2.0


class Begin(Struct):
    """The first question: make a worker of these. It accepts nothing before it is told to."""

    slot: int
    settings: dict[str, Any]
    source: Source
    log_level: str


class Begun(Struct):
    """The worker is made."""

    version: str = ""


class Delay(Struct):
    """How long to go on serving before the end."""

    delay_s: float = 0.0


class WorkerEnded(SgtmError):
    """The process ended before it served. `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"a worker did not start ({describe_status(status)})", mend="see its lines in the log"
        )
        self.status = status


class Child:
    """One process. `started` makes it; it lives until `ended`."""

    def __init__(self, slot: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.slot, self._process, self.channel = slot, process, channel
        self.pid = process.pid
        self.started_s = time.monotonic()
        self.counters: list[Sample] = []
        """What it had counted when it was last asked."""
        self.reason = "died"
        """What its end will be called."""
        self.ended = asyncio.get_running_loop().create_task(self._process.wait())

    @classmethod
    async def started(cls, slot: int, listening: socket.socket) -> "Child":
        """A fresh process with the slot's socket and one end of a channel. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            handed = (theirs.fileno(), listening.fileno())
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "sgtm.server.slot_process", *map(str, handed)),
                pass_fds=handed,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        return cls(slot, process, await Channel.open(ours))

    async def ask(self, question: str, body: object = None, *, of: type[T], timeout_s: float = ANSWER_S) -> T:
        """The worker's answer. Raises NoAnswer, or WorkerEnded if that is why."""
        try:
            return await self.channel.ask(question, body, of=of, timeout_s=timeout_s)
        except Gone:
            await asyncio.wait([self.ended], timeout=timeout_s)  # its end is a moment away
            if self.ended.done():
                raise WorkerEnded(self.ended.result()) from None
            raise

    async def tell(self, question: str, body: object = None, *, of: type[T], timeout_s: float) -> T:
        """Ask for a step of its start. A worker that cannot take it says so in the log and ends, with a
        status that counts: WorkerEnded then."""
        try:
            return await self.ask(question, body, of=of, timeout_s=timeout_s)
        except NoAnswer:
            await asyncio.wait([self.ended], timeout=LAST_WORDS_S)
            if self.ended.done():
                raise WorkerEnded(self.ended.result()) from None
            raise

    async def beat(self, every_s: float, timeout_s: float, on_hung: Callable[["Child"], None]) -> None:
        """Ask for its pulse until it is gone or does not answer any more."""
        while not self.ended.done():
            try:
                self.note(await self.ask("pulse", of=Pulse, timeout_s=timeout_s))
            except WorkerEnded:
                return
            except NoAnswer:
                on_hung(self)
                return
            await asyncio.wait([self.ended], timeout=every_s)

    def note(self, pulse: Pulse) -> None:
        """Keep what it counted: when it is gone, that counts on."""
        self.counters = pulse.counters

    async def metrics(self, timeout_s: float = ANSWER_S) -> list[Sample]:
        """All that it counts and measures, or what it had counted last."""
        try:
            samples = await self.ask("metrics", of=list[Sample], timeout_s=timeout_s)
        except SgtmError:
            return self.counters
        self.counters = [sample for sample in samples if only_grows(sample.name)]
        return samples

    async def end(self, within_s: float) -> None:
        """End it: it may close what it has open, for so long."""
        with suppress(SgtmError):
            await self.ask("close", of=type(None), timeout_s=within_s)
            await asyncio.wait([self.ended], timeout=within_s)
        self.kill()
        await self.reap()

    def kill(self) -> None:
        """End it now, whatever it does."""
        if not self.ended.done():
            self._process.send_signal(signal.SIGKILL)

    async def reap(self) -> int:
        """Wait for its end and give back what it held; its exit status (negative: a signal's)."""
        status = await self.ended
        self.channel.close()
        return status


def describe_status(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _environment() -> dict[str, str]:
    """Ours, with the way to our modules: `-P` keeps the working directory off a worker's path unless
    it is on our own."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    return environment
