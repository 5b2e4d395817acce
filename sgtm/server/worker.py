"""Worker: all state of one slot, and how it starts and ends.

Drain (SPEC: reliability 6): not ready at once, go on serving for `drain_delay_s` while balancers
notice (every answer now closes its connection), stop accepting, finish what is under way, let the
lanes deliver for a while, say what the outbox loses.
"""

import asyncio
import logging
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from sgtm.container.container import Container
from sgtm.container.versions import Versions
from sgtm.delivery.context.opening import most_waiting, open_context
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.lanes import Lanes
from sgtm.delivery.lookups import Lookups
from sgtm.delivery.outbox.gauges import outbox_gauges
from sgtm.delivery.outbox.opening import open_journal, open_outbox
from sgtm.delivery.sender import make_sender
from sgtm.delivery.taken_keys import FILE_NAME, TakenKeys
from sgtm.geo_database import use_database
from sgtm.hit import HitBounds
from sgtm.holding import Holding
from sgtm.messages import IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline
from sgtm.server.acceptor import Acceptor, require_trusted_proxies
from sgtm.server.admission import Admission
from sgtm.server.application import Application
from sgtm.server.certificates import Certificates
from sgtm.server.connection import Listener
from sgtm.server.earlier import EarlierContainers
from sgtm.server.edge import Edge
from sgtm.server.health import Health
from sgtm.server.limits import Limits
from sgtm.server.listening import url_of
from sgtm.server.memory import HARD, MemoryGuard, limit_of
from sgtm.server.nothing_served import NothingServed
from sgtm.server.previewing import Previews
from sgtm.server.proxy import TrustedProxies
from sgtm.server.rate import Rates
from sgtm.server.reception import Reception
from sgtm.server.recovery import Recovery
from sgtm.server.replaying import Place, Replays
from sgtm.server.scripts import Scripts
from sgtm.server.sites import Sites
from sgtm.server.template_hosting import TemplateHosting
from sgtm.server.tracing import WorkerTracers
from sgtm.server.watching import NewWalks, Watch
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

LAST_REQUESTS_S = 0.1
"""How long connections that came last have for their request to arrive."""
LAST_ANSWERS_S = 0.2
"""How long answers have to leave where requests have used up the time of both."""


class Worker:
    """One slot: its socket, outbox, lanes and pipeline.

    `new_walk(request)` may give a Walk for a request that somebody looks at (the demo).
    """

    def __init__(
        self,
        container: Container,
        settings: Settings,
        listening: socket.socket,
        *,
        slot: int = 0,
        workers: int = 1,
        new_walk: Callable[[IncomingRequest], Walk | None] | None = None,
    ) -> None:
        require_trusted_proxies(settings)
        self.slot, self.settings, self.container = slot, settings, container
        self.counters, self.tracers = Counters(), WorkerTracers(settings, slot)
        use_database(settings.geo_database)
        self.certificates = Certificates.of(settings, self.counters)
        self.outbox = open_outbox(settings, slot, workers, self.counters)
        egress = Egress(
            settings.egress_allow,
            destinations=container.destinations,
            is_airgapped=settings.airgapped,
            listener=listening.getsockname()[:2],
            counters=self.counters,
            proxy=settings.egress_proxy,
            sources=settings.egress_sources,
        )
        self._egress, self._hosting = egress, TemplateHosting(settings, self.counters)
        self._credentials = Credentials({**container.credentials, **self._hosting.credentials})
        self._sender = make_sender(settings.sender, self._credentials, egress)
        self.lanes = Lanes(
            self._sender,
            self.counters,
            hands_back=self.outbox.reads_again,
            journal=open_journal(settings, slot, self.counters),
        )
        self.health = Health()
        self.health.live_checks["outbox"] = lambda: self.outbox.state().is_alive
        self.health.ready_checks["outbox full"] = self._accepts
        self._memory = MemoryGuard(limit_of(settings), settings, self.counters, self._give_back)
        self.health.ready_checks["short of memory"] = lambda: self._memory.level < HARD
        self.scripts = Scripts(settings, self.counters, egress)
        self._lookups = Lookups(self._sender, self.counters)
        # who may lose the record in a crash must not remember that it had come
        keys_file = Path(settings.data_folder) / FILE_NAME if self.outbox.reads_again else None
        self._keys = TakenKeys(keys_file, self.counters)
        self.context = open_context(settings, self.outbox, self.counters)
        self.holding = Holding(self.context, self.counters, most_waiting(settings))
        self._pipeline = Pipeline(
            container,
            self.outbox,
            self.lanes,
            self.counters,
            self.scripts.serve,
            self._lookups,
            bounds=HitBounds(settings.hit_requests, settings.hit_bytes),
            keys=self._keys,
            delivers=settings.outbox != "nats",
            secret_of=self._credentials.value,
            holding=self.holding,
            asks=self._sender,
            tracers=self.tracers,
        )
        proxies = TrustedProxies(settings.trusted_proxies, settings.forwarded_header)
        self._admission = Admission(settings, proxies, self.counters)
        self._reception = Reception(
            self._pipeline if settings.role != "deliver" else NothingServed(),
            self.health,
            Limits.of(settings, _paths(container)),
            Rates(settings, self.counters),
            self._memory,
            proxies,
            self.counters,
            Sites.of(settings),
        )
        self._new_walks = NewWalks(new_walk) if new_walk is not None else None
        self.previews = Previews(
            settings, slot, self._pipeline, self.lanes, self.counters, self._also_use, self._watch
        )
        self._containers = [self._follow(container)]
        """Those that serve or that some event began with, oldest first."""
        earlier = EarlierContainers(Versions(settings.data_folder), self._also_use, self.counters)
        self.replays = Replays(self._pipeline, self.outbox, self.lanes, Place(slot, workers), earlier)
        self._recovery = Recovery(
            self._pipeline,
            self.outbox,
            self.lanes,
            self.counters,
            earlier,
            is_only_way=settings.outbox == "nats",
        )
        self._listening, self._proxies = listening, proxies
        self._listener: Listener | None = None
        self._edge: Edge | None = None
        self._runner: web.ServerRunner | None = None
        self._acceptor: Acceptor | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_released = False

    @property
    def url(self) -> str:
        """Where it listens, for example `http://127.0.0.1:8080`."""
        return url_of(self._listening, is_tls=self.certificates is not None)

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._admission.open

    def reload(self, container: Container) -> None:
        """Serve this container from the next request on. An event keeps the one that it began with,
        whose destinations and credentials stay known until the last such event is settled."""
        self.container = self._pipeline.container = container
        self._reception.limits = Limits.of(self.settings, _paths(container))
        if self._edge is not None:
            self._edge.use(container)
        self._also_use(container)
        if self.certificates is not None:
            self.certificates.reload()

    def _also_use(self, container: Container) -> None:
        self._containers.append(self._follow(container))
        self._use_containers()

    def _follow(self, container: Container) -> "weakref.ref[Container]":
        self._hosting.host(container)
        return weakref.ref(container, lambda _: self._use_containers())

    def _use_containers(self) -> None:
        alive = [(ref, found) for ref in self._containers if (found := ref()) is not None]
        self._containers = [ref for ref, _ in alive]
        self._egress.use_destinations({one for _, found in alive for one in found.destinations})
        self._credentials.sources = self._hosting.credentials | {
            name: source for _, found in alive for name, source in found.credentials.items()
        }

    def _watch(self, watch: Watch | None) -> None:
        self._reception.watch = watch or self._new_walks

    def gauges(self) -> dict[str, float]:
        """What `observability/names.py` calls gauges, of this moment."""
        gauges = {
            "sgtm_connections": self._admission.open,
            **outbox_gauges(self.outbox.state(), time.time()),
            "sgtm_context_entries": self.context.entries,
            "sgtm_context_bytes": self.context.size_bytes,
            "sgtm_events_waiting": len(self.holding),
            "sgtm_deliveries_pending": self.lanes.pending,
            "sgtm_event_loop_lag_seconds": self.health.lag_s,
            "sgtm_event_loop_tasks": len(asyncio.all_tasks()),
        }
        if self.certificates is not None:
            gauges["sgtm_certificate_expiry_timestamp_seconds"] = self.certificates.expires_s
        return gauges

    async def start(self) -> None:
        """Accept requests."""
        self._listener = Listener(
            Application(self._reception).handle, self.settings, self.counters, self._admission
        )
        if self.settings.edge == "on":
            self._edge = Edge(self._reception, self._listener, self.settings, self.counters, self._admission)
            self._edge.use(self.container)
        self._runner = web.ServerRunner(self._listener, shutdown_timeout=self.settings.drain_timeout_s)
        await self._runner.setup()
        await self.scripts.start()
        if self.certificates is not None:
            self._watching = asyncio.ensure_future(self.certificates.watch())
        self._acceptor = Acceptor(
            self._listening,
            self._edge or self._listener,
            self.settings,
            self.counters,
            self._admission,
            self._proxies,
            self.certificates.context if self.certificates is not None else None,
        )
        await self._acceptor.start()
        if self.settings.role != "collect":
            self._recovery.start()
        self.health.start()
        self._memory.start()

    async def release(self) -> None:
        """Accept nothing more; what waits in the kernel's queue is for whoever has the socket too."""
        self.health.is_draining = True
        self._is_released = True
        if self._acceptor is not None:
            self._acceptor.stop()

    async def drain(self, delay_s: float) -> None:
        """Come to an orderly end: see the top of this file."""
        self.health.is_draining = True
        self._recovery.stop()
        if self._is_released:
            await self._no_connections(delay_s)
        else:
            await asyncio.sleep(delay_s)
            await self._accept_the_last()
        await self._finish_requests(self.settings.drain_timeout_s)
        await self.holding.end(are_kept=self.outbox.reads_again)
        await self.lanes.drain(self.settings.drain_timeout_s)
        await self.close()

    async def close(self) -> None:
        """End now. The outbox says what is lost with it."""
        self._recovery.stop()
        if self._acceptor is not None:
            self._acceptor.stop()
            await self._acceptor.finish()
        if self._watching is not None:
            self._watching.cancel()
        if self.lanes.pending:
            log.warning("deliveries are left over", extra={"deliveries": self.lanes.pending})
        await self._pipeline.close()
        await self.lanes.close()
        await self._lookups.close()
        await self._sender.close()
        await self.scripts.close()
        await self.tracers.close()
        self.health.stop()
        self._memory.stop()
        await self.holding.end(are_kept=True)
        self.context.close()
        self.outbox.close()
        self._keys.close()

    async def _finish_requests(self, within_s: float) -> None:
        """Let requests come to their answers, and answers to their readers; then close every connection."""
        deadline = asyncio.get_running_loop().time() + within_s
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._reception.nothing_under_way()
                await self._pipeline.finish()
        if self._edge is not None:
            self._edge.close()
        if self._runner is not None and self._listener is not None:
            left_s = max(LAST_ANSWERS_S, deadline - asyncio.get_running_loop().time())
            self._listener.pre_shutdown()
            await self._listener.shutdown(left_s / 2)  # it waits so long twice
            await self._runner.cleanup()
        if self._edge is not None:
            await self._edge.finish(max(LAST_ANSWERS_S, deadline - asyncio.get_running_loop().time()))

    async def _accept_the_last(self) -> None:
        """Stop accepting, but serve the connections that wait in the kernel's queue: closing the
        listening socket would reset them."""
        waiting: list[socket.socket] = []
        acceptor = self._acceptor
        if acceptor is None or not acceptor.is_accepting:
            return
        with suppress(OSError):
            while True:
                waiting.append(self._listening.accept()[0])
        acceptor.stop()
        for connection in waiting:
            acceptor.take(connection)
        await acceptor.finish()
        await asyncio.sleep(LAST_REQUESTS_S)

    async def _no_connections(self, within_s: float) -> None:
        """Every answer closes its connection now: wait until all have had one, `within_s` at most."""
        if self._acceptor is not None:
            await self._acceptor.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._admission.open:  # noqa: ASYNC110  # once in a worker's life
                    await asyncio.sleep(0.02)

    def _give_back(self) -> None:
        """Let go of what can be had again."""
        self.scripts.copies.clear()
        self._lookups.forget()
        self.previews.forget_requests()
        front = self._edge or self._listener
        if front is not None:
            front.close_idle()

    def _accepts(self) -> bool:
        return not self.outbox.state().full_because


def _paths(container: Container) -> Iterator[str]:
    return (path for client in container.clients for path in client.paths)
