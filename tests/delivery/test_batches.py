import asyncio
import json

import pytest
from delivery.deliveries import (
    META,
    NOON_MICROS,
    TOKEN,
    bench,
    literal,
    make_component,
    meta_envelope,
    meta_event,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.delivery.delivery import MAX_BATCH_BYTES
from sgtm.delivery.lanes import DeliveryRules, LaneLimits
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import Outcome

# SPEC: meta-capi 2 (1..1000 events), 13 (isolation: same ids, good events survive); R133, R303.
PATH = "/v25.0/123/events"


def meta_bench(**settings):
    vendor = Vendor(now_s=lambda: NOON_MICROS / 1_000_000)
    return bench(literal(META_TOKEN="x"), vendor=vendor, **settings)


def send(it, event_id, *, path=PATH, component=META, linger_ms=50, max_batch=0, event=None, **said):
    rules = DeliveryRules(timeout_s=5.0, linger_ms=linger_ms, max_batch=max_batch)
    item = event if event is not None else meta_event(event_id)
    return it.deliver(path, component=component, rules=rules, item=item, **{"credential": TOKEN, **said})


def accepted_ids(it):
    """event_id of every event in a request that the vendor accepted."""
    return [
        event["event_id"]
        for received in it.vendor.received
        if received.status == 200
        for event in received.json()["data"]
    ]


async def test_events_wait_for_company_and_travel_together_in_order():
    async with meta_bench() as it:
        for number in range(3):
            send(it, f"e{number}")
        await asyncio.sleep(0.02)
        assert not it.vendor.received
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 3)
        assert len(it.vendor.received) == 1
        assert accepted_ids(it) == ["e0", "e1", "e2"]
        assert {outcome.kind for _, outcome in it.settled} == {"done"}


async def test_what_somebody_looks_at_alone_shares_no_request_with_others():
    # SPEC: requirements R223: sessions are isolated; a batch and its answer would show the events of others
    async with meta_bench() as it:
        send(it, "e0")
        send(it, "seen", is_alone=True)
        send(it, "e1")
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 3)
        bodies = sorted((received.body for received in it.vendor.received), key=len)
        assert [body.count(b"event_id") for body in bodies] == [1, 2]
        assert b'"seen"' in bodies[0]


async def test_a_full_batch_does_not_wait():
    async with meta_bench() as it:
        for number in range(2_000):
            send(it, f"e{number}")
        await it.until(lambda: len(it.settled) == 2_000)  # the clock stands still: nobody lingered
        assert [len(received.json()["data"]) for received in it.vendor.received] == [1_000, 1_000]


async def test_the_operator_may_ask_for_smaller_batches_than_the_vendor_allows():
    async with meta_bench() as it:
        for number in range(4):
            send(it, f"e{number}", max_batch=2)
        await it.until(lambda: len(it.settled) == 4)
        assert [len(received.json()["data"]) for received in it.vendor.received] == [2, 2]


async def test_no_body_is_larger_than_a_megabyte():
    async with meta_bench() as it:
        for number in range(5):
            send(it, f"e{number}", event=meta_event(f"e{number}", padding="x" * 400_000))
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 5)
        assert sorted(len(received.json()["data"]) for received in it.vendor.received) == [1, 2, 2]
        assert max(len(received.body) for received in it.vendor.received) <= MAX_BATCH_BYTES


async def test_only_what_has_the_same_url_headers_tag_and_credential_travels_together():
    async with meta_bench() as it:
        send(it, "a")
        send(it, "b", path="/v25.0/456/events")
        send(it, "c", headers=(("X-Test", "1"),))
        send(it, "d", tag="another tag")
        send(it, "e", credential=None, headers=(("Authorization", "Bearer y"),))
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 5)
        assert [len(received.json()["data"]) for received in it.vendor.received] == [1] * 5


@pytest.mark.parametrize("bad", [0, 1, 62, 99])
async def test_one_bad_event_is_found_and_the_others_arrive_exactly_once_with_the_same_ids(bad):
    async with meta_bench() as it:
        deliveries = [
            send(
                it,
                f"e{number}",
                event=meta_event(f"e{number}", user_data={} if number == bad else {"em": ["x"]}),
            )
            for number in range(100)
        ]
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 100)
        assert sorted(accepted_ids(it)) == sorted(f"e{number}" for number in range(100) if number != bad)
        assert it.outcome_of(deliveries[bad]) == Outcome("dead", "code 100")
        assert [delivery for delivery, _ in it.dead] == [deliveries[bad]]
        # Halving: one request of 100, then two for each level down to the bad one.
        assert len(it.vendor.received) <= 1 + 2 * 7


async def test_isolated_events_are_not_joined_with_newcomers():
    async with meta_bench(limits=LaneLimits(concurrency=1)) as it:
        send(it, "bad", event=meta_event("bad", event_name=""))
        send(it, "good")
        it.clock.advance(0.05)
        for number in range(10):
            send(it, f"later{number}", linger_ms=0)
        it.clock.advance(0.001)
        await it.until(lambda: len(it.settled) == 12)
        assert sorted(accepted_ids(it)) == sorted(["good", *(f"later{number}" for number in range(10))])


@settings(max_examples=40)
@given(st.sets(st.integers(0, 30), max_size=31))
def test_whichever_events_are_bad_every_good_one_arrives_once(bad):
    async def main():
        async with meta_bench() as it:
            for number in range(31):
                name = "" if number in bad else "PageView"
                send(it, f"e{number}", event=meta_event(f"e{number}", event_name=name))
            it.clock.advance(0.05)
            await it.until(lambda: len(it.settled) == 31)
            assert sorted(accepted_ids(it)) == sorted(
                f"e{number}" for number in range(31) if number not in bad
            )
            assert len(it.dead) == len(bad)

    asyncio.run(main())


async def test_a_batch_that_meets_an_outage_is_sent_again_whole():
    async with meta_bench() as it:
        it.vendor.fail(PATH, Fault(status=500, times=1))
        deliveries = [send(it, f"e{number}") for number in range(5)]
        it.clock.advance(0.05)
        await it.attempted(deliveries[0], 1)
        it.clock.advance(1.0)
        await it.until(lambda: len(it.settled) == 5)
        assert [len(received.json()["data"]) for received in it.vendor.received] == [5, 5]
        assert {delivery.walked.attempts for delivery in deliveries} == {2}


async def test_small_batches_that_piled_up_behind_a_pause_travel_together():
    async with meta_bench() as it:
        it.vendor.fail(PATH, Fault(status=429, headers=(("Retry-After", "60"),), times=1))
        first = send(it, "first")
        it.clock.advance(0.05)
        await it.attempted(first, 1)
        for number in range(20):
            send(it, f"e{number}")
            it.clock.advance(0.05)
        it.clock.advance(60.0)
        await it.until(lambda: len(it.settled) == 21)
        assert len(it.vendor.received) == 2


async def test_each_item_gets_its_own_outcome():
    says = {"a": "done", "b": "dead", "c": "retry", "d": "isolate"}

    def read(answer, requests):
        return [Outcome(says[json.loads(request.item)["event_id"]], "said so") for request in requests]

    async with meta_bench() as it:
        component = make_component(read=read, envelope=meta_envelope, max_batch=10)
        found = {name: send(it, name, component=component) for name in says}
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 3)
        assert {name: getattr(it.outcome_of(delivery), "kind", None) for name, delivery in found.items()} == {
            "a": "done",
            "b": "dead",
            "c": None,
            "d": "dead",
        }
        says["c"] = "done"
        it.clock.advance(1.0)
        await it.until(lambda: len(it.settled) == 4)
        assert json.loads(it.vendor.received[-1].body)["data"][0]["event_id"] == "c"


async def test_an_expired_event_leaves_its_batch_and_the_others_go():
    async with meta_bench() as it:
        it.vendor.fail(PATH, Fault(status=500, times=1))
        late = send(it, "late", life_s=0.5)
        good = send(it, "good")
        it.clock.advance(0.05)
        await it.attempted(good, 1)
        it.clock.advance(1.0)
        await it.until(lambda: len(it.settled) == 2)
        assert it.outcome_of(late) == Outcome("dead", "expired; latest: HTTP 500")
        assert accepted_ids(it) == ["good"]


async def test_an_envelope_that_raises_is_isolated_like_a_bad_event():
    def envelope(requests):
        if any(b'"bad"' in request.item for request in requests):
            raise ValueError("personal data")
        return meta_envelope(requests)

    async with meta_bench() as it:
        component = make_component(read=META.read, envelope=envelope, max_batch=10)
        bad = send(it, "bad", component=component)
        for number in range(5):
            send(it, f"e{number}", component=component)
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 6)
        assert it.outcome_of(bad) == Outcome("dead", "the tag's envelope raised ValueError")
        assert sorted(accepted_ids(it)) == [f"e{number}" for number in range(5)]


async def test_drain_does_not_wait_for_company():
    async with meta_bench() as it:
        send(it, "e", linger_ms=3_600_000)
        assert await it.lanes.drain(5.0) == 0
        assert accepted_ids(it) == ["e"]


async def test_a_full_lane_sends_its_forming_batches_before_it_gives_anything_up():
    async with meta_bench(limits=LaneLimits(max_queued=3)) as it:
        for number in range(5):
            send(it, f"e{number}")
        it.clock.advance(0.05)
        await it.until(lambda: it.lanes.pending == 0)
        assert accepted_ids(it) == ["e0", "e1", "e2", "e3", "e4"]


async def test_a_full_lane_that_is_paused_gives_up_single_events_and_not_whole_batches():
    async with meta_bench(limits=LaneLimits(max_queued=3)) as it:
        it.vendor.fail(PATH, Fault(status=429, headers=(("Retry-After", "60"),), times=1))
        first = send(it, "first", linger_ms=0)
        it.clock.advance(0.0)
        await it.attempted(first, 1)
        deliveries = [send(it, f"e{number}") for number in range(5)]
        assert [delivery for delivery, _ in it.dead] == deliveries[:3]
        it.clock.advance(61.0)
        await it.until(lambda: it.lanes.pending == 0)
        assert accepted_ids(it) == ["first", "e3", "e4"]
