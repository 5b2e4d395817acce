"""What an outgoing request costs: the sender, and lanes in front of it, beside a bare ClientSession.

    python benchmarks/send.py [--rounds 5] [--requests 2000]

The stand-in vendor runs in a process of its own, once without delay and once with 50 ms. The
contenders take turns in one run, so the ratio holds on a busy machine where the times do not. Every
answer is checked; CPU is this process's, user and system, per request.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import uvloop

from sgtm.component import Component, read_status
from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.lanes import Delivery, DeliveryRules, LaneLimits, Lanes
from sgtm.delivery.sender import PooledSender
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import CredentialUse, OutgoingRequest
from sgtm.observability.metrics import Counters

BODY = b'{"data":[' + b"x" * 1_180 + b"]}"
HEADERS = (("Content-Type", "application/json"),)
TOKEN = CredentialUse(name="TOKEN", place="header", key="Authorization", prefix="Bearer ")
CREDENTIALS = Credentials({"TOKEN": CredentialSource(literal="t" * 180)})

PLAIN = Component(
    kind="tag",
    type="benchmark",
    function=list,
    parameters_type=DeliveryRules,
    module=__name__,
    read=read_status,
)

Send = Callable[[int], Awaitable[None]]
"""Sends that many requests, checks every answer."""


async def in_flight_at_once(count: int, in_flight: int, send: Callable[[], Awaitable[None]]) -> None:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await send()

    await asyncio.gather(*(work() for _ in range(in_flight)))


@asynccontextmanager
async def bare(url: str, in_flight: int) -> AsyncIterator[Send]:
    """What anybody would write first."""
    headers = {**dict(HEADERS), "Authorization": "Bearer " + "t" * 180}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send() -> None:
            async with session.post(url, data=BODY, headers=headers) as answer:
                await answer.read()
                assert answer.status == 204

        yield lambda count: in_flight_at_once(count, in_flight, send)


@asynccontextmanager
async def sender(url: str, in_flight: int) -> AsyncIterator[Send]:
    """PooledSender alone."""
    request = OutgoingRequest("POST", url, HEADERS, BODY, TOKEN)
    async with PooledSender(CREDENTIALS) as pooled:

        async def send() -> None:
            assert (await pooled.send(request, 5.0)).status == 204

        yield lambda count: in_flight_at_once(count, in_flight, send)


@asynccontextmanager
async def lanes(url: str, in_flight: int) -> AsyncIterator[Send]:
    """Lanes in front of PooledSender: queue, worker, judge, settle."""
    request = OutgoingRequest("POST", url, HEADERS, BODY, TOKEN)
    rules, counters = DeliveryRules(), Counters()
    expires = time.time_ns() // 1_000 + 3_600_000_000
    async with PooledSender(CREDENTIALS) as pooled:
        running = Lanes(pooled, counters, limits=LaneLimits(concurrency=in_flight))

        async def send(count: int) -> None:
            before = counters.value("sgtm_deliveries_done_total", "tag")
            for _ in range(count):
                running.deliver(Delivery("tag", PLAIN, request, rules, lambda outcome: None, expires))
            assert await running.drain(60.0) == 0
            assert counters.value("sgtm_deliveries_done_total", "tag") == before + count

        yield send
        await running.close()


CONTENDERS = {"bare ClientSession": bare, "PooledSender": sender, "lanes + sender": lanes}


async def measure(send: Send, count: int) -> tuple[float, float]:
    """(CPU microseconds per request, requests per second)."""
    cpu, wall = time.process_time(), time.perf_counter()
    await send(count)
    return (time.process_time() - cpu) / count * 1e6, count / (time.perf_counter() - wall)


async def compare(url: str, latency_ms: int, in_flight: int, rounds: int, count: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    async with AsyncExitStack() as stack:
        sends = {
            name: await stack.enter_async_context(make(url, in_flight)) for name, make in CONTENDERS.items()
        }
        for send in sends.values():
            await send(2 * in_flight)  # connections are made outside the measurement
        for _ in range(rounds):
            for name, send in sends.items():
                found[name].append(await measure(send, count))
    print(f"\nvendor at {latency_ms} ms, {in_flight} in flight, {rounds} rounds of {count}")
    print(f"{'':20}{'CPU us':>9}{'1/s':>8}{'CPU ratio to bare (median of rounds)':>40}")
    for name, results in found.items():
        ratios = [mine[0] / its[0] for mine, its in zip(results, found["bare ClientSession"], strict=True)]
        cpu, rate = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"{name:20}{cpu:9.0f}{rate:8.0f}{statistics.median(ratios):40.2f}")


async def serve(latency_ms: int) -> None:
    """The vendor's process: prints its address, ends with its standard input."""
    async with Vendor(keeps=1) as vendor:
        vendor.fail("/", Fault(latency_ms=latency_ms))
        print(vendor.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--vendor", type=int, metavar="LATENCY_MS", help="be the vendor")
    arguments = parser.parse_args()
    if arguments.vendor is not None:
        uvloop.run(serve(arguments.vendor))
        return
    for latency_ms, in_flight in ((0, 64), (50, 250)):
        command = [sys.executable, __file__, "--vendor", str(latency_ms)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as vendor:
            assert vendor.stdout is not None
            url = vendor.stdout.readline().strip() + "/collect"
            uvloop.run(compare(url, latency_ms, in_flight, arguments.rounds, arguments.requests))
            vendor.communicate()


if __name__ == "__main__":
    main()
