"""The tour of `make run`: the real server, a stand-in for the vendors, recorded browser hits.

Each hit is sent over the network, as its sender would; the server is the one of `sgtm serve`, only
that somebody looks at each request's walk.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sgtm.container.compile import load_container
from sgtm.demo.hits import RecordedHit, read_hits
from sgtm.demo.vendor import Vendor
from sgtm.messages import IncomingRequest
from sgtm.observability.show import show_walk
from sgtm.observability.walk import Walk
from sgtm.server.listening import bind
from sgtm.server.worker import Worker
from sgtm.settings import Settings

SHOP = Path(__file__).parent / "shop"
_SETTLE_TIMEOUT_S = 10.0


def stand_in_environment(vendor_url: str) -> dict[str, str]:
    """What the shop's container needs to talk to the stand-in."""
    return {
        "GA4_ENDPOINT": f"{vendor_url}/g/collect",
        "META_ENDPOINT": vendor_url,
        "META_PIXEL_ID": "1234567890",
        "META_ACCESS_TOKEN": "a-token-for-the-stand-in",
        "WAREHOUSE_URL": f"{vendor_url}/orders",
    }


def use_stand_in(vendor_url: str, environment: Mapping[str, str]) -> list[str]:
    """Point the vendors for which the environment has no ids at the stand-in; the names of the others."""
    names = stand_in_environment(vendor_url)
    real = []
    if "GA4_MEASUREMENT_ID" in environment:
        names.pop("GA4_ENDPOINT")
        real.append("GA4")
    if "META_PIXEL_ID" in environment and "META_ACCESS_TOKEN" in environment:
        names = {name: value for name, value in names.items() if not name.startswith("META_")}
        real.append("Meta")
    for name, value in names.items():
        os.environ[name] = environment.get(name, value) if name == "WAREHOUSE_URL" else value
    return real


class Tour:
    """One run of the server with somebody looking on."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self._walks: asyncio.Queue[tuple[IncomingRequest, Walk]] = asyncio.Queue()
        self._listening: socket.socket = bind(settings)

    async def run(self, *, stays: bool) -> None:
        """Send the recorded hits, show what became of each; then show what others send, if it stays.

        SIGINT and SIGTERM cancel it: the server drains, then CancelledError is raised."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, asyncio.current_task().cancel)  # type: ignore[union-attr]
        async with Vendor() as vendor:
            real = use_stand_in(vendor.url, os.environ)
            container = load_container(self._folder / "container.yaml")
            worker = Worker(container, self._settings, self._listening, new_walk=self._new_walk)
            await worker.start()
            try:
                print(f"sgtm is serving {self._folder} at {worker.url}")
                stand_in = f"the stand-in at {vendor.url}" + (
                    f"; really sent: {', '.join(real)}" if real else ""
                )
                print(f"vendors: {stand_in}", flush=True)
                for hit in read_hits(self._folder / "hits"):
                    await self._send(hit, worker)
                if stays:
                    print(
                        "\nSend your own hits with the curl lines of the README; Ctrl-C ends it.", flush=True
                    )
                while stays:
                    await self._show_next(worker, "", "")
            finally:
                await worker.drain(0)

    def _new_walk(self, request: IncomingRequest) -> Walk:
        walk = Walk(method=request.method, path=request.path)
        self._walks.put_nowait((request, walk))
        return walk

    async def _send(self, hit: RecordedHit, worker: Worker) -> None:
        reader, writer = await asyncio.open_connection(*self._listening.getsockname()[:2])
        writer.write(hit.wire())
        await reader.read()
        writer.close()
        await self._show_next(worker, hit.name, hit.note)

    async def _show_next(self, worker: Worker, title: str, note: str) -> None:
        request, walk = await self._walks.get()
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_TIMEOUT_S):
                while walk.answer is None or worker.lanes.pending:  # noqa: ASYNC110  # for eyes: a poll will do
                    await asyncio.sleep(0.01)
        print(show_walk(walk, title or f"{request.method} {request.path}", note), flush=True)
