"""The page in a real browser: what it shows, its keys, its states. Behind it stands `page_server.py`, since a
real server is seldom in all of them; the page at a real server is in tests/end_to_end.

SPEC: requirements R48, R49, R106, R160, R164, R221, R225, R226, R242.
"""

import contextlib

import pytest
import pytest_asyncio
from browser.chromium import chromium
from msgspec.structs import replace
from page_server import PageServer, example_views, found_example
from walks import recorded_request, shop_container, walk_saying

from sgtm.preview.encoding import Seen, view_of

TABS = [
    "Summary",
    "Clients",
    "Event data",
    "Transformations",
    "Variables",
    "Triggers",
    "Tags",
    "Outgoing",
    "Console",
    "Response",
    "Timing",
]
HOSTILE = "<img src=x onerror=\"document.title='x'\"><script>document.title='x'</script>"
VIEWS = example_views()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory):
    async with chromium({}, tmp_path_factory.mktemp("browser")) as started:
        yield started


@contextlib.asynccontextmanager
async def page_over(browser, views=VIEWS, *, size=(1440, 900), fault="", summaries=()):
    """A tab on the page, and the server behind it."""
    async with PageServer(views, summaries) as server:
        server.fault = fault
        page = await browser.open("about:blank")
        await page.size(*size)
        await page.call("Log.enable")
        await page.go(server.url)
        yield page, server
        assert complaints(page) == []
        await page.close()


def complaints(page):
    """Exceptions, and what the policy has stopped."""
    entries = [event["params"]["entry"]["text"] for event in page.seen if event["method"] == "Log.entryAdded"]
    thrown = [event for event in page.seen if event["method"] == "Runtime.exceptionThrown"]
    return [*thrown, *(text for text in entries if "Content Security" in text or "Trusted" in text)]


def rows(page):
    return page.evaluate("[...document.querySelectorAll('[role=option]')].map(row => row.innerText)")


async def open_row(page, number):
    """Open a row of the list, 1 for the newest."""
    await page.becomes(f"document.querySelectorAll('[role=option]').length >= {number}")
    await page.click(f"[role=option]:nth-child({number})")
    await page.becomes("document.querySelector('[role=tablist]')")


async def tab(page, name):
    """Click on a tab; the text of its panel."""
    tabs = "[...document.querySelectorAll('[role=tab]')]"
    await page.evaluate(f"{tabs}.find(one => one.innerText.startsWith('{name}')).click()")
    await page.becomes(f"{tabs}.find(one => one.ariaSelected === 'true').innerText.startsWith('{name}')")
    # what is out of sight is not laid out, and has no innerText
    return await page.evaluate(
        "(panel => panel.innerText + panel.textContent)(document.getElementById('panel'))"
    )


async def test_every_tab_tells_its_part_of_a_purchase(browser):
    async with page_over(browser) as (page, _):
        await open_row(page, 4)
        told = {name: await tab(page, name) for name in TABS}
        assert "one delivery given up" in told["Summary"]
        assert "GA4" in told["Clients"]
        assert "claimed it" in told["Clients"]
        assert "transaction_id:T_12345" in told["Event data"].replace("\n", "")
        assert "Order number" in told["Variables"]
        assert "event_data" in told["Variables"]
        assert "Purchases" in told["Triggers"]
        assert "meta_conversions" in told["Tags"]
        assert "graph.facebook.com" in told["Outgoing"]
        assert "META_ACCESS_TOKEN" in told["Outgoing"]
        assert "the vendor refuses it: 400" in told["Outgoing"]
        assert "Invalid parameter" in told["Outgoing"]
        assert "No template wrote anything" in told["Console"]
        assert "FPID" in told["Response"]
        assert "Warehouse 3/3 → 127.0.0.1:8090" in told["Timing"]
        assert await page.evaluate("document.querySelectorAll('.span rect').length") > 10


async def test_the_list_is_live_and_can_be_filtered_paused_and_cleared(browser):
    async with page_over(browser, VIEWS[:3]) as (page, server):
        await page.becomes("document.querySelectorAll('[role=option]').length === 3")
        await page.becomes("document.querySelector('.connection.live')")
        await server.put(VIEWS[5])
        await page.becomes("document.querySelector('[role=option]').innerText.includes('Orders')")
        # something new of one that is there: its place stays
        changed = replace(VIEWS[0], summary=replace(VIEWS[0].summary, status=503))
        await server.put(changed)
        await page.becomes("[...document.querySelectorAll('[role=option]')].at(-1).innerText.includes('503')")
        await page.press("/")
        await page.becomes("document.activeElement.id === 'filter'")
        await page.write("event:purchase -client:orders")
        await page.becomes("document.querySelectorAll('[role=option]').length === 1")
        assert "1 of 4 requests" in await page.evaluate("document.querySelector('.count').innerText")
        await page.evaluate("document.activeElement.select()")
        await page.write("nothing-like-it")
        await page.becomes("document.body.innerText.includes('Nothing matches the filter')")
        await page.press("Escape")
        await page.evaluate("document.querySelector('.rows .empty button').click()")
        await page.press("p")
        await page.becomes("document.querySelector('.count').innerText.includes('paused')")
        await server.put(VIEWS[4])
        await page.becomes("document.querySelector('.count').innerText.includes('1 new')")
        assert len(await rows(page)) == 4
        await page.press("p")
        await page.becomes("document.querySelectorAll('[role=option]').length === 5")
        await server.tell("gone", {"ids": [VIEWS[4].summary.id]})
        await page.becomes("document.querySelectorAll('[role=option]').length === 4")
        await page.press("c")
        await page.becomes("document.body.innerText.includes('Waiting for the first request')")


async def test_the_keys_do_it_all(browser):
    async with page_over(browser) as (page, _):
        await page.becomes("document.querySelectorAll('[role=option]').length === 6")
        for _ in range(3):
            await page.press("j")
        await page.press("k")
        await page.becomes("document.querySelector('.title h2')?.innerText === 'user_engagement'")
        await page.press("3")
        await page.becomes("document.querySelector('#tab-data[aria-selected=true]')")
        await page.press("]")
        await page.becomes("document.querySelector('#tab-changes[aria-selected=true]')")
        await page.press("s")
        await page.becomes("document.activeElement.id === 'search'")
        await page.write("engagement")
        await page.becomes("document.querySelector('.tree mark')")
        leaves = await page.evaluate("document.querySelectorAll('.leaf').length")
        assert 0 < leaves < 8
        await page.press("Escape")
        await page.press("?")
        await page.becomes("document.querySelector('dialog[open]')")
        await page.press("Escape")
        await page.becomes("!document.querySelector('dialog')")
        await page.press("h")
        await page.becomes(
            "document.querySelector('dialog').innerText.includes('X-Gtm-Server-Preview: s1.token')"
        )
        await page.press("Escape")
        await page.press("Escape")
        await page.becomes("!document.querySelector('[role=tablist]')")


async def test_a_request_is_copied_as_a_test_and_replayed_against_the_draft(browser):
    async with page_over(browser) as (page, _):
        await open_row(page, 4)
        await page.evaluate(
            "navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve() }; 0"
        )
        await page.press("t")
        copied = await page.becomes("window.copied")
        assert "- name: purchase by GA4" in copied
        assert "order-T_12345" in copied
        await page.press("r")
        await page.becomes("document.querySelector('#tab-replay[aria-selected=true]')")
        told = await page.evaluate("document.querySelector('[role=tabpanel]').innerText")
        assert "differences" in told
        assert "blocked by consent" in told
        assert "72.05" in told
        assert "80" in told
        assert "5be01f9a77c2" in told


async def test_hostile_text_is_text_in_every_tab(browser):
    said = HOSTILE.encode()
    request = recorded_request("3-purchase", headers=((said, said),), body=said)
    view = view_of(walk_saying(HOSTILE), request, Seen(id="h1", source="session"), shop_container())
    async with page_over(browser, [view]) as (page, _):
        await open_row(page, 1)
        for name in TABS:
            shown = await tab(page, name)
            assert "onerror" in shown
            assert name != "Event data" or "inherited from <img" in shown
            await page.evaluate(
                "document.querySelectorAll('#detail [type=checkbox]').forEach(one => one.click())"
            )
            await page.evaluate(
                "document.querySelectorAll('#detail details').forEach(one => one.open = true)"
            )
        await page.press("r")
        await page.becomes("document.querySelector('#tab-replay')")
        await page.becomes("document.readyState === 'complete'")
        assert await page.evaluate("document.querySelectorAll('img, main script, iframe').length") == 0
        assert await page.evaluate("document.title") == "sgtm preview"


async def seek(page, text):
    """Seek an id, as somebody at the keyboard would."""
    await page.press("f")
    await page.becomes("document.activeElement.id === 'find'")
    await page.evaluate("document.activeElement.select()")
    await page.write(text)
    await page.press("Enter", "\r")


async def test_an_id_is_found_with_each_attempt_and_how_it_stands(browser):
    # SPEC: requirements R350
    async with page_over(browser) as (page, server):
        await open_row(page, 4)
        server.found = found_example()
        server.search_ends.clear()
        await seek(page, "T_12345")
        await page.becomes("document.getElementById('panel').innerText.includes('Searching for T_12345')")
        assert await page.evaluate("document.querySelector('.finder .primary').disabled")
        server.search_ends.set()
        shown = await page.becomes("document.querySelector('.fates') && panel.innerText")
        assert "1 delivered" in shown
        assert "claimed by GA4" in shown
        assert "2 damaged parts were passed over" in shown
        told = await page.evaluate("[...document.querySelectorAll('.fates > li')].map(one => one.innerText)")
        said = {text.split()[0]: " ".join(text.split()) for text in told}
        assert said["GA4"] == "GA4 delivered Attempts 16:00:02.123Z graph.facebook.com attempt 1 204 accepted"
        assert "attempt 1 503 to be sent again 16:00:04.123Z" in said["Meta"]
        assert "attempt 2 400 refused for good Invalid parameter" in said["Meta"]
        assert "dead letter 3f9a27c1d04e" in said["Meta"]
        assert "waiting" in said["Warehouse"]
        assert "ConnectFailed" in said["Warehouse"]
        assert "unknown" in said["Newsletter"]
        assert "nothing to deliver blocked by consent: needs ad_storage" in said["Ads"]
        # an outcome is a shape and a word, never a colour alone
        shapes = await page.evaluate(
            "[...document.querySelectorAll('.fates > li > div:first-child svg')].map(one => one.innerHTML)"
        )
        assert len(set(shapes)) == 5
        await page.press("Escape")
        await page.press("Escape")  # the request that was open before is there again
        await page.becomes("document.querySelector('#tab-summary[aria-selected=true]')")


async def test_where_nothing_is_found_or_sought_the_page_says_why(browser):
    async with page_over(browser) as (page, server):
        await page.becomes("document.querySelectorAll('[role=option]').length === 6")
        await seek(page, "T-0")
        await page.becomes("document.getElementById('panel')?.innerText.includes('Nothing holds T-0')")
        assert "sgtm serve --archive 7d" in await page.evaluate("document.getElementById('panel').innerText")
        server.fault = "busy"
        await page.press("Enter", "\r")
        await page.becomes(
            "document.querySelector('#panel [role=alert]')?.innerText.includes('another search is under way')"
        )
        server.fault, server.found = "", found_example(HOSTILE)
        await page.evaluate("document.activeElement.select()")
        await page.write(HOSTILE)
        await page.press("Enter", "\r")
        await page.becomes("document.querySelector('.fates')?.innerText.includes('onerror')")
        assert await page.evaluate("document.querySelectorAll('img, main script, iframe').length") == 0
        assert await page.evaluate("document.title") == "sgtm preview"


async def test_in_the_waterfall_a_delivery_s_mark_stands_beside_its_name(browser):
    async with page_over(browser) as (page, _):
        await open_row(page, 4)
        await tab(page, "Timing")
        marks = await page.evaluate(MARKS_OF_SPANS)
        assert {kind for kind, *_ in marks} == {"fired", "held", "failed"}
        for _, is_beside, fill, width in marks:
            assert (is_beside, fill, width) == (True, "none", 13)


MARKS_OF_SPANS = """[...document.querySelectorAll(".span .what .icon")].map((mark) => {
  const line = mark.parentElement.getBoundingClientRect();
  const box = mark.getBoundingClientRect();
  const fill = mark.classList.contains("held") ? getComputedStyle(mark.querySelector("rect")).fill : "none";
  return [mark.classList[1], line.height < 2 * box.height, fill, box.width];
})"""


@pytest.mark.parametrize(
    ("fault", "says", "button"),
    [("logged out", "You are logged out", "Log in"), ("gone", "This session is over", "Start a new session")],
)
async def test_what_is_wrong_is_said_with_a_way_on(browser, fault, says, button):
    async with page_over(browser, fault=fault) as (page, server):
        await page.becomes(f"document.querySelector('#detail [role=alert]')?.innerText.includes('{says}')")
        assert await page.evaluate("document.querySelector('#detail .primary').innerText") == button
        server.fault = ""
        if fault == "gone":
            await page.click("#detail .primary")
            await page.becomes("document.querySelectorAll('[role=option]').length === 6")


async def test_a_lost_connection_is_said_and_made_again(browser):
    async with page_over(browser, VIEWS[:2]) as (page, server):
        await page.becomes("document.querySelector('.connection.live')")
        await server.cut()
        await page.becomes("document.querySelector('.connection.lost')")
        assert "connection lost" in await page.evaluate("document.querySelector('.connection').innerText")
        await page.becomes("document.querySelector('.connection.live')")
        await server.put(VIEWS[4])
        await page.becomes("document.querySelectorAll('[role=option]').length === 3")


async def test_of_five_thousand_requests_only_those_in_sight_are_in_the_page(browser):
    summaries = [replace(VIEWS[n % 6].summary, id=f"n{n}", at_micros=n * 1000) for n in range(5000)]
    async with page_over(browser, [], summaries=summaries) as (page, server):
        await page.becomes("document.querySelector('.count')?.innerText.includes('5,000 requests')")
        assert await page.evaluate("document.querySelectorAll('[role=option]').length") < 60
        await page.evaluate("document.querySelector('.rows').scrollTop = 1e9")
        await page.becomes("document.querySelector('[role=option][aria-posinset=\"5000\"]')")
        # who has scrolled down goes on looking at the same rows while others come in above
        await page.evaluate("document.querySelector('.rows').scrollTop = 46000")
        await page.becomes("document.querySelector('[role=option][aria-posinset=\"1001\"]')")
        await page.becomes("document.querySelector('.connection.live')")
        await server.tell("request", replace(summaries[-1], id="new", at_micros=10**9))
        await page.becomes("document.querySelector('.count').innerText.includes('5,001')")
        assert await page.evaluate("document.querySelector('.rows').scrollTop") == 46046


async def test_it_can_be_read_in_the_light_and_in_the_dark_and_in_a_narrow_window(browser):
    async with page_over(browser, size=(420, 800)) as (page, _):
        await page.becomes("document.querySelectorAll('[role=option]').length === 6")
        await open_row(page, 1)
        assert await page.evaluate("getComputedStyle(document.getElementById('list')).display") == "none"
        assert await page.evaluate("document.documentElement.scrollWidth") <= 420
        for theme in ("light", "dark"):
            await page.press("d")
            assert await page.evaluate("document.documentElement.dataset.theme") == theme
            found = await page.evaluate(CONTRASTS)
            # SPEC: WCAG 2.2, 1.4.3: 4.5 to 1 for text
            assert {name: round(ratio, 2) for name, ratio in found.items() if ratio < 4.5} == {}
        await page.click(".back")
        await page.becomes("getComputedStyle(document.getElementById('list')).display !== 'none'")


CONTRASTS = """(() => {
  const probe = document.createElement("i");
  document.body.append(probe);
  const light = (name) => {
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts.map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (...names) => {
    const [dark, bright] = names.map(light).sort((one, other) => one - other);
    return (bright + 0.05) / (dark + 0.05);
  };
  const found = {};
  const texts = ["text", "soft", "accent", "fired", "failed", "held", "not", "string", "number", "boolean"];
  for (const text of texts) {
    for (const back of ["back", "panel", "raised", "open"]) found[`${text} on ${back}`] = ratio(text, back);
  }
  for (const tone of ["fired", "failed", "held"]) {
    const back = `${tone}-back`;
    for (const text of [tone, "text", "string", "number"]) found[`${text} on ${back}`] = ratio(text, back);
  }
  found.button = ratio("on-accent", "accent");
  probe.remove();
  return found;
})()"""


NAMELESS = """[...document.querySelectorAll("button, input, select")]
  .filter((one) => !(one.innerText || one.getAttribute("aria-label") || one.closest("label")))
  .map((one) => one.outerHTML)"""


async def test_everything_that_can_be_pressed_has_a_name(browser):
    async with page_over(browser) as (page, _):
        await open_row(page, 4)
        for name in ("Summary", "Event data", "Outgoing"):
            await tab(page, name)
            assert await page.evaluate(NAMELESS) == []


FILTERS = {
    "": True,
    "meta": True,
    "facebook COLLECT": True,
    "facebook nowhere": False,
    "status:4": True,
    "status:2": False,
    '"add to cart"': True,
    "event:cart": True,
    "-event:cart": False,
    "tag:failed": True,  # a delivery was
    "tag:held": False,
    "tag:not": True,
    "tag:meta": True,
    "client:ga": True,
    "client:none": False,
    "worker:1": True,
    "worker:2": False,
    "path:/g/": True,
    "method:post": False,
    "(": False,
}
FILTERED = """import("/preview/assets/store.js").then(({ parseFilter }) => {
  const one = {
    id: "x", method: "GET", path: "/g/collect", client: "GA4", events: ["add to cart"],
    status: 404, worker: 1,
    tags: { fired: 1, failed: 0, held: 0, not: 2 }, deliveries: { failed: 1 },
    search: "Meta graph.facebook.com",
  };
  return %s.map((text) => parseFilter(text)(one));
})"""


async def test_filters_read_as_they_are_written(browser):
    async with page_over(browser) as (page, _):
        passed = await page.evaluate(FILTERED % list(FILTERS))
        assert dict(zip(FILTERS, passed, strict=True)) == FILTERS
