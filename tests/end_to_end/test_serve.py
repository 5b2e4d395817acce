"""The real process: `python -m sgtm serve`, signals, exit status, log lines."""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, key_pem, new_key, pem, write_pair
from raw_http import RawConnection, ask, request

from sgtm.demo.vendor import Fault, Vendor

ROOT = Path(__file__).parent.parent.parent


def container(vendor_url: str) -> str:
    return f"""
sgtm: 1
name: end to end
consent: {{unset: granted, gate: declared}}
clients:
  - name: Shop
    type: json
    parameters: {{paths: [/data]}}
triggers:
  - {{name: Every, type: all_events}}
tags:
  - name: Endpoint
    type: http_request
    firing_triggers: [Every]
    parameters: {{url: "{vendor_url}/in"}}
"""


class Process:
    """A server of its own; `url` and `port` are known once it serves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.port = 0

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def wait_until(self, message: str) -> dict[str, Any]:
        """Read log lines up to the one with this message."""
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            while line := await self.process.stderr.readline():
                self.lines.append(json.loads(line))
                if self.lines[-1]["message"] == message:
                    return self.lines[-1]
        raise AssertionError(f"no line {message!r} among {self.lines}")

    async def finish(self) -> int:
        """The exit status; all further lines are read."""
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            rest = await self.process.stderr.read()
            self.lines += [json.loads(line) for line in rest.splitlines()]
            return await self.process.wait()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sgtm", "serve", *arguments]


async def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit status and stderr of a server that should not come up."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments), cwd=ROOT, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        _, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stderr.decode()


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Start]:
    processes: list[Process] = []

    async def start_one(*arguments: str) -> Process:
        path = tmp_path / "container.yaml"
        path.write_text(container(vendor.url))
        local = ("--host", "127.0.0.1", "--port", "0", "--log-format", "json", "--egress-allow", "127.0.0.1")
        local += ("--data-folder", str(tmp_path / "data"))
        process = await asyncio.create_subprocess_exec(
            *command(str(path), *local, *arguments), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        processes.append(Process(process))
        line = await processes[-1].wait_until("serving")
        processes[-1].port = int(line["url"].rpartition(":")[2])
        return processes[-1]

    yield start_one
    for started in processes:
        if started.process.returncode is None:
            started.process.kill()
            await started.finish()


async def test_a_hit_walks_through_the_real_process(start: Start, vendor: Vendor) -> None:
    started = time.monotonic()
    server = await start()
    assert time.monotonic() - started < 10
    line = server.lines[-1]
    assert (line["container"], line["clients"], line["tags"]) == ("end to end", 1, 1)
    assert "lost" in line["outbox"]
    assert (await ask(server.port, "/readyz")).json()["ready"] is True
    event = json.dumps({"event_name": "purchase", "value": 20.5}).encode()
    answer = await ask(server.port, "/data", method="POST", body=event)
    assert answer.status // 100 == 2
    (received,) = await vendor.wait_for(1, "/in")
    assert {"event_name": "purchase", "value": 20.5}.items() <= received.json().items()
    server.send_signal(signal.SIGINT)
    assert await server.finish() == 0
    assert server.lines[-1]["message"] == "stopped"


async def _load(port: int, is_ready: asyncio.Event, acknowledged: list[str], failed: list[str]) -> None:
    """Kept connections, as a balancer keeps them; a connection that says `close` is opened anew."""
    number = 0
    me = f"{id(acknowledged)}-{time.monotonic_ns()}"
    while is_ready.is_set():
        async with RawConnection(port) as connection:
            while is_ready.is_set():
                number += 1
                name = f"{me}-{number}"
                body = json.dumps({"event_name": "x", "id": name}).encode()
                connection.send(request("/data", method="POST", body=body))
                try:
                    answer = await connection.read_answer()
                except (OSError, asyncio.IncompleteReadError) as error:
                    failed.append(repr(error))
                    return
                if answer.status // 100 != 2:
                    failed.append(f"status {answer.status}")
                else:
                    acknowledged.append(name)
                if answer.header("Connection") == "close":
                    break


async def test_a_stop_under_load_fails_no_request_and_loses_no_event(start: Start, vendor: Vendor) -> None:
    # SPEC: reliability 6 (drain); 1.4 row 13: 0 failed requests, 0 lost, exit in grace
    vendor.fail("/in", Fault(latency_ms=50))
    server = await start("--drain-delay-s", "0.5")
    is_ready = asyncio.Event()
    is_ready.set()
    acknowledged: list[str] = []
    failed: list[str] = []

    async def watch() -> None:
        """The balancer: asks every 20 ms, and sends nothing more once it is told."""
        async with asyncio.timeout(10):
            while (await ask(server.port, "/ready")).status == 200:  # noqa: ASYNC110  (not our process)
                await asyncio.sleep(0.02)
        is_ready.clear()

    loads = [asyncio.create_task(_load(server.port, is_ready, acknowledged, failed)) for _ in range(8)]
    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.5)
    server.send_signal(signal.SIGTERM)
    assert await server.finish() == 0
    async with asyncio.timeout(5):
        await asyncio.gather(watching, *loads)
    assert failed == []
    assert len(acknowledged) > 50
    assert {received.json()["id"] for received in vendor.requests("/in")} == set(acknowledged)
    assert [line["message"] for line in server.lines if line["level"] != "info"] == []


async def test_a_request_under_way_at_the_stop_is_answered(start: Start) -> None:
    server = await start("--drain-delay-s", "0")
    async with RawConnection(server.port) as connection:
        head = b"POST /data HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 18\r\n\r\n"
        connection.send(head + b'{"event_')
        await asyncio.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        await server.wait_until("draining")
        await asyncio.sleep(0.2)
        connection.send(b'name":"x"}')
        answer = await connection.read_answer()
        assert answer.status // 100 == 2
        assert answer.header("Connection") == "close"
    assert await server.finish() == 0


async def test_what_the_memory_outbox_loses_is_said(start: Start, vendor: Vendor) -> None:
    # SPEC: reliability 1.2: memory loses what is queued
    vendor.fail("/in", Fault(status=503))
    server = await start("--drain-delay-s", "0", "--drain-timeout-s", "0.3")
    for _ in range(3):
        assert (await ask(server.port, "/data?event_name=x")).status // 100 == 2
    server.send_signal(signal.SIGTERM)
    assert await server.finish() == 0
    (loss,) = [line for line in server.lines if "records" in line]
    assert (loss["level"], loss["records"]) == ("warning", 3)


async def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    server = await start("--drain-delay-s", "60")
    server.send_signal(signal.SIGTERM)
    await server.wait_until("draining")
    started = time.monotonic()
    server.send_signal(signal.SIGTERM)
    assert await server.finish() == 1
    assert time.monotonic() - started < 5


async def test_a_container_that_check_refuses_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(
        "sgtm: 1\nclients: [{name: A, type: no_such_client}]\ntags: [{name: B, type: no_such_tag}]\n"
    )
    status, stderr = await run(str(path), "--port", "0")
    assert status == 2
    assert "no_such_client" in stderr
    assert "no_such_tag" in stderr
    assert "Traceback" not in stderr


async def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    status, stderr = await run("container.yaml", SGTM_PORT="eighty")
    assert (status, "SGTM_PORT" in stderr, "Traceback" in stderr) == (2, True, False)


async def test_a_port_in_use_says_try_later(tmp_path: Path) -> None:
    path = tmp_path / "container.yaml"
    path.write_text(container("http://127.0.0.1:9"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, stderr = await run(str(path), "--host", "127.0.0.1", "--port", port)
    assert status == os.EX_TEMPFAIL == 75
    assert f"port {port}" in stderr


async def test_it_does_not_start_with_the_parser_in_python(tmp_path: Path) -> None:
    # SPEC: reliability 0.14
    path = tmp_path / "container.yaml"
    path.write_text(container("http://127.0.0.1:9"))
    status, stderr = await run(str(path), "--port", "0", AIOHTTP_NO_EXTENSIONS="1")
    assert (status, "compiled parser" in stderr) == (2, True)


async def test_tls_is_renewed_by_a_signal_and_comes_after_the_proxy_header(
    start: Start, tmp_path: Path
) -> None:
    """On the loop that is used in earnest: uvloop. SPEC: requirements R15, R215."""
    authority = Authority()
    certificate, key = write_pair(tmp_path, "shop", authority.issue("shop.example"))
    tls = ("--tls-certificate", certificate, "--tls-key", key)
    server = await start(*tls, "--proxy-protocol", "--trusted-proxy", "127.0.0.1")
    assert server.lines[-1]["url"].startswith("https://")
    context = ssl.create_default_context(cadata=pem(authority.certificate).decode())
    header = b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 443\r\n"

    def ask_ready() -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.sendall(header)
            with context.wrap_socket(plain, server_hostname="shop.example") as connection:
                connection.sendall(request("/ready"))
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
                return connection.getpeercert() or {}

    old = await asyncio.to_thread(ask_ready)
    write_pair(tmp_path, "shop", authority.issue("shop.example", "www.shop.example"))
    server.send_signal(signal.SIGHUP)
    await server.wait_until("certificate reloaded")
    new = await asyncio.to_thread(ask_ready)
    assert len(old["subjectAltName"]) + 1 == len(new["subjectAltName"])
    async with RawConnection(server.port) as without:
        without.send(request("/ready"))
        assert await without.is_closed()
    server.send_signal(signal.SIGINT)
    assert await server.finish() == 0
    assert not [line for line in server.lines if line["level"] not in ("info",)]


@pytest.mark.parametrize("is_proxied", [False, True])
async def test_plain_connections_are_served_on_uvloop_with_and_without_proxy_header(
    start: Start, is_proxied: bool
) -> None:
    told = ("--proxy-protocol", "--trusted-proxy", "127.0.0.1") if is_proxied else ()
    header = b"PROXY UNKNOWN\r\n" if is_proxied else b""
    server = await start(*told)
    async with RawConnection(server.port) as connection:
        connection.send(header[:5])
        await asyncio.sleep(0.02)
        connection.send(header[5:] + request("/ready"))
        assert (await connection.read_answer()).status == 200


async def test_a_key_that_is_not_of_the_certificate_is_said_before_anything_is_served(tmp_path: Path) -> None:
    path = tmp_path / "container.yaml"
    path.write_text(container("http://127.0.0.1:9"))
    chain, _ = Authority().issue("shop.example")
    certificate, key = write_pair(tmp_path, "shop", (chain, key_pem(new_key())))
    status, said = await run(str(path), "--port", "0", "--tls-certificate", certificate, "--tls-key", key)
    assert status == 2
    assert "key values mismatch" in said


async def test_workers_over_tls_are_replaced_and_their_certificates_renewed_without_a_failed_request(
    start: Start, tmp_path: Path
) -> None:
    """SPEC: requirements R214, R215."""
    authority = Authority()
    certificate, key = write_pair(tmp_path, "shop", authority.issue("shop.example"))
    told = ("--workers", "2", "--drain-delay-s", "1", "--tls-certificate", certificate, "--tls-key", key)
    server = await start(*told)
    context = ssl.create_default_context(cadata=pem(authority.certificate).decode())
    served, is_done = 0, False

    async def knock() -> None:
        nonlocal served
        while not is_done:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=context, server_hostname="shop.example"
            )
            writer.write(request("/live", headers={"Connection": "close"}))
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
            writer.close()
            served += 1
            await asyncio.sleep(0.005)

    knocking = [asyncio.ensure_future(knock()) for _ in range(4)]
    write_pair(tmp_path, "shop", authority.issue("shop.example", "www.shop.example"))
    server.send_signal(signal.SIGHUP)
    for _ in range(2):
        await server.wait_until("certificate reloaded")
    server.send_signal(signal.SIGUSR1)
    await server.wait_until("all workers were restarted")
    before, is_done = served, True
    await asyncio.gather(*knocking)
    assert before > 20
