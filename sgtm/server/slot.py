"""Slot: a listening socket that is never closed, and the worker that serves it now.

    start -> begin -> accept -> serves -> died  -> wait a little -> start
                                       -> hung  -> killed        -> start
                                       -> replaced: the next one begins, this one releases the socket,
                                          the next one accepts, this one finishes what it has

The kernel goes on queueing connections while nobody accepts, so a restart loses none. A worker that
dies again and again is followed more and more slowly; after MAX_QUICK_ENDS the socket is closed for
a while, so that the kernel gives all connections to the other slots (SPEC: requirements R240).
"""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from sgtm.errors import SgtmError
from sgtm.observability.exposition import Sample, Values, merge
from sgtm.server.child import Begin, Begun, Child, Delay, WorkerEnded, describe_status
from sgtm.server.control import NoAnswer
from sgtm.server.questions import Pulse
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

BEAT_S = 1.0
QUICK_S = 10.0
"""A worker that lived shorter ended quickly: the next one waits."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0
MAX_QUICK_ENDS = 10
SHUT_S = 60.0
CLOSE_S = 2.0
END_MARGIN_S = 5.0
"""Beyond all time-outs of a drain: then the worker is killed."""


class Slot:
    """One slot. `begin()` makes what a new worker is told first, `told()` what else it has to hear;
    `changing` is held while one begins, so that none misses a reload."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        bind: Callable[[], socket.socket],
        begin: Callable[[int], Begin],
        changing: asyncio.Lock,
        told: Callable[[], Iterable[tuple[str, object]]] = tuple,
    ) -> None:
        self.number, self._settings = number, settings
        self._bind, self._begin, self._changing, self._told = bind, begin, changing, told
        self._listening: socket.socket | None = bind()
        self.child: Child | None = None
        """The worker that serves, or None while there is none."""
        self.retiring: set[Child] = set()
        self._beginning: set[Child] = set()
        """Workers that do not serve yet."""
        self.ends: Counter[str] = Counter()
        """How many workers ended, by reason."""
        self._ended: Values = {}
        """What workers that are no more had counted."""
        self._quick_ends = 0
        self._is_ending = False
        self._turn = asyncio.Lock()
        """Held while a worker is replaced: its end is then nobody's death."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_shut(self) -> bool:
        """Whether its socket is closed because no worker would live."""
        return self._listening is None

    @property
    def children(self) -> list[Child]:
        """All workers that live, those that are ending too."""
        return [*self.retiring, *([self.child] if self.child is not None else [])]

    # -- one worker after the other --------------------------------------------------------------

    async def start(self) -> None:
        """The first worker. Raises WorkerEnded, NoAnswer or OSError if it does not come up."""
        self.child = await self._new_child(None)

    async def follow(self) -> None:
        """Keep a worker here until `drain` or `close`."""
        while not self._is_ending:
            child = self.child
            if child is None:
                await self._try_start()
            else:
                await asyncio.wait([child.ended])
                async with self._turn:
                    has_died = child is self.child and not self._is_ending
                if has_died:
                    self.child = None
                    self._say_end(child, child.ended.result())
                    await self._wait()

    async def replace(self) -> None:
        """Put a new worker in the place of the one that serves. Raises WorkerEnded, NoAnswer or OSError,
        and then the old one goes on, or is followed."""
        async with self._turn:
            old = self.child
            if old is None:
                return  # `follow` is at it
            self.child = await self._new_child(old)
        old.reason = "restarted"
        self.retiring.add(old)
        self._keep(self._finish(old, self._settings.drain_delay_s))

    async def _new_child(self, old: Child | None) -> Child:
        if self._listening is None:
            self._listening = self._bind()
        child = await Child.started(self.number, self._listening)
        self._beginning.add(child)
        try:
            async with self._changing:
                await self._bring_up(child, old)
            if self._is_ending:
                raise NoAnswer("the server ends")
        except BaseException:
            child.kill()
            self._keep(child.reap())
            raise
        finally:
            self._beginning.discard(child)
        self._keep(child.beat(BEAT_S, self._settings.worker_timeout_s, self._hung))
        log.info("a worker serves", extra={"slot": self.number, "pid": child.pid})
        return child

    async def _bring_up(self, child: Child, old: Child | None) -> None:
        start_s = self._settings.worker_start_s
        await child.tell("begin", self._begin(self.number), of=Begun, timeout_s=start_s)
        for question, body in self._told():
            await self._tell_too(child, question, body)
        try:
            if old is not None:
                with suppress(NoAnswer, WorkerEnded):
                    await old.ask("release", of=type(None), timeout_s=self._settings.worker_timeout_s)
            await child.tell("accept", of=type(None), timeout_s=start_s)
        except BaseException:
            if old is not None and not self._is_ending:
                old.kill()  # it has let go of the socket: whoever follows it takes that up
            raise

    async def _tell_too(self, child: Child, question: str, body: object) -> None:
        """What it does without if it must."""
        try:
            await child.ask(question, body, of=Any, timeout_s=self._settings.worker_start_s)
        except NoAnswer as error:
            extra = {"slot": self.number, "question": question, "reason": str(error)}
            log.warning("a new worker does without what the others were told", extra=extra)

    async def _try_start(self) -> None:
        try:
            self.child = await self._new_child(None)
        except (SgtmError, OSError) as error:
            self._quick_ends += 1
            self.ends["not started"] += 1
            log.error("a worker does not start", extra={"slot": self.number, "reason": str(error)})
            await self._wait()

    # -- the end of one --------------------------------------------------------------------------

    def _hung(self, child: Child) -> None:
        extra = {"slot": self.number, "pid": child.pid, "after_s": self._settings.worker_timeout_s}
        log.error("a worker answers nothing and is killed", extra=extra)
        child.reason = "hung"
        child.kill()

    def _say_end(self, child: Child, status: int) -> None:
        lived_s = time.monotonic() - child.started_s
        self._quick_ends = self._quick_ends + 1 if lived_s < QUICK_S else 0
        extra = {"slot": self.number, "pid": child.pid, "status": describe_status(status)}
        log.error("a worker died", extra={**extra, "reason": child.reason, "lived_s": round(lived_s, 1)})
        self._count_end(child)
        child.channel.close()

    def _count_end(self, child: Child) -> None:
        self.ends[child.reason] += 1
        self._ended = merge([_samples(self._ended), child.counters])

    async def _wait(self) -> None:
        """Before the next one is started: not at all after one that lived well."""
        if self._quick_ends >= MAX_QUICK_ENDS:
            self._shut()
            await asyncio.sleep(SHUT_S)
        elif self._quick_ends > 1:
            await asyncio.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (self._quick_ends - 2)))

    def _shut(self) -> None:
        if self._listening is not None:
            log.critical(
                "no worker lives in this slot; its socket is closed for a while",
                extra={"slot": self.number, "ends": self._quick_ends, "again_in_s": SHUT_S},
            )
            self._close_socket()

    async def _finish(self, child: Child, delay_s: float) -> None:
        """Let a worker end in order, or kill it after all its time-outs."""
        timeout_s = delay_s + 2 * self._settings.drain_timeout_s + END_MARGIN_S
        try:
            child.note(await child.ask("drain", Delay(delay_s), of=Pulse, timeout_s=timeout_s))
            await asyncio.wait([child.ended], timeout=END_MARGIN_S)
        except (NoAnswer, WorkerEnded) as error:
            log.warning("a worker did not end in order", extra={"slot": self.number, "reason": str(error)})
        child.kill()
        await child.reap()
        self.retiring.discard(child)
        self._count_end(child)

    # -- the end of all --------------------------------------------------------------------------

    async def drain(self, delay_s: float) -> None:
        """The orderly end of every worker here."""
        self._is_ending = True
        self._close_socket()  # the worker has its own; when that is closed the kernel is to refuse
        await self._end_beginnings()
        child, self.child = self.child, None
        if child is not None:
            child.reason = "stopped"
            self.retiring.add(child)
            await self._finish(child, delay_s)
        if self.retiring:
            await asyncio.wait([one.ended for one in self.retiring])
        await self.close()

    async def close(self) -> None:
        """The end of every worker here, at once."""
        self._is_ending = True
        self._close_socket()
        await self._end_beginnings()
        children = self.children
        await asyncio.gather(*(child.end(CLOSE_S) for child in children))
        for task in self._tasks:
            task.cancel()

    async def _end_beginnings(self) -> None:
        """A worker that is being started would outlive us, with a socket that nobody accepts from."""
        ends = [child.ended for child in self._beginning]
        for child in self._beginning:
            child.kill()
        if ends:
            await asyncio.wait(ends)

    def _close_socket(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    # -- what is counted -------------------------------------------------------------------------

    def ended_samples(self) -> list[Sample]:
        """What workers of this slot counted that are no more, and how they ended."""
        reasons = {"died": 0, "hung": 0, "restarted": 0, **self.ends}
        own = [Sample("sgtm_worker_up", str(self.number), 0 if self.child is None else 1)]
        own += [Sample("sgtm_worker_ends_total", f"{self.number}/{name}", n) for name, n in reasons.items()]
        return [*_samples(self._ended), *own]

    def _keep(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _quietly(work: Coroutine[Any, Any, object]) -> None:
    await work


def _samples(values: Values) -> list[Sample]:
    return [Sample(name, label, value) for (name, label), value in values.items()]
