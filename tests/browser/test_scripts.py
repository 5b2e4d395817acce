"""A page in a real browser loads a script through the real server and runs it, or falls back.

The snippet is the one of docs/browser-clients.md, so that it is tested as people copy it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from browser.chromium import Browser, chromium
from conftest import Serve
from script_origin import ScriptOrigin

DOCS = Path(__file__).parents[2] / "docs/browser-clients.md"
CONTAINER = {
    "sgtm": 1,
    "name": "shop",
    "clients": [
        {
            "name": "GTM",
            "type": "web_container",
            "parameters": {
                "allowed_container_ids": ["GTM-ABC123"],
                "dependency_hosts": ["sst.shop.example"],
            },
        }
    ],
}
LOADED = b"window.loadedFrom = document.currentScript.src; document.dispatchEvent(new Event('loaded'));"
LOADER = b"""
var said = {"blob": {"3": "www.googletagmanager.com", "19": "dataLayer"}, "tags": ["G-DEP1"]};
var script = document.createElement('script');
script.src = 'http://' + said.blob["3"] + '/gtag/js?id=' + said.tags[0] + '&cx=c';
document.head.appendChild(script);
"""
"""Loads its dependency as Google's scripts do: from the host in key "3", at a fixed path."""
UNTIL_LOADED = """new Promise(resolve => window.loadedFrom
    ? resolve(window.loadedFrom)
    : document.addEventListener('loaded', () => resolve(window.loadedFrom)))"""


def snippet() -> str:
    """The loader of the docs, over http: the browser's hosts are loopback ports."""
    section = DOCS.read_text().partition("## Serve the script yourself")[2]
    found = re.search(r"```html\n(<script>.*?</script>)\n", section, re.DOTALL)
    assert found is not None
    return found[1].replace("https://", "http://")


@pytest.fixture
async def origin() -> AsyncIterator[ScriptOrigin]:
    async with ScriptOrigin() as running:
        running.body = LOADED
        yield running


@pytest.fixture
async def browser(serve: Serve, origin: ScriptOrigin, tmp_path: Path) -> AsyncIterator[Browser]:
    served = await serve(CONTAINER, script_upstream=origin.url)

    async def page(_: web.BaseRequest) -> web.Response:
        return web.Response(text=f"<title>Shop</title>{snippet()}", content_type="text/html")

    async def google(_: web.BaseRequest) -> web.Response:
        return web.Response(body=LOADED, content_type="text/javascript")

    async with AsyncExitStack() as stack:
        hosts = {"sst.shop.example": served.port}
        for host, handler in {"shop.example": page, "www.googletagmanager.com": google}.items():
            runner = web.ServerRunner(web.Server(handler), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            hosts[host] = runner.addresses[0][1]
        yield await stack.enter_async_context(chromium(hosts, tmp_path))


async def test_a_page_loads_the_script_through_us_and_runs_it(browser: Browser, origin: ScriptOrigin) -> None:
    page = await browser.open("http://shop.example/")
    assert await page.evaluate(UNTIL_LOADED) == "http://sst.shop.example/gtm.js?id=GTM-ABC123"
    assert await page.evaluate("dataLayer[0].event") == "gtm.js"
    assert origin.asked == ["/gtm.js?id=GTM-ABC123"]


async def test_what_the_script_loads_further_comes_through_us_too(
    browser: Browser, origin: ScriptOrigin
) -> None:
    # ga4-protocol 5.2: dependency serving
    origin.bodies["/gtm.js"] = LOADER
    page = await browser.open("http://shop.example/")
    assert await page.evaluate(UNTIL_LOADED) == "http://sst.shop.example/gtag/js?id=G-DEP1&cx=c"
    assert origin.asked == ["/gtm.js?id=GTM-ABC123", "/gtag/js?cx=c&id=G-DEP1"]


async def test_a_page_falls_back_to_google_where_we_have_no_script(
    browser: Browser, origin: ScriptOrigin
) -> None:
    # E18: browser fallback on `onerror`; R292: an empty script is an error, so the browser notices
    origin.body = b""
    page = await browser.open("http://shop.example/")
    assert await page.evaluate(UNTIL_LOADED) == "http://www.googletagmanager.com/gtm.js?id=GTM-ABC123"
    assert len(origin.asked) == 1
