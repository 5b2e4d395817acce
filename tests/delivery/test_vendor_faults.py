"""Every way in which a vendor misbehaves, against every built-in tag; another vendor's events go through.

SPEC: reliability 1.4 fault 11. What is built, judged and sent again is the real thing: the shop's client and
tags, the lanes, both senders, sockets. Only the clock of the lanes stands still.
"""

import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cases import make_request
from delivery.deliveries import bench
from delivery.test_sender import RawVendor

from sgtm.component import components
from sgtm.container.compile import load_container
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.demo.vendor import Fault, Vendor
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline

pytestmark = pytest.mark.usefixtures("each_sender")
TIMEOUT_S = 0.6
TAGS = ("ga4", "http_request", "meta_conversions")
CONTAINER = f"""
sgtm: 1
name: faults
consent: {{unset: granted, gate: declared}}
clients: [{{name: GA4, type: ga4}}]
tags:
  - name: ga4
    type: ga4
    firing_triggers: [All Events]
    delivery: {{timeout_s: {TIMEOUT_S}}}
    parameters: {{measurement_id: G-SHOP000001, endpoint: VENDOR/g/collect}}
  - name: meta_conversions
    type: meta_conversions
    firing_triggers: [All Events]
    delivery: {{timeout_s: {TIMEOUT_S}, linger_ms: 0}}
    parameters: {{pixel_id: "123", access_token: "${{TOKEN}}", endpoint: VENDOR}}
  - name: http_request
    type: http_request
    firing_triggers: [All Events]
    delivery: {{timeout_s: {TIMEOUT_S}}}
    parameters: {{url: VENDOR/any}}
"""
HIT = "/g/collect?v=2&tid=G-SHOP000001&cid=555.1700000000&en=page_view&ep.event_id=e-1"
DATE = "Fri, 31 Dec 2027 23:59:59 GMT"


def stand_in():
    """It lives when the hit came: Meta takes nothing that is older than a week."""
    return Vendor(now_s=lambda: make_request({"target": HIT}).received_micros / 1_000_000)


def throttled(retry_after):
    return Fault(status=429, headers=(("Retry-After", retry_after),))


FAULTS = {
    "slow": Fault(latency_ms=30_000),
    "hangs before it answers": Fault(breaks="before answering"),
    "hangs after the headers": Fault(breaks="after headers"),
    "half a body": Fault(breaks="half body"),
    "reset": Fault(breaks="reset"),
    "500": Fault(status=500),
    "429": Fault(status=429),
    "429, seconds": throttled("120"),
    "429, a date": throttled(DATE),
    "429, nonsense": throttled("soon"),
    "429, negative": throttled("-5"),
    "429, longer than time lasts": throttled("9" * 30),
    "301": Fault(status=301, headers=(("Location", "http://127.0.0.1:1/elsewhere"),)),
    "a body without end": Fault(status=0, breaks="chunk bomb"),
    "200 with garbage": Fault(status=200, body=b"\xff\x00<html>" * 100),
}
AT_ONCE = {
    # by its status a success, and these vendors say no more (R303: Meta says how many events it took)
    "a body without end": {"ga4": "done", "http_request": "done"},
    "200 with garbage": {"ga4": "done", "http_request": "done"},
    # not followed, and it will say the same tomorrow; to Meta's tag it is no answer of Meta
    "301": {"ga4": "dead", "http_request": "dead"},
}


@asynccontextmanager
async def shop(url, tmp_path, monkeypatch, vendor=None):
    """The lanes, and a function that sends a hit and gives its three deliveries by tag."""
    monkeypatch.setenv("TOKEN", "a-token")
    path = tmp_path / "container.yaml"
    path.write_text(CONTAINER.replace("VENDOR", url))
    container = load_container(path)
    async with bench(container.credentials, vendor=vendor) as it:
        pipeline = Pipeline(container, MemoryOutbox(), it.lanes, Counters())

        def send():
            walk = Walk()
            pipeline.run(make_request({"target": HIT}), walk)
            (event,) = walk.events
            return {fired.name: fired.deliveries[0] for fired in event.tags}

        yield it, send


async def judged(it, deliveries):
    """All were tried and judged, and meanwhile another vendor gets everything."""
    async with Vendor() as healthy:
        well = [it.deliver(url=healthy.url) for _ in range(50)]
        await it.until(lambda: all(it.outcome_of(one) is not None for one in well))
        assert {it.outcome_of(one).kind for one in well} == {"done"}
        assert len(healthy.received) == 50
        it.clock.advance(0.1)  # batches leave
        await it.until(lambda: all(one.attempts and one.outcome for one in deliveries.values()))


def test_these_are_all_built_in_tags():
    assert {it.type for it in components("tag") if it.module.startswith("sgtm.tags.")} == set(TAGS)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_vendor_that_misbehaves_loses_nothing_that_it_may_still_take(name, tmp_path, monkeypatch):
    async with stand_in() as vendor, shop(vendor.url, tmp_path, monkeypatch) as (it, send):
        vendor.fail("/", FAULTS[name])
        deliveries = send()
        await judged(it, deliveries)
        expected = {tag: AT_ONCE.get(name, {}).get(tag, "retry") for tag in TAGS}
        assert {tag: one.outcome.kind for tag, one in deliveries.items()} == expected
        vendor.fail("/", None)
        again = [tag for tag in TAGS if expected[tag] == "retry"]
        it.clock.advance(3_700.0)  # an hour is the longest that a vendor may ask for
        await it.until(lambda: all(deliveries[tag].outcome.kind == "done" for tag in again))
        assert {deliveries[tag].attempts for tag in again} == {2}
        assert it.lanes.pending == 0


async def test_a_kept_connection_that_is_closed_under_a_request_loses_nothing(tmp_path, monkeypatch):
    async with stand_in() as vendor, shop(vendor.url, tmp_path, monkeypatch) as (it, send):
        vendor.fail("/", Fault(breaks="close after"))
        await judged(it, send())
        vendor.fail("/", None)
        deliveries = send()
        await judged(it, deliveries)
        it.clock.advance(2.0)
        await it.until(lambda: {one.outcome.kind for one in deliveries.values()} == {"done"})


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20_000, b"\x16\x03\x01 no HTTP at all\r\n\r\n"],
    ids=["a flood of 1xx", "no HTTP"],
)
async def test_what_is_no_answer_is_tried_again(answer, tmp_path, monkeypatch):
    async with RawVendor(answer) as vendor, shop(vendor.url, tmp_path, monkeypatch) as (it, send):
        deliveries = send()
        await judged(it, deliveries)
        assert {one.outcome.kind for one in deliveries.values()} == {"retry"}


async def test_a_certificate_that_ran_out_and_a_name_that_is_gone_are_tried_again(tmp_path, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "tls" / "expired.pem")
    async with Vendor(tls=context) as vendor:
        for url in (vendor.url, "http://vendor.invalid"):
            async with shop(url, tmp_path, monkeypatch) as (it, send):
                deliveries = send()
                await judged(it, deliveries)
                assert {one.outcome.kind for one in deliveries.values()} == {"retry"}
                assert {one.error for one in deliveries.values()} == {"ConnectFailed"}
        assert not vendor.received, "nothing was said to who could not prove who it is"
