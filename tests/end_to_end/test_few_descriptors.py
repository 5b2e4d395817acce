"""A process that runs out of file descriptors sheds, says so, and recovers by itself."""

import asyncio
import contextlib
import json
import resource

from doubles import eventually
from raw_http import RawConnection, ask, request
from server_process import server_process

from sgtm.demo.vendor import Vendor

# SPEC: reliability 1.4 fault 14 (ulimit 128).
MOST = 128
CONTAINER = """
sgtm: 1
name: few
consent: {unset: granted, gate: declared}
clients: [{name: Shop, type: json, parameters: {paths: [/data]}}]
triggers: [{name: Every, type: all_events}]
tags: [{name: A, type: http_request, firing_triggers: [Every], parameters: {url: "VENDOR/a"}}]
"""


async def hit(port, name):
    """Whether it was acknowledged."""
    try:
        async with RawConnection(port) as connection, asyncio.timeout(10):
            body = json.dumps({"event_name": "x", "id": name}).encode()
            connection.send(request("/data", method="POST", body=body))
            return (await connection.read_answer()).status // 100 == 2
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return False


async def test_with_few_file_descriptors_it_sheds_and_recovers_and_loses_nothing(tmp_path):
    async with Vendor() as vendor:
        flags = {"--outbox": "sqlite", "--egress-allow": "127.0.0.1", "--connections-per-address": "0"}
        async with server_process(tmp_path, CONTAINER.replace("VENDOR", vendor.url), flags) as server:
            # all that it has now, and a few more: not even its own bound of connections fits
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(3 * MOST):
                    with contextlib.suppress(OSError):
                        await stack.enter_async_context(RawConnection(server.port))
                await eventually(lambda: server.descriptors() >= MOST - 4)
                during = await asyncio.gather(*(hit(server.port, f"during {n}") for n in range(20)))
                assert not all(during), "there was nothing left for them"
            await eventually(lambda: server.descriptors() < MOST // 2)
            assert (await ask(server.port, "/live")).status == 200
            for number in range(20):
                assert await hit(server.port, f"after {number}")
            acknowledged = {f"during {n}" for n, was in enumerate(during) if was}
            acknowledged |= {f"after {n}" for n in range(20)}
            await eventually(lambda: acknowledged <= {it.json()["id"] for it in vendor.requests("/a")})
