"""Mixed load against the real process, for long: memory, descriptors, tasks and threads stay as they are.

SPEC: reliability 6 (soak), scoreboard 34 and 35. About 10 seconds and 20,000 ids here; `make soak` takes
30 minutes (`SECONDS=`) and a million.
"""

import asyncio
import gzip
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from conftest import Vendor
from raw_http import RawConnection, request
from server_process import ServerProcess, server_process

SECONDS = float(os.environ.get("SOAK_SECONDS", "9"))
IDS = int(os.environ.get("SOAK_IDS", "20000"))
ROUNDS = 9
VISITORS = 12
PAUSE_S = 0.02
KB_PER_HOUR, NOISE_KB = 1024, 3 * 1024

CONTAINER = """
sgtm: 1
name: soak
consent: {{unset: granted, gate: declared}}
clients:
  - name: GA4
    type: ga4
    allowed_origins: ["https://shop.example"]
    parameters: {{measurement_ids: [G-OURS]}}
  - {{name: Data, type: json, parameters: {{paths: [/data]}}}}
triggers:
  - {{name: Every, type: all_events}}
tags:
  - name: Endpoint
    type: http_request
    firing_triggers: [Every]
    parameters: {{url: "{vendor}/in"}}
"""
FLAGS = {
    "--egress-allow": "127.0.0.0/8",
    "--connections-per-address": "0",
    "--connection-requests": "50",
    "--head-timeout-s": "1",
    "--collect-rate": "10000",
    "--client-id-rate": "5",
    "--trusted-proxy": "127.0.0.1",
}


# -- the load ------------------------------------------------------------------------------------


def hit(chance: random.Random, tid: str = "G-OURS", origin: str = "https://shop.example") -> bytes:
    target = f"/g/collect?v=2&tid={tid}&cid={chance.randrange(2**31)}.1&en=page_view"
    address = f"198.51.{chance.randrange(256)}.{chance.randrange(256)}"
    return request(target, headers={"Origin": origin, "X-Forwarded-For": address})


PACKED = gzip.compress(b'{"event_name":"packed"}')
REFUSED: tuple[Callable[[random.Random], bytes], ...] = (
    lambda chance: hit(chance, tid="G-THEIRS"),
    lambda chance: hit(chance, origin="https://evil.example"),
    lambda chance: request(f"/scan/{chance.randrange(10**9)}"),
    lambda chance: request("/data?" + "a" * 17_000),
    lambda chance: request("/data", method="POST", body=b"{broken"),
    lambda chance: request("/data", method="POST", body=bytes(2 * 1024**2)),
    lambda chance: request("/data", method="POST", body=PACKED[:-5], headers={"Content-Encoding": "gzip"}),
    lambda chance: b"NONSENSE\r\n\r\n",
)


async def kept(connection: RawConnection, chance: random.Random) -> None:
    for _ in range(10):
        connection.send(hit(chance))
        assert (await connection.read_answer()).status == 204
        await asyncio.sleep(PAUSE_S)


async def short(connection: RawConnection, chance: random.Random) -> None:
    headers = {"Content-Encoding": "gzip", "Connection": "close"}
    connection.send(request("/data", method="POST", body=PACKED, headers=headers))
    assert (await connection.read_answer()).status == 200


async def refused(connection: RawConnection, chance: random.Random) -> None:
    connection.send(chance.choice(REFUSED)(chance))
    assert (await connection.read_answer()).status in (204, 400, 403, 413, 414)


async def broken_off(connection: RawConnection, chance: random.Random) -> None:
    data = request("/data", method="POST", body=b'{"event_name":"x"}')
    connection.send(data[: chance.randrange(len(data))])
    await asyncio.sleep(PAUSE_S)


async def slow(connection: RawConnection, chance: random.Random) -> None:
    connection.send(b"GET /data HTTP/1.1\r\nX-A: ")
    assert (await connection.read_answer()).status == 408


KINDS: tuple[Callable[[RawConnection, random.Random], Awaitable[None]], ...] = (
    *(kept, kept, kept, short, short, refused, refused, broken_off, slow),
)


async def visit(port: int, chance: random.Random, until: float) -> int:
    """One visitor after another; how many."""
    count = 0
    while time.monotonic() < until:
        async with RawConnection(port) as connection:
            with suppress(ConnectionError):  # what is refused may be cut off while it is sent
                await chance.choice(KINDS)(connection, chance)
        count += 1
        await asyncio.sleep(PAUSE_S)
    return count


# -- what the process has ------------------------------------------------------------------------


class Sample(NamedTuple):
    memory_kb: int
    descriptors: int
    threads: int
    tasks: float


async def at_rest(server: ServerProcess) -> Sample:
    """Once nothing is under way any more."""
    async with asyncio.timeout(30):
        while True:
            metrics = await server.metrics()
            if metrics["sgtm_connections"] == metrics["sgtm_deliveries_pending"] == 0:
                break
            await asyncio.sleep(0.1)
    tasks = metrics["sgtm_event_loop_tasks"]
    return Sample(server.memory_kb(), server.descriptors(), server.threads(), tasks)


async def test_nothing_grows_under_mixed_load(tmp_path: Path, vendor: Vendor) -> None:
    async with server_process(tmp_path, CONTAINER.format(vendor=vendor.url), FLAGS) as server:
        samples, visits = [], 0
        for number in range(ROUNDS):
            until = time.monotonic() + SECONDS / ROUNDS
            chances = [random.Random(100 * number + visitor) for visitor in range(VISITORS)]
            visits += sum(await asyncio.gather(*(visit(server.port, one, until) for one in chances)))
            samples.append(await at_rest(server))
            vendor.received.clear()
        claimed = (await server.metrics())['sgtm_requests_claimed_total{client="GA4"}']
    warm, early, late = samples[: ROUNDS // 3], samples[ROUNDS // 3 : -ROUNDS // 3], samples[-ROUNDS // 3 :]
    growth_kb = statistics.median(one.memory_kb for one in late) - statistics.median(
        one.memory_kb for one in early
    )
    print(f"\n{visits} visits, {claimed:.0f} hits; memory {growth_kb:+.0f} KB; {samples[0]}, {samples[-1]}")
    assert claimed > 20 * SECONDS
    assert growth_kb < NOISE_KB + KB_PER_HOUR * SECONDS / 3600
    for name in ("descriptors", "threads", "tasks"):
        before = max(getattr(one, name) for one in (*warm, *early))
        assert max(getattr(one, name) for one in late) <= before + 3, name


async def test_memory_does_not_grow_with_the_number_of_addresses_and_ids(tmp_path: Path) -> None:
    container = CONTAINER.partition("triggers:")[0].format().replace("[G-OURS]", "[]")
    rates = {"--measurement-id-rate": "100", "--path-rate": "100000", "--request-rate": "100"}
    # what is counted is not the outbox: no wait for the disk with each hit
    flags = {**FLAGS, **rates, "--connection-requests": "0", "--outbox": "memory"}
    async with server_process(tmp_path, container, flags) as server, RawConnection(server.port) as connection:
        await _flood(connection, range(5000))
        before = server.memory_kb()
        await _flood(connection, range(5000, 5000 + IDS))
        grown_kb = server.memory_kb() - before
    print(f"\n{IDS} addresses and ids: {grown_kb:+} KB")
    assert grown_kb <= 8 * 1024


async def _flood(connection: RawConnection, numbers: range) -> None:
    """Each hit from another address, of another visitor and property; 25 at a time."""
    for first in numbers[::25]:
        for number in range(first, first + 25):
            target = f"/g/collect?v=2&tid=G-{number}&cid={number}.1&en=x"
            address = f"{11 + (number >> 20)}.{number >> 12 & 255}.{number >> 4 & 255}.{number & 15}"
            connection.send(request(target, headers={"X-Forwarded-For": address}))
        for _ in range(25):
            assert (await connection.read_answer()).status == 204
