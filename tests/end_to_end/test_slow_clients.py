"""Many slow requesters, in processes of their own, against the real server: the others are served, and
each slow one costs little.

SPEC: reliability 2.4, slow-client test, by slowhttptest: slow heads, slow bodies, slow reading. 180
connections here; `make slow` opens 2,000 and judges the latency of the others, too.
"""

import asyncio
import os
import shutil
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from certificates import Authority, write_pair
from raw_http import RawConnection, ask, request
from server_process import ServerProcess, server_process

COUNT = int(os.environ.get("SLOW_CLIENTS", "180"))
JUDGES_LATENCY = "SLOW_CLIENTS" in os.environ
LIMIT_S = 8.0 if JUDGES_LATENCY else 3.0
CONTAINER = """
sgtm: 1
name: slow
consent: {unset: granted, gate: declared}
clients:
  - {name: Shop, type: json, parameters: {paths: [/data]}}
"""
FLAGS = {
    "--connections-per-address": "0",
    "--connection-requests": "0",
    "--head-timeout-s": str(LIMIT_S),
    "--body-grace-s": str(LIMIT_S),
    "--write-timeout-s": str(LIMIT_S),
}
GOOD = request("/data", method="POST", body=b'{"event_name":"x"}')
KINDS = {"slow heads": ["-H"], "slow bodies": ["-B", "-s", "60000"], "slow reading": ["-X", "-k", "8"]}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with server_process(tmp_path, CONTAINER, FLAGS) as running:
        yield running


async def _slow(port: int, kind: list[str]) -> None:
    """One slowhttptest: opens its connections within a second, and ends when they have ended."""
    program = shutil.which("slowhttptest")
    assert program, "apt-get install slowhttptest"
    each = str(COUNT // len(KINDS))
    end = str(int(LIMIT_S) + 2)
    process = await asyncio.create_subprocess_exec(
        *(program, *kind, "-c", each, "-r", each, "-i", "1", "-x", "8", "-l", end, "-p", "20", "-v", "0"),
        *("-u", f"http://127.0.0.1:{port}/data"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _latencies(port: int, seconds: float) -> list[float]:
    """Whoever is not slow: each answer is right; seconds of each, in order."""
    latencies = []
    async with RawConnection(port) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.monotonic()
            connection.send(GOOD)
            assert (await connection.read_answer()).status == 200
            latencies.append(time.monotonic() - started)
            await asyncio.sleep(0.005)
    return sorted(latencies)


def _p99_ms(latencies: list[float]) -> float:
    return latencies[int(len(latencies) * 0.99)] * 1000


async def test_slow_requesters_do_not_hold_up_the_others(server: ServerProcess) -> None:
    alone = await _latencies(server.port, 4.0 if JUDGES_LATENCY else 1.0)
    before = server.memory_kb()
    slow = asyncio.gather(*(_slow(server.port, kind) for kind in KINDS.values()))
    await asyncio.sleep(1.5)  # that all are connected
    latencies = await _latencies(server.port, LIMIT_S / 2)
    is_open = (await server.metrics())["sgtm_connections"]
    each_kb = (server.memory_kb() - before) / COUNT
    await slow
    print(
        f"\n{is_open:.0f} slow: {each_kb:.1f} KB each; "
        f"p99 {_p99_ms(alone):.2f} ms alone, {_p99_ms(latencies):.2f} ms beside them"
    )
    assert is_open > COUNT * 0.6  # those that read slowly are soon done with what is small
    assert len(latencies) > 50
    assert each_kb < 20
    assert _p99_ms(latencies) < (2 * _p99_ms(alone) if JUDGES_LATENCY else 500)
    counted = await server.metrics()
    assert counted['sgtm_requests_refused_total{reason="slow head"}'] > 0
    assert counted['sgtm_requests_refused_total{reason="low body rate"}'] > 0
    assert (await ask(server.port, "/data", method="POST", body=b"{}")).status == 200


async def test_who_asks_and_never_reads_is_cut_off(server: ServerProcess) -> None:
    """The same under the event loop that serves: its transports buffer in another way."""
    with _slow_reader(server.port) as peer:
        await _ask_until_cut_off(server, peer)
    assert (await ask(server.port, "/healthz")).status == 200


async def test_who_never_reads_is_cut_off_over_tls_too(tmp_path: Path) -> None:
    # TLS has buffers of its own between what we write and what the kernel takes
    certificate, key = write_pair(tmp_path, "site", Authority().issue("shop.example"))
    flags = {**FLAGS, "--tls-certificate": certificate, "--tls-key": key}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with server_process(tmp_path, CONTAINER, flags) as server:
        with await asyncio.to_thread(context.wrap_socket, _slow_reader(server.port)) as peer:
            await _ask_until_cut_off(server, peer)
        metrics = await server.metrics()
        assert metrics['sgtm_connections_closed_total{reason="nobody reads"}'] == 1
        assert metrics["sgtm_connections"] == 0


def _slow_reader(port: int) -> socket.socket:
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", port))
    peer.settimeout(25)
    return peer


async def _ask_until_cut_off(server: ServerProcess, peer: socket.socket) -> None:
    """Send requests and read nothing, until the server has had enough."""

    def ask_on() -> None:
        with suppress(OSError):
            while True:
                peer.sendall(request("/healthz") * 100)

    before, started = server.memory_kb(), time.monotonic()
    await asyncio.to_thread(ask_on)
    assert LIMIT_S < time.monotonic() - started < 25
    assert server.memory_kb() - before < 8 * 1024
