"""Open-loop load: hits come when they come, whether or not earlier ones are answered.

The moments are Poisson's, a hit's latency counts from the moment at which it was due (a server that stalls
cannot hide it: no coordinated omission). Connections are kept and bounded; hits that find none wait.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

import aiohttp
from msgspec import Struct, field
from yarl import URL

from sgtm.messages import IncomingRequest

ANSWER_S = 10.0
MOST_WAITING = 20_000
"""Hits under way or waiting for a connection; those beyond are not sent, and count as errors."""


class Measured(Struct):
    """What came of it."""

    latencies_ms: list[float] = field(default_factory=list)
    """Of the hits that were answered below 400."""
    late_ms: list[float] = field(default_factory=list)
    """How much later than due each hit was begun: of this program, not of the server."""
    errors: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    @property
    def sent(self) -> int:
        """How many hits were due."""
        return len(self.latencies_ms) + self.errors.total()

    @property
    def error_share(self) -> float:
        """Of all hits."""
        return self.errors.total() / self.sent if self.sent else 0.0


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of them is; infinity where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


async def load(
    address: str, make: Callable[[int], IncomingRequest], rate: float, seconds: float, connections: int
) -> Measured:
    """Send the hits that `make` gives for 0, 1, 2 ...: `rate` a second on average, for so long."""
    measured, tasks = Measured(), set[asyncio.Task[None]]()
    connector = aiohttp.TCPConnector(limit=connections)
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        began = due = time.perf_counter()
        number = 0
        while (due := due + random.expovariate(rate)) < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            measured.late_ms.append((time.perf_counter() - due) * 1000)
            if len(tasks) >= MOST_WAITING:
                measured.errors["too many waited for an answer"] += 1
                continue
            task = asyncio.create_task(_send(session, address, make(number), due, measured))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        if tasks:
            await asyncio.wait(tasks)
        measured.took_s = time.perf_counter() - began
    return measured


async def _send(
    session: aiohttp.ClientSession, address: str, hit: IncomingRequest, due: float, measured: Measured
) -> None:
    query = f"?{hit.query.decode()}" if hit.query else ""
    url = URL(f"{address.rstrip('/')}{hit.path}{query}", encoded=True)
    headers = [(name.decode(), value.decode("latin-1")) for name, value in hit.headers]
    try:
        async with session.request(
            hit.method, url, headers=headers, data=hit.body or None, allow_redirects=False
        ) as answer:
            await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        measured.errors[type(error).__name__] += 1
        return
    if answer.status >= 400:
        measured.errors[f"HTTP {answer.status}"] += 1
    else:
        measured.latencies_ms.append((time.perf_counter() - due) * 1000)
