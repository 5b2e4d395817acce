"""What an outgoing request costs: the sender, and lanes in front of it, beside a bare ClientSession.

    python -m benchmarks.send [--rounds 5] [--requests 2000]

The stand-in vendor runs in a process of its own, once without delay and once with 50 ms. Every answer is
checked and every request counted at the vendor; CPU is this process's, user and system, per request.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import uvloop

from benchmarks.interleaved import ratio, turns
from benchmarks.stand_in import StartedStandIn, started_stand_in
from sgtm.component import Component, read_status
from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.egress import Egress
from sgtm.delivery.lanes import Delivery, DeliveryRules, LaneLimits, Lanes
from sgtm.delivery.sender import PooledSender
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
    """Call `send` `count` times, at most `in_flight` at a time."""
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
    async with PooledSender(CREDENTIALS, Egress(["127.0.0.1"])) as pooled:

        async def send() -> None:
            assert (await pooled.send(request, 5.0)).status == 204

        yield lambda count: in_flight_at_once(count, in_flight, send)


@asynccontextmanager
async def lanes(url: str, in_flight: int) -> AsyncIterator[Send]:
    """Lanes in front of PooledSender: queue, worker, judge, settle."""
    request = OutgoingRequest("POST", url, HEADERS, BODY, TOKEN)
    rules, counters = DeliveryRules(), Counters()
    expires = time.time_ns() // 1_000 + 3_600_000_000
    async with PooledSender(CREDENTIALS, Egress(["127.0.0.1"])) as pooled:
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


async def compare(vendor: StartedStandIn, title: str, in_flight: int, rounds: int, count: int) -> None:
    """Print a table; fail if not every request arrived."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    async with AsyncExitStack() as stack:
        sends = {
            name: await stack.enter_async_context(make(f"{vendor.url}/collect", in_flight))
            for name, make in CONTENDERS.items()
        }
        for send in sends.values():
            await send(2 * in_flight)  # connections are made outside the measurement
        for name in turns(list(sends), rounds, title):
            found[name].append(await measure(sends[name], count))
    sent = len(CONTENDERS) * 2 * in_flight + sum(map(len, found.values())) * count
    arrived = vendor.arrived().others
    print(f"{title}; arrived: {arrived} of {sent}")
    bare_cpu = [cpu for cpu, _ in found["bare ClientSession"]]
    for name, results in found.items():
        cpu = [one for one, _ in results]
        rate = statistics.median(one for _, one in results)
        print(
            f"  {name:22}{statistics.median(cpu):7.0f} us of CPU{rate:8.0f}/s"
            f"{ratio(cpu, bare_cpu):8.2f} x bare ClientSession"
        )
    if arrived != sent:
        raise SystemExit("a request was lost or doubled")


def main() -> None:
    """A table for each kind of vendor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2_000)
    options = parser.parse_args()
    for delay_ms, in_flight in ((0, 64), (50, 250)):
        title = f"vendor at {delay_ms} ms, {in_flight} in flight"
        with started_stand_in(delay_ms) as vendor:
            uvloop.run(compare(vendor, title, in_flight, options.rounds, options.requests))


if __name__ == "__main__":
    main()
