"""A stand-in for the admin listener: the page and the preview's API, over walks that were made before.

What the page asks for is answered without sessions or workers, so that it can be looked at in states that
a real server is seldom in. `python tests/page_server.py [PORT]` serves the recorded hits on loopback, for
people who work on the page.
"""

import asyncio
import json
import sys

from aiohttp import web
from msgspec.structs import replace
from walks import HITS, recorded_request, shop_container

from sgtm.dry_run import dry_run
from sgtm.messages import Outcome, VendorAnswer
from sgtm.observability.walk import TimedWalk
from sgtm.preview import assets
from sgtm.preview.case import test_case
from sgtm.preview.encoding import Seen, view_of
from sgtm.preview.view import RequestView, Summary, encode

SESSION = {
    "id": "s1",
    "token": "s1.token",
    "header": "X-Gtm-Server-Preview: s1.token",
    "cookie": "sgtm_preview_session=s1.token",
    "parameter": "sgtm_preview=s1.token",
    "expires_at": 4_000_000_000,
}


class PageServer:
    """Serves `views`, newest last; `fault`: "logged out", "gone" (the session), "busy" (a search), or
    nothing. `found` is what a search answers, once `search_ends`."""

    def __init__(self, views: list[RequestView] = [], summaries: list[Summary] = []) -> None:  # noqa: B006
        self.views = {view.summary.id: view for view in views}
        self.summaries = [*summaries, *(view.summary for view in views)]
        self.fault = ""
        self.found: dict = {"found": [], "notes": []}
        self.search_ends = asyncio.Event()
        self.search_ends.set()
        self.draft = True
        self.asked: list[str] = []
        self.url = ""
        self._streams: list[tuple[web.Request, web.StreamResponse]] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "PageServer":
        self.url = await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, port: int = 0) -> str:
        """The address of the page."""
        app = web.Application()
        app.add_routes([web.route("*", "/preview/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/preview/"

    async def close(self) -> None:
        """Stop."""
        await self.cut()
        if self._runner is not None:
            await self._runner.cleanup()

    async def cut(self) -> None:
        """End every stream, as a network does."""
        for request, _ in self._streams:
            if request.transport is not None:
                request.transport.close()
        self._streams.clear()

    async def tell(self, event: str, part: Summary | dict) -> None:
        """News for every stream."""
        data = json.dumps(part) if isinstance(part, dict) else encode(part).decode()
        for _, stream in self._streams:
            await stream.write(f"event: {event}\ndata: {data}\n\n".encode())

    async def put(self, view: RequestView) -> None:
        """A request comes in."""
        is_known = view.summary.id in self.views
        self.views[view.summary.id] = view
        self.summaries.append(view.summary)
        await self.tell("update" if is_known else "request", view.summary)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append(f"{request.method} {path}")
        if path == "":
            policy = {"Content-Security-Policy": assets.PAGE_POLICY}
            return web.Response(body=assets.page(), content_type="text/html", headers=policy)
        if path == "login":
            policy = {"Content-Security-Policy": assets.login_policy()}
            return web.Response(
                body=assets.login_page("This is not the token."), content_type="text/html", headers=policy
            )
        if path == "logout":
            return web.Response(status=204)
        if path.startswith("assets/"):
            found = assets.asset(path.removeprefix("assets/"))
            if found is None:
                return web.Response(status=404)
            return web.Response(body=found.content, headers={"Content-Type": found.content_type})
        return await self._api(request, path.removeprefix("api/").split("/"))

    async def _api(self, request: web.Request, steps: list[str]) -> web.StreamResponse:
        match steps:
            case ["find"]:
                await self.search_ends.wait()
                status = 429 if self.fault == "busy" else 200
                said = {"error": "another search is under way"} if self.fault == "busy" else self.found
                return web.json_response(said, status=status)
            case ["bootstrap"]:
                return web.json_response(self._bootstrap(), status=401 if self.fault == "logged out" else 200)
            case ["sessions"]:
                return web.json_response({**SESSION, **(await request.json())})
            case ["sessions", _, "stream"]:
                return await self._stream(request)
            case ["sessions", _, "requests"]:
                status = 404 if self.fault == "gone" else 200
                return web.json_response({"requests": json.loads(encode(self.summaries))}, status=status)
            case ["sessions", _, "requests", rid, *more]:
                return self._request(rid, more)
        return web.json_response({"error": "Not Found"}, status=404)

    def _bootstrap(self) -> dict:
        return {
            "csrf": "c",
            "version": "0.1.0",
            "container": {"id": "shop", "version": "269103e16a93", "clients": [], "tags": []},
            "workers": 2,
            "look_back": {"share": 0.01, "size": 200},
            "url": "https://sst.shop.example",
            "draft": {"path": "draft.yaml"} if self.draft else None,
        }

    def _request(self, rid: str, more: list[str]) -> web.Response:
        view = self.views.get(rid)
        if view is None:
            return web.json_response({"error": "it is gone"}, status=404)
        if more == ["test"]:
            return web.Response(text=test_case(view), content_type="text/yaml")
        if more == ["replay"]:
            view = replayed(view)
        return web.Response(body=encode(view), content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.fault == "gone":
            return web.json_response({"error": "no such session"}, status=404)
        stream = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await stream.prepare(request)
        await stream.write(b": hello\n\n")
        self._streams.append((request, stream))
        await asyncio.Event().wait()  # until the server is closed
        return stream


def found_example(said: str = "") -> dict:
    """What a search may find: tags in each state that there is; `said` is in every text."""
    at, version = 1_764_000_000_123_000, "269103e16a93"

    def attempt(number: int, status: int, outcome: str, reason: str = "") -> dict:
        went = {"at_micros": at + number * 2_000_000, "destination": "graph.facebook.com" + said}
        return {**went, "attempt": number, "status": status, "outcome": outcome, "reason": reason + said}

    def tag(name: str, state: str, outcome: str, tries: list[dict], **more: object) -> dict:
        told = {"name": name + said, "outcome": outcome, "reason": said, "state": state}
        return {**told, "tries": tries, "letters": [], **more}

    tags = [
        tag("GA4", "delivered", "fired", [attempt(1, 204, "done")]),
        tag(
            "Meta",
            "given up",
            "fired",
            [
                attempt(1, 503, "retry", "HTTP 503"),
                attempt(2, 400, "dead", "HTTP 400: Invalid parameter, code 100"),
            ],
            letters=["3f9a27c1d04e" + said],
        ),
        tag("Warehouse", "waiting", "fired", [attempt(1, 0, "retry", "ConnectFailed")]),
        tag("Newsletter", "unknown", "fired", []),
        tag("Ads", "", "blocked by consent", [], reason="needs ad_storage"),
    ]
    event = {"index": 0, "name": "purchase" + said, "found_in": ["transaction_id" + said], "tags": tags}
    request = {"at_micros": at, "method": "POST", "path": "/g/collect" + said, "client": "GA4" + said}
    kept = {"place": "archive", "container_version": version, "uses_version": "5be01f9a77c2"}
    return {
        "found": [{**request, **kept, "events": [event]}],
        "notes": ["2 damaged parts were passed over" + said],
    }


def replayed(view: RequestView) -> RequestView:
    """The same as a draft might have it: one tag less, another price."""
    copy: RequestView = replace(
        view, summary=replace(view.summary, source="replay"), container_version="5be01f9a77c2"
    )
    copy.events = [
        replace(
            event,
            data={**event.data, "value": 80},
            tags=[
                replace(
                    tag,
                    outcome="blocked by consent",
                    group="held",
                    reason="needs analytics_storage",
                    deliveries=[],
                )
                if tag.name == "Warehouse"
                else tag
                for tag in event.tags
            ],
        )
        for event in view.events
    ]
    return copy


def answered_walk(container, request, number=0, verdicts=("done", "done", "dead")):
    """A walk whose deliveries were answered: the last as `verdicts` has it."""
    at = request.received_micros
    ticks = iter(range(at + 40, at + 10_000_000, 35 + number % 7))
    walk = dry_run(container, request, walk=TimedWalk(begun_micros=at, now_micros=lambda: next(ticks)))
    deliveries = [one for event in walk.events for tag in event.tags for one in tag.deliveries]
    for place, (delivery, verdict) in enumerate(zip(deliveries, verdicts * 9, strict=False)):
        _answer(delivery, verdict, at + 900 + 100 * place, 21_000 + 9_000 * place)
    return walk


def _answer(delivery, verdict, begun, took):
    headers = (("content-type", "application/json"), ("x-fb-trace-id", "AbC1dEf2"))
    if verdict == "done":
        delivery.begins(begun)
        delivery.ended(
            begun + took,
            Outcome("done"),
            VendorAnswer(200, headers, b'{"events_received":1,"messages":[]}'),
            "",
            1,
        )
        return
    for attempt in range(3):
        delivery.begins(begun + attempt * 80_000)
        outcome = (
            Outcome("retry", "503 from the vendor")
            if attempt < 2
            else Outcome("dead", "the vendor refuses it: 400")
        )
        body = VendorAnswer(
            503 if attempt < 2 else 400, headers, b'{"error":{"message":"Invalid parameter","code":100}}'
        )
        delivery.ended(begun + attempt * 80_000 + took, outcome, body, "", attempt + 1)


def example_views(count: int = len(HITS)) -> list[RequestView]:
    """Recorded hits through the shop, answered, a second apart."""
    container, views = shop_container(), []
    for number in range(count):
        hit = HITS[number % len(HITS)]
        request = recorded_request(hit, received_micros=1_764_000_000_000_000 + number * 1_317_000)
        walk = answered_walk(
            container, request, number, ("done",) if number % 5 != 2 else ("done", "done", "dead")
        )
        seen = Seen(id=f"r{number}", source="session", worker=number % 2, took_micros=280 + number * 13 % 400)
        views.append(view_of(walk, request, seen, container))
    return views


async def _serve() -> None:
    server = PageServer(VIEWS)
    print(await server.start(int(sys.argv[1]) if len(sys.argv) > 1 else 8123))
    await asyncio.Event().wait()


if __name__ == "__main__":
    VIEWS = example_views()
    asyncio.run(_serve())
