"""What an outgoing request costs: the senders, and lanes in front of them, beside a bare ClientSession.

    python -m benchmarks.send [--rounds 9] [--requests 2000] [--memory]

The stand-in vendor runs in a process of its own: without delay, with 50 ms and with 100 ms, over plain HTTP
and over TLS. Every answer is checked and every request counted at the vendor; CPU is this process's, user and
system, per request. `--memory`: instead, what 1,000 kept connections hold.
"""

import argparse
import asyncio
import gc
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import aiohttp
import uvloop

from benchmarks.interleaved import ratio, turns
from benchmarks.stand_in import StartedStandIn, started_stand_in
from sgtm.component import Component, read_status
from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.egress import Egress
from sgtm.delivery.lanes import Delivery, DeliveryRules, LaneLimits, Lanes
from sgtm.delivery.sender import SENDERS
from sgtm.delivery.tls import verified_context
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

HELD = 1_000
SenderKind = Literal["lean", "pooled"]
Send = Callable[[int], Awaitable[None]]
"""Sends that many requests, checks every answer."""
Make = Callable[[str, int, str | None], AbstractAsyncContextManager[Send]]
"""With the vendor's address, requests in flight, and the file of the authority that vouches for it."""


async def in_flight_at_once(count: int, in_flight: int, send: Callable[[], Awaitable[None]]) -> None:
    """Call `send` `count` times, at most `in_flight` at a time."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await send()

    await asyncio.gather(*(work() for _ in range(in_flight)))


@asynccontextmanager
async def bare(url: str, in_flight: int, ca_file: str | None) -> AsyncIterator[Send]:
    """What anybody would write first."""
    headers = {**dict(HEADERS), "Authorization": "Bearer " + "t" * 180}
    connector = aiohttp.TCPConnector(limit=0, ssl=verified_context(ca_file))
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send() -> None:
            async with session.post(url, data=BODY, headers=headers) as answer:
                await answer.read()
                assert answer.status == 204

        yield lambda count: in_flight_at_once(count, in_flight, send)


def sender(kind: SenderKind) -> Make:
    """A sender alone."""

    @asynccontextmanager
    async def make(url: str, in_flight: int, ca_file: str | None) -> AsyncIterator[Send]:
        request = OutgoingRequest("POST", url, HEADERS, BODY, TOKEN)
        async with SENDERS[kind](CREDENTIALS, Egress(["127.0.0.1"]), ca_file=ca_file) as running:

            async def send() -> None:
                assert (await running.send(request, 5.0)).status == 204

            yield lambda count: in_flight_at_once(count, in_flight, send)

    return make


def lanes(kind: SenderKind) -> Make:
    """Lanes in front of it: queue, worker, judge, settle."""

    @asynccontextmanager
    async def make(url: str, in_flight: int, ca_file: str | None) -> AsyncIterator[Send]:
        request = OutgoingRequest("POST", url, HEADERS, BODY, TOKEN)
        rules, counters = DeliveryRules(), Counters()
        expires = time.time_ns() // 1_000 + 3_600_000_000
        async with SENDERS[kind](CREDENTIALS, Egress(["127.0.0.1"]), ca_file=ca_file) as running:
            queued = Lanes(running, counters, limits=LaneLimits(concurrency=in_flight))

            async def send(count: int) -> None:
                before = counters.value("sgtm_deliveries_done_total", "tag")
                for _ in range(count):
                    queued.deliver(Delivery("tag", PLAIN, request, rules, lambda outcome: None, expires))
                assert await queued.drain(60.0) == 0
                assert counters.value("sgtm_deliveries_done_total", "tag") == before + count

            yield send
            await queued.close()

    return make


CONTENDERS: dict[str, Make] = {
    "bare ClientSession": bare,
    "pooled sender": sender("pooled"),
    "lean sender": sender("lean"),
    "lanes + pooled sender": lanes("pooled"),
    "lanes + lean sender": lanes("lean"),
}


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
            name: await stack.enter_async_context(make(f"{vendor.url}/collect", in_flight, vendor.ca_file))
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


def hold(name: str, is_tls: bool) -> float:
    """KB of memory that each of 1,000 kept connections holds in this process."""

    async def grow(vendor: StartedStandIn) -> float:
        async with CONTENDERS[name](f"{vendor.url}/collect", HELD, vendor.ca_file) as send:
            await send(1)
            before = _resident_bytes()
            await send(3 * HELD)
            return (_resident_bytes() - before) / HELD / 1_024

    with started_stand_in(300.0, is_tls=is_tls) as vendor:
        return uvloop.run(grow(vendor))


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """A table for each kind of vendor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        for is_tls, name in product((False, True), ("bare ClientSession", "pooled sender", "lean sender")):
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                kilobytes = alone.submit(hold, name, is_tls).result()
            print(f"{name:22}{'TLS' if is_tls else 'plain':8}{kilobytes:7.1f} KB a connection")
        return
    for is_tls, (delay_ms, in_flight) in product((False, True), ((0, 64), (50, 250), (100, 500))):
        title = f"{'TLS' if is_tls else 'plain'}, vendor at {delay_ms} ms, {in_flight} in flight"
        with started_stand_in(delay_ms, is_tls=is_tls) as vendor:
            uvloop.run(compare(vendor, title, in_flight, options.rounds, options.requests))


if __name__ == "__main__":
    main()
