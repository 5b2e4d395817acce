"""Run a server: from a container and settings to the exit status.

    bind -> Worker.start -> serve until a signal -> Worker.drain -> exit

A second signal ends the drain at once.
"""

import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from sgtm import __version__
from sgtm.container.compile import load_container
from sgtm.server.connection import require_compiled_parser
from sgtm.server.listening import bind
from sgtm.server.worker import Worker
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")


def serve(path: str | Path, settings: Settings) -> int:
    """Serve the container at `path` until a signal; the exit code: 0, or 1 when it was cut short.

    Raises ContainerError, SettingsError, AddressInUse.
    """
    require_compiled_parser()
    container = load_container(path)
    with bind(settings) as listening:
        return uvloop.run(_serve(Worker(container, settings, listening)))


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
