"""Start, serve, drain: the life of a worker.

    bind -> Worker.start -> serve until a signal -> Worker.drain -> exit

A Worker owns all state of one slot (socket, outbox, lanes, pipeline), so that a supervisor can run
several; with one worker the process is slot 0 and its own supervisor.

Drain (SPEC: reliability 6): not ready at once, go on serving for `drain_delay_s` while balancers
notice (every answer now closes its connection), stop accepting, finish what is under way, let the
lanes deliver for a while, say what the outbox loses. A second signal ends it at once.
"""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from sgtm import __version__
from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.lanes import Lanes
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.delivery.sender import PooledSender
from sgtm.errors import SettingsError, SgtmError
from sgtm.messages import IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline
from sgtm.server.admission import Admission
from sgtm.server.application import Application
from sgtm.server.connection import Listener, require_compiled_parser
from sgtm.server.health import Health
from sgtm.server.limits import Limits
from sgtm.server.proxy import TrustedProxies
from sgtm.server.scripts import Scripts
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

BACKLOG = 1024
LAST_REQUESTS_S = 0.1
"""How long connections that came last have for their request to arrive."""


class AddressInUse(SgtmError):
    """Another process listens there. Trying again later may help."""


def serve(path: str | Path, settings: Settings) -> int:
    """Serve the container at `path` until a signal; the exit code: 0, or 1 when it was cut short.

    Raises ContainerError, SettingsError, AddressInUse.
    """
    require_compiled_parser()
    container = load_container(path)
    with bind(settings) as listening:
        return uvloop.run(_serve(Worker(container, settings, listening)))


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Raises AddressInUse or SettingsError."""
    host = settings.host
    try:
        return socket.create_server(
            (host, settings.port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        where = f"address {host}, port {settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                "another process listens there",
                where=where,
                mend="stop it, or give another --port or SGTM_PORT",
            ) from None
        reason = (error.strerror or "cannot be bound").partition(" (while")[0]
        raise SettingsError(reason, where=where, mend="give another --host or --port") from None


class Worker:
    """One slot: its socket, outbox, lanes and pipeline.

    `new_walk(request)` may give a Walk for a request that somebody looks at (demo, preview).
    """

    def __init__(
        self,
        container: Container,
        settings: Settings,
        listening: socket.socket,
        *,
        slot: int = 0,
        new_walk: Callable[[IncomingRequest], Walk | None] | None = None,
    ) -> None:
        self.slot, self.settings, self.container = slot, settings, container
        self.counters = Counters()
        self.outbox = MemoryOutbox(settings.outbox_records, settings.outbox_bytes)
        egress = Egress(
            settings.egress_allow,
            destinations=container.destinations,
            is_airgapped=settings.airgapped,
            listener=listening.getsockname()[:2],
            counters=self.counters,
        )
        self._sender = PooledSender(Credentials(container.credentials), egress)
        self.lanes = Lanes(self._sender, self.counters)
        self.health = Health(self._accepts)
        self.scripts = Scripts(settings, self.counters, egress)
        self._pipeline = Pipeline(container, self.outbox, self.lanes, self.counters, self.scripts.serve)
        proxies = TrustedProxies(settings.trusted_proxies, settings.forwarded_header)
        self._admission = Admission(settings, proxies, self.counters)
        self._application = Application(
            self._pipeline,
            self.health,
            Limits.of(settings, (path for client in container.clients for path in client.paths)),
            proxies,
            self.counters,
            new_walk,
        )
        self._listening = listening
        self._listener: Listener | None = None
        self._runner: web.ServerRunner | None = None
        self._site: web.SockSite | None = None

    @property
    def url(self) -> str:
        """Where it listens, for example `http://127.0.0.1:8080`."""
        host, port = self._listening.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Accept requests."""
        self._listener = Listener(self._application.handle, self.settings, self.counters, self._admission)
        self._runner = web.ServerRunner(self._listener, shutdown_timeout=self.settings.drain_timeout_s)
        await self._runner.setup()
        await self.scripts.start()
        self._site = web.SockSite(self._runner, self._listening, backlog=BACKLOG)
        await self._site.start()
        self.health.is_loaded = True

    async def drain(self, delay_s: float) -> None:
        """Come to an orderly end: see the top of this file."""
        self.health.is_draining = True
        await asyncio.sleep(delay_s)
        await self._accept_the_last()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain_timeout_s):
                await self._application.nothing_under_way()
                await self._pipeline.finish()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.lanes.drain(self.settings.drain_timeout_s)
        await self.close()

    async def close(self) -> None:
        """End now. The outbox says what is lost with it."""
        await self._stop_accepting()
        if self.lanes.pending:
            log.warning("deliveries are left over", extra={"deliveries": self.lanes.pending})
        await self.lanes.close()
        await self._sender.close()
        await self.scripts.close()
        self.outbox.close()

    async def _accept_the_last(self) -> None:
        """Stop accepting, but serve the connections that wait in the kernel's queue: closing the
        listening socket would reset them."""
        waiting: list[socket.socket] = []
        if self._site is not None:
            with suppress(OSError):
                while True:
                    waiting.append(self._listening.accept()[0])
        await self._stop_accepting()
        if self._listener is not None:
            loop = asyncio.get_running_loop()
            for connection in waiting:
                connection.setblocking(False)
                await loop.connect_accepted_socket(self._listener, connection)
            await asyncio.sleep(LAST_REQUESTS_S)

    async def _stop_accepting(self) -> None:
        if self._site is not None:
            await self._site.stop()
            self._site = None

    def _accepts(self) -> bool:
        settings = self.settings
        return len(self.outbox) < settings.outbox_records and self.outbox.size_bytes < settings.outbox_bytes


async def _serve(worker: Worker) -> int:
    """Run a worker until SIGTERM or SIGINT; a second signal cuts the drain short."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_loop_error)
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    await worker.start()
    log.info("serving", extra=_banner(worker))
    first = await signals.get()
    # Ctrl-C: a person waits, and no balancer has to notice
    delay_s = worker.settings.drain_delay_s if first is signal.SIGTERM else 0.0
    log.info("draining", extra={"signal": first.name, "delay_s": delay_s})
    draining, second = asyncio.ensure_future(worker.drain(delay_s)), asyncio.ensure_future(signals.get())
    await asyncio.wait({draining, second}, return_when=asyncio.FIRST_COMPLETED)
    if draining.done():
        second.cancel()
        await draining
        log.info("stopped")
        return 0
    draining.cancel()
    with suppress(asyncio.CancelledError):
        await draining
    await worker.close()
    log.warning("stopped before the drain was finished")
    return 1


def _banner(worker: Worker) -> dict[str, Any]:
    container = worker.container
    return {
        "url": worker.url,
        "version": __version__,
        "container": container.name,
        "container_version": container.version,
        "clients": len(container.clients),
        "tags": len(container.tags),
        "outbox": "memory: what is queued is lost when the process dies",
    }


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody awaited, by class and place: its text may hold personal data."""
    error = context.get("exception")
    log.error(
        "error outside of any request",
        exc_info=(type(error), error, error.__traceback__) if isinstance(error, BaseException) else None,
    )
