"""Crew: all workers of a server, as whoever operates them sees them.

Two ways to have one: `Supervisor` (a process for each worker) and `Solo` (one worker, in this
process). Signals, the admin listener and the watch of the container file speak to either.
"""

import platform
import time
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from sgtm import __version__
from sgtm.delivery.lanes import LaneState
from sgtm.errors import Problem, SgtmError
from sgtm.observability.exposition import Sample, Values, merge
from sgtm.server.questions import Source, WorkerHealth

T = TypeVar("T")

ASK_TIMEOUT_S = 5.0
_STARTED_S = time.time()


class CannotRestart(SgtmError):
    """There is nobody to take over while a worker is replaced."""


class WorkerAnswer(Struct):
    """What one worker answered; `error` is not empty where it did not."""

    slot: int
    answer: Any = None
    error: str = ""


class Reload(Struct):
    """What became of a reload."""

    version: str = ""
    """Of the container that serves now."""
    problems: list[Problem] = []
    error: str = ""

    @property
    def is_done(self) -> bool:
        """Whether all workers serve the new container."""
        return not self.error and not any(problem.severity == "error" for problem in self.problems)


class Crew(Protocol):
    """All workers of a server."""

    url: str
    source: Source
    """What serves, as it stood in its file."""

    @property
    def version(self) -> str:
        """Of the container that serves."""

    reloads: dict[str, int]
    """How many reloads were done and refused."""

    async def start(self) -> None:
        """Serve. Raises SgtmError or OSError where it cannot."""

    async def ask_workers(
        self, question: str, body: object = None, *, of: type[Any], timeout_s: float = ASK_TIMEOUT_S
    ) -> list[WorkerAnswer]:
        """The answer of every worker, by slot; see `questions.py`. Never raises, never waits longer."""

    async def tell_workers(
        self, key: str, question: str, body: object, *, of: type[Any]
    ) -> list[WorkerAnswer]:
        """Ask as `ask_workers` does, and each worker that starts later too, until `forget(key)`."""

    def forget(self, key: str) -> None:
        """Workers that start later are not told any more."""

    async def reload(self) -> Reload:
        """Serve what the container's file says now, or go on as before and say why."""

    async def restart(self) -> None:
        """Replace one worker after the other, none of which loses a connection. Raises CannotRestart."""

    async def set_log_level(self, level: str) -> None:
        """For every process, also those that start later."""

    async def set_request_log(self, share: float) -> None:
        """The share of the requests that the log tells of, for every worker, also later ones."""

    async def metrics(self) -> Values:
        """What all workers counted, and what is known of this moment."""

    async def drain(self, delay_s: float) -> None:
        """The orderly end of all workers."""

    async def close(self) -> None:
        """The end of all workers at once."""

    async def wait_ended(self) -> int:
        """Wait until nobody serves any more, and nobody asked for that; the exit status."""


def healthy(answers: Iterable[WorkerAnswer]) -> tuple[bool, list[WorkerHealth | WorkerAnswer]]:
    """Whether all workers are ready, and what each of them says."""
    said = [answer.answer.health if not answer.error else answer for answer in answers]
    return all(isinstance(one, WorkerHealth) and one.is_ready for one in said) and bool(said), said


_BY_SEVERITY = ("open", "paused", "shut")


class Destination(Struct):
    """One destination over all workers: the worst state, the sums."""

    destination: str
    credential: str
    state: str
    reason: str
    next_try_in_s: float
    queued: int
    in_flight: int
    oldest_s: float = 0.0
    done: int = 0
    failed: int = 0
    last_error: str = ""
    last_error_s: float = 0.0
    refused_tags: tuple[str, ...] = ()
    slots: dict[str, LaneState] = {}

    @property
    def is_well(self) -> bool:
        """Whether it takes what it is sent."""
        return self.state != "shut" and not self.refused_tags

    def add(self, slot: int, lane: LaneState) -> None:
        """One worker's lane."""
        if _BY_SEVERITY.index(lane.state) > _BY_SEVERITY.index(self.state):
            self.state, self.reason = lane.state, lane.reason
        self.next_try_in_s = max(self.next_try_in_s, lane.next_try_in_s)
        self.queued += lane.queued
        self.in_flight += lane.in_flight
        self.oldest_s = max(self.oldest_s, lane.oldest_s)
        self.done += lane.done
        self.failed += lane.failed
        if lane.last_error and (not self.last_error or lane.last_error_s < self.last_error_s):
            self.last_error, self.last_error_s = lane.last_error, lane.last_error_s
        self.refused_tags = tuple(sorted({*self.refused_tags, *lane.refused_tags}))
        self.slots[str(slot)] = lane


def merge_destinations(answers: Iterable[WorkerAnswer]) -> list[Destination]:
    """What all workers say of their lanes, by destination."""
    found: dict[tuple[str, str], Destination] = {}
    for answer in answers:
        for lane in answer.answer or ():
            key = (lane.destination, lane.credential)
            one = found.get(key)
            if one is None:
                one = found[key] = Destination(*key, "open", "", 0.0, 0, 0)
            one.add(answer.slot, lane)
    return [found[key] for key in sorted(found)]


def server_samples(crew: Crew) -> list[Sample]:
    """What is known of the server as a whole."""
    reloads = {"done": 0, "refused": 0, **crew.reloads}
    return [
        Sample("sgtm_build_info", f"{__version__}/{platform.python_version()}", 1),
        Sample("process_start_time_seconds", "", _STARTED_S),
        *(Sample("sgtm_reloads_total", outcome, count) for outcome, count in reloads.items()),
    ]


def values_of(crew: Crew, parts: Iterable[Iterable[Sample]]) -> Values:
    """All samples as one."""
    return merge([*parts, server_samples(crew)])
