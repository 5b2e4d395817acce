"""Templates in real processes: killed in the middle of a run, and with two workers."""

import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import yaml
from gtm_containers import SENDER, container, sender
from gtm_templates import template, text_field
from processes import Server, until
from raw_http import RawAnswer, ask

from sgtm.demo.vendor import Fault, Vendor

FLAGS = ("--outbox", "sqlite", "--egress-allow", "127.0.0.0/8", "--drain-timeout-s", "1")
COUNTING = template(
    "MACRO",
    """
const kept = require('templateDataStorage');
const count = (kept.getItemCopy('count') || 0) + 1;
kept.setItemCopy('count', count);
return count;
""",
    {"access_template_storage": {}},
    fields=[text_field("unused")],
)
Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    servers: list[Server] = []

    async def start_one(url: str, workers: int = 1) -> Server:
        count = {"name": "Count", "type": "Counting"}
        tags = [sender(url, product="{{Count}}")]
        text = yaml.safe_dump(
            container({"Sender": SENDER, "Counting": COUNTING}, variables=[count], tags=tags)
        )
        servers.append(await Server.start(tmp_path, "--workers", str(workers), *FLAGS, container=text))
        return servers[-1]

    yield start_one
    for server in servers:
        await server.kill()


async def order(server: Server) -> RawAnswer:
    body = json.dumps({"event_name": "order"}).encode()
    headers = {"Content-Type": "application/json", "Connection": "close"}
    return await ask(server.port, "/orders", method="POST", headers=headers, body=body)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_a_run_that_was_ended_while_it_waited_runs_again(
    start: Start, vendor: Vendor, end: signal.Signals
) -> None:
    # design.md, Delivery: the record is settled when the run is done, and not before
    vendor.fail("/one", Fault(latency_ms=60_000))
    server = await start(f"{vendor.url}/one")
    assert (await order(server)).status < 300
    await vendor.wait_for(1, "/one")
    server.send_signal(end)  # an orderly end does not wait for it either
    await server.finish()
    vendor.fail("/one", None)
    again = await start(f"{vendor.url}/one")
    await vendor.wait_for(2, "/one", timeout_s=20)

    async def has_fired() -> bool:
        return await again.metric('sgtm_tags_fired_total{tag="Sender"}') == 1

    await until(has_fired)
    assert await again.metric("sgtm_letters") == 0, "it was not given up"
    again.send_signal(signal.SIGTERM)
    await again.finish()
    last = await start(f"{vendor.url}/one")
    assert (await order(last)).status < 300
    await vendor.wait_for(3, "/one")
    assert len(vendor.requests("/one")) == 3, "what was done is settled: it does not run a third time"


async def test_two_workers_run_templates_and_metrics_are_those_of_both(start: Start, vendor: Vendor) -> None:
    server = await start(f"{vendor.url}/one", workers=2)
    for _ in range(20):
        assert (await order(server)).status < 300
    received = [one.json()["product"] for one in await vendor.wait_for(20, "/one")]
    # each worker has a store of its own, which its runs share (SPEC: sandbox-api 1.3)
    assert max(received) >= 10

    async def all_counted() -> bool:
        return await server.metric('sgtm_template_runs_total{template="Sender"}') == 20

    await until(all_counted)
    assert await server.metric('sgtm_template_failures_total{template="Sender"}') == 0
