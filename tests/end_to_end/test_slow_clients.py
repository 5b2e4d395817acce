"""Many slow requesters against the real process: the others are served, and it costs little.

SPEC: reliability 2.4, slow-client test. 200 of them here; `make slow` takes 2,000 and shows numbers.
The latency shown includes the work of this process, which plays all the slow ones too.
"""

import asyncio
import itertools
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from raw_http import RawConnection, ask, request

ROOT = Path(__file__).parents[2]
COUNT = int(os.environ.get("SLOW_CLIENTS", "200"))
LIMIT_S = 3.0
CONTAINER = """
sgtm: 1
name: slow
consent: {unset: granted, gate: declared}
clients:
  - {name: Shop, type: json, parameters: {paths: [/data]}}
"""
FLAGS = {
    "--host": "127.0.0.1",
    "--port": "0",
    "--drain-delay-s": "0",
    "--connections-per-address": "0",
    "--connection-requests": "0",
    "--head-timeout-s": str(LIMIT_S),
    "--body-grace-s": str(LIMIT_S),
    "--write-timeout-s": str(LIMIT_S),
    "--log-format": "json",
}
GOOD = request("/data", method="POST", body=b'{"event_name":"x"}')
HEAD = b"GET /data?secret HTTP/1.1\r\nHost: shop.example\r\n"
BODY = b"POST /data HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 60000\r\n\r\n"


class Running(NamedTuple):
    port: int
    pid: int

    def memory_kb(self) -> int:
        """Resident memory of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    path = tmp_path / "container.yaml"
    path.write_text(CONTAINER)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sgtm", "serve", str(path), "--no-admin", *itertools.chain(*FLAGS.items())),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            found = None
            while found is None:
                line = await process.stderr.readline()
                assert line
                found = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
        yield Running(int(found[1]), process.pid)
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()


PAUSE_S = 0.5


async def _drip(port: int, number: int) -> tuple[int, float]:
    """Begin a request, then send a byte now and then: the status in the end, and when it came."""
    await asyncio.sleep(PAUSE_S * number / COUNT)  # all at once would be another test
    async with RawConnection(port) as connection:
        started = time.monotonic()
        connection.send((HEAD, BODY)[number % 2])
        answer = asyncio.ensure_future(connection.read_answer())
        while not (await asyncio.wait({answer}, timeout=PAUSE_S))[0]:
            connection.send(b"a")
        return (await answer).status, time.monotonic() - started


async def _good_latencies(port: int, until: asyncio.Future[object]) -> list[float]:
    """Whoever is not slow: each answer is right; seconds of each."""
    latencies = []
    async with RawConnection(port) as connection:
        while not until.done():
            started = time.monotonic()
            connection.send(GOOD)
            assert (await connection.read_answer()).status // 100 == 2
            latencies.append(time.monotonic() - started)
            await asyncio.sleep(0.005)
    return sorted(latencies)


def _p99_ms(latencies: list[float]) -> float:
    return latencies[int(len(latencies) * 0.99)] * 1000


async def test_slow_requesters_do_not_hold_up_the_others(server: Running) -> None:
    alone = await _good_latencies(server.port, asyncio.ensure_future(asyncio.sleep(1)))
    before = server.memory_kb()
    slow = asyncio.gather(*(_drip(server.port, number) for number in range(COUNT)))
    good = asyncio.ensure_future(_good_latencies(server.port, slow))
    await asyncio.sleep(LIMIT_S / 2)
    each_kb = (server.memory_kb() - before) / COUNT
    ended = await slow
    latencies = await good
    print(
        f"{COUNT} slow: {each_kb:.1f} KB each; p99 {_p99_ms(alone):.1f} ms alone, {_p99_ms(latencies):.1f} ms"
    )
    assert {status for status, _ in ended} == {408}
    assert max(seconds for _, seconds in ended) < LIMIT_S + 3
    assert len(latencies) > 50
    assert _p99_ms(latencies) < 500  # a machine under test is busy: the ratio is for `make slow`
    assert each_kb < 20
    assert (await ask(server.port, "/data", method="POST", body=b"{}")).status // 100 == 2


async def test_who_asks_and_never_reads_is_cut_off(server: Running) -> None:
    """The same under the event loop that serves: its transports buffer in another way."""
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", server.port))
        peer.setblocking(False)
        before, started = server.memory_kb(), time.monotonic()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(20):
                while True:  # until the server has had enough
                    await loop.sock_sendall(peer, request("/healthz") * 100)
        assert LIMIT_S < time.monotonic() - started < 15
        assert server.memory_kb() - before < 8 * 1024
    assert (await ask(server.port, "/healthz")).status == 200
