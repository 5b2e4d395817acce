"""kill -9 while the two halves of orders come: each order is one purchase at every vendor.

SPEC: requirements R308, R310. The halves come in either order, to either of two workers, one soon after the
other or with a crash between, and again where nobody answered. `CHAOS=full`: 2,000 orders and 60 kills; else
250 and 6. The ledger: what was answered against what vendors received. A crash may make a vendor get the same
request twice (the same bytes); never two different ones.
"""

import asyncio
import contextlib
import json
import os
import random
from collections import Counter

import pytest
from chaos.test_kills import Rig, workers_of
from raw_http import RawConnection, request

from sgtm.demo.vendor import Vendor

IS_FULL = os.environ.get("CHAOS") == "full"
ORDERS, KILLS = (2_000, 60) if IS_FULL else (250, 6)
HOOKS = ("before_commit", "after_commit", "before_meeting", "after_meeting", "request_sent", "answer_read")
GRANTED = "13n3n3n3n5l1"
pytestmark = pytest.mark.timeout(1_500 if IS_FULL else 120)

CONTAINER = """
sgtm: 1
name: orders
consent: {unset: denied, gate: declared}
context:
  browser_clients: [Browser]
  server_clients: [Shop]
  unknown_consent: granted
  holds:
    - {name: purchase, key: order, events: [purchase], wait: 10m}
    - {name: lead, key: order, events: [lead], wait: 1s}
clients:
  - {name: Browser, type: ga4, priority: 2}
  - {name: Shop, type: json, priority: 1, parameters: {paths: [/orders], adds_request_data: false}}
triggers: [{name: Orders, type: custom_event, event_names: [purchase, lead]}]
tags:
  - name: A
    type: http_request
    firing_triggers: [Orders]
    consent: [ad_storage]
    parameters: {url: "VENDOR/a"}
  - name: B
    type: http_request
    firing_triggers: [Orders]
    consent: [ad_storage]
    parameters: {url: "VENDOR/b"}
"""


def hit(number):
    """What the browser of an order sends."""
    order = f"&en=purchase&ep.transaction_id=T{number}&epn.value={number}"
    visitor = (
        f"&cid={number}.1&sid=s{number}&sct=2&gcd={GRANTED}&dl=https%3A%2F%2Fx.example%2F%3Fgclid%3Dg{number}"
    )
    return request(f"/g/collect?v=2&tid=G-ABC123{visitor}{order}")


def webhook(number, name="purchase"):
    """What the shop's server sends."""
    body = {"event_name": name, "transaction_id": f"T{number}", "value": number, "total": f"{number}.50"}
    return request("/orders", method="POST", body=json.dumps(body).encode())


class Orders:
    """Senders that repeat what nobody answered, and what vendors received of it."""

    def __init__(self, rig, vendor, chance):
        self._rig, self._vendor, self._chance = rig, vendor, chance
        self.answered = Counter()
        self.leads = {number for number in range(ORDERS) if number % 10 == 9}

    async def send(self, wire):
        """Until it is answered: always on another connection, so to either worker."""
        while True:
            try:
                async with RawConnection(self._rig.port) as connection, asyncio.timeout(15):
                    connection.send(wire)
                    if (await connection.read_answer()).status // 100 == 2:
                        return
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                pass
            await asyncio.sleep(0.02)

    async def order(self, number):
        """Both halves of one order, or the only one of a lead."""
        halves = [webhook(number, "lead")] if number in self.leads else [hit(number), webhook(number)]
        self._chance.shuffle(halves)
        for half in halves:
            await self.send(half)
            self.answered[number] += 1
            await asyncio.sleep(self._chance.choice((0, 0, 0.05, 0.5)))

    async def place(self, pause_s):
        """All orders, a few at a time."""
        numbers = iter(range(ORDERS))

        async def take():
            for number in numbers:
                await self.order(number)
                await asyncio.sleep(pause_s)

        await asyncio.gather(*(take() for _ in range(10)))

    def received(self, path):
        """Bodies by order."""
        bodies = {}
        for received in self._vendor.requests(path):
            if received.status // 100 == 2:
                bodies.setdefault(int(received.json()["transaction_id"][1:]), []).append(received.body)
        return bodies

    async def all_arrived(self):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while any(len(self.received(path)) < ORDERS for path in ("/a", "/b")):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        await asyncio.sleep(2.0)  # what should not come has its chance

    def check(self):
        for path in ("/a", "/b"):
            received = self.received(path)
            assert received.keys() == set(range(ORDERS)), "an order is missing"
            for number, bodies in received.items():
                assert len(set(bodies)) == 1, f"order {number} came as {set(bodies)}"
                event = json.loads(bodies[0])
                known = tuple(event.get(key) for key in ("ga_session_id", "gclid", "client_id", "total"))
                is_lead = number in self.leads
                told = (None,) * 3 if is_lead else (f"s{number}", f"g{number}", f"{number}.1")
                assert known == (*told, f"{number}.50")
                assert is_lead or event["x-ga-gcd"] == GRANTED


async def test_each_order_is_one_purchase_at_every_vendor(tmp_path):
    chance = random.Random(21)
    async with Vendor(keeps=100_000) as vendor:
        rig = Rig(tmp_path, vendor, CONTAINER)
        orders = Orders(rig, vendor, chance)
        placing = None
        try:
            for kill in range(KILLS):
                # hooks work in a server of one process; two workers are killed by chance, one or all
                is_hooked = kill % 2 == 0
                hook = HOOKS[kill // 2 % len(HOOKS)] if is_hooked else "-"
                process = await rig.start(hook, chance.randint(3, 60), workers=1 if is_hooked else 2)
                placing = placing or asyncio.create_task(orders.place(0.05))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(chance.uniform(0.2, 0.8)):
                        await process.wait()
                workers = workers_of(process.pid)
                if not is_hooked and kill % 4 == 1 and workers:
                    os.kill(chance.choice(workers), 9)
                    await asyncio.sleep(0.5)  # another one takes its place
                await rig.kill(process)
            last = await rig.start(workers=2)
            await placing
            await orders.all_arrived()
            await rig.kill(last)
        finally:
            if placing is not None:
                placing.cancel()
            await rig.end()
        orders.check()
        copies = sum(len(bodies) - 1 for path in ("/a", "/b") for bodies in orders.received(path).values())
        print(f"\n{rig.kills - 1} kills, {ORDERS} orders, one purchase each at both vendors, {copies} copies")
