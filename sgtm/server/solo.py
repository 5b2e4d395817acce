"""Solo: one worker in this process, which is its own supervisor (slot 0)."""

import asyncio
import logging
from typing import Any

import msgspec
from msgspec import Raw

from sgtm.errors import ContainerError, SgtmError
from sgtm.observability.exposition import Sample, Values
from sgtm.server.crew import ASK_TIMEOUT_S, CannotRestart, Reload, WorkerAnswer, values_of
from sgtm.server.questions import LogLevel, Prepared, Source, WorkerAnswers, read_source
from sgtm.server.worker import Worker

log = logging.getLogger("sgtm.server")


class Solo:
    """See Crew."""

    def __init__(self, source: Source, worker: Worker) -> None:
        self.worker, self.source = worker, source
        self.url = worker.url
        self.reloads: dict[str, int] = {}
        self._answers = WorkerAnswers(worker)
        self._reloading = asyncio.Lock()

    @property
    def version(self) -> str:
        """See Crew."""
        return self.worker.container.version

    async def start(self) -> None:
        """Serve."""
        await self.worker.start()

    async def ask_workers(
        self, question: str, body: object = None, *, of: type[Any], timeout_s: float = ASK_TIMEOUT_S
    ) -> list[WorkerAnswer]:
        """See Crew."""
        try:
            return [WorkerAnswer(0, await self._ask(question, body, of, timeout_s))]
        except SgtmError as error:
            return [WorkerAnswer(0, error=str(error))]
        except TimeoutError:
            return [WorkerAnswer(0, error=f"{question}: no answer in {timeout_s:g} s")]

    async def tell_workers(
        self, key: str, question: str, body: object, *, of: type[Any]
    ) -> list[WorkerAnswer]:
        """See Crew: there is nobody who starts later."""
        return await self.ask_workers(question, body, of=of, timeout_s=self.worker.settings.worker_start_s)

    def forget(self, key: str) -> None:
        """See Crew."""

    async def _ask(self, question: str, body: object, of: type[Any], timeout_s: float) -> Any:
        """As over a channel, so that nobody holds what the worker goes on to change."""
        async with asyncio.timeout(timeout_s):
            answer = await self._answers(question, Raw(msgspec.msgpack.encode(body)))
        return msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=of)

    async def reload(self) -> Reload:
        """See Crew."""
        async with self._reloading:
            result = await self._reload()
        outcome = "done" if result.is_done else "refused"
        self.reloads[outcome] = self.reloads.get(outcome, 0) + 1
        return result

    async def _reload(self) -> Reload:
        try:
            source = await asyncio.to_thread(
                read_source, self.source.path, self.worker.settings.settings_file
            )
            timeout_s = self.worker.settings.worker_start_s
            prepared = await self._ask("prepare", source, Prepared, timeout_s)
            if prepared.problems:
                return Reload(self.version, prepared.problems)
            version = await self._ask("swap", None, str, ASK_TIMEOUT_S)
            self.source = source
            return Reload(version)
        except ContainerError as error:
            return Reload(self.version, error.problems)
        except (SgtmError, TimeoutError) as error:
            return Reload(self.version, error=str(error) or "took too long")

    async def restart(self) -> None:
        """See Crew."""
        raise CannotRestart(
            "there is one worker, and nobody to take over", mend="serve with --workers 2 or more"
        )

    async def set_log_level(self, level: str) -> None:
        """See Crew."""
        await self._ask("log-level", LogLevel(level), type(None), ASK_TIMEOUT_S)

    async def set_request_log(self, share: float) -> None:
        """See Crew."""
        await self._ask("log-level", LogLevel(requests=share), type(None), ASK_TIMEOUT_S)

    async def metrics(self) -> Values:
        """See Crew."""
        samples = await self._ask("metrics", None, list[Sample], ASK_TIMEOUT_S)
        own = [Sample("sgtm_workers", "", 1), Sample("sgtm_worker_up", "0", 1)]
        return values_of(self, [samples, own])

    async def drain(self, delay_s: float) -> None:
        """See Crew."""
        await self.worker.drain(delay_s)

    async def close(self) -> None:
        """See Crew."""
        await self.worker.close()

    async def wait_ended(self) -> int:
        """See Crew: it serves until it is told to end."""
        await asyncio.Event().wait()
        return 0
