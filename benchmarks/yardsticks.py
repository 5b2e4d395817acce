"""Servers to measure ours against: `python -m benchmarks.yardsticks bare|canned|webhook`, `plain VENDOR`.

canned a uvloop protocol that reads nothing and answers 204 to whatever comes: the floor
bare   an aiohttp Application that answers 204 and does nothing else
plain  the whole job as anybody would write it first: an aiohttp handler that parses with urllib, builds
       both payloads, awaits two posts of one ClientSession at once and then answers
webhook an aiohttp handler that checks a signature as Stripe's, reads the JSON and keeps nothing
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import uvloop
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

EVENTS = "/v25.0/1234567890/events"
WEBHOOK_SECRET = b"whsec_of_the_benchmark"
JSON = {"Content-Type": "application/json", "Authorization": "Bearer a-token-for-the-stand-in"}


async def bare(_: web.Request) -> web.Response:
    """204."""
    return web.Response(status=204)


async def webhook(request: web.Request) -> web.Response:
    """204 to what is signed, with the fields of a purchase in a dict."""
    body = await request.read()
    parts = dict(part.split("=", 1) for part in request.headers["Stripe-Signature"].split(","))
    signed = b"%s.%s" % (parts["t"].encode(), body)
    expected = hmac.new(WEBHOOK_SECRET, signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, parts["v1"]) or abs(time.time() - int(parts["t"])) > 3_600:
        return web.Response(status=401)
    event = json.loads(body)
    session = event["data"]["object"]
    event["purchase"] = {
        "event_name": "purchase",
        "transaction_id": session["payment_intent"],
        "value": session["amount_total"] / 100,
        "currency": session["currency"].upper(),
        "user_data": {"email_address": session["customer_details"]["email"]},
    }
    return web.Response(status=204)


def plain(session: aiohttp.ClientSession, vendor: str) -> Handler:
    """A handler that sends each hit to both vendors."""

    async def post(url: str, body: bytes, headers: dict[str, str]) -> None:
        async with session.post(url, data=body, headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()

    async def answer(request: web.Request) -> web.Response:
        hit = dict(parse_qsl(request.query_string, keep_blank_values=True))
        ga4 = urlencode({**hit, "_uip": request.remote or ""})
        meta = json.dumps({"data": [_meta_event(request, hit)]}).encode()
        await asyncio.gather(
            post(f"{vendor}/g/collect?{ga4}", b"", {"User-Agent": request.headers["user-agent"]}),
            post(vendor + EVENTS, meta, JSON),
        )
        return web.Response(status=204)

    return answer


def _meta_event(request: web.Request, hit: dict[str, str]) -> dict[str, Any]:
    items = [dict(_item(hit[name])) for name in ("pr1", "pr2", "pr3") if name in hit]
    return {
        "event_name": "Purchase",
        "event_time": int(time.time()),
        "event_id": hit.get("ep.transaction_id"),
        "action_source": "website",
        "event_source_url": hit.get("dl"),
        "user_data": {
            "client_ip_address": request.remote,
            "client_user_agent": request.headers["user-agent"],
            "external_id": hashlib.sha256(hit.get("cid", "").encode()).hexdigest(),
            "fbp": request.cookies.get("_fbp"),
        },
        "custom_data": {
            "value": float(hit.get("epn.value", 0)),
            "currency": hit.get("cu"),
            "contents": [
                {"id": item["id"], "quantity": int(item["qt"]), "item_price": float(item["pr"])}
                for item in items
            ],
        },
    }


def _item(text: str) -> list[tuple[str, str]]:
    return [(part[:2], part[2:]) for part in text.split("~")]


class Canned(asyncio.Protocol):
    """204 for each piece that ends as a request without a body does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def serve_canned() -> None:
    """As `main`."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
    await server.serve_forever()


async def main(kind: str, vendor: str = "") -> None:
    """Serve until the end of the process; the address stands in the first line of standard error."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        application = web.Application()
        application.router.add_route("*", "/g/collect", bare if kind == "bare" else plain(session, vendor))
        application.router.add_post("/webhooks/stripe", webhook)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve_canned() if sys.argv[1] == "canned" else main(*sys.argv[1:]))
