"""The main job over real sockets: recorded browser hits in, vendors' requests out.

The server is a Worker as `sgtm serve` runs it, the vendors are stand-ins on loopback.
"""

import asyncio
import contextlib
from pathlib import Path

import pytest
from cases import make_request, query_of
from doubles import HeldLanes, NotingOutbox, eventually

from sgtm.container.compile import load_container
from sgtm.demo.hits import read_hit
from sgtm.demo.tour import SHOP, stand_in_environment
from sgtm.demo.vendor import Fault, Vendor
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline

META = "/v25.0/1234567890/events"


async def exchange(port, wire):
    """Send one request, read the answer to the end; (status, headers, body)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(wire)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return int(status.split(" ")[1]), [tuple(line.split(": ", 1)) for line in headers], body


def hit(name):
    return read_hit(next((SHOP / "hits").glob(f"*-{name}.http"))).wire()


@pytest.fixture
async def shop(serve, vendor, monkeypatch):
    """The shop of `make run`: send it a recorded hit, get the answer and the walk of it."""
    for name, value in stand_in_environment(vendor.url).items():
        monkeypatch.setenv(name, value)
    walks = []
    served = await serve(
        load_container(SHOP / "container.yaml"),
        new_walk=lambda request: walks.append(Walk()) or walks[-1],
        trusted_proxies=("127.0.0.0/8",),  # the recorded hits came through a proxy
    )

    async def send(name):
        answer = await exchange(served.port, hit(name))
        await served.worker.lanes.drain(5)
        return answer, walks[-1]

    return send


async def test_a_page_view_reaches_ga4_and_meta_and_sets_the_cookies(shop, vendor):
    answer, walk = await shop("page_view")
    (ga4,) = vendor.requests("/g/collect")
    (meta,) = vendor.requests(META)
    status, headers, body = answer
    cookies = {value.partition("=")[0]: value for name, value in headers if name == "Set-Cookie"}
    assert (status, body) == (204, b"")
    assert {"FPID", "_fbc"} <= cookies.keys()
    assert "HttpOnly" in cookies["FPID"], "SPEC: ga4-protocol 5.4"
    assert "HttpOnly" not in cookies["_fbc"], "SPEC: meta-capi 8.4"
    assert all("Domain=shop.example" in value for value in cookies.values())
    assert ("Access-Control-Allow-Origin", "https://www.shop.example") in headers
    assert ("Cache-Control", "no-store") in headers
    sent = query_of(f"?{ga4.query}") | query_of(f"?{ga4.body.decode()}")
    assert (sent["en"], sent["tid"], sent["cid"]) == (
        ["page_view"],
        ["G-SHOP000001"],
        ["1307714608.1760043792"],
    )
    event = meta.json()["data"][0]
    assert (event["event_name"], event["event_id"]) == ("PageView", "pv-1764340309313")
    assert event["user_data"]["fbp"] == "fb.1.1760043840841.908083253440121752"
    assert event["user_data"]["fbc"].split(".")[-1].startswith("IwAR2F4dbP0l7Mn1IawQQ")
    assert meta.header("authorization") == "Bearer a-token-for-the-stand-in"
    assert walk.claimed_by == "GA4"


async def test_a_purchase_reaches_every_vendor_with_the_same_values_and_no_readable_user_data_at_meta(
    shop, vendor
):
    await shop("purchase")
    (ga4,), (meta,), (order,) = (vendor.requests(path) for path in ("/g/collect", META, "/orders"))
    sent = query_of(f"?{ga4.query}") | query_of(f"?{ga4.body.decode()}")
    event = meta.json()["data"][0]
    assert (
        sent["ep.transaction_id"]
        == ["T_12345"]
        == [event["custom_data"]["order_id"]]
        == [order.json()["order"]]
    )
    assert float(sent["epn.value"][0]) == event["custom_data"]["value"] == 72.05
    assert sent["cu"] == ["USD"] == [event["custom_data"]["currency"]]
    assert [item["id"] for item in event["custom_data"]["contents"]] == ["SKU_12345", "SKU_12346"]
    assert {"em", "ph", "fn", "ln", "ct", "zp", "country"} <= event["user_data"].keys()
    for plain in (b"jane.doe", b"Jane", b"7911", b"London"):
        assert plain not in meta.body


async def test_a_batch_is_as_many_events_and_one_answer(shop, vendor):
    answer, walk = await shop("batch")
    names = [query_of(f"?{r.query}&{r.body.decode()}")["en"] for r in vendor.requests("/g/collect")]
    meta = [event["event_name"] for r in vendor.requests(META) for event in r.json()["data"]]
    assert answer[0] == 204
    assert sorted(names) == [["page_view"], ["scroll"]]
    assert meta == ["PageView"]
    assert [event.name for event in walk.events] == ["page_view", "scroll"]


async def test_denied_consent_gives_ga4_its_ping_and_nobody_else_anything(shop, vendor):
    # SPEC: requirements R281, ga4-protocol 6 (consent)
    answer, walk = await shop("consent-denied")
    (ga4,) = vendor.requests()
    assert not [value for name, value in answer[1] if name == "Set-Cookie"]
    assert query_of(f"?{ga4.query}")["gcs"] == ["G100"]
    others = {tag.outcome for tag in walk.events[0].tags if tag.name != "GA4"}
    assert others <= {"blocked by consent", "not triggered"}


async def test_a_webhook_of_the_backend_reaches_the_same_tags(shop, vendor):
    answer, _ = await shop("webhook")
    (ga4,), (meta,), (order,) = (vendor.requests(path) for path in ("/g/collect", META, "/orders"))
    assert answer[0] == 200
    assert query_of(f"?{ga4.query}")["en"] == ["purchase"]
    assert meta.json()["data"][0]["event_id"] == "order-T_12346"
    assert order.json()["order"] == "T_12346"


async def test_failing_and_slow_vendors_change_nothing_for_the_others_and_for_the_answer(serve, monkeypatch):
    # Two vendors fail, one hangs for 30 s, one is 100 ms away; SPEC: requirements R6, R271, R272
    container = {
        "sgtm": 1,
        "consent": {"unset": "granted", "gate": "declared"},
        "clients": [{"name": "JSON", "type": "json", "parameters": {"paths": ["/e"]}}],
        "tags": [
            {
                "name": name,
                "type": "http_request",
                "firing_triggers": ["All Events"],
                "parameters": {"url": f"${{{name.upper()}}}/{name}"},
            }
            for name in ("broken", "limited", "hanging", "distant", "healthy")
        ],
    }
    async with contextlib.AsyncExitStack() as stack:
        vendors = {t["name"]: await stack.enter_async_context(Vendor()) for t in container["tags"]}
        vendors["broken"].fail("/", Fault(status=500))
        vendors["limited"].fail("/", Fault(status=429, headers=(("Retry-After", "3600"),)))
        vendors["hanging"].fail("/", Fault(latency_ms=30_000))
        vendors["distant"].fail("/", Fault(latency_ms=100))
        for name, vendor in vendors.items():
            monkeypatch.setenv(name.upper(), vendor.url)
        worker, _, port = await serve(container)
        body = b'{"event_name": "e"}'
        wire = (
            b"POST /e HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % len(body)
        )
        answers = await asyncio.gather(*(exchange(port, wire + body) for _ in range(50)))
        assert [status for status, _, _ in answers] == [200] * 50
        assert len(await vendors["healthy"].wait_for(50)) == 50
        assert len(await vendors["distant"].wait_for(50)) == 50
        for name in ("healthy", "distant"):
            await eventually(lambda n=name: worker.counters.value("sgtm_deliveries_done_total", n) == 50)
        for name in ("broken", "limited", "hanging"):
            assert worker.counters.value("sgtm_deliveries_done_total", name) == 0
            assert len(vendors[name].requests()) >= 1


async def test_the_same_record_and_container_give_the_same_deliveries_byte_for_byte(monkeypatch):
    # SPEC: design, Delivery (a hit is a pure function of its record and its container)
    for name, value in stand_in_environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    container = load_container(SHOP / "container.yaml")
    for file in sorted((SHOP / "hits").glob("*.http")):
        recorded = read_hit(file)
        said = {"method": recorded.method, "target": recorded.target, "headers": dict(recorded.headers)}
        request = make_request({**said, "body": recorded.body, "host": "sst.shop.example"})
        runs = []
        for _ in range(2):
            outbox, lanes = NotingOutbox(), HeldLanes()
            answer = Pipeline(container, outbox, lanes, Counters()).run(request)
            record = outbox.told[0][1]
            lanes_again = HeldLanes()
            again = Pipeline(container, NotingOutbox(), lanes_again, Counters()).run(record.request)
            assert [d.request for d in lanes.deliveries] == [d.request for d in lanes_again.deliveries]
            assert answer == again
            runs.append([d.request for d in lanes.deliveries])
        assert runs[0] == runs[1]
        assert runs[0], file


HITS = sorted(Path(__file__).parents[2].glob("examples/*/hits"))


@pytest.mark.parametrize("hits", HITS, ids=lambda path: path.parent.name)
async def test_every_example_serves_its_hits(hits, serve, vendor, monkeypatch):
    for name, value in stand_in_environment(vendor.url).items():
        monkeypatch.setenv(name, value)
    served = await serve(load_container(hits.with_name("container.yaml")))
    for path in sorted(hits.glob("*.http")):
        status, _, _ = await exchange(served.port, read_hit(path).wire())
        assert status in (200, 204), path
    await served.worker.lanes.drain(5)
    assert vendor.requests()
