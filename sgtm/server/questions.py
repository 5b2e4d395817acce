"""What workers are asked, and what they answer: the vocabulary of the control channel.

`WorkerAnswers` answers for one worker, be it in a process of its own or in this one. A new question
is one function in its table. Fields are only ever added, with a default: see control.py.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.container.settings_file import read_configured
from sgtm.delivery.lanes import LaneState
from sgtm.delivery.letter import now_micros
from sgtm.delivery.outbox import OutboxState
from sgtm.errors import ContainerError, Problem, SettingsError, SgtmError
from sgtm.observability.exposition import Sample
from sgtm.observability.process import cpu_sample, disk_samples, log_samples, process_samples
from sgtm.server import context
from sgtm.server.lane_samples import lane_samples
from sgtm.server.letters import LettersAsked, LettersNamed, LetterView, letters_of, purge
from sgtm.server.limit_table import LIMITS
from sgtm.server.replaying import Asked, Replayed
from sgtm.server.waiting import WaitingAsked, WaitingFound, find_waiting
from sgtm.server.worker import Worker
from sgtm.tally import NOBODY

_REASONS = tuple(dict.fromkeys((limit.counter, limit.label) for limit in LIMITS if limit.counter))
"""What every limit counts, so that it is there at 0 before anybody comes up against it."""
_STATUSES = ("2xx", "3xx", "4xx", "5xx")


class Source(Struct):
    """A container as it stands in its file: read once by whoever asks, the same for all workers."""

    path: str
    content: bytes


def read_source(path: str | Path, settings_file: str = "") -> Source:
    """The container's file as it is now, with what the settings file says of it. Raises ContainerError."""
    try:
        return Source(str(path), read_configured(path, settings_file))
    except SettingsError as error:
        problem = Problem("error", error.what, error.where, error.mend)
        raise ContainerError([problem], where=str(path)) from None


class Prepared(Struct):
    """What a worker says of a container that it may be told to serve."""

    version: str = ""
    problems: list[Problem] = []
    """Not empty: it cannot be served."""


class LogLevel(Struct):
    """What is logged from now on."""

    level: str = ""
    """The least severe line; empty: as it is."""
    requests: float | None = None
    """Share of the requests that are told of; None: as it is."""


class WorkerHealth(Struct):
    """One worker, as an operator sees it."""

    slot: int = 0
    pid: int = 0
    is_live: bool = True
    is_ready: bool = False
    because: list[str] = []
    """Why it is not."""
    container: str = ""
    version: str = ""
    """Of the container that it serves."""
    connections: int = 0
    pending: int = 0
    """Deliveries taken and not settled."""
    age_s: float = 0.0
    outbox: OutboxState | None = None
    """Room, the oldest record, and when it will be full."""


class Pulse(Struct):
    """What the supervisor keeps of each worker: when it dies, its counts go on."""

    health: WorkerHealth
    counters: list[Sample] = []


class UnknownQuestion(SgtmError):
    """A question of another release."""


class WorkerAnswers:
    """Answers the questions about one worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._prepared: Container | None = None
        self._began = time.monotonic()
        self._table: dict[str, Callable[[Raw], Awaitable[Any]]] = {
            "pulse": self._pulse,
            "metrics": self._metrics,
            "destinations": self._destinations,
            "prepare": self._prepare,
            "swap": self._swap,
            "log-level": self._set_log_level,
            "letters": self._letters,
            "purge": self._purge,
            "replay": self._replay,
            "late": self._late,
            "context": self._context,
            "waiting": self._waiting,
            **worker.previews.questions(),
        }

    async def __call__(self, question: str, body: Raw) -> Any:
        """The answer. Raises UnknownQuestion, and SgtmError where it cannot be given."""
        answer = self._table.get(question)
        if answer is None:
            raise UnknownQuestion("is not known to this release", where=question)
        return await answer(body)

    def health(self) -> WorkerHealth:
        """What is known without asking anybody."""
        worker = self._worker
        reasons = worker.health.not_ready()
        return WorkerHealth(
            slot=worker.slot,
            pid=os.getpid(),
            is_live=worker.health.is_live(),
            is_ready=not reasons,
            because=reasons,
            container=worker.container.name,
            version=worker.container.version,
            connections=worker.connections,
            pending=worker.lanes.pending,
            age_s=round(time.monotonic() - self._began, 1),
            outbox=worker.outbox.state(),
        )

    async def _pulse(self, _: Raw) -> Pulse:
        return Pulse(self.health(), [*self._counters(), cpu_sample()])

    async def _metrics(self, _: Raw) -> list[Sample]:
        gauges = [Sample(name, "", value) for name, value in self._worker.gauges().items()]
        worker = self._worker
        lanes = lane_samples(worker.lanes.destinations(), worker.outbox.holds(), time.time())
        own = [*process_samples(), *disk_samples(worker.settings.data_folder)]
        return [*self._counters(), *gauges, *self._held(), *lanes, *own]

    def _held(self) -> list[Sample]:
        """What each tag waits for."""
        held = Counter[str]()
        for hold, waiting in self._worker.outbox.holds().items():
            held[hold.tag] += waiting.count
        refused = {tag for lane in self._worker.lanes.destinations() for tag in lane.refused_tags}
        return [
            *(Sample("sgtm_deliveries_held", tag, count) for tag, count in held.items()),
            *(Sample("sgtm_destination_refuses", tag, 1) for tag in refused),
        ]

    def _counters(self) -> list[Sample]:
        snapshot = self._worker.counters.snapshot()
        container = self._worker.container
        clients = [client.name for client in container.clients]
        names = {
            "client": clients,
            "client/status": [f"{client}/{status}" for client in (*clients, NOBODY) for status in _STATUSES],
            "tag": [tag.name for tag in container.tags],
            "template": container.surroundings.templates if container.surroundings is not None else (),
        }
        return [
            *self._worker.counters.zeros(names),
            *(Sample(name, label, 0) for name, label in _REASONS if (name, label) not in snapshot),
            *(Sample(name, label, value) for (name, label), value in snapshot.items()),
            *self._worker.counters.histogram_samples(),
            *self._worker.tracers.log.samples(),
            *log_samples(),
        ]

    async def _destinations(self, _: Raw) -> list[LaneState]:
        return self._worker.lanes.destinations()

    async def _letters(self, body: Raw) -> list[LetterView]:
        asked = msgspec.msgpack.decode(body, type=LettersAsked)
        return await letters_of(self._worker.outbox, self._worker.slot, asked)

    async def _purge(self, body: Raw) -> int:
        return await purge(
            self._worker.outbox, self._worker.slot, msgspec.msgpack.decode(body, type=LettersNamed)
        )

    async def _replay(self, body: Raw) -> list[Replayed]:
        return await self._worker.replays.run(msgspec.msgpack.decode(body, type=Asked))

    async def _waiting(self, body: Raw) -> WaitingFound:
        return await find_waiting(self._worker.outbox, msgspec.msgpack.decode(body, type=WaitingAsked))

    async def _context(self, body: Raw) -> context.ContextView:
        asked = msgspec.msgpack.decode(body, type=context.ContextAsked)
        rules = self._worker.container.context
        return await context.answer(self._worker.context, rules, asked, now_micros())

    async def _late(self, _: Raw) -> dict[str, str]:
        return {tag.name: tag.component.late for tag in self._worker.container.tags}

    async def _prepare(self, body: Raw) -> Prepared:
        source = msgspec.msgpack.decode(body, type=Source)
        try:
            container = await asyncio.to_thread(load_container, source.path, source=source.content)
        except ContainerError as error:
            return Prepared(problems=error.problems)
        self._prepared = container
        return Prepared(container.version)

    async def _swap(self, _: Raw) -> str:
        container, self._prepared = self._prepared, None
        if container is None:
            raise UnknownQuestion("nothing was prepared", where="swap")
        self._worker.reload(container)
        return container.version

    async def _set_log_level(self, body: Raw) -> None:
        wanted = msgspec.msgpack.decode(body, type=LogLevel)
        if wanted.level:
            logging.getLogger().setLevel(wanted.level.upper())
        if wanted.requests is not None:
            self._worker.tracers.log.share = wanted.requests
