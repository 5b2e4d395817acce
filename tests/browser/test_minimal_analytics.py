"""A GA4 client library that nobody here wrote, in a real browser, against the real server.

`@minimal-analytics/ga4` on http://shop.example sends beacons to http://sst.shop.example: another
origin, the same site. All hosts are loopback ports (see `chromium.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from browser.chromium import Browser, BrowserError, Page, chromium
from npm_packages import PackagesError, node_modules

from sgtm.container.compile import load_container
from sgtm.demo.vendor import Received, Vendor
from sgtm.messages import EventData, IncomingRequest
from sgtm.observability.walk import Walk, WalkedEvent
from sgtm.server.listening import bind
from sgtm.server.worker import Worker
from sgtm.settings import Settings

FOLDER = Path(__file__).parent
PATIENCE = 500  # looks, 20 ms apart
SECRETS = {"LINKER_KEY": "a key for tests only", "META_ACCESS_TOKEN": "token of the tests"}
ORDER = """{
    type: 'purchase',
    event: {
        cu: 'EUR', 'epn.value': 29.98, 'ep.transaction_id': 'T-1', 'ep.event_id': 'order-1',
        pr1: 'idSKU1~nmBag ~~ 2~pr9.99~qt2~k0size~v042', pr2: 'idSKU2~pr10~qt1',
        'ep.user_data.email': ' Jane.Doe@Example.com', 'ep.user_data.address.city': 'Zürich',
    },
}"""


class Shop:
    """A browser, the server, and the vendors behind it."""

    def __init__(self, browser: Browser, vendor: Vendor, walks: list[Walk]) -> None:
        self.browser, self.vendor, self.walks = browser, vendor, walks

    async def visit(self) -> Page:
        """Open the shop in a new tab; its page_view has reached GA4."""
        seen = len(self.ga4_hits())
        page = await self.browser.open("http://shop.example/bags")
        await self.vendor.wait_for(seen + 1, "/g/collect")
        return page

    def event(self, name: str) -> WalkedEvent:
        """The only event of that name."""
        (event,) = (event for walk in self.walks for event in walk.events if event.name == name)
        return event

    def data(self, name: str) -> EventData:
        """Event data of the only event of that name."""
        return self.event(name).data

    def ga4_hits(self) -> list[Received]:
        return self.vendor.requests("/g/collect")

    def ga4_hit(self, name: str) -> dict[str, str]:
        """What GA4 got for the only event of that name: parameters of URL and body."""
        hits = [_parameters(hit) for hit in self.ga4_hits()]
        (hit,) = (hit for hit in hits if hit["en"] == name)
        return hit

    def meta_events(self) -> dict[str, dict[str, Any]]:
        """What Meta got so far, by event name."""
        requests = self.vendor.requests("/v")
        return {event["event_name"]: event for request in requests for event in request.json()["data"]}

    async def cookie(self, name: str) -> dict[str, Any]:
        """A cookie of the browser, as soon as an answer has set it."""
        for _ in range(PATIENCE):
            cookies = await self.browser.cookies()
            if name in cookies:
                return cookies[name]
            await asyncio.sleep(0.02)
        raise TimeoutError(f"no cookie {name}")

    async def statuses(self, count: int) -> list[int]:
        """Statuses of the answers to hits, as soon as there are so many."""
        for _ in range(PATIENCE):
            statuses = [walk.answer.status for walk in self.walks if walk.claimed_by and walk.answer]
            if len(statuses) >= count:
                return statuses
            await asyncio.sleep(0.02)
        raise TimeoutError(f"fewer than {count} answers")

    async def meta_event(self, name: str) -> dict[str, Any]:
        """What Meta got for an event, as soon as it got it."""
        while name not in (events := self.meta_events()):
            await self.vendor.wait_for(len(self.vendor.requests("/v")) + 1, "/v")
        return events[name]


def _parameters(hit: Received) -> dict[str, str]:
    pairs = parse_qs(f"{hit.query}&{hit.body.decode()}", keep_blank_values=True)
    return {key: values[0] for key, values in pairs.items()}


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Shop]:
    walks: list[Walk] = []

    def new_walk(_: IncomingRequest) -> Walk:
        walks.append(Walk())
        return walks[-1]

    async with AsyncExitStack() as stack:
        pages = await _serve_pages(stack)
        vendor = await stack.enter_async_context(Vendor())
        for name, value in {**SECRETS, "VENDOR": vendor.url}.items():
            monkeypatch.setenv(name, value)
        container = load_container(FOLDER / "container.yaml")
        listening = stack.enter_context(bind(Settings(host="127.0.0.1", port=0)))
        worker = Worker(
            container, Settings(outbox="memory", egress_allow=("127.0.0.1",)), listening, new_walk=new_walk
        )
        await worker.start()
        stack.push_async_callback(worker.drain, 0.0)
        hosts = dict.fromkeys(("shop.example", "partner.example", "thief.example"), pages)
        hosts["sst.shop.example"] = listening.getsockname()[1]
        yield Shop(await stack.enter_async_context(chromium(hosts, tmp_path)), vendor, walks)


async def _serve_pages(stack: AsyncExitStack) -> int:
    """Serve the shop's page and the library on all hosts; the port."""
    library = (node_modules(FOLDER) / "@minimal-analytics/ga4/dist/index.js").read_bytes()
    page = (FOLDER / "shop.html").read_text()

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/ga4.js":
            return web.Response(body=library, content_type="text/javascript")
        text = page if request.path == "/bags" else "<title>A page without the library</title>"
        return web.Response(text=text, content_type="text/html")

    runner = web.ServerRunner(web.Server(answer), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return port


async def test_a_visit_reaches_ga4_and_meta(shop: Shop) -> None:
    page = await shop.visit()
    await page.evaluate(f"track({ORDER})")
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await shop.vendor.wait_for(3, "/g/collect")  # page_view, purchase, scroll
    await page.evaluate("scrollTo(0, 0)")
    await page.click("#partner")  # leaves the shop: `click`, then `user_engagement` on unload
    await shop.vendor.wait_for(5, "/g/collect")

    # SPEC: ga4-protocol 2.2 (names and types), 11.2 (browser libraries: POST, no body, no type)
    viewed = shop.data("page_view")
    assert {walk.method for walk in shop.walks} == {"POST"}
    assert viewed["page_location"] == "http://shop.example/bags"
    assert viewed["page_title"] == "Bags, and so on"  # a blank came as `+`
    assert viewed["x-ga-measurement_id"] == "G-SHOP000001"
    assert viewed["x-ga-request_count"] == 1
    assert viewed["language"] == "en-us"
    assert "HeadlessChrome/" in viewed["user_agent"]
    assert viewed["client_hints"]["mobile"] is False
    assert viewed["ip_override"] == "127.0.0.1"
    assert shop.data("scroll")["percent_scrolled"] == 90
    clicked = shop.data("click")
    assert (clicked["link_id"], clicked["link_domain"]) == ("partner", "partner.example")
    assert clicked["outbound"] == "true"
    assert shop.data("user_engagement")["engagement_time_msec"] > 0

    # SPEC: ga4-protocol 1.3 (items), 2.2 (`ep.user_data.a.b` is nested)
    bought = shop.data("purchase")
    assert bought["items"] == [
        {"item_id": "SKU1", "item_name": "Bag ~ 2", "price": 9.99, "quantity": 2, "size": "42"},
        {"item_id": "SKU2", "price": 10, "quantity": 1},
    ]
    assert bought["user_data"] == {"email": " Jane.Doe@Example.com", "address": {"city": "Zürich"}}
    assert (bought["value"], bought["currency"]) == (29.98, "EUR")

    # SPEC: ga4-protocol 6 (the way back)
    hit = shop.ga4_hit("purchase")
    assert hit["tid"] == "G-SHOP000001"
    assert hit["cid"] == bought["client_id"]
    assert hit["pr1"] == "idSKU1~nmBag ~~ 2~pr9.99~qt2~k0size~v042"
    assert (hit["epn.value"], hit["cu"], hit["ep.transaction_id"]) == ("29.98", "EUR", "T-1")
    assert {_parameters(received)["en"] for received in shop.ga4_hits()} == {
        "page_view",
        "purchase",
        "scroll",
        "click",
        "user_engagement",
    }

    # SPEC: meta-capi 4 (mapping), 5 (normalise, then hash)
    sent = await shop.meta_event("Purchase")
    assert sent["event_id"] == "order-1"
    assert sent["event_source_url"] == "http://shop.example/bags"
    assert sent["user_data"]["em"] == sha256(b"jane.doe@example.com").hexdigest()
    assert sent["user_data"]["ct"] == sha256("zürich".encode()).hexdigest()
    assert (sent["custom_data"]["value"], sent["custom_data"]["currency"]) == (29.98, "EUR")
    assert [item["id"] for item in sent["custom_data"]["contents"]] == ["SKU1", "SKU2"]
    assert (await shop.meta_event("PageView"))["action_source"] == "website"


async def test_the_server_knows_a_visitor_by_a_cookie_that_no_script_reads(shop: Shop) -> None:
    page = await shop.visit()
    fpid, fplc, fbp = [await shop.cookie(name) for name in ("FPID", "FPLC", "_fbp")]
    # SPEC: ga4-protocol 5.4, requirements R59, R60; meta-capi 8
    for cookie in (fpid, fplc, fbp):
        assert (cookie["domain"], cookie["path"], cookie["secure"]) == (".shop.example", "/", True)
        assert cookie["sameSite"] == "Lax"
    assert (fpid["httpOnly"], fplc["httpOnly"], fbp["httpOnly"]) == (True, False, False)
    now = await page.evaluate("Date.now() / 1000")
    assert 399 * 86_400 < fpid["expires"] - now < 401 * 86_400
    assert 19 * 3_600 < fplc["expires"] - now < 21 * 3_600
    assert fbp["value"] == (await shop.meta_event("PageView"))["user_data"]["fbp"]
    assert "FPID" not in await page.evaluate("document.cookie")

    # SPEC: ga4-protocol 2.4: the server's id takes the place of the script's, which is kept beside it
    first = shop.data("page_view")
    assert fpid["value"].startswith("FPID2.2.")
    assert first["x-ga-js_client_id"] == await page.evaluate("localStorage.clientId")
    assert first["client_id"] != first["x-ga-js_client_id"]

    # he clears what scripts can reach, and comes back: still the same visitor
    await page.evaluate("localStorage.clear(), sessionStorage.clear()")
    shop.walks.clear()
    await shop.visit()
    again = shop.data("page_view")
    assert again["x-ga-js_client_id"] != first["x-ga-js_client_id"]
    assert again["client_id"] == first["client_id"]
    assert (await shop.browser.cookies())["FPID"]["value"] == fpid["value"]


async def test_hits_sent_together_are_one_visitor(shop: Shop) -> None:
    # SPEC: requirements R307: they leave before the cookie of the first answer is stored
    page = await shop.browser.open("http://shop.example/about")
    hit = "v=2&tid=G-SHOP000001&cid=584335997.1746564151&gcs=G111&en="
    together = ", ".join(_fetch(f"/g/collect?{hit}{name}") for name in ("page_view", "login", "search"))
    assert await page.evaluate(f"Promise.all([{together}])") == [204, 204, 204]
    await shop.vendor.wait_for(3, "/g/collect")
    assert len({shop.data(name)["client_id"] for name in ("page_view", "login", "search")}) == 1


async def test_a_denied_visitor_gets_no_cookie_and_no_advertising(shop: Shop) -> None:
    page = await shop.browser.open("http://shop.example/about")
    denied = "v=2&tid=G-SHOP000001&cid=1.2&en=page_view&gcs=G100"
    assert await page.evaluate(_fetch(f"/g/collect?{denied}")) == 204
    await shop.vendor.wait_for(1, "/g/collect")
    # SPEC: design.md "Consent gates tags and cookies, never claiming"; requirements R62
    assert await shop.browser.cookies() == {}
    outcomes = {tag.name: tag.outcome for tag in shop.event("page_view").tags}
    assert outcomes == {"GA4": "fired", "Meta": "blocked by consent"}
    assert shop.ga4_hit("page_view")["cid"] == "1.2"
    assert shop.meta_events() == {}


async def test_pages_of_the_shop_read_answers_and_others_do_not(shop: Shop) -> None:
    hit = "/g/collect?v=2&tid=G-SHOP000001&cid=1.2&en=page_view"
    page = await shop.visit()
    # SPEC: ga4-protocol 5.6 (CORS), requirements R67, R197-R199
    assert await page.evaluate(_fetch(hit)) == 204
    body = (
        "method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{\"event_name\": \"sign_up\"}'"
    )
    assert await page.evaluate(_fetch("/data", body)) == 200  # after a preflight
    assert shop.data("sign_up")["event_name"] == "sign_up"

    shop.walks.clear()
    thief = await shop.browser.open("http://thief.example/")
    assert await thief.evaluate(_fetch(hit)) == "TypeError"
    assert await thief.evaluate(_fetch("/data", body)) == "TypeError"
    assert await thief.evaluate(f"navigator.sendBeacon('http://sst.shop.example{hit}')") is True
    # R64: refused, not only unreadable; the JSON never left the browser, its preflight failed
    assert await shop.statuses(2) == [403, 403]
    assert not any(walk.events for walk in shop.walks)


def _fetch(target: str, options: str = "") -> str:
    """JavaScript: the status of a credentialed request to the server, or the name of its error."""
    return (
        f"fetch('http://sst.shop.example{target}', {{credentials: 'include', {options}}})"
        ".then(answer => answer.status, error => error.name)"
    )


# -- a machine without a browser ------------------------------------------------------------------


async def test_a_machine_without_chromium_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrowserError, match="apt-get install chromium"):
        async with chromium({}, tmp_path):
            pass


def test_a_machine_without_npm_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    with pytest.raises(PackagesError, match="apt-get install nodejs npm"):
        node_modules(tmp_path)
