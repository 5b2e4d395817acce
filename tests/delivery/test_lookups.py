"""Lookups over real sockets: one call for all, what is kept, time-outs, stores that are not well."""

import asyncio
import json
import logging
import time
from contextlib import asynccontextmanager

import pytest
from delivery import deliveries
from delivery.deliveries import FakeClock, literal, to_loopback
from doubles import eventually

from sgtm.delivery import lookups as module
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.lookups import Lookups
from sgtm.demo.vendor import Fault, Vendor
from sgtm.event import undefined
from sgtm.messages import CredentialUse, Lookup, OutgoingRequest
from sgtm.observability.metrics import Counters

pytestmark = pytest.mark.usefixtures("each_sender")


class Store:
    """A stand-in store, and lookups that ask it."""

    def __init__(self, vendor, egress=None, secrets=None, **settings):
        self.vendor, self.counters, self.clock = vendor, Counters(), FakeClock()
        self.sender = deliveries.new_sender(Credentials(secrets or {}), egress or to_loopback())
        self.lookups = Lookups(self.sender, self.counters, clock=self.clock, **settings)

    def says(self, path, *, status=200, body=b'{"a": 1}', **fault):
        self.vendor.fail(path, Fault(status=status, body=body, **fault))

    def lookup(self, path="/a", *, key=None, read=None, timeout_s=10.0, credential=None, **said):
        request = OutgoingRequest("GET", self.vendor.url + path, credential=credential)
        read = read or (lambda answer: json.loads(answer.body).get("a", undefined))
        return Lookup(key or path, request, read, "default", timeout_s, **said)

    async def find(self, path="/a", **said):
        return await self.lookups.find(self.lookup(path, **said))

    @property
    def outcomes(self):
        return {
            label: count
            for (name, label), count in self.counters.snapshot().items()
            if name == "sgtm_lookups_total"
        }


@asynccontextmanager
async def a_store(**settings):
    async with Vendor() as vendor:
        store = Store(vendor, **settings)
        store.says("/a")
        try:
            yield store
        finally:
            await store.lookups.close()
            await store.sender.close()


async def test_a_value_is_found_and_kept_for_its_time():
    # SPEC: requirements R153, R259
    async with a_store() as store:
        assert [await store.find(), await store.find()] == [1, 1]
        assert len(store.vendor.requests("/a")) == 1
        store.clock.advance(299)
        await store.find()
        store.says("/a", body=b'{"a": 2}')
        store.clock.advance(2)
        assert await store.find() == 2
        assert len(store.vendor.requests("/a")) == 2
        assert store.outcomes == {"found": 2, "kept": 2}


async def test_all_who_ask_the_same_at_once_share_one_call():
    async with a_store() as store:
        store.says("/a", latency_ms=100)
        assert await asyncio.gather(*(store.find() for _ in range(50))) == [1] * 50
        assert len(store.vendor.requests("/a")) == 1


async def test_several_values_of_one_answer_cost_one_call():
    async with a_store() as store:
        store.says("/a", body=b'{"a": 1, "b": 2}')
        assert await store.find() == 1
        assert await store.find(read=lambda answer: json.loads(answer.body)["b"]) == 2
        assert len(store.vendor.requests("/a")) == 1


@pytest.mark.parametrize("said", [{"status": 404, "body": b"no"}, {"body": b"{}"}])
async def test_what_is_not_there_is_the_default_and_is_remembered_for_a_shorter_time(said):
    # SPEC: requirements R285
    async with a_store() as store:
        store.says("/a", **said)
        assert [await store.find(), await store.find()] == ["default", "default"]
        assert len(store.vendor.requests("/a")) == 1
        store.says("/a")
        store.clock.advance(61)
        assert await store.find() == 1
        assert store.outcomes == {"missing": 1, "kept": 1, "found": 1}


async def test_a_store_that_hangs_gives_the_default_in_time_and_who_asks_later_may_still_have_it():
    # SPEC: requirements R284
    async with a_store() as store:
        store.says("/a", latency_ms=60_000)
        started = time.monotonic()
        assert await store.find(timeout_s=0.2) == "default"
        assert time.monotonic() - started < 30
        assert store.outcomes == {"timed out": 1}
        store.says("/b", latency_ms=500)
        hasty = await asyncio.gather(store.find("/b", timeout_s=20.0), store.find("/b", timeout_s=0.05))
        assert hasty == [1, "default"]
        assert await store.find("/b") == 1
        assert store.outcomes == {"timed out": 2, "found": 1, "kept": 1}


async def test_a_store_that_is_always_a_little_too_slow_answers_those_who_come_later():
    async with a_store() as store:
        store.says("/a", latency_ms=1_500)
        assert await store.find(timeout_s=1.0) == "default"
        await eventually(lambda: len(store.lookups) == 1)
        assert await store.find(timeout_s=1.0) == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(status=500), "failed"),
        (Fault(status=302, headers=(("Location", "/b"),)), "failed"),
        (Fault(breaks="reset"), "failed"),
        (Fault(status=200, body=b"{"), "unreadable"),
    ],
)
async def test_an_answer_that_is_none_gives_the_default_and_is_not_kept(fault, outcome):
    async with a_store() as store:
        store.vendor.fail("/a", fault)
        assert await store.find() == "default"
        store.says("/a")
        assert await store.find() == 1
        assert store.outcomes == {outcome: 1, "found": 1}
        assert store.vendor.requests("/b") == []


async def test_nothing_is_kept_where_nothing_shall_be():
    async with a_store() as store:
        assert [await store.find(keep_s=0), await store.find(keep_s=0)] == [1, 1]
        assert len(store.vendor.requests("/a")) == 2


async def test_what_is_kept_is_bounded_and_the_least_used_goes_first():
    async with a_store(max_entries=3) as store:
        for path in ("/a1", "/a2", "/a3", "/a1", "/a4"):
            await store.find(path)
        assert len(store.lookups) == 3
        await store.find("/a1")
        await store.find("/a2")
        assert [len(store.vendor.requests(path)) for path in ("/a1", "/a2")] == [1, 2]


async def test_what_is_kept_is_bounded_in_bytes_and_one_answer_takes_no_room_from_all_others():
    async with a_store(max_bytes=40_000) as store:
        for number in range(30):
            store.says("/a", body=json.dumps({"a": number, "b": "x" * 4_000}).encode())
            assert await store.find(f"/a{number}") == number
        assert 1 <= len(store.lookups) <= 9
        before = len(store.lookups)
        store.says("/a", body=b'{"a": 1, "b": "' + b"x" * 6_000 + b'"}')
        assert await store.find("/ax") == 1
        assert len(store.lookups) == before


async def test_what_is_kept_can_be_given_back():
    async with a_store() as store:
        await store.find()
        store.lookups.forget()
        assert (len(store.lookups), await store.find()) == (0, 1)
        assert len(store.vendor.requests("/a")) == 2


async def test_no_destination_gets_more_than_its_share_at_a_time():
    async with a_store(max_under_way=4) as store:
        store.says("/a", latency_ms=50)
        most = 0
        asking = [asyncio.ensure_future(store.find(f"/a{number}")) for number in range(20)]
        while not all(task.done() for task in asking):
            most = max(most, store.vendor.under_way)
            await asyncio.sleep(0.005)
        assert await asyncio.gather(*asking) == [1] * 20
        assert 1 <= most <= 4


async def test_a_queue_that_is_full_is_not_joined(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    async with a_store(max_under_way=1) as store:
        store.says("/a", latency_ms=100)
        found = await asyncio.gather(*(store.find(f"/a{number}") for number in range(5)))
        assert found == [1, 1, 1, "default", "default"]
        assert store.outcomes == {"found": 3, "overloaded": 2}


async def test_a_store_that_fails_again_and_again_is_left_alone_for_a_while():
    async with a_store() as store:
        store.says("/a", status=500)
        for number in range(40):
            assert await store.find(f"/a{number}") == "default"
        assert len(store.vendor.requests("/a")) == 20
        assert store.outcomes == {"failed": 20, "shut": 20}
        store.says("/a")
        store.clock.advance(6)
        assert await store.find("/a99") == 1


async def test_a_store_behind_the_egress_door_is_not_asked():
    async with a_store(egress=Egress(())) as store:
        assert await store.find() == "default"
        assert store.vendor.requests() == []


async def test_the_credential_is_put_in_by_the_sender_and_nothing_personal_is_logged(caplog):
    async with a_store(secrets=literal(STORE="s3cret")) as store:
        use = CredentialUse("STORE", "header", "Authorization", "Bearer ")
        assert await store.find("/a?email=jo@shop.example", credential=use) == 1
        assert store.vendor.requests("/a")[0].header("authorization") == "Bearer s3cret"
        with caplog.at_level(logging.DEBUG):
            store.says("/b", status=500)
            for _ in range(3):
                await store.find("/b/jo@shop.example", key="jo@shop.example", credential=use)
        assert [record.getMessage() for record in caplog.records] == ["a lookup failed"], "once a minute"
        shown = " ".join(str(vars(record)) for record in caplog.records)
        assert "jo@" not in shown
        assert "s3cret" not in shown


async def test_a_missing_credential_is_the_default():
    async with a_store() as store:
        use = CredentialUse("NONE", "header", "Authorization")
        assert await store.find(credential=use) == "default"
        assert store.vendor.requests() == []


async def test_an_address_that_is_none_is_the_default():
    async with a_store() as store:
        lookup = Lookup("k", OutgoingRequest("GET", "no url"), bytes, "default")
        assert await store.lookups.find(lookup) == "default"


async def test_whoever_waits_when_the_worker_ends_gets_the_default():
    async with a_store() as store:
        store.says("/a", latency_ms=60_000)
        asking = asyncio.ensure_future(store.find(timeout_s=60))
        await eventually(lambda: store.vendor.under_way)
        await store.lookups.close()
        assert await asyncio.wait_for(asking, 30) == "default"
