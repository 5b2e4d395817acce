"""Segment's library for pages in a real browser, against the real server on another origin.

SPEC: vendor-tags 5.5 (short forms of analytics.js, the key as user and in the body).
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from browser.chromium import Browser, chromium
from conftest import Serve
from doubles import eventually
from npm_packages import node_modules

from sgtm.messages import EventData, IncomingRequest
from sgtm.observability.walk import Walk

FOLDER = Path(__file__).parent
KEY = "key of a page"
CLIENT = {
    "name": "Segment",
    "type": "segment",
    "allowed_origins": ["http://shop.example"],
    "parameters": {"write_key_sha256": [hashlib.sha256(KEY.encode()).hexdigest()], "from_devices": True},
}
LOAD = """window.analytics = AnalyticsNext.AnalyticsBrowser.load(
    {writeKey: '%s', cdnSettings: {integrations: {'Segment.io': {apiKey: '%s'}}}},
    {integrations: {'Segment.io': {apiHost: 'sst.shop.example/v1', protocol: 'http', deliveryStrategy: %s}}},
); analytics.ready().then(() => true)"""


class Shop:
    """A browser, and the requests that came to the server."""

    def __init__(self, browser: Browser, requests: list[tuple[IncomingRequest, Walk]]) -> None:
        self.browser, self.requests = browser, requests

    @property
    def events(self) -> dict[str, EventData]:
        return {event.name: event.data for _, walk in self.requests for event in walk.events}


@pytest.fixture
async def shop(serve: Serve, tmp_path: Path) -> AsyncIterator[Shop]:
    requests: list[tuple[IncomingRequest, Walk]] = []

    def new_walk(request: IncomingRequest) -> Walk:
        requests.append((request, Walk()))
        return requests[-1][1]

    library = (node_modules(FOLDER) / "@segment/analytics-next/dist/umd/index.js").read_bytes()

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/library.js":
            return web.Response(body=library, content_type="text/javascript")
        page = "<title>Bags</title><script src=/library.js></script>"
        return web.Response(text=page, content_type="text/html")

    async with AsyncExitStack() as stack:
        runner = web.ServerRunner(web.Server(answer), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        container: dict[str, Any] = {"sgtm": 1, "clients": [CLIENT]}
        served = await serve(container, new_walk=new_walk)
        pages = runner.addresses[0][1]
        hosts = {"shop.example": pages, "thief.example": pages, "sst.shop.example": served.port}
        yield Shop(await stack.enter_async_context(chromium(hosts, tmp_path)), requests)


async def test_calls_of_a_page(shop: Shop) -> None:
    page = await shop.browser.open("http://shop.example/bags?a=1")
    await page.evaluate(LOAD % (KEY, KEY, "{}"))
    await page.evaluate("analytics.page('Bags')")
    await page.evaluate(
        "analytics.track('Product Added', {product_id: 'A', name: 'Bäg', price: 9.99, quantity: 2})"
    )
    await page.evaluate("analytics.identify('u-1', {email: 'jane@example.com'})")
    await eventually(lambda: len(shop.events) == 3, 20)
    posts = [(request, walk) for request, walk in shop.requests if request.method == "POST"]
    assert {request.path for request, _ in posts} == {"/v1/p", "/v1/t", "/v1/i"}
    assert {walk.answer and walk.answer.status for _, walk in posts} == {200}
    view, added, known = (shop.events[name] for name in ("page_view", "add_to_cart", "identify"))
    assert (
        view.items()
        >= {
            "page_location": "http://shop.example/bags?a=1",
            "page_path": "/bags",
            "page_title": "Bags",
            "page_name": "Bags",
            "ip_override": "127.0.0.1",
        }.items()
    )
    assert added["items"] == [{"item_id": "A", "item_name": "Bäg", "price": 9.99, "quantity": 2}]
    assert added["page_location"] == view["page_location"]
    assert known.items() >= {"user_id": "u-1", "user_data": {"email_address": "jane@example.com"}}.items()
    assert len({data["client_id"] for data in shop.events.values()}) == 1
    assert len({data["event_id"] for data in shop.events.values()}) == 3
    assert all("Chrome" in data["user_agent"] for data in shop.events.values())
    now = shop.requests[0][0].received_micros
    assert all(abs(data["timestamp_micros"] - now) < 30e6 for data in shop.events.values())


async def test_a_page_that_sends_batches(shop: Shop) -> None:
    page = await shop.browser.open("http://shop.example/bags")
    await page.evaluate(LOAD % (KEY, KEY, "{strategy: 'batching', config: {size: 2, timeout: 1000}}"))
    await page.evaluate("analytics.track('a'), analytics.track('b')")
    await eventually(lambda: len(shop.events) == 2, 20)
    assert {request.path for request, _ in shop.requests} == {"/v1/b"}


async def test_another_sites_page_may_not_send(shop: Shop) -> None:
    page = await shop.browser.open("http://thief.example/")
    await page.evaluate(LOAD % (KEY, KEY, "{}"))
    await page.evaluate("analytics.track('a')")
    await eventually(lambda: bool(shop.requests), 20)
    assert shop.events == {}
    assert {walk.answer and walk.answer.status for _, walk in shop.requests} == {403}
