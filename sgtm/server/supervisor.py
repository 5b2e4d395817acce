"""Supervisor: several workers, each a process in a slot of its own.

It holds the sockets, starts and follows workers, and asks them; no request of the world passes
through it. A reload is read once, tried by every worker, and swapped in all of them or in none.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from sgtm.container.compile import load_container
from sgtm.errors import ContainerError, SgtmError
from sgtm.observability.exposition import Sample, Values
from sgtm.observability.process import log_samples, process_samples
from sgtm.server.child import Begin, Child
from sgtm.server.crew import ASK_TIMEOUT_S, CannotRestart, Reload, WorkerAnswer, values_of
from sgtm.server.listening import url_of
from sgtm.server.questions import LogLevel, Prepared, Source, read_source
from sgtm.server.slot import Slot
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

LOOK_S = 0.5


class Supervisor:
    """See Crew. `bind()` gives one more socket of the same address."""

    def __init__(
        self, source: Source, version: str, settings: Settings, bind: Callable[[], socket.socket]
    ) -> None:
        self.version = version
        """Of the container that serves."""
        self.reloads: dict[str, int] = {}
        self.source, self._settings, self._log_level = source, settings, settings.log_level
        self._changing, self._restarting = asyncio.Lock(), asyncio.Lock()
        self._told: dict[str, tuple[str, object]] = {}
        """What workers that start later have to hear: question and body, by key."""
        first = bind()
        self.url = url_of(first, is_tls=bool(settings.tls_certificates))
        sockets = iter([first])
        self.slots = [
            Slot(
                number,
                settings,
                lambda: next(sockets, None) or bind(),
                self._begin,
                self._changing,
                self._told.values,
            )
            for number in range(settings.workers)
        ]
        self._following: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start every worker. Raises WorkerEnded, NoAnswer or OSError if one does not come up."""
        ends = await asyncio.gather(*(slot.start() for slot in self.slots), return_exceptions=True)
        failures = [end for end in ends if end is not None]
        if failures:
            await self.close()
            raise failures[0]
        loop = asyncio.get_running_loop()
        self._following = [loop.create_task(slot.follow()) for slot in self.slots]

    async def wait_ended(self) -> int:
        """See Crew: it is over when no slot has a worker that lives."""
        while not all(slot.is_shut for slot in self.slots):  # noqa: ASYNC110  # twice a second, no more
            await asyncio.sleep(LOOK_S)
        log.critical("no worker lives any more")
        return 1

    # -- questions -------------------------------------------------------------------------------

    async def ask_workers(
        self, question: str, body: object = None, *, of: type[Any], timeout_s: float = ASK_TIMEOUT_S
    ) -> list[WorkerAnswer]:
        """See Crew."""
        return list(
            await asyncio.gather(*(self._ask(slot, question, body, of, timeout_s) for slot in self.slots))
        )

    async def _ask(
        self, slot: Slot, question: str, body: object, of: type[Any], timeout_s: float
    ) -> WorkerAnswer:
        if slot.child is None:
            return WorkerAnswer(slot.number, error="no worker serves this slot now")
        try:
            answer = await slot.child.ask(question, body, of=of, timeout_s=timeout_s)
        except SgtmError as error:
            return WorkerAnswer(slot.number, error=str(error))
        return WorkerAnswer(slot.number, answer)

    async def tell_workers(
        self, key: str, question: str, body: object, *, of: type[Any]
    ) -> list[WorkerAnswer]:
        """See Crew."""
        async with self._changing:  # a worker that begins just now hears of it one way or the other
            self._told[key] = (question, body)
            return await self.ask_workers(question, body, of=of, timeout_s=self._settings.worker_start_s)

    def forget(self, key: str) -> None:
        """See Crew."""
        self._told.pop(key, None)

    async def metrics(self) -> Values:
        """See Crew. For a worker that does not answer, what it said last counts on."""
        children = [child for slot in self.slots for child in slot.children]
        parts = await asyncio.gather(*(child.metrics() for child in children))
        ended = [slot.ended_samples() for slot in self.slots]
        own = [Sample("sgtm_workers", "", len(self.slots)), *process_samples(), *log_samples()]
        return values_of(self, [*parts, *ended, own])

    # -- reload ----------------------------------------------------------------------------------

    async def reload(self) -> Reload:
        """See Crew."""
        async with self._changing:
            try:
                file = self._settings.settings_file
                source = await asyncio.to_thread(read_source, self.source.path, file)
                result = await self._reload(source)
            except ContainerError as error:
                result = Reload(self.version, error.problems)
        outcome = "done" if result.is_done else "refused"
        self.reloads[outcome] = self.reloads.get(outcome, 0) + 1
        return result

    async def _reload(self, source: Source) -> Reload:
        children = [slot.child for slot in self.slots if slot.child is not None]
        tried = await self._prepare(children, source)
        if not tried.is_done:
            return tried
        self.source, self.version = source, tried.version
        await asyncio.gather(*map(_swap, children))
        return tried

    async def _prepare(self, children: list[Child], source: Source) -> Reload:
        """Have every worker try a container: its version, or why it is refused."""
        timeout_s = self._settings.worker_start_s
        answers = await asyncio.gather(
            *(child.ask("prepare", source, of=Prepared, timeout_s=timeout_s) for child in children),
            return_exceptions=True,
        )
        prepared = [answer for answer in answers if isinstance(answer, Prepared)]
        for answer in prepared:
            if answer.problems:
                return Reload(self.version, answer.problems)
        for child, error in zip(children, answers, strict=True):
            if isinstance(error, BaseException) and not child.ended.done():
                return Reload(self.version, error=f"worker {child.slot}: {error}")
        if not prepared:  # nobody is there to try it
            container = await asyncio.to_thread(load_container, source.path, source=source.content)
            return Reload(container.version)
        return Reload(prepared[0].version)

    # -- restart, log level ----------------------------------------------------------------------

    async def restart(self) -> None:
        """See Crew."""
        if self._restarting.locked():
            raise CannotRestart("a restart is under way", mend="wait for it")
        async with self._restarting:
            for slot in self.slots:
                try:
                    await slot.replace()
                except (SgtmError, OSError) as error:
                    raise CannotRestart(
                        str(error), where=f"slot {slot.number}", mend="the other slots go on as they were"
                    ) from None

    async def set_log_level(self, level: str) -> None:
        """See Crew."""
        self._log_level = level  # type: ignore[assignment]
        logging.getLogger().setLevel(level.upper())
        await self.ask_workers("log-level", LogLevel(level), of=type(None))

    async def set_request_log(self, share: float) -> None:
        """See Crew."""
        self._settings = replace(self._settings, log_requests=share)
        await self.ask_workers("log-level", LogLevel(requests=share), of=type(None))

    # -- the end ---------------------------------------------------------------------------------

    async def drain(self, delay_s: float) -> None:
        """See Crew."""
        self._stop_following()
        await asyncio.gather(*(slot.drain(delay_s) for slot in self.slots))

    async def close(self) -> None:
        """See Crew."""
        self._stop_following()
        await asyncio.gather(*(slot.close() for slot in self.slots))

    def _stop_following(self) -> None:
        for task in self._following:
            task.cancel()

    def _begin(self, slot: int) -> Begin:
        return Begin(slot, msgspec.to_builtins(self._settings), self.source, self._log_level)


async def _swap(child: Child) -> None:
    try:
        await child.ask("swap", of=str, timeout_s=ASK_TIMEOUT_S)
    except SgtmError as error:
        extra = {"slot": child.slot, "pid": child.pid, "reason": str(error)}
        log.error("a worker did not reload and is replaced", extra=extra)
        child.kill()
