"""Preview: what a session of one person costs everybody else.

    python -m benchmarks.preview [--rounds 9]

Two servers without tags in one run, in turns: nobody previews at the first; at the second a session is open,
its stream is read, and five of its requests come a second. CPU of a hit and hits a second of everybody else,
times the first server's. (What a preview costs that is off is counted: `python -m benchmarks.instructions`.)
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import uvloop
from msgspec import Struct

from benchmarks.contenders import CONTAINER, OTHER_CORES, Contender, started_sgtm
from benchmarks.hits import HEADERS, make_hits, wire_of
from benchmarks.interleaved import ratio, turns
from benchmarks.load import run_round
from benchmarks.results import save

LIMIT_S = 120.0
A_SECOND = 5


class Row(Struct):
    """One of the two servers."""

    name: str
    cpu_us: float
    x_first: float
    """CPU of a hit, times the first server's."""
    hits_s: float
    x_hits: float
    hits: int
    wrong: int


class Session:
    """Somebody who watches: reads the stream and sends requests of his own."""

    def __init__(self, data_folder: Path, url: str) -> None:
        self._admin = (data_folder / "admin-url").read_text().strip()
        self._token = (data_folder / "admin-token").read_text().strip()
        opened = self._ask("/preview/api/sessions", {"container": "published", "sends": False})
        self._id, name_and_value = opened["id"], opened["header"].partition(": ")
        self._mark = {name_and_value[0]: name_and_value[2]}
        self._url, self._hits = url, make_hits(50)
        self.seen = 0

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = Request(self._admin + path, json.dumps(body).encode(), headers)
        with urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    async def watch(self) -> None:
        """Until it is cancelled."""
        async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
            group.create_task(self._read(client))
            group.create_task(self._send(client))

    async def _read(self, client: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self._admin}/preview/api/sessions/{self._id}/stream"
        endless = aiohttp.ClientTimeout(total=None)
        async with client.get(url, headers=headers, timeout=endless) as answer:
            async for line in answer.content:
                self.seen += line.startswith(b"event: request")

    async def _send(self, client: aiohttp.ClientSession) -> None:
        headers = {name.decode(): value.decode() for name, value in HEADERS if name != b"host"} | self._mark
        while True:
            for hit in self._hits:
                async with client.get(f"{self._url}/g/collect?{hit.decode()}", headers=headers) as answer:
                    await answer.read()
                await asyncio.sleep(1 / A_SECOND)


async def compare(contenders: list[Contender], session: Session, options: argparse.Namespace) -> None:
    """All rounds, while somebody watches the second server."""
    hits = [wire_of(hit) for hit in make_hits(500)]
    watching = asyncio.ensure_future(session.watch())
    for contender in contenders:
        await run_round(contender, hits, 64, 0.5)
        contender.forget()
    for contender in turns(contenders, options.rounds, "preview", LIMIT_S):
        await run_round(contender, hits, 64, options.seconds)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


def rows_of(contenders: list[Contender]) -> list[Row]:
    """Medians, and ratios within the same rounds."""
    first = contenders[0]
    return [
        Row(
            one.name,
            statistics.median(one.cpu_us),
            ratio(one.cpu_us, first.cpu_us),
            statistics.median(one.rates),
            ratio(one.rates, first.rates),
            one.hits,
            one.wrong,
        )
        for one in contenders
    ]


def main() -> int:
    """Run it; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="of one round")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders = [
            stack.enter_context(started_sgtm(name, CONTAINER, data_folder=folder / name.replace(" ", "-")))
            for name in ("nobody previews", "a session is open")
        ]
        session = Session(folder / "a-session-is-open", contenders[1].url)
        uvloop.run(compare(contenders, session, options))
    rows = rows_of(contenders)
    for row in rows:
        print(
            f"{row.name:20}{row.cpu_us:8.1f} us{row.x_first:7.3f} x{row.hits_s:9.0f}/s{row.x_hits:7.3f} x",
            end="",
        )
        print(f"{row.hits:9}{row.wrong:7}")
    print(f"{session.seen} requests of the session were seen")
    save("preview", rows, sys.argv[1:])
    return int(any(row.wrong or not row.hits for row in rows) or not session.seen)


if __name__ == "__main__":
    sys.exit(main())
