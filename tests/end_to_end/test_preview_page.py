"""The preview as people use it: a browser at the page of a real server with two workers, real hits, vendors.

SPEC: requirements R48, R49, R106, R160, R164, R221-R226, R242, R248, R300, R352.
"""

import asyncio
import json
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from browser.chromium import chromium
from gtm_templates import EVENT, LOG, template
from msgspec.structs import replace
from processes import Server
from raw_http import ask, exchange

from sgtm.demo.hits import read_hits
from sgtm.demo.vendor import Fault, Vendor

SHOP = Path(__file__).parents[2] / "examples/shop"
HITS = {hit.name.partition("-")[2] or hit.name: hit for hit in read_hits(SHOP / "hits")}
TOKEN = "a token for the tests of the preview"
TALKER = template(
    "TAG",
    """
const log = require('logToConsole');
log('the template saw', require('getEventData')('event_name'));
data.gtmOnSuccess();
""",
    EVENT,
    LOG,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def published():
    """The shop, with a preparation, a transformation, a trigger that needs much, and a template."""
    container = yaml.safe_load((SHOP / "container.yaml").read_text())
    del container["clients"][0]["allowed_origins"]  # the browser's page is on the server itself
    container["custom_templates"] = [{"name": "Talker", "source": TALKER}]
    container["preparations"] = [
        {"name": "Channel", "type": "augment_event", "parameters": {"parameters": {"channel": "web"}}}
    ]
    container["transformations"] = [
        {
            "name": "No coupon for the warehouse",
            "type": "exclude_parameters",
            "affected_tags": ["Warehouse"],
            "parameters": {"names": ["coupon"]},
        }
    ]
    container["triggers"].append(
        {
            "name": "Large orders",
            "type": "custom_event",
            "event_names": ["purchase"],
            "conditions": [
                {"value": "{{Order value}}", "operator": "greater_or_equals", "compare_with": 1000}
            ],
        }
    )
    container["variables"].append(
        {"name": "Order value", "type": "event_data", "parameters": {"key_path": "value"}}
    )
    url = {"url": "${WAREHOUSE_URL}"}
    container["tags"] += [
        {"name": "Talker", "type": "Talker", "firing_triggers": ["All Events"], "consent": ["ad_storage"]},
        {"name": "VIP", "type": "http_request", "firing_triggers": ["Large orders"], "parameters": url},
    ]
    return container


def draft():
    """The same without Meta."""
    container = published()
    container["tags"] = [tag for tag in container["tags"] if tag["name"] != "Meta"]
    return container


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendor():
    async with Vendor() as started:
        started.fail("/orders", Fault(status=400, body=b'{"error": "no such order"}'))
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory, vendor):
    folder = tmp_path_factory.mktemp("server")
    (folder / "other.yaml").write_text(yaml.safe_dump(draft()))
    environment = {
        "SGTM_ADMIN_TOKEN": TOKEN,
        "META_PIXEL_ID": "123",
        "META_ACCESS_TOKEN": "EAA-never-to-be-seen",
        "META_ENDPOINT": vendor.url,
        "GA4_ENDPOINT": f"{vendor.url}/g/collect",
        "WAREHOUSE_URL": f"{vendor.url}/orders",
    }
    flags = ("--workers", "2", "--draft", str(folder / "other.yaml"), "--egress-allow", "127.0.0.0/8")
    flags += ("--trusted-proxy", "127.0.0.0/8", "--look-back-percent", "100", "--archive", "1d")
    started = await Server.start(
        folder, *flags, container=yaml.safe_dump(published()), environment=environment
    )
    yield started
    await started.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory):
    async with chromium({}, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(browser, server):
    """A tab that has logged in and has seen nothing yet."""
    tab = await browser.open(f"http://127.0.0.1:{server.admin_port}/preview/")
    await tab.size(1440, 900)
    await tab.becomes("document.getElementById('token')")
    await tab.evaluate("document.getElementById('token').focus()")
    await tab.write(TOKEN)
    await tab.press("Enter", "\r")
    await tab.becomes("document.querySelector('.connection.live')")
    return tab


async def mark_of(page):
    """What a request has to carry, as the page says it."""
    said = await page.becomes("JSON.parse(sessionStorage.getItem('sgtm preview session'))")
    return said["header"].partition(": ")[::2]


async def send(server, name, *mark):
    """A recorded hit on a connection of its own; the answer."""
    hit = HITS[name]
    marked = replace(hit, headers=(*hit.headers, mark)) if mark else hit
    return await exchange(server.port, marked.wire())


async def open_hit(page, filter_text):
    """Filter the list, and open the newest that is left."""
    await page.evaluate("document.getElementById('filter').focus()")
    await page.evaluate("document.activeElement.select()")
    await page.write(filter_text)
    await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await page.becomes("document.querySelector('[role=option]')")
    await page.press("Escape")
    await page.click("[role=option]")
    await page.becomes("document.querySelector('[role=option].open')")
    await page.becomes("document.querySelector('#detail[aria-busy=false] [role=tablist]')")


async def told(page, name):
    """The text of a tab."""
    tabs = "[...document.querySelectorAll('[role=tab]')]"
    await page.evaluate(f"{tabs}.find(one => one.innerText.startsWith('{name}')).click()")
    await page.becomes(f"{tabs}.find(one => one.ariaSelected === 'true').innerText.startsWith('{name}')")
    # what is out of sight is not laid out, and has no innerText
    return await page.evaluate(
        "(panel => panel.innerText + panel.textContent)(document.getElementById('panel'))"
    )


async def test_without_the_token_nothing_is_served(server):
    async def without(path, method="GET"):
        return await ask(server.admin_port, path, method=method)

    page = await without("/preview/")
    assert (page.status, page.header("Location"), page.body) == (303, "login", b"")
    for path in ("assets/app.js", "assets/page.css", "api/bootstrap", "api/sessions/lookback/requests"):
        assert (await without(f"/preview/{path}")).status == 401
    assert (await without("/preview/api/sessions", "POST")).status == 401
    form = await without("/preview/login")
    assert b"<script" not in form.body
    assert b"sgtm preview" in form.body


async def test_every_tab_tells_what_a_purchase_did(server, page):
    answer = await send(server, "purchase", *await mark_of(page))
    assert answer.status < 300
    await open_hit(page, "event:purchase client:GA4")
    await page.becomes("document.querySelector('#detail').innerText.includes('400 given up')")
    summary = await told(page, "Summary")
    assert "GA4 claimed it" in summary.replace("\n", " ")
    assert "200 accepted" in summary or "204 accepted" in summary
    assert "claimed it" in await told(page, "Clients")
    data = (await told(page, "Event data")).replace("\n", "")
    assert "transaction_id:T_12345" in data
    assert "email:Jane.Doe@Example.com" in data, "it is the tester's own request"
    changes = await told(page, "Transformations")
    assert "Channel" in changes
    assert "No coupon for the warehouse" in changes
    assert "SUMMER_SALE" in changes
    variables = await told(page, "Variables")
    assert "Order number" in variables
    assert "event_data" in variables
    assert "string" in variables
    await told(page, "Triggers")
    await page.evaluate("document.querySelector('.picker [type=checkbox]').click()")
    await page.becomes("document.querySelector('[role=tabpanel]').innerText.includes('Large orders')")
    triggers = " ".join((await told(page, "Triggers")).split())
    assert "is false: 72.05 against 1000" in triggers
    tags = await told(page, "Tags")
    assert "VIP" in tags
    assert "not triggered" in tags
    outgoing = await told(page, "Outgoing")
    assert "no such order" in outgoing
    assert "META_ACCESS_TOKEN" in outgoing
    assert '"events_received": 1' in outgoing
    assert "the template saw purchase" in await told(page, "Console")
    assert "FPID" in await told(page, "Response")
    assert "127.0.0.1" in await told(page, "Timing")
    whole = await page.evaluate("document.body.innerText")
    assert "never-to-be-seen" not in whole


async def test_hits_of_both_workers_stand_in_one_list(server, page):
    mark = await mark_of(page)
    for _ in range(40):  # the kernel deals connections out to the workers
        await asyncio.gather(*(send(server, name, *mark) for name in ("page_view", "webhook", "batch")))
        ids = await workers_seen(server, page)
        if len(ids) == 2:
            break
    assert len(ids) == 2
    await open_hit(page, "client:Orders")
    assert "Orders" in await told(page, "Clients")
    await open_hit(page, "event:scroll")
    await told(page, "Tags")
    await page.becomes("document.querySelectorAll('.picker [role=radio]').length === 2")
    await send(server, "consent-denied", *mark)
    await open_hit(page, "event:user_engagement")
    assert "blocked by consent" in await told(page, "Tags")


async def workers_seen(server, page):
    """Slots whose requests the session shows."""
    id = (await page.evaluate("JSON.parse(sessionStorage.getItem('sgtm preview session'))"))["id"]
    answer = await server.admin("GET", f"/preview/api/sessions/{id}/requests", token=TOKEN)
    return {one["worker"] for one in answer.json()["requests"]}


async def test_a_request_is_copied_as_a_test_and_replayed_against_the_draft(server, page):
    await send(server, "add_to_cart", *await mark_of(page))
    await open_hit(page, "event:add_to_cart")
    await page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }; 0")
    await page.press("t")
    copied = await page.becomes("window.copied")
    (case,) = yaml.safe_load(copied)
    assert case["expect"]["fired"] == ["GA4", "Meta", "Talker"]
    await page.press("r")
    await page.becomes("document.querySelector('#tab-replay[aria-selected=true]')")
    assert "events.0.tags.Meta" in await told(page, "Replay")


async def test_a_second_session_and_everybody_else_see_none_of_it(server, page, browser):
    other = await browser.open(f"http://127.0.0.1:{server.admin_port}/preview/")  # the same cookie
    await other.becomes("document.querySelector('.connection.live')")
    await other.becomes("document.body.innerText.includes('Waiting for the first request')")
    mine, theirs = await mark_of(page), await mark_of(other)
    assert mine != theirs
    await send(server, "page_view")  # nobody's
    await send(server, "page_view", *theirs)
    await other.becomes("document.querySelectorAll('[role=option]').length === 1")
    await page.to_front()
    await send(server, "purchase", *mine)
    await open_hit(page, "event:purchase")
    await other.to_front()
    assert await other.evaluate("document.querySelectorAll('[role=option]').length") == 1
    # a token that nobody has given out changes nothing
    plain, stale = await send(server, "page_view"), await send(server, "page_view", mine[0], "stale")
    assert (plain.status, plain.body) == (stale.status, stale.body)
    await other.close()
    await page.to_front()


async def test_a_browser_that_has_opened_the_link_is_in_the_session(server, page, browser):
    token = (await mark_of(page))[1]
    shop = await browser.open(f"http://127.0.0.1:{server.port}/?sgtm_preview={token}")
    sent = "fetch('/g/collect?v=2&tid=G-1&cid=1.2&en=from_the_browser', {method: 'POST', keepalive: true})"
    assert await shop.evaluate(f"{sent}.then(answer => answer.status)") == 204
    await shop.close()
    await page.to_front()
    await open_hit(page, "event:from_the_browser")
    clients = await told(page, "Clients")
    assert token not in clients + await told(page, "Event data"), "nobody behind the preview sees it"


async def test_the_look_back_shows_production_without_persons(server, page):
    await send(server, "purchase")
    await page.evaluate(
        "[...document.querySelectorAll('[role=radio]')].find(one => one.innerText === 'Look back').click()"
    )
    await page.becomes("document.querySelector('.connection.live')")
    await open_hit(page, "event:purchase")
    assert "masked" in await page.evaluate("document.querySelector('.head').innerText")
    for name in ("Event data", "Outgoing", "Variables"):
        text = await told(page, name)
        assert [word for word in ("Jane", "Doe", "81.2.69.142", "SW1A") if word in text] == []
    await page.evaluate(
        "[...document.querySelectorAll('[role=radio]')].find(one => one.innerText === 'My session').click()"
    )


async def test_an_order_is_found_with_what_its_vendors_answered(server, page):
    # SPEC: requirements R350: the same on the page
    await send(server, "webhook")
    number = json.loads(HITS["webhook"].body)["transaction_id"]
    await page.press("f")
    await page.becomes("document.activeElement.id === 'find'")
    await page.write(number)
    for _ in range(30):  # until the vendors have answered
        await page.evaluate("document.querySelector('.finder form')?.requestSubmit(); 0")
        text = await page.becomes("!panel.ariaBusy.includes('true') && panel.innerText")
        if "given up" in text and "delivered" in text and "waiting" not in text:
            break
    assert "claimed by Orders" in text
    assert "given up" in text
    assert "attempt 1" in text
    assert "400" in text
    assert "dead letter" in text
    assert "john" not in text.lower(), "nothing of the event is shown"
    await page.press("Escape")
    await page.press("Escape")


async def test_who_logs_out_sees_nothing_more(server, page):
    await page.evaluate(
        "[...document.querySelectorAll('#bar button')].find(one => one.innerText === 'Log out').click()"
    )
    await page.becomes("document.getElementById('token')")
    await page.go(f"http://127.0.0.1:{server.admin_port}/preview/")
    await page.becomes("document.getElementById('token')")
