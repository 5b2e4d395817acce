"""Pages of the admin listener about how the server is: each question has an answer of its own.

    GET /live           does every worker live? 503: one is to be restarted
    GET /ready          does every worker take requests?
    GET /destinations   does every vendor take events? 503: one fails, or refuses us
    GET /health         the first two with all details
    GET /overview       everything at once, for `sgtm top`

A vendor's failure makes no worker unready, and a worker that is not ready says nothing of vendors.
SPEC: requirements R233, R235; reliability 6 (probes).
"""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec import Struct

from sgtm import __version__
from sgtm.delivery.lanes import LaneState
from sgtm.messages import Answer
from sgtm.observability.exposition import Sample
from sgtm.server.admin_answer import json_answer
from sgtm.server.crew import Crew, Destination, healthy, merge_destinations
from sgtm.server.questions import Pulse, WorkerHealth

Handler = Callable[[web.BaseRequest], Awaitable[Answer]]


class Overview(Struct):
    """A server at one moment, over all workers."""

    at_s: float = 0.0
    """Unix time."""
    release: str = ""
    version: str = ""
    """Of the container."""
    workers: list[WorkerHealth] = []
    missing: int = 0
    """Workers that did not answer."""
    destinations: list[Destination] = []
    samples: list[Sample] = []


def health_pages(crew: Crew) -> dict[str, dict[str, Handler]]:
    """The handlers of these pages, by path and method."""
    pages = _HealthPages(crew)
    return {
        "/live": {"GET": pages.live},
        "/ready": {"GET": pages.ready},
        "/health": {"GET": pages.health},
        "/destinations": {"GET": pages.destinations},
        "/overview": {"GET": pages.overview},
    }


class _HealthPages:
    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    async def live(self, _: web.BaseRequest) -> Answer:
        workers, missing = await self._workers()
        is_live = not missing and all(worker.is_live for worker in workers)
        return json_answer({"live": is_live}, 200 if is_live else 503)

    async def ready(self, _: web.BaseRequest) -> Answer:
        workers, missing = await self._workers()
        reasons = sorted({reason for worker in workers for reason in worker.because})
        reasons += ["a worker does not answer"] if missing else []
        return json_answer({"ready": not reasons, "because": reasons}, 503 if reasons else 200)

    async def health(self, _: web.BaseRequest) -> Answer:
        is_well, workers = healthy(await self._crew.ask_workers("pulse", of=Pulse))
        body = {"ready": is_well, "version": self._crew.version, "workers": workers}
        return json_answer(body, 200 if is_well else 503)

    async def destinations(self, _: web.BaseRequest) -> Answer:
        answers = await self._crew.ask_workers("destinations", of=list[LaneState])
        missing = [answer for answer in answers if answer.error]
        found = merge_destinations(answers)
        body = {"destinations": found, "missing": missing}
        return json_answer(body, 200 if all(one.is_well for one in found) else 503)

    async def overview(self, _: web.BaseRequest) -> Answer:
        workers, missing = await self._workers()
        lanes = await self._crew.ask_workers("destinations", of=list[LaneState])
        values = await self._crew.metrics()
        samples = [Sample(name, label, value) for (name, label), value in values.items()]
        found = merge_destinations(lanes)
        return json_answer(
            Overview(time.time(), __version__, self._crew.version, workers, missing, found, samples)
        )

    async def _workers(self) -> tuple[list[WorkerHealth], int]:
        """What each says of itself, and how many say nothing."""
        answers = await self._crew.ask_workers("pulse", of=Pulse)
        workers = [answer.answer.health for answer in answers if not answer.error]
        return workers, len(answers) - len(workers)
