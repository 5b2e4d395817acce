"""Two events that are one: which is sent, with what, and that it is one, whatever happens in between."""

import asyncio

import msgspec
import pytest
from cases import make_request
from context_worlds import DENIED, GRANTED, NOW, PURCHASE, UNSET, Shop, visit
from doubles import NotedCommit, eventually
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery.context.pairs import Meeting, decide
from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.event import make_event
from sgtm.hit import Again
from sgtm.observability.walk import Walk

# SPEC: requirements R310.
MINUTE = 60_000_000
ORDER = {"event_name": "purchase", "transaction_id": "T1", "value": 20.5, "coupon": "X"}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr("sgtm.holding.FIRST_LOOK_S", 0.02)
    monkeypatch.setattr("sgtm.holding.LONGEST_LOOK_S", 0.02)


def holding(path=None, unknown_consent="unset", **changes):
    rule = msgspec.structs.replace(PURCHASE, **changes)
    return Shop(path, holds=(rule,), unknown_consent=unknown_consent)


@pytest.fixture
async def shops(tmp_path):
    """Makes shops that share one file, as the workers of a machine do."""
    made = []

    def make(**changes):
        made.append(holding(tmp_path / "context.sqlite", **changes))
        return made[-1]

    yield make
    for shop in made:
        await shop.close()


async def from_browser(shop, consent=GRANTED, **more):
    return await shop.hit("browser", visit("purchase", consent, transaction_id="T1", value=20), **more)


async def from_server(shop, **more):
    return await shop.hit("server", ORDER, **more)


EITHER_ORDER = ((from_browser, from_server), (from_server, from_browser))


def ran(shop):
    return [told for told in shop.outbox.told if told[0] == "ran"]


@pytest.mark.parametrize("order", EITHER_ORDER)
@pytest.mark.parametrize("workers", [1, 2])
async def test_one_is_sent_with_what_both_know_whoever_comes_first_and_wherever(shops, order, workers):
    made = [shops() for _ in range(workers)]
    first, second = made[0], made[-1]
    answer = await order[0](first)
    assert answer.status == 204, "the sender never waits"
    await first.waiting(1)
    assert not first.sent
    assert not ran(first), "a record whose event waits has not run"
    await order[1](second)
    await eventually(lambda: second.sent)
    await eventually(lambda: len(ran(first)) + (len(ran(second)) if workers == 2 else 0) == 2)
    (event,) = [event for shop in set(made) for event in shop.events]
    assert event.data["value"] == 20.5, "the server is preferred"
    assert event.data["coupon"] == "X"
    assert (event.data["client_id"], event.data["ga_session_id"]) == ("1.1", "17")
    assert event.consent.ad_storage is True
    assert event.client_name == "server", "whoever is preferred, whoever came last"
    await eventually(lambda: not len(first.holding))
    assert second.counted("sgtm_holds_total", "purchase/merged") == 1


@pytest.mark.parametrize(
    ("at_timeout", "sent"),
    [("send", [{}]), ("drop", []), ("flag", [{"x-sgtm-counterpart": "missing"}])],
)
async def test_when_its_counterpart_does_not_come_it_is_sent_dropped_or_flagged(shops, at_timeout, sent):
    shop = shops(at_timeout=at_timeout)
    await from_server(shop)
    await shop.waiting(1)
    shop.now += 11 * MINUTE
    await shop.waiting(0)
    assert shop.sent == [{**ORDER, **more} for more in sent]
    assert ran(shop) == [("ran", 7, frozenset())]


async def test_who_comes_after_its_counterpart_was_sent_alone_ends_and_is_counted(shops):
    shop = shops()
    await from_browser(shop)
    await shop.waiting(1)
    shop.now += 11 * MINUTE
    await eventually(lambda: shop.sent)
    walk = Walk()
    await from_server(shop, walk=walk)
    await shop.waiting(0)
    assert len(shop.sent) == 1
    assert shop.counted("sgtm_holds_total", "purchase/late") == 1
    assert walk.events[0].note.startswith("ends here: its counterpart had waited in vain")


async def test_a_dropped_one_comes_back_when_its_counterpart_comes_after_all(shops):
    shop = shops(at_timeout="drop")
    await from_browser(shop)
    await shop.waiting(1)
    shop.now += 11 * MINUTE
    await shop.waiting(0)
    assert not shop.sent
    await from_server(shop)
    await eventually(lambda: shop.sent)
    assert shop.sent[0]["ga_session_id"] == "17"


async def test_the_same_webhook_twice_is_one(shops):
    shop, other = shops(), shops()
    await from_server(shop)
    await shop.waiting(1)
    await from_server(other, seed=77)
    await other.waiting(0)
    assert not other.sent, "two of one side are no pair"
    await from_browser(other)
    await eventually(lambda: other.sent)
    await from_server(shop, seed=78)
    await shop.waiting(0)
    assert len(shop.sent) + len(other.sent) == 1
    assert shop.counted("sgtm_holds_total", "purchase/repeated") == 1


@pytest.mark.parametrize("order", EITHER_ORDER)
async def test_a_side_that_does_not_wait_goes_at_once_and_the_other_ends(shops, order):
    shop = shops(waits="server")
    await order[0](shop)
    if order[0] is from_browser:
        await eventually(lambda: shop.sent)
    else:
        await shop.waiting(1)
    await order[1](shop)
    await shop.waiting(0)
    assert len(shop.sent) == 1
    assert shop.sent[0]["ga_session_id"] == "17"


async def test_precedence_is_declared_and_the_browser_tells_of_itself(shops):
    shop = shops(prefer="browser", fields={"value": "server"})
    await shop.hit(
        "server", {**ORDER, "ip_override": "192.0.2.1", "consent_state": {"ad_storage": True}, "tax": 1}
    )
    await shop.waiting(1)
    await shop.hit(
        "browser", visit("purchase", DENIED, transaction_id="T1", value=20, coupon="Y", tax="", tip=2)
    )
    await eventually(lambda: shop.sent)
    seen = shop.sent[0]
    assert {key: seen[key] for key in ("value", "coupon", "tax", "tip")} == {
        "value": 20.5,
        "coupon": "Y",
        "tax": 1,
        "tip": 2,
    }
    assert seen["ip_override"] == "198.51.100.7"
    assert shop.consents[0].ad_storage is False, "what the visitor said to the page counts"
    assert shop.events[0].client_name == "browser"


async def test_no_policy_speaks_for_a_browser_that_said_nothing(shops):
    shop = shops(unknown_consent="granted")
    await from_browser(shop, consent=UNSET)
    await shop.waiting(1)
    await from_server(shop)
    await eventually(lambda: shop.sent)
    assert shop.consents[0].ad_storage is None
    assert shop.counted("sgtm_context_consent_total", "server/unset") == 1


async def test_other_events_and_those_without_the_key_do_not_wait(shops):
    shop = shops()
    await shop.hit("browser", visit("page_view", transaction_id="T1"))
    await shop.hit("browser", visit("purchase"))
    await shop.server(name="refund", transaction_id="T1")
    assert [event["event_name"] for event in shop.sent] == ["page_view", "purchase", "refund"]


async def test_a_purchase_and_a_refund_of_an_order_are_two_though_one_rule_names_both(shops):
    """A shop that holds `[purchase, refund]` loses neither."""
    shop = shops(events=("purchase", "refund"))
    await from_browser(shop)
    await shop.waiting(1)
    await shop.hit("server", {**ORDER, "event_name": "refund"})
    await shop.waiting(2)
    assert not shop.sent
    await from_server(shop)
    await shop.hit("browser", visit("refund", transaction_id="T1"))
    await shop.waiting(0)
    assert sorted(event["event_name"] for event in shop.sent) == ["purchase", "refund"]
    assert shop.counted("sgtm_holds_total", "purchase/merged") == 2


@pytest.mark.parametrize("order", EITHER_ORDER)
async def test_what_either_side_refuses_is_refused(shops, order):
    """A customer who has opted out at the shop goes to no ad platform because his browser had said yes."""
    shop = shops(prefer="browser")
    refusal = {"consent_state": {"ad_user_data": False}}
    for half in order:
        if half is from_browser:
            await from_browser(shop)
        else:
            await shop.hit("server", {**ORDER, **refusal})
        if half is order[0]:
            await shop.waiting(1)
    await eventually(lambda: shop.sent)
    assert (shop.consents[0].ad_user_data, shop.consents[0].ad_storage) == (False, True)


async def test_a_hit_goes_on_with_its_other_events_and_its_record_runs_with_the_last(shops):
    shop = shops()
    await shop.hit("server", {"event_name": "refund", "transaction_id": "T0"}, ORDER)
    await shop.waiting(1)
    assert [event["event_name"] for event in shop.sent] == ["refund"]
    assert not ran(shop)
    await from_browser(shop)
    await eventually(lambda: len(ran(shop)) == 2)


async def test_a_policy_that_answers_after_tags_does_not_wait_for_a_counterpart(shops):
    shop = shops()
    async with asyncio.timeout(5):
        answer = await shop.hit("server", ORDER, waits=True)
    assert answer.status == 204
    await shop.waiting(1)


# -- crashes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", EITHER_ORDER)
@pytest.mark.parametrize("crash", ["first waits", "second is sent"])
async def test_records_that_run_again_are_told_the_same_again(shops, order, crash):
    before = shops()
    await order[0](before, seed=1)
    await before.waiting(1)
    if crash == "second is sent":
        await order[1](before, seed=2)
        await eventually(lambda: before.sent)
    await before.close()
    after, other = shops(), shops()
    await order[0](after, seed=1, again=Again(7))
    await order[1](other, seed=2, again=Again(8))
    await eventually(lambda: after.sent or other.sent)
    await after.waiting(0)
    await other.waiting(0)
    sent = [*after.sent, *other.sent]
    if before.sent:  # what had not been settled before the crash: the same once more
        assert sent == before.sent
    assert len(sent) == 1
    assert len(ran(after)) == len(ran(other)) == 1


async def test_a_record_that_was_not_kept_takes_part_in_nothing(shops):
    shop = shops()
    shop.outbox.commit = NotedCommit()
    shop.outbox.commit.set_exception(OutboxUnavailable("no"))
    assert (await from_server(shop)).status == 503
    shop.outbox.commit = None
    await from_server(shop, seed=50)
    await shop.waiting(1)
    await from_browser(shop)
    await eventually(lambda: shop.sent)
    assert shop.sent[0]["ga_session_id"] == "17"


async def test_nobody_asks_before_the_record_is_kept(shops):
    shop, other = shops(), shops()
    shop.outbox.commit = NotedCommit()
    running = asyncio.ensure_future(from_server(shop))
    await asyncio.sleep(0.05)
    await from_browser(other)
    await other.waiting(1)
    shop.outbox.commit.set_result(None)
    await running
    await eventually(lambda: shop.sent)


async def test_after_a_restart_nobody_gives_up_before_counterparts_had_their_turn(shops):
    shop = shops()
    shop.now = NOW + 60 * MINUTE  # long after both came
    shop.holding._begun = shop.now
    await from_server(shop, at=NOW, seed=1, again=Again(7))
    await shop.waiting(1)
    await from_browser(shop, at=NOW, seed=2, again=Again(8))
    await eventually(lambda: shop.sent)
    assert shop.counted("sgtm_holds_total", "purchase/merged") == 1


async def test_at_an_orderly_end_what_is_kept_runs_no_more_and_what_is_not_is_sent(shops):
    shop = shops()
    await from_server(shop)
    await shop.waiting(1)
    await shop.holding.end(are_kept=True)
    assert not shop.sent
    assert not ran(shop)
    lost = shops()
    await lost.hit("browser", visit("purchase", transaction_id="T2"))
    await lost.waiting(1)
    await lost.holding.end(are_kept=False)
    assert len(lost.sent) == 1


async def test_one_more_than_may_wait_does_not(shops):
    shop = shops()
    shop.holding._most = 1
    await from_server(shop)
    await shop.hit("server", {**ORDER, "transaction_id": "T2"})
    await eventually(lambda: shop.sent)
    assert shop.sent[0]["transaction_id"] == "T2"
    assert shop.counted("sgtm_holds_total", "purchase/no room") == 1


async def test_where_the_store_fails_it_is_sent_alone_in_time(tmp_path):
    (tmp_path / "file").write_text("in the way")
    shop = holding(tmp_path / "file" / "context.sqlite")
    await from_server(shop)
    await shop.waiting(1)
    shop.now += 12 * MINUTE
    await eventually(lambda: shop.sent)
    await shop.close()


async def test_a_file_that_is_lost_is_begun_anew_and_the_two_still_find_each_other(shops, tmp_path):
    shop, other = shops(), shops()
    await from_server(shop)
    await shop.waiting(1)
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"context.sqlite{suffix}").unlink(missing_ok=True)
    await asyncio.sleep(0.1)
    await from_browser(other)
    await eventually(lambda: len(shop.sent) + len(other.sent) == 1)


async def test_erasure_takes_the_data_of_who_waits_and_not_the_decision(shops):
    shop, other = shops(), shops()
    await from_browser(shop)
    await shop.waiting(1)
    key = shop.container.context.key_of(event_of(ORDER), "order")
    erased = await other.store.erase([key], shop.container.context)
    assert (erased.rows, erased.halves) == (2, 1)
    await from_server(other)
    await eventually(lambda: other.sent)
    await shop.waiting(0)
    assert "ga_session_id" not in other.sent[0]
    assert not shop.sent


def event_of(data):
    return make_event(data, make_request(), "server", 0)


async def test_a_replay_decides_nothing(shops):
    shop = shops()
    replay = Again(7, debts=shop.outbox)
    await from_server(shop, seed=1)
    await shop.waiting(1)
    await from_browser(shop, seed=2, again=replay)
    assert not shop.sent, "its counterpart waits: that one decides"
    await from_browser(shop, seed=2)
    await eventually(lambda: shop.sent)
    await from_server(shop, seed=1, again=replay)
    assert len(shop.sent) == 1, "it was sent with its counterpart"
    await from_browser(shop, seed=2, again=replay)
    assert shop.sent[1] == shop.sent[0]
    await shop.hit("server", {**ORDER, "transaction_id": "T9"}, again=replay)
    assert len(shop.sent) == 3, "nobody knows it any more: it goes as it is"


# -- who is sent, as a pure function ------------------------------------------------------------

HALVES = [(b"B1", "browser"), (b"B2", "browser"), (b"S1", "server"), (b"S2", "server")]


@given(
    st.lists(st.tuples(st.sampled_from(HALVES), st.integers(0, 30)), min_size=1, max_size=30),
    st.booleans(),
    st.sampled_from(["both", "server"]),
)
def test_whatever_the_order_of_the_asking_one_is_sent_at_most_and_never_two(asked, drops, waits):
    """A model of the outbox: who was told to wait asks again; who was told anything else keeps hearing it."""
    pair, now, told = None, 100, {}
    deadlines = {record: 0 if waits == "server" and side == "browser" else 110 for record, side in HALVES}
    for (record, side), later in asked:
        now += later
        meeting = Meeting(
            b"k", record, side, record, now, deadlines[record], 10**9, drops=drops and deadlines[record] > 0
        )
        changed, met = decide(pair, meeting)
        pair = changed or pair
        if met.verdict == "merge":
            assert dict(HALVES)[met.data] != side, "two of one side are no pair"
        if record in told and told[record][0] in ("merge", "alone"):
            assert (met.verdict, met.data) == told[record], "the same again"
        told[record] = (met.verdict, met.data)
    sent = {record for record, (verdict, _) in told.items() if verdict in ("merge", "alone")}
    assert len(sent) <= 1
    if pair.state == "sent":
        assert sent == {pair.by}
    if not drops and now > 110 + 30:
        record, side = HALVES[0]
        last = decide(pair, Meeting(b"k", b"new", side, b"", now, 0, 10**9))[1]
        assert sent or last.verdict in ("merge", "alone"), "nothing is lost"
