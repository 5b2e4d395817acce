import asyncio
import gc
import logging

import pytest
from delivery.deliveries import PLAIN, TOKEN, FakeClock, bench, literal, make_component

from sgtm.delivery.credentials import CredentialSource
from sgtm.delivery.lanes import DeliveryRules, LaneLimits
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import Outcome

pytestmark = pytest.mark.usefixtures("each_sender")

# SPEC: reliability 1.3 Lanes, 1.4 faults 11 and 12; R92-R97, R136, R303.
BRIEF = DeliveryRules(timeout_s=0.2)
TRANSIENT = {
    "slow": (Fault(latency_ms=30_000, times=1), "TimedOut"),
    "hang after headers": (Fault(breaks="after headers", times=1), "TimedOut"),
    "half body": (Fault(breaks="half body", times=1), "Disconnected"),
    "reset": (Fault(breaks="reset", times=1), "Disconnected"),
    "500": (Fault(status=500, times=1), ""),
    "503": (Fault(status=503, times=1), ""),
    "429": (Fault(status=429, times=1), ""),
}


@pytest.mark.parametrize("name", TRANSIENT)
async def test_a_transient_fault_is_tried_again_and_then_done(name):
    fault, error = TRANSIENT[name]
    async with bench() as it:
        it.vendor.fail("/collect", fault)
        delivery = it.deliver(rules=BRIEF)
        await it.attempted(delivery, 1)
        await it.until(lambda: it.counters.value("sgtm_deliveries_retried_total", "tag") == 1)
        assert delivery.walked.error == error
        assert delivery.walked.outcome.kind == "retry"
        assert not it.settled
        it.clock.advance(1.0)  # base 1 s, and the chance in this test is the upper bound
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery) == Outcome("done")
        assert delivery.walked.attempts == 2
        assert delivery.walked.answer.status == 204
        assert delivery.walked.error == ""
        first, second = delivery.walked.tries
        assert (first.outcome.kind, first.error, second.outcome.kind) == ("retry", error, "done")
        assert delivery.walked.begun_micros == second.begun_micros >= first.begun_micros + 1_000_000
        assert it.counters.value("sgtm_deliveries_done_total", "tag") == 1
        assert it.lanes.pending == 0


@pytest.mark.parametrize("status", [301, 400, 404, 410])
async def test_an_answer_that_will_never_change_is_dead(status):
    async with bench() as it:
        it.vendor.fail("/collect", Fault(status=status))
        delivery = it.deliver()
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery) == Outcome("dead", f"HTTP {status}")
        assert it.dead == [(delivery, Outcome("dead", f"HTTP {status}"))]
        assert len(it.vendor.received) == 1
        assert it.counters.value("sgtm_deliveries_dead_total", "tag") == 1


async def test_success_is_what_the_tag_reads_in_the_body_and_not_the_status():
    def read(answer, requests):
        return Outcome("done") if answer.body == b"accepted" else Outcome("dead", "an error inside a 200")

    async with bench() as it:
        it.vendor.fail("/collect", Fault(status=200, body=b"<html>garbage", times=1))
        bad = it.deliver(component=make_component(read=read))
        await it.until(lambda: it.settled)
        it.vendor.fail("/collect", Fault(status=200, body=b"accepted", times=1))
        good = it.deliver(component=make_component(read=read))
        await it.until(lambda: len(it.settled) == 2)
        assert it.outcome_of(bad) == Outcome("dead", "an error inside a 200")
        assert it.outcome_of(good).kind == "done"


async def test_a_request_that_breaks_our_own_rules_is_dead_and_does_not_disturb_the_lane():
    async with bench() as it:
        for url in ("no url", "ftp://x/", "https://user@x/"):
            it.deliver(url=url)
        it.deliver(headers=(("Host", "x"),))
        await it.until(lambda: len(it.settled) == 4)
        assert {outcome.kind for _, outcome in it.settled} == {"dead"}
        assert all(outcome.reason.startswith("Refused: ") for _, outcome in it.settled)
        assert not it.vendor.received
        good = it.deliver()
        await it.until(lambda: it.outcome_of(good))
        assert it.outcome_of(good).kind == "done"
        took = [one for one in it.counters.histogram_samples() if one.name == "sgtm_delivery_seconds_count"]
        assert [(one.label, one.value) for one in took] == [(it.vendor.url, 1)]  # of what was sent


async def test_what_may_have_arrived_is_not_sent_again_where_the_vendor_could_not_tell_a_copy():
    # SPEC: meta-capi 9 (an event without event_id must not be retried blindly after an ambiguous time-out)
    async with bench() as it:
        it.vendor.fail("/", Fault(breaks="reset", times=2))
        once = it.deliver("/once", can_be_repeated=False)
        await it.until(lambda: it.outcome_of(once))
        assert it.outcome_of(once).kind == "dead"
        assert "may have arrived" in it.outcome_of(once).reason
        again = it.deliver("/again")
        await it.attempted(again, 1)
        it.clock.advance(10.0)
        await it.until(lambda: it.outcome_of(again))
        assert it.outcome_of(again).kind == "done"
        assert [len(it.vendor.requests(path)) for path in ("/once", "/again")] == [1, 2]


async def test_what_cannot_have_arrived_is_sent_again_whatever_it_is():
    async with bench() as it:
        delivery = it.deliver(url="http://127.0.0.1:1", can_be_repeated=False)
        await it.attempted(delivery, 1)
        assert it.outcome_of(delivery) is None


async def test_a_vendor_that_hangs_shuts_its_lane_also_for_what_is_not_sent_again():
    async with bench() as it:
        it.vendor.fail("/", Fault(breaks="reset"))
        for _ in range(25):
            it.deliver(can_be_repeated=False)
        await it.until(lambda: len(it.settled) >= 20)
        await it.until(lambda: [state.state for state in it.lanes.destinations()] == ["shut"])


@pytest.mark.parametrize(
    "retry_after", [("Retry-After", "120"), ("Retry-After", "Mon, 24 Nov 2025 16:02:00 GMT")]
)
async def test_retry_after_pauses_the_whole_lane_and_is_kept_to(retry_after):
    # The lane's clock stands at 2025-11-24 16:00:00 GMT.
    async with bench() as it:
        it.vendor.fail("/collect", Fault(status=429, headers=(retry_after,), times=1))
        first = it.deliver()
        await it.attempted(first, 1)
        second = it.deliver()
        it.clock.advance(119.0)
        await asyncio.sleep(0.05)
        assert len(it.vendor.received) == 1, "nothing leaves while the vendor wants to be left alone"
        assert [state.state for state in it.lanes.destinations()] == ["paused"]
        it.clock.advance(1.0)
        await it.until(lambda: len(it.settled) == 2)
        assert it.outcome_of(first).kind == it.outcome_of(second).kind == "done"


async def test_what_a_tag_reads_as_time_to_wait_counts_as_retry_after():
    says = [Outcome("retry", "throttled", retry_after_s=50.0), Outcome("done")]
    async with bench() as it:
        delivery = it.deliver(component=make_component(read=lambda answer, requests: says.pop(0)))
        await it.attempted(delivery, 1)
        it.clock.advance(49.0)
        await asyncio.sleep(0.02)
        assert len(it.vendor.received) == 1
        it.clock.advance(1.0)
        await it.until(lambda: it.settled)


async def test_no_vendor_slows_another():
    """Two failing vendors, one that hangs and one with 100 ms round trips, side by side."""
    async with (
        bench() as it,
        Vendor() as failing,
        Vendor() as resetting,
        Vendor() as hanging,
        Vendor() as far,
    ):
        failing.fail("/", Fault(status=500))
        resetting.fail("/", Fault(breaks="reset"))
        hanging.fail("/", Fault(breaks="before answering"))
        far.fail("/", Fault(latency_ms=100))
        long = DeliveryRules(timeout_s=30.0)
        sick = [
            it.deliver(url=vendor.url, rules=long)
            for _ in range(50)
            for vendor in (failing, resetting, hanging)
        ]
        well = [it.deliver(url=url) for _ in range(200) for url in (it.vendor.url, far.url)]
        await it.until(lambda: all(it.outcome_of(delivery) for delivery in well[:2]))
        await it.until(lambda: len(it.settled) == 400)
        assert {outcome.kind for _, outcome in it.settled} == {"done"}
        assert {id(delivery) for delivery, _ in it.settled} == {id(delivery) for delivery in well}
        assert hanging.under_way == 50
        assert it.lanes.pending == len(sick)


async def test_half_of_twenty_failing_shuts_the_lane_and_a_probe_opens_it_again(caplog):
    async with bench(limits=LaneLimits(concurrency=1)) as it:
        it.vendor.fail("/collect", Fault(status=500))
        for _ in range(30):
            it.deliver()
        await it.until(lambda: it.lanes.destinations()[0].state == "shut")
        await asyncio.sleep(0.02)
        assert len(it.vendor.received) == 20
        assert it.lanes.destinations()[0].reason == "HTTP 500"
        it.clock.advance(5.0)
        await it.until(lambda: len(it.vendor.received) == 21)
        it.clock.advance(5.0)
        await asyncio.sleep(0.02)
        assert len(it.vendor.received) == 21, "the second probe waits 10 s"
        it.vendor.fail("/collect", None)
        it.clock.advance(5.0)
        await it.until(lambda: it.lanes.destinations()[0].state == "open")
        for _ in range(20):
            it.clock.advance(60.0)
            await asyncio.sleep(0.02)
        assert len(it.settled) == 30
        assert {outcome.kind for _, outcome in it.settled} == {"done"}
    assert [record.message for record in caplog.records].count("destination shut") == 1


async def test_a_missing_token_shuts_the_lane_with_one_alert_and_a_written_one_heals_it(caplog, tmp_path):
    token = tmp_path / "token"
    async with bench({"META_TOKEN": CredentialSource(file=str(token))}) as it:
        deliveries = [it.deliver(credential=TOKEN) for _ in range(20)]
        await it.until(lambda: it.lanes.destinations()[0].state == "shut")
        it.clock.advance(5.0)
        await asyncio.sleep(0.02)
        assert not it.vendor.received
        token.write_text("new-token\n")
        for _ in range(20):
            it.clock.advance(60.0)
            await asyncio.sleep(0.02)
        assert [it.outcome_of(delivery).kind for delivery in deliveries] == ["done"] * 20
        assert {received.header("authorization") for received in it.vendor.received} == {"Bearer new-token"}
    alerts = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(alerts) == 1
    assert alerts[0].credential == "META_TOKEN"


async def test_a_rotated_token_heals_what_is_queued(tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    vendor = Vendor(tokens=frozenset({"new"}), now_s=lambda: 1_764_000_000)
    async with bench({"META_TOKEN": CredentialSource(file=str(token))}, vendor=vendor) as it:
        body = b'{"data":[{"event_name":"PageView","event_time":1764000000,"user_data":{"em":["x"]}}]}'
        delivery = it.deliver("/v25.0/1/events", credential=TOKEN, body=body)
        await it.attempted(delivery, 1)
        assert delivery.walked.outcome.kind == "refused"
        token.write_text("new")
        it.clock.advance(5.0)
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery).kind == "done"


async def test_a_tag_that_is_refused_does_not_shut_out_another_that_is_accepted():
    async with bench(limits=LaneLimits(concurrency=1)) as it:
        it.vendor.fail("/not-ours", Fault(status=403))
        it.deliver(tag="good")
        await it.until(lambda: it.settled)
        it.deliver("/not-ours", tag="bad")
        good = it.deliver(tag="good")
        await it.until(lambda: it.outcome_of(good))
        assert it.outcome_of(good).kind == "done"
        assert it.lanes.destinations()[0].state == "open"


async def test_what_stays_refused_until_it_expires_is_settled_as_refused():
    async with bench() as it:
        it.vendor.fail("/collect", Fault(status=401))
        delivery = it.deliver(life_s=3.0)
        await it.attempted(delivery, 1)
        it.clock.advance(60.0)
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery).kind == "refused"
        assert it.outcome_of(delivery).reason == "expired; latest: HTTP 401"
        assert it.counters.value("sgtm_deliveries_dead_total", "tag") == 1


async def test_an_expired_delivery_is_dead_with_the_reason_and_never_sent():
    async with bench() as it:
        late = it.deliver(life_s=0.0)
        await it.until(lambda: it.settled)
        assert it.outcome_of(late) == Outcome("dead", "expired")
        assert not it.vendor.received


async def test_a_delivery_expires_while_its_lane_is_shut():
    async with bench() as it:
        it.vendor.fail("/collect", Fault(status=429, headers=(("Retry-After", "3600"),), times=1))
        first = it.deliver()
        await it.attempted(first, 1)
        second = it.deliver(life_s=30.0)
        it.clock.advance(61.0)
        assert it.outcome_of(second).kind == "dead"
        assert it.outcome_of(first) is None


@pytest.mark.parametrize("jump_s", [3_600, -3_600, 40 * 86_400])
async def test_a_jump_of_the_clock_burns_nothing(jump_s):
    async with bench() as it:
        it.vendor.fail("/collect", Fault(status=500, times=1))
        delivery = it.deliver(life_s=600)
        await it.attempted(delivery, 1)
        it.clock.jumped_s = jump_s
        it.clock.advance(1.0)
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery).kind == "done"


@pytest.mark.parametrize("jump_s", [3_600, -3_600, 40 * 86_400])
async def test_what_was_received_before_the_clock_jumped_or_after_it_has_its_time(jump_s):
    async with bench() as it:
        expires_micros = it.clock.unix_micros() + 600_000_000
        it.clock.jumped_s = jump_s
        life_s = (expires_micros - it.clock.unix_micros()) / 1e6
        before, after = it.deliver(life_s=life_s), it.deliver(life_s=600)
        await it.until(lambda: len(it.settled) == 2)
        assert it.outcome_of(before).kind == it.outcome_of(after).kind == "done"


async def test_a_full_lane_gives_up_the_oldest_and_says_so_once(caplog):
    async with bench(limits=LaneLimits(max_queued=10)) as it:
        it.vendor.fail("/collect", Fault(status=429, headers=(("Retry-After", "60"),), times=1))
        first = it.deliver()
        await it.attempted(first, 1)
        queued = [it.deliver() for _ in range(30)]
        assert it.lanes.pending == 10
        assert [delivery for delivery, _ in it.dead] == queued[:21]
        assert {outcome.reason.split(";")[0] for _, outcome in it.dead} == {"the lane is full"}
        assert it.counters.value("sgtm_deliveries_dead_total", "tag") == 21
        it.clock.advance(61.0)
        await it.until(lambda: it.lanes.pending == 0)
        assert [outcome.kind for _, outcome in it.settled].count("done") == 10
    assert [record.message for record in caplog.records].count("delivery given up") == 1


async def test_a_full_lane_counts_bytes_too():
    async with bench(limits=LaneLimits(max_queued_bytes=100_000)) as it:
        it.vendor.fail("/collect", Fault(status=429, headers=(("Retry-After", "60"),), times=1))
        await it.attempted(it.deliver(), 1)
        for _ in range(20):
            it.deliver(body=bytes(20_000))
        assert it.lanes.pending == 5, "four of 21 KB, and the first, which waits for its retry"


async def test_drain_waits_for_what_is_under_way_and_close_hands_back_the_rest():
    async with bench() as it:
        it.vendor.fail("/far", Fault(latency_ms=50))
        it.vendor.fail("/hang", Fault(breaks="before answering"))
        it.vendor.fail("/down", Fault(status=500))
        far, hanging, down = it.deliver("/far"), it.deliver("/hang"), it.deliver("/down")
        await it.attempted(down, 1)
        assert await it.lanes.drain(0.3) == 2
        assert it.outcome_of(far).kind == "done"
        await it.lanes.close()
        assert it.outcome_of(hanging).kind == it.outcome_of(down).kind == "retry"
        late = it.deliver("/far")
        assert it.outcome_of(late).kind == "retry"
        assert it.lanes.pending == 0


async def test_close_takes_back_what_left_without_a_task_and_ends_its_connection():
    async with bench() as it:
        first = it.deliver()
        await it.until(lambda: it.outcome_of(first))
        it.vendor.fail("/hang", Fault(breaks="before answering"))
        hanging = it.deliver("/hang")  # over the connection that rests
        await it.until(lambda: it.vendor.under_way)
        await it.lanes.close()
        assert it.outcome_of(hanging).kind == "retry"
        pools = getattr(it.sender, "_pools", {})  # the lean sender's
        await it.until(lambda: all(pool.is_unused for pool in pools.values()))
        assert len(it.settled) == 2


async def test_who_delivers_the_next_when_one_is_settled_climbs_no_stack():
    async with bench() as it:
        left = list(range(1_500))

        def settled(outcome):
            assert outcome.kind == "done"
            if left:
                left.pop()
                delivery = it.deliver()
                delivery.on_settled = settled

        it.deliver().on_settled = settled
        await it.until(lambda: not left and not it.lanes.pending)


async def test_what_finds_a_connection_at_rest_needs_no_task(each_sender):
    async with bench() as it:
        first = it.deliver()
        await it.until(lambda: it.outcome_of(first))
        it.vendor.fail("/collect", Fault(latency_ms=50))
        before = asyncio.all_tasks()
        it.deliver()
        assert (asyncio.all_tasks() == before) == (each_sender == "lean")
        await it.until(lambda: not it.lanes.pending)


async def test_drain_returns_at_once_when_nothing_is_pending():
    async with bench() as it:
        assert await it.lanes.drain(60.0) == 0


async def test_close_leaves_no_task_no_alarm_and_no_socket():
    before = asyncio.all_tasks()
    clock = FakeClock()
    async with bench(clock=clock) as it:
        it.vendor.fail("/down", Fault(status=500))
        for path in ("/down", "/well") * 20:
            it.deliver(path)
        await it.until(lambda: len(it.vendor.received) == 40)
        for path in ("/down", "/well"):
            it.deliver(path)  # workers that have not begun when the lanes close
        await it.close()
        assert len(it.settled) == 42
        assert not clock.alarms
    gc.collect()  # warnings of open transports are errors
    await it.until(lambda: asyncio.all_tasks() <= before)


async def test_a_settled_callback_that_raises_disturbs_nobody():
    async with bench() as it:
        delivery = it.deliver()
        delivery.on_settled = lambda outcome: 1 / 0
        other = it.deliver()
        await it.until(lambda: it.outcome_of(other))
        assert it.lanes.pending == 0


async def test_a_read_that_raises_is_dead_where_the_vendor_said_yes_and_a_retry_where_it_is_down():
    component = make_component(read=lambda answer, requests: 1 / 0)
    async with bench() as it:
        yes = it.deliver(component=component)
        await it.until(lambda: it.settled)
        assert it.outcome_of(yes) == Outcome("dead", "the tag's read raised ZeroDivisionError (HTTP 204)")
        it.vendor.fail("/collect", Fault(status=500, times=1))
        down = it.deliver(component=component)
        await it.attempted(down, 1)
        assert down.walked.outcome.kind == "retry"


@pytest.mark.parametrize("said", [None, [], "done", [Outcome("done"), Outcome("done")]])
async def test_a_read_that_says_nonsense_loses_nothing(said):
    async with bench() as it:
        delivery = it.deliver(component=make_component(read=lambda answer, requests: said))
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery).kind == "dead"
        assert it.dead


async def test_a_sender_that_breaks_its_contract_loses_nothing():
    class Broken:
        def start(self, request, timeout_s, on_end):
            return None

        async def send(self, request, timeout_s):
            raise KeyError("secret text")

    async with bench() as it:
        it.lanes._sender = Broken()
        delivery = it.deliver(life_s=10)
        await it.attempted(delivery, 1)
        assert delivery.walked.outcome == Outcome("retry", "the sender raised KeyError")


async def test_warnings_of_a_tag_about_its_answer_are_counted():
    component = make_component(read=lambda answer, requests: Outcome("done", warnings=("a", "b")))
    async with bench() as it:
        it.deliver(component=component)
        await it.until(lambda: it.settled)
        assert it.counters.value("sgtm_tag_warnings_total", "tag") == 2


async def test_lanes_go_by_host_and_credential_and_are_bounded():
    async with bench(literal(META_TOKEN="x"), max_lanes=2) as it, Vendor() as second, Vendor() as third:
        it.vendor.fail("/hang", Fault(breaks="before answering"))
        it.deliver("/hang")
        it.deliver(credential=TOKEN)
        await it.until(lambda: it.settled)
        assert [state.credential for state in it.lanes.destinations()] == ["", "META_TOKEN"]
        second.fail("/hang", Fault(breaks="before answering"))
        it.deliver("/hang", url=second.url)  # the lane at rest makes room
        refused = it.deliver(url=third.url)
        assert it.outcome_of(refused) == Outcome("dead", "too many destinations")
        assert sorted(state.destination for state in it.lanes.destinations()) == sorted(
            [it.vendor.url, second.url]
        )


async def test_no_log_line_holds_a_secret_a_body_or_a_url(caplog):
    caplog.set_level(logging.DEBUG)
    async with bench(literal(META_TOKEN="canary-secret"), limits=LaneLimits(max_queued=2)) as it:
        faults = [fault for fault, _ in TRANSIENT.values()]
        faults += [Fault(status=400), Fault(status=401), Fault(status=200)]
        for number, fault in enumerate(faults):
            it.vendor.fail(f"/canary-{number}", fault)
            it.deliver(f"/canary-{number}?x=canary", body=b"canary", credential=TOKEN, rules=BRIEF, life_s=60)
        await it.until(lambda: it.vendor.received)
        for _ in range(20):
            it.deliver("/canary-0", body=b"canary", credential=TOKEN, rules=BRIEF)
        for _ in range(5):
            it.clock.advance(60.0)
            await asyncio.sleep(0.05)
    assert caplog.records
    assert "canary" not in repr([vars(record) for record in caplog.records])


async def test_a_thousand_deliveries_use_no_more_workers_than_allowed():
    async with bench(limits=LaneLimits(concurrency=8)) as it:
        it.vendor.fail("/collect", Fault(latency_ms=1))
        seen = []
        for _ in range(1_000):
            it.deliver(component=PLAIN)
        while it.lanes.pending:
            seen.append(it.vendor.under_way)
            await asyncio.sleep(0)
        assert max(seen) <= 8
        assert len(it.settled) == 1_000
        assert it.vendor.under_way == 0
