"""Collectors and deliverers as real processes, with a real broker between them."""

import asyncio
import itertools
import json

import pytest
from doubles import eventually
from processes import TWO_VENDORS, Server
from raw_http import ask

from sgtm.demo.vendor import Vendor

# SPEC: design.md Processes and Delivery (collect, deliver); reliability 1.3.


@pytest.fixture
async def start(tmp_path, broker):
    servers, numbers = [], itertools.count()

    async def start_one(vendor, role, *flags):
        folder = tmp_path / f"server-{next(numbers)}"
        folder.mkdir()
        server = await Server.start(
            folder,
            *(*broker.flags(), "--role", role, "--egress-allow", "127.0.0.1", *flags),
            container=TWO_VENDORS.replace("VENDOR", vendor.url),
        )
        servers.append(server)
        return server

    yield start_one
    for server in servers:
        await server.kill()


async def hit(port, name):
    body = json.dumps({"event_name": "x", "id": name}).encode()
    return await ask(port, "/data", method="POST", body=body)


async def test_two_collectors_answer_and_two_deliverers_deliver(start):
    async with Vendor() as vendor:
        servers = await asyncio.gather(
            *(start(vendor, role) for role in ("collect", "collect", "deliver", "deliver"))
        )
        names = {f"hit-{number}" for number in range(60)}
        for number, name in enumerate(sorted(names)):
            assert (await hit(servers[number % 2].port, name)).status == 200
        for path in ("/a", "/b"):
            await eventually(lambda p=path: {it.json()["id"] for it in vendor.requests(p)} == names, 20)
            assert len(vendor.requests(path)) == len(names), "nothing twice where nothing fails"
        assert await servers[0].metric("sgtm_outbox_durability") == 2
        assert await servers[0].metric('sgtm_requests_claimed_total{client="Shop"}') == 30
        assert await servers[0].metric('sgtm_events_total{client="Shop"}') == 0
        delivered = [await one.metric('sgtm_events_total{client="Shop"}') for one in servers[2:]]
        assert sum(delivered) == 60
        # a deliverer serves nothing but health
        assert (await hit(servers[2].port, "elsewhere")).status == 404
        assert (await ask(servers[2].port, "/ready")).status == 200


async def test_one_server_may_do_both_and_drains_without_a_loss(start):
    async with Vendor() as vendor:
        server = await start(vendor, "all", "--workers", "2")
        names = {f"hit-{number}" for number in range(40)}
        for name in names:
            assert (await hit(server.port, name)).status == 200
        server.process.terminate()
        assert await server.finish() == 0
        other = await start(vendor, "deliver")
        for path in ("/a", "/b"):
            await eventually(lambda p=path: {it.json()["id"] for it in vendor.requests(p)} == names, 20)
        assert other.process.returncode is None
