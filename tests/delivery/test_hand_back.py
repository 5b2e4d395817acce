"""Lanes that let go of what they cannot send, because somebody keeps it and can hand it over again."""

import logging

from delivery.deliveries import META, NOON_MICROS, TOKEN, bench, make_component, meta_event

from sgtm.delivery.credentials import CredentialSource
from sgtm.delivery.delivery import HandedBack
from sgtm.delivery.lanes import LaneLimits
from sgtm.delivery.outbox.held import Hold
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import Outcome

# SPEC: design.md Delivery ("a lane that is shut keeps no requests in memory: it reads its records again from
# the outbox when it opens"), reliability 1.3 Lanes; R97, R136, R270.


async def shut(it, **said):
    """Twenty failures in a row shut the lane."""
    it.vendor.fail("/collect", Fault(status=503))
    deliveries = [it.deliver(**said) for _ in range(20)]
    await it.until(lambda: len(it.settled) == 20)
    assert it.lanes.destinations()[0].state == "shut"
    return deliveries


def handed_back(it):
    return [delivery for delivery, outcome in it.settled if isinstance(outcome, HandedBack)]


async def test_a_lane_that_shuts_keeps_nothing():
    async with bench(hands_back=True) as it:
        deliveries = await shut(it)
        assert set(map(id, handed_back(it))) == set(map(id, deliveries))
        outcome = it.outcome_of(deliveries[0])
        assert outcome.kind == "retry"
        assert outcome.expires_micros == deliveries[0].expires_micros
        later = it.deliver()
        assert it.outcome_of(later).reason == "the destination is shut: HTTP 503"
        (lane,) = it.lanes.destinations()
        assert (lane.queued, lane.in_flight, it.lanes.pending) == (0, 0, 0)
        assert it.counters.value("sgtm_deliveries_handed_back_total", "tag") == 21
        assert not it.dead


async def test_a_shut_lane_wants_one_for_its_probe_and_all_once_that_came_through():
    async with bench(hands_back=True) as it:
        await shut(it)
        hold = Hold("tag", it.settled[0][1].destination)
        assert not it.lanes.wants(hold)
        it.clock.advance(5.0)
        assert it.lanes.wants(hold)
        it.vendor.fail("/collect", Fault(latency_ms=50))
        probe, second = it.deliver(), it.deliver()
        assert handed_back(it)[20:] == [second], "one probe at a time"
        assert not it.lanes.wants(hold)
        await it.until(lambda: it.outcome_of(probe))
        assert it.outcome_of(probe) == Outcome("done")
        assert it.lanes.wants(hold)


async def test_a_failed_probe_is_handed_back_too():
    async with bench(hands_back=True) as it:
        await shut(it)
        it.clock.advance(5.0)
        probe = it.deliver()
        await it.until(lambda: it.outcome_of(probe))
        assert isinstance(it.outcome_of(probe), HandedBack)
        assert it.lanes.destinations()[0].next_try_in_s == 10.0


async def test_a_full_lane_turns_away_what_comes_and_gives_up_nothing():
    limits = LaneLimits(concurrency=1, max_queued=3)
    async with bench(hands_back=True, limits=limits) as it:
        it.vendor.fail("/collect", Fault(latency_ms=100, times=1))
        deliveries = [it.deliver() for _ in range(6)]
        assert handed_back(it) == deliveries[4:]
        await it.until(lambda: len(it.settled) == 6)
        assert [it.outcome_of(one).kind for one in deliveries] == ["done"] * 4 + ["retry"] * 2
        assert not it.dead


async def test_what_is_run_again_takes_no_more_than_its_share_of_the_queue(monkeypatch):
    monkeypatch.setattr("sgtm.delivery.queue.BACKLOG", 2)
    async with bench(hands_back=True, limits=LaneLimits(concurrency=1)) as it:
        it.vendor.fail("/collect", Fault(latency_ms=100, times=1))
        new = [it.deliver() for _ in range(3)]
        assert it.lanes.is_busy
        again, another = it.deliver(is_again=True), it.deliver()
        assert handed_back(it) == [again]
        await it.until(lambda: len(it.settled) == 5)
        assert {it.outcome_of(one).kind for one in [*new, another]} == {"done"}


async def test_a_short_wait_is_waited_for_in_memory_and_a_long_one_outside():
    async with bench(hands_back=True) as it:
        it.vendor.fail("/collect", Fault(status=429, headers=(("Retry-After", "2"),), times=1))
        short = it.deliver()
        await it.until(lambda: it.counters.value("sgtm_deliveries_retried_total", "tag"))
        assert not it.settled
        it.clock.advance(2.0)
        await it.until(lambda: it.settled)
        assert it.outcome_of(short).kind == "done"
        it.vendor.fail("/collect", Fault(status=429, headers=(("Retry-After", "60"),), times=1))
        long = it.deliver()
        await it.until(lambda: len(it.settled) == 2)
        assert it.outcome_of(long).kind == "retry"
        assert it.lanes.destinations()[0].state == "paused"
        it.clock.advance(50.0)
        assert isinstance(it.outcome_of(it.deliver()), HandedBack)
        it.clock.advance(10.0)
        done = it.deliver()
        await it.until(lambda: it.outcome_of(done))
        assert it.outcome_of(done).kind == "done"


async def test_what_has_expired_outside_is_dead_with_the_reason_though_the_lane_is_shut():
    async with bench(hands_back=True) as it:
        await shut(it)
        late = it.deliver(life_s=-1)
        assert it.outcome_of(late) == Outcome("dead", "expired; latest: HTTP 503")
        assert it.dead == [(late, it.outcome_of(late))]


async def test_a_revoked_token_holds_its_lane_with_one_error_line_and_a_rotated_one_heals_it(
    caplog, tmp_path
):
    # R136, R270: one alert with a code, the events kept until they expire, no endless retries
    caplog.set_level(logging.INFO, "sgtm.delivery")
    secret = tmp_path / "token"
    secret.write_text("old")
    sources = {"META_TOKEN": CredentialSource(file=str(secret))}
    strict = Vendor(tokens=frozenset({"new"}), now_s=lambda: NOON_MICROS / 1e6)
    async with bench(sources, vendor=strict, hands_back=True) as it:
        path = "/v25.0/123/events"

        def send(number):
            return it.deliver(path, component=META, item=meta_event(f"e{number}"), credential=TOKEN)

        send(0)
        it.clock.advance(0.05)
        await it.until(lambda: len(it.settled) == 1)
        for number in range(1, 50):
            send(number)
        assert len(handed_back(it)) == 50
        (error,) = [line for line in caplog.records if line.levelname == "ERROR"]
        assert error.code == "destination_refuses"
        assert error.tag == "tag"
        assert it.lanes.destinations()[0].refused_tags == ("tag",)
        sent = len(it.vendor.received)
        for seconds in (5, 10):  # the probes
            it.clock.advance(seconds)
            refused = send(99)
            it.clock.advance(0.05)
            await it.until(lambda refused=refused: it.outcome_of(refused))
        assert len(it.vendor.received) == sent + 2
        secret.write_text("new")
        it.clock.advance(20)
        probe = send(100)
        it.clock.advance(0.05)
        await it.until(lambda: it.outcome_of(probe))
        assert it.outcome_of(probe).kind == "done"
        assert it.lanes.destinations()[0].refused_tags == ()
        assert it.lanes.wants(Hold("tag", it.settled[0][1].destination))
        assert len([line for line in caplog.records if line.levelname == "ERROR"]) == 1


async def test_a_tag_that_is_refused_alone_waits_outside_and_takes_no_place_from_others():
    def read(answer, requests):
        return Outcome("refused", "no right") if b"bad" in requests[0].body else Outcome("done")

    async with bench(hands_back=True) as it:
        component = make_component(read=read)
        good = it.deliver(component=component, tag="good")
        await it.until(lambda: it.outcome_of(good))
        bad = it.deliver(component=component, tag="bad", body=b"bad")
        await it.until(lambda: it.outcome_of(bad))
        assert isinstance(it.outcome_of(bad), HandedBack)
        hold = Hold("bad", it.outcome_of(bad).destination)
        assert not it.lanes.wants(hold)
        assert it.lanes.wants(hold._replace(tag="good"))
        it.clock.advance(5.0)
        assert it.lanes.wants(hold)
        first, second = (it.deliver(component=component, tag="bad", body=b"bad") for _ in range(2))
        assert isinstance(it.outcome_of(second), HandedBack), "one at a time"
        await it.until(lambda: it.outcome_of(first))
        it.clock.advance(9.0)
        assert not it.lanes.wants(hold)
        it.clock.advance(1.0)
        assert it.lanes.wants(hold)


async def test_a_lane_that_is_full_by_bytes_asks_for_nothing_that_it_would_turn_away():
    limits = LaneLimits(concurrency=1, max_queued_bytes=10_000)
    async with bench(hands_back=True, limits=limits) as it:
        it.vendor.fail("/collect", Fault(latency_ms=200, times=1))
        first = it.deliver()
        (hold,) = [Hold("tag", key) for key in it.lanes._lanes]
        assert it.lanes.wants(hold)
        it.deliver(body=bytes(6_000))
        assert not it.lanes.wants(hold)
        await it.until(lambda: len(it.settled) == 2)
        assert it.outcome_of(first).kind == "done"
        assert it.lanes.wants(hold)
