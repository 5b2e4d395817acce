"""What the preview's page costs a browser with 5,000 requests in its list.

`python -m benchmarks.preview_page [--requests 5000] [--rate 200]`

Headless Chromium, the real page, `tests/page_server.py` behind it. Four phases of a few seconds: nothing
happens; requests come in (`--rate` a second); the same while somebody scrolls through the whole list; keys
are pressed. For each: scripting time, and time of layout and style, for a second of it
(`Performance.getMetrics`), and the times between frames. Before and after these phases stand single actions.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the browser's driver and the page's server

from browser.chromium import Page, chromium
from msgspec.structs import replace
from page_server import PageServer, example_views

from sgtm.preview.view import RequestView

PHASE_S = 3.0
FRAMES = """new Promise((done) => {
  const times = [];
  const end = performance.now() + %d;
  const step = (now) => { times.push(now); if (now < end) requestAnimationFrame(step); else done(times); };
  requestAnimationFrame(step);
})"""
SCROLL = """(() => {
  const rows = document.querySelector(".rows");
  const began = performance.now();
  const step = (now) => {
    const part = (now - began) / %d;
    rows.scrollTop = part * rows.scrollHeight;
    if (part < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})()"""


async def main() -> None:
    """Print a line for each phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=200)
    arguments = parser.parse_args()
    views = await asyncio.to_thread(example_views)
    with tempfile.TemporaryDirectory() as folder:
        async with PageServer() as server, chromium({}, Path(folder)) as browser:
            fill(server, views, arguments.requests)
            page = await browser.open("about:blank")
            await page.size(1440, 900)
            await page.call("Performance.enable")
            await once(page, "loaded", lambda page: load(page, server, arguments.requests))
            await phases(page, server, views, arguments.rate)
            await actions(page, server)


def fill(server: PageServer, views: list[RequestView], count: int) -> None:
    """So many requests, a millisecond apart, and one with 100 tags."""
    summaries = [views[n % len(views)].summary for n in range(count)]
    server.summaries = [replace(one, id=f"n{n}", at_micros=n * 1000) for n, one in enumerate(summaries)]
    large = views[2]
    (event,) = large.events  # a purchase
    tags = [replace(tag, name=f"{tag.name} {n}") for n in range(34) for tag in event.tags][:100]
    view = replace(large, events=[replace(event, tags=tags)])
    for one in server.summaries[-50:]:
        server.views[one.id] = replace(view, summary=replace(view.summary, id=one.id))


async def load(page: Page, server: PageServer, count: int) -> None:
    """Open the page until it has them all."""
    await page.go(server.url)
    await page.becomes(f"document.querySelector('.count')?.innerText.includes('{count:,} requests')")
    await page.becomes("document.querySelector('.connection.live')")


async def phases(page: Page, server: PageServer, views: list[RequestView], rate: int) -> None:
    """The phases that go on for a while."""
    milliseconds = int(PHASE_S * 1000)

    async def come_in() -> None:
        for number in range(int(PHASE_S * rate)):
            at = 10**9 * (1 + came[0]) + number
            summary = replace(views[number % 6].summary, id=f"c{at}", at_micros=at)
            await server.tell("request", summary)
            await asyncio.sleep(1 / rate)
        came[0] += 1

    async def scroll() -> None:
        await page.evaluate(SCROLL % milliseconds)

    async def press() -> None:
        for _ in range(int(PHASE_S * 8)):
            await page.press("j")
            await asyncio.sleep(1 / 8)

    came = [0]
    await report(page, "nothing happens")
    await report(page, f"{rate} requests a second", come_in)
    await report(page, f"{rate} requests a second, scrolling", come_in, scroll)
    await page.evaluate("document.querySelector('.rows').scrollTop = 0")
    await report(page, "8 keys a second through the list", press)


async def report(page: Page, name: str, *doing: Callable[[], Awaitable[Any]]) -> None:
    """Scripting and frames while all of `doing` go on."""
    times: list[float] = []

    async def watch() -> None:
        frames = page.evaluate(FRAMES % int(PHASE_S * 1000))
        times.extend((await asyncio.gather(frames, *(one() for one in doing)))[0])

    script, layout = await cost(page, watch)
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    median, most = gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.99)]
    print(
        f"{name:34} scripting {script / PHASE_S * 1000:7.0f} ms/s  layout and style "
        f"{layout / PHASE_S * 1000:5.0f} ms/s  frames: median {median:5.1f} ms, 99 % {most:6.1f}, "
        f"longest {gaps[-1]:6.1f}"
    )


async def actions(page: Page, server: PageServer) -> None:
    """Single things that people do."""
    await page.go(server.url)
    await page.becomes("document.querySelectorAll('[role=option]').length > 5")
    await once(page, "a request with 100 tags is opened", open_newest)
    await once(page, "its tab Outgoing", lambda page: open_tab(page, "Outgoing"))
    await once(page, "its tab Tags", lambda page: open_tab(page, "Tags"))
    await once(page, "a filter of 14 letters is typed", type_filter)


async def once(page: Page, name: str, act: Callable[[Page], Awaitable[None]]) -> None:
    """Print what a single thing takes."""
    script, layout = await cost(page, lambda: act(page))
    print(f"{name:34} scripting {script * 1000:7.0f} ms    layout and style {layout * 1000:5.0f} ms")


async def open_newest(page: Page) -> None:
    """With the keyboard."""
    await page.press("j")
    await page.becomes("document.querySelector('[role=tablist]')")


async def open_tab(page: Page, name: str) -> None:
    """Until it has been drawn."""
    tabs = "[...document.querySelectorAll('[role=tab]')]"
    await page.evaluate(f"{tabs}.find(one => one.innerText.startsWith('{name}')).click()")
    await page.evaluate(FRAMES % 50)


async def type_filter(page: Page) -> None:
    """A letter at a time."""
    await page.evaluate("document.querySelector('#filter').focus()")
    for letter in "event:purchase":
        await page.press(letter)
    await page.becomes("document.querySelector('.count').innerText.includes(' of ')")


async def cost(page: Page, doing: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Seconds of scripting, and of layout and style, that something takes."""
    before = await measured(page)
    await doing()
    after = await measured(page)
    return after[0] - before[0], after[1] - before[1]


async def measured(page: Page) -> tuple[float, float]:
    """Seconds of scripting, and of layout and style, since the page was opened."""
    metrics = {one["name"]: one["value"] for one in (await page.call("Performance.getMetrics"))["metrics"]}
    return metrics["ScriptDuration"], metrics["LayoutDuration"] + metrics["RecalcStyleDuration"]


if __name__ == "__main__":
    asyncio.run(main())
