"""Real processes, two workers, a vendor that is down or slow: stopped, restarted, and nothing is lost."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from doubles import eventually
from processes import Server, until
from raw_http import ask

from sgtm.demo.vendor import Fault, Vendor

# SPEC: reliability 1.4 row 13; requirements R134, R192, R271, R272, R306.

CONTAINER = """\
sgtm: 1
consent: {{unset: granted, gate: declared}}
clients:
  - {{name: Shop, type: json, parameters: {{paths: [/data]}}}}
variables:
  - {{name: id, type: event_data, parameters: {{key_path: id}}}}
tags:
  - name: Vendor
    type: http_request
    firing_triggers: [All Events]
    {more}
    parameters: {{url: "{url}/collect", body: {{json: {{id: "{{{{id}}}}"}}}}}}
"""
FLAGS = ("--workers", "2", "--outbox", "sqlite", "--egress-allow", "127.0.0.0/8", "--drain-timeout-s", "1")

Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    servers: list[Server] = []

    async def start_one(vendor: Vendor, more: str = "") -> Server:
        container = CONTAINER.format(url=vendor.url, more=more)
        servers.append(await Server.start(tmp_path, *FLAGS, container=container))
        return servers[-1]

    yield start_one
    for server in servers:
        await server.kill()


async def send(server: Server, *ids: int, **data: object) -> list[int]:
    """The ids that were acknowledged."""
    taken = []
    for number in ids:
        body = json.dumps({"event_name": "e", "id": number, **data}).encode()
        try:
            answer = await ask(
                server.port,
                "/data",
                method="POST",
                headers={"Content-Type": "application/json"},
                body=body,
            )
        except (OSError, EOFError):
            continue
        if answer.status < 300:
            taken.append(number)
    return taken


def ids(vendor: Vendor) -> Counter[int]:
    """What the vendor took."""
    return Counter(it.json()["id"] for it in vendor.requests("/collect") if 200 <= it.status < 300)


async def test_what_a_slow_vendor_had_not_taken_at_the_end_is_sent_by_the_next_start(
    start: Start, vendor: Vendor
) -> None:
    vendor.fail("/collect", Fault(latency_ms=30_000))
    server = await start(vendor, "delivery: {timeout_s: 30}")
    loading = asyncio.create_task(send(server, *range(400)))
    await eventually(lambda: vendor.under_way > 20)
    server.send_signal(signal.SIGTERM)
    taken = await loading
    assert await server.finish() == 0
    assert len(taken) > 20
    vendor.fail("/collect", None)
    before = len(vendor.received)
    again = await start(vendor)
    await until(lambda: is_empty(again))
    arrived = Counter(it.json()["id"] for it in list(vendor.received)[before:])
    assert set(arrived) >= set(taken)
    assert set(arrived.values()) == {1}, "each once in the second life"


async def test_rolling_restarts_in_the_middle_of_an_outage_lose_nothing(start: Start, vendor: Vendor) -> None:
    vendor.fail("/collect", Fault(status=500))
    server = await start(vendor)
    taken = await send(server, *range(60))
    loading = asyncio.create_task(send(server, *range(60, 200)))
    assert (await server.admin("POST", "/restart")).status == 200
    taken += await loading
    assert len(taken) == 200
    workers = await server.workers()
    assert all(worker["outbox"]["engine"] == "sqlite" for worker in workers)
    await until(lambda: holds(server))
    await until(lambda: owes(server, 200))  # the new workers take over what the old ones left
    vendor.fail("/collect", None)
    await until(lambda: is_empty(server), 60)
    assert set(ids(vendor)) == set(range(200))


async def test_a_purchase_goes_out_once_whichever_worker_gets_it_and_after_a_restart(
    start: Start, vendor: Vendor
) -> None:
    rule = "deduplicate: {key: [order], except_events: [refund]}"
    server = await start(vendor, rule)
    for order in range(5):
        await asyncio.gather(*(send(server, number, order=order) for number in range(8)))
    await until(lambda: is_empty(server))
    assert len(vendor.requests("/collect")) == 5
    assert await server.metric('sgtm_events_deduplicated_total{tag="Vendor"}') == 35
    server.send_signal(signal.SIGTERM)
    await server.finish()
    again = await start(vendor, rule)
    await send(again, *range(8), order=3)
    await send(again, 99, order=99)
    await until(lambda: is_empty(again))
    assert len(vendor.requests("/collect")) == 6


async def is_empty(server: Server) -> bool:
    return await owes(server, 0)


async def owes(server: Server, records: int) -> bool:
    return await server.metric("sgtm_outbox_records") == records


async def holds(server: Server) -> bool:
    text = (await server.admin("GET", "/metrics")).body.decode()
    return 'sgtm_deliveries_held{tag="Vendor"} ' in text
