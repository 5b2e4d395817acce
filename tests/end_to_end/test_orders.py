"""A browser's purchase and the shop's signed order webhook: one purchase at GA4 and at Meta, with session,
click id and consent, in both orders, over two workers and a restart."""

import asyncio
import base64
import hashlib
import hmac
import json
from functools import partial
from urllib.parse import parse_qsl

import pytest
from broker import BrokerProcess
from doubles import eventually
from processes import Server
from raw_http import ask

from sgtm.demo.vendor import Vendor

# SPEC: requirements R308 to R310; the sender is built like Shopify's (vendor-tags 5).
CONTAINER = """
sgtm: 1
name: orders
consent: {unset: denied, gate: all}
context:
  browser_clients: [GA4]
  server_clients: [Shop]
  holds:
    - {name: purchase, key: order, events: [purchase], wait: 1h, fields: {event_id: browser}}
clients:
  - {name: GA4, type: ga4, priority: 2}
  - name: Shop
    type: webhook
    priority: 1
    parameters:
      paths: [/webhooks/orders]
      signature: {secrets: ["${SHOP_SECRET}"], header: X-Shopify-Hmac-Sha256, encoding: base64}
      delivery_id: "header:X-Shopify-Webhook-Id"
      events:
        - name: purchase
          fields:
            transaction_id: {at: id, to: text}
            value: {at: total_price, to: number}
            currency: currency
            user_data.email_address: email
triggers: [{name: Purchases, type: custom_event, event_names: [purchase]}]
tags:
  - {name: GA4, type: ga4, firing_triggers: [Purchases], parameters: {endpoint: "VENDOR"}}
  - name: Meta
    type: meta_conversions
    firing_triggers: [Purchases]
    parameters: {endpoint: "VENDOR", pixel_id: "123", access_token: "${META_TOKEN}"}
    delivery: {max_batch: 1}
"""
SECRETS = {"SHOP_SECRET": "shpss_1", "META_TOKEN": "t"}


async def browser(port, number):
    visitor = f"v=2&tid=G-ABC123&cid={number}.5&sid=17{number}&sct=4&gcs=G111&gcd=13n3n3n3n5l1"
    page = f"dl=https%3A%2F%2Fshop.example%2Fthanks%3Ffbclid%3DF{number}"
    order = (
        f"en=purchase&cu=EUR&ep.transaction_id={number}&epn.value=9&ep.event_id=E{number}&_p={number}&_s=1"
    )
    agent = {"User-Agent": "Mozilla/5.0 (visitor)"}
    assert (await ask(port, f"/g/collect?{visitor}&{page}&{order}", headers=agent)).status == 204


async def webhook(port, number, delivery):
    order = {"id": number, "total_price": "10.00", "currency": "EUR", "email": f"jo{number}@shop.example"}
    body = json.dumps(order).encode()
    digest = base64.b64encode(hmac.digest(SECRETS["SHOP_SECRET"].encode(), body, hashlib.sha256)).decode()
    headers = {"X-Shopify-Hmac-Sha256": digest, "X-Shopify-Webhook-Id": delivery}
    answer = await ask(port, "/webhooks/orders", method="POST", headers=headers, body=body)
    assert answer.status == 200


@pytest.mark.timeout(90)
async def test_an_order_is_one_purchase_at_ga4_and_at_meta(tmp_path):
    async with Vendor() as vendor:
        flags = ("--outbox", "sqlite", "--workers", "2", "--egress-allow", "127.0.0.1")
        container = CONTAINER.replace("VENDOR", vendor.url)
        server = await Server.start(tmp_path, *flags, container=container, environment=SECRETS)
        try:
            for number in range(6):
                if number % 2:
                    await browser(server.port, number)
                else:
                    await webhook(server.port, number, f"d{number}")
            await asyncio.sleep(0.5)
            assert not vendor.received, "each waits for the other"
            server.process.terminate()
            await server.process.wait()
            server = await Server.start(tmp_path, *flags, container=container, environment=SECRETS)
            for number in range(6):
                if number % 2:
                    await webhook(server.port, number, f"d{number}")
                else:
                    await browser(server.port, number)
                await webhook(server.port, number, f"d{number}")  # delivered once more
                await webhook(server.port, number, f"again-{number}")  # and as if it were another
            await vendor.wait_for(12, timeout_s=30)
            await asyncio.sleep(1.0)
            check_ga4(vendor.requests("/g/collect"))
            check_meta(vendor.requests("/v25.0/123/events"))
            assert len(vendor.received) == 12
        finally:
            server.process.kill()
            await server.process.wait()


def check_ga4(received):
    hits = {query["ep.transaction_id"]: query for query in (dict(parse_qsl(one.query)) for one in received)}
    assert len(received) == len(hits) == 6
    for number in range(6):
        hit = hits[str(number)]
        assert (hit["cid"], hit["sid"], hit["sct"]) == (f"{number}.5", f"17{number}", "4")
        assert hit["epn.value"] == "10", "the shop's total, not the page's"
        assert (hit["gcs"], hit["gcd"]) == ("G111", "13n3n3n3n5l1")
        assert hit["_uip"] == "127.0.0.1"


def check_meta(received):
    events = {}
    for one in received:
        (event,) = one.json()["data"]
        events[event["custom_data"]["order_id"]] = event
    assert len(received) == len(events) == 6
    for number in range(6):
        event = events[str(number)]
        user = event["user_data"]
        assert event["event_id"] == f"E{number}", "the same as the pixel's"
        assert user["fbc"].endswith(f".F{number}")
        assert user["client_user_agent"] == "Mozilla/5.0 (visitor)"
        assert user["em"] == hashlib.sha256(f"jo{number}@shop.example".encode()).hexdigest()
        assert float(event["custom_data"]["value"]) == 10.0


@pytest.mark.timeout(90)
async def test_halves_that_reach_two_machines_of_which_one_dies_are_one(tmp_path):
    broker = BrokerProcess(tmp_path / "broker").start()
    servers = []

    async def start(number):
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        flags = (*broker.flags(), "--egress-allow", "127.0.0.1")
        container = CONTAINER.replace("VENDOR", vendor.url)
        servers.append(await Server.start(folder, *flags, container=container, environment=SECRETS))

    try:
        await broker.init()
        async with Vendor() as vendor:
            await asyncio.gather(start(0), start(1))
            for number in range(6):  # taken up by either, and each waits where it is
                await (browser if number % 2 else partial(webhook, delivery=f"d{number}"))(
                    servers[0].port, number
                )
            await asyncio.sleep(1.0)
            assert not vendor.received
            servers[0].process.kill()  # what it had in hand comes to the other one
            for number in range(6):
                await (partial(webhook, delivery=f"d{number}") if number % 2 else browser)(
                    servers[1].port, number
                )
            await vendor.wait_for(12, timeout_s=40)
            await asyncio.sleep(4.0)  # longer than the broker waits for who died
            check_ga4(vendor.requests("/g/collect"))
            check_meta(vendor.requests("/v25.0/123/events"))
    finally:
        for server in servers:
            await server.kill()
        broker.kill()


async def test_at_an_orderly_end_without_a_disk_what_waits_is_sent_alone(
    serve, vendor, monkeypatch, tmp_path
):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    served = await serve(CONTAINER.replace("VENDOR", vendor.url), data_folder=str(tmp_path / "data"))
    await browser(served.port, 1)
    await eventually(lambda: len(served.worker.holding) == 1)
    assert not vendor.received
    await served.worker.drain(0)
    check = {one.path for one in vendor.received}
    assert check == {"/g/collect", "/v25.0/123/events"}
