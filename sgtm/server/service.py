"""Service: a crew, and all that its operators reach it by.

SIGTERM, SIGINT   drain and end; the second one ends it at once
SIGHUP            reload the container          the watched file changed: the same
SIGUSR1           rolling restart               admin listener: all of these, and more
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from sgtm.container.versions import Versions
from sgtm.errors import SgtmError
from sgtm.server.admin import Admin
from sgtm.server.audit import AuditTrail, How, owner_of, user
from sgtm.server.child import WorkerEnded
from sgtm.server.crew import CannotRestart, Crew, Reload
from sgtm.server.listening import url_of
from sgtm.server.loop_errors import log_loop_error
from sgtm.server.systemd import ServiceManager
from sgtm.server.watch import Files, watch
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

MAX_PROBLEMS = 10
"""Of a refused container, in the log; the admin listener gives them all."""
CONFIGURATION = 2
CUT_SHORT = 1


class Service:
    """One life of a server. `admin` is the socket of the admin listener, with its token; `banner` is
    said when it serves."""

    def __init__(
        self,
        crew: Crew,
        settings: Settings,
        path: str,
        manager: ServiceManager,
        admin: tuple[socket.socket, str] | None,
        banner: Mapping[str, Any],
    ) -> None:
        self._banner = banner
        self._crew, self._settings, self._path, self._manager = crew, settings, path, manager
        self._admin_socket = admin[0] if admin is not None else None
        self._admin = Admin(crew, self.reload, admin[1], settings) if admin is not None else None
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> int:
        """Serve until a signal; the exit status."""
        self._listen_to_signals()
        try:
            await self._crew.start()
        except WorkerEnded as error:
            log.critical("the server cannot start", extra={"reason": str(error)})
            return CONFIGURATION if error.status == CONFIGURATION else CUT_SHORT
        except (SgtmError, OSError) as error:
            log.critical("the server cannot start", extra={"reason": str(error)})
            return CUT_SHORT
        if self._admin is not None:
            await self._admin.start(self._admin_socket)
        self._spawn(self._manager.watch())
        if self._settings.watch:
            others = [self._settings.settings_file] if self._settings.settings_file else []
            self._spawn(watch(Files(self._path, others), self._reload_changed))
        await self._keep_version("start", user())
        log.info("serving", extra=self._told())
        self._manager.ready()
        status = await self._serve()
        for task in self._tasks:
            task.cancel()
        if self._admin is not None:
            await self._admin.close()
        return status

    async def reload(self, how: How = "signal", by: str = "") -> Reload:
        """Reload the container, and say what became of it; a refusal problem by problem. `how` it came to
        that and by whom (else the server's own user) goes into the audit trail."""
        self._manager.reloading()
        before = self._crew.version
        try:
            result = await self._crew.reload()
        finally:
            self._manager.ready()
        if result.is_done:
            await self._keep_version(how, by or user())
            log.info("the container was reloaded", extra={"version": result.version, "before": before})
            return result
        for problem in result.problems[:MAX_PROBLEMS]:
            log.error("the new container has a problem", extra={"problem": str(problem)})
        extra = {"serving": before, "problems": len(result.problems), "reason": result.error}
        log.error("the new container was refused", extra=extra)
        return result

    async def _reload_changed(self) -> Reload:
        return await self.reload("watch", owner_of(self._path))

    async def _keep_version(self, how: How, by: str) -> None:
        """So that `sgtm rollback` and records of earlier versions find it, and `sgtm audit` tells of it."""
        source, version, folder = self._crew.source, self._crew.version, self._settings.data_folder
        try:
            await asyncio.to_thread(Versions(folder).keep, source.content, source.path)
            await asyncio.to_thread(AuditTrail(folder).note, how, by, version, source.content, source.path)
        except OSError as error:
            log.warning("the version cannot be kept", extra={"reason": error.strerror})

    async def _restart(self) -> None:
        try:
            await self._crew.restart()
            log.info("all workers were restarted")
        except CannotRestart as error:
            log.error("no rolling restart", extra={"reason": str(error)})

    # -- until the end ---------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_loop_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self.reload()))
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._spawn(self._restart()))

    async def _serve(self) -> int:
        ended, first = self._spawn(self._crew.wait_ended()), self._spawn(self._signals.get())
        await asyncio.wait({ended, first}, return_when=asyncio.FIRST_COMPLETED)
        self._manager.stopping()
        if not first.done():
            await self._crew.close()
            return int(ended.result())
        ended.cancel()
        # Ctrl-C: a person waits, and no balancer has to notice
        delay_s = self._settings.drain_delay_s if first.result() is signal.SIGTERM else 0.0
        log.info("draining", extra={"signal": first.result().name, "delay_s": delay_s})
        return await self._drain(delay_s)

    async def _drain(self, delay_s: float) -> int:
        draining, second = self._spawn(self._crew.drain(delay_s)), self._spawn(self._signals.get())
        await asyncio.wait({draining, second}, return_when=asyncio.FIRST_COMPLETED)
        if draining.done():
            draining.result()
            log.info("stopped")
            return os.EX_OK
        draining.cancel()
        with suppress(asyncio.CancelledError):
            await draining
        await self._crew.close()
        log.warning("stopped before the drain was finished")
        return CUT_SHORT

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _told(self) -> dict[str, Any]:
        told = {"url": self._crew.url, **self._banner, "workers": self._settings.workers}
        if self._admin_socket is not None:
            told["admin"] = url_of(self._admin_socket)
        return told
