"""Lookups through a whole worker: tags wait, answers do not (R152, R284, R285)."""

import time

import aiohttp
import pytest
from doubles import eventually

from sgtm.demo.vendor import Fault

CONTAINER = """
sgtm: 1
consent: {{unset: granted, gate: declared}}
clients:
  - {{name: Orders, type: json, parameters: {{paths: [/orders]}}}}
variables:
  - {{name: Customer, type: event_data, parameters: {{key_path: customer}}}}
  - name: Margin
    type: http_lookup
    parameters:
      {{url: "{url}/margins/{{{{Customer}}}}", key_path: margin, default: 0, timeout_s: {timeout_s}}}
  - name: Rank
    type: lookup_table
    parameters: {{input: "{{{{Margin}}}}", rows: [{{key: 7, value: high}}], default: low}}
tags:
  - name: One
    type: http_request
    firing_triggers: [All Events]
    parameters: {{url: "{url}/one", body: {{json: {{margin: "{{{{Margin}}}}", rank: "{{{{Rank}}}}"}}}}}}
  - name: Two
    type: http_request
    firing_triggers: [All Events]
    parameters: {{url: "{url}/two", body: {{json: {{margin: "{{{{Margin}}}}"}}}}}}
  - name: No lookup
    type: http_request
    firing_triggers: [All Events]
    parameters: {{url: "{url}/three", body: none}}
"""


@pytest.fixture
async def shop(serve, vendor):
    """Starts the shop; gives a function that sends an order and returns seconds until the answer."""

    async def start(timeout_s=10.0):
        served = await serve(CONTAINER.format(url=vendor.url, timeout_s=timeout_s))
        session = aiohttp.ClientSession()

        async def order(customer="jo"):
            started = time.monotonic()
            body = {"event_name": "order", "customer": customer}
            async with session.post(f"{served.url}/orders", json=body) as answer:
                assert answer.status < 300
            return time.monotonic() - started

        sessions.append(session)
        return served, order

    sessions = []
    yield start
    for session in sessions:
        await session.close()


def stored(vendor, margin, **fault):
    vendor.fail("/margins", Fault(status=200, body=b'{"margin": %d}' % margin, **fault))


async def test_tags_wait_for_one_call_and_the_answer_does_not(shop, vendor):
    stored(vendor, 7, latency_ms=1_000)
    _, order = await shop()
    await order()
    assert vendor.requests("/one") == [], "the answer has left before the store has said anything"
    assert [one.json() for one in await vendor.wait_for(1, "/one")] == [{"margin": 7, "rank": "high"}]
    assert [one.json() for one in await vendor.wait_for(1, "/two")] == [{"margin": 7}]
    await order()
    await vendor.wait_for(2, "/two")
    assert [one.path for one in vendor.requests("/margins")] == ["/margins/jo"]


async def test_a_store_that_hangs_does_not_hold_anything_back_for_longer_than_its_time_out(shop, vendor):
    # R284: the tag fires with the default after the time-out
    stored(vendor, 7, latency_ms=600_000)
    served, order = await shop(timeout_s=0.3)
    assert await order() < 10
    assert [one.json() for one in await vendor.wait_for(1, "/one")] == [{"margin": 0, "rank": "low"}]
    assert [one.json() for one in await vendor.wait_for(1, "/two")] == [{"margin": 0}]
    assert await vendor.wait_for(1, "/three")
    assert served.worker.counters.value("sgtm_lookups_total", "timed out") >= 1


async def test_a_customer_who_is_not_there_is_asked_for_once(shop, vendor):
    # R285
    vendor.fail("/margins", Fault(status=404))
    _, order = await shop()
    for _ in range(3):
        await order("nobody")
    assert [one.json() for one in await vendor.wait_for(3, "/two")] == [{"margin": 0}] * 3
    assert len(vendor.requests("/margins")) == 1


async def test_two_hits_at_once_ask_once(shop, vendor):
    stored(vendor, 7, latency_ms=300)
    _, order = await shop()
    await order()
    await order()
    await eventually(lambda: len(vendor.requests("/two")) == 2)
    assert [one.json() for one in vendor.requests("/two")] == [{"margin": 7}] * 2
    assert len(vendor.requests("/margins")) == 1
