"""Headless Chromium, driven over its DevTools protocol: start it, open pages, run code, read cookies.

Nothing that the browser asks for leaves the machine: each host of `hosts` is mapped to a loopback
port, every other name to a port where nobody listens. Pages use plain http on port 80 as far as they
know; `Secure` cookies work because the origins are declared trustworthy on the command line.

    async with chromium({"shop.example": 41000, "sst.shop.example": 41001}, tmp_path) as browser:
        page = await browser.open("http://shop.example/")
        await page.evaluate("document.title")
"""

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

TIMEOUT_S = 30.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-breakpad",
    "--remote-debugging-port=0",
)


class BrowserError(Exception):
    """Chromium is missing, did not start, or a page threw."""


class Page:
    """One tab. `seen` holds every DevTools event that it reported, oldest first."""

    def __init__(self, browser: "Browser", session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self.seen: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method of this tab."""
        return await self._browser.call(method, self._session, **parameters)

    async def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression (a promise is awaited). Raises BrowserError if it throws."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def go(self, url: str) -> None:
        """Open `url` in this tab and wait until it has loaded."""
        loads = self._loads()
        answer = await self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(f"{url}: {answer['errorText']}")
        await self._browser.until(lambda: self._loads() > loads)

    async def click(self, selector: str) -> None:
        """Press the mouse button on the middle of an element, as a person would."""
        x, y = await self.evaluate(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def press(self, key: str, text: str = "") -> None:
        """Press a key: a character, or a name such as `Escape`."""
        code = {"Escape": 27, "Enter": 13, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38}.get(key, 0)
        text = text or (key if len(key) == 1 else "")
        down = {"key": key, "text": text, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **down)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def write(self, text: str) -> None:
        """Put a text into the field that has the focus."""
        await self.call("Input.insertText", text=text)

    async def becomes(self, expression: str) -> Any:
        """Wait until an expression is true; its value (True for an element). Raises TimeoutError with what
        the page shows."""
        looked = f"(found => found instanceof Node ? true : found)({expression})"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    if value := await self.evaluate(looked):
                        return value
                    await asyncio.sleep(0.02)
        shown = await self.evaluate("document.body.innerText")
        raise TimeoutError(f"never so: {expression}\nthe page shows:\n{shown}")

    async def to_front(self) -> None:
        """Make it the tab that is looked at: others draw nothing."""
        await self.call("Page.bringToFront")

    async def size(self, width: int, height: int) -> None:
        """Give the tab a size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def screenshot(self) -> bytes:
        """The tab as PNG."""
        picture: str = (await self.call("Page.captureScreenshot", format="png"))["data"]
        return base64.b64decode(picture)

    async def close(self) -> None:
        """Close the tab as a person would: the page gets its unload events."""
        await self.call("Page.close")
        await self._browser.until(lambda: self._target in self._browser.gone)

    def _loads(self) -> int:
        return sum(event["method"] == "Page.loadEventFired" for event in self.seen)


class Browser:
    """The connection to one Chromium."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._news = asyncio.Condition()
        self.gone: set[str] = set()

    async def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method of the browser, or of the tab `session`."""
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(message | ({"sessionId": session} if session else {}))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await answer
        finally:
            del self._answers[number]

    async def listen(self) -> None:
        """Hand out what Chromium says, until it is gone."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                answer = self._answers.get(said["id"])
                if answer is None or answer.done():
                    continue
                if "error" in said:
                    answer.set_exception(BrowserError(said["error"]["message"]))
                else:
                    answer.set_result(said["result"])
                continue
            if said["method"] == "Target.targetDestroyed":
                self.gone.add(said["params"]["targetId"])
            elif said.get("sessionId") in self._pages:
                self._pages[said["sessionId"]].seen.append(said)
            async with self._news:
                self._news.notify_all()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until Chromium has reported what makes `is_so` true. Raises TimeoutError."""
        async with asyncio.timeout(TIMEOUT_S), self._news:
            await self._news.wait_for(is_so)

    async def open(self, url: str) -> Page:
        """A new tab in which `url` has loaded."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Network", "Runtime"):
            await page.call(f"{domain}.enable")
        await page.go(url)
        return page

    async def cookies(self) -> dict[str, dict[str, Any]]:
        """All cookies of the profile by name, HttpOnly ones too, as `Network.Cookie` describes them."""
        cookies = (await self.call("Storage.getCookies"))["cookies"]
        return {cookie["name"]: cookie for cookie in cookies}


@contextlib.asynccontextmanager
async def chromium(hosts: Mapping[str, int], folder: Path) -> AsyncIterator[Browser]:
    """A Chromium with an empty profile in `folder`; `hosts` maps host names to loopback ports."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise BrowserError("there is no Chromium: apt-get install chromium")
    profile = folder / "profile"
    rules = [f"MAP {host}:80 127.0.0.1:{port}" for host, port in hosts.items()]
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={profile}",
        f"--host-resolver-rules={', '.join([*rules, 'MAP * 127.0.0.1:9', 'EXCLUDE 127.0.0.1'])}",
        f"--unsafely-treat-insecure-origin-as-secure={','.join(f'http://{host}' for host in hosts)}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # so that its renderers end with it
    )
    try:
        url = await _devtools(profile / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            browser = Browser(socket)
            listening = asyncio.create_task(browser.listen())
            try:
                await browser.call("Target.setDiscoverTargets", discover=True)
                yield browser
                await browser.call("Browser.close")
                await asyncio.wait_for(process.wait(), TIMEOUT_S)
            finally:
                listening.cancel()
                await asyncio.wait([listening])
    finally:
        await _end(process)


async def _devtools(port_file: Path, process: asyncio.subprocess.Process) -> str:
    """Address of the browser's DevTools socket, as soon as Chromium has written it down."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            while process.returncode is None:
                if len(lines := _lines(port_file)) == 2:
                    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
                await asyncio.sleep(0.05)
    raise BrowserError(f"Chromium did not start in {TIMEOUT_S:.0f} s (exit status {process.returncode})")


def _lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of this Chromium: its own process group, nobody else's."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
