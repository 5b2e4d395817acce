import asyncio
from pathlib import Path

import pytest
from broker import BrokerProcess
from delivery.outbox_machine import left_over, listed, make_record
from doubles import eventually

from sgtm.delivery.outbox import OutboxFull
from sgtm.delivery.outbox import nats as engine
from sgtm.delivery.outbox.held import Hold
from sgtm.delivery.outbox.nats_promise import Facts, judge
from sgtm.delivery.outbox.nats_setup import Setup, set_up
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

EXAMPLES = Path(__file__).parents[3] / "examples" / "deploy"

# SPEC: reliability 0.1 to 0.4, 1.2, 1.3 (NATS), design.md Delivery.


@pytest.fixture
def opened(broker):
    """Outboxes on the broker; closed at the end."""
    open_ones = []

    def open_one(counters=None, **said):
        one = open_outbox(broker.settings(**said), 0, 1, counters or Counters())
        open_ones.append(one)
        return one

    yield open_one
    for one in open_ones:
        one.close()


async def kept(outbox, *bodies):
    """Append records with these bodies; all are acknowledged."""
    groups = [outbox.append(make_record(seed, body))[1] for seed, body in enumerate(bodies)]
    for group in groups:
        await group


def bodies(found):
    return [it.record.request.body for it in found]


async def test_what_one_process_appends_another_takes_up(opened):
    collector, deliverer = opened(), opened()
    await kept(collector, b"a", b"b", b"c")
    found = await left_over(deliverer, 3)
    assert bodies(found) == [b"a", b"b", b"c"]
    assert found[0].record == make_record(0, b"a")
    for it in found:
        deliverer.ran(it.record_id, frozenset({"meta"}))
        deliverer.settle(it.record_id, "meta")
    assert len(deliverer) == 0
    await eventually(lambda: deliverer._broker.view.oldest_micros is None, 10)


def finish(outbox, found):
    for it in found:
        outbox.ran(it.record_id, frozenset())


async def test_what_is_left_at_the_end_goes_back_and_settled_tags_stay_settled(opened):
    collector, first = opened(), opened()
    await kept(collector, b"done", b"begun", b"not begun")
    done, begun, _ = await left_over(first, 3)
    first.ran(done.record_id, frozenset())
    first.ran(begun.record_id, frozenset({"meta", "ga4"}))
    first.settle(begun.record_id, "meta")
    first.close()
    second = opened()
    found = await left_over(second, 2)
    assert [(it.record.request.body, it.settled) for it in found] == [
        (b"begun", frozenset({"meta"})),
        (b"not begun", frozenset()),
    ]


async def test_what_a_dead_process_had_in_hand_comes_to_another(opened):
    collector, dead = opened(), opened()
    await kept(collector, b"a")
    await left_over(dead, 1)
    dead._renewal.cancel()  # it hangs: its messages are renewed no more (ack_wait is 3 s here)
    assert bodies(await left_over(opened(), 1)) == [b"a"]


async def test_a_message_is_renewed_while_it_is_in_hand(opened):
    collector, busy, other = opened(), opened(), opened()
    await kept(collector, b"a")
    (found,) = await left_over(busy, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):  # longer than ack_wait
            await left_over(other, 1)
    busy.ran(found.record_id, frozenset())
    assert len(busy) == 0


async def test_a_broker_that_is_killed_and_started_again_has_lost_nothing(broker, opened):
    collector, deliverer = opened(), opened()
    await kept(collector, b"before")
    broker.kill()
    waits = asyncio.ensure_future(kept(collector, b"meanwhile"))
    await asyncio.sleep(0.3)
    assert not waits.done(), "what waits for a connection is not acknowledged"
    broker.start()
    await waits
    found = await left_over(deliverer, 2)
    assert sorted(bodies(found)) == [b"before", b"meanwhile"]
    finish(deliverer, found)


async def test_a_broker_that_is_gone_gets_no_hits_after_a_moment(broker, opened, monkeypatch):
    monkeypatch.setattr("sgtm.delivery.outbox.nats_broker.PUBLISH_S", 0.5)
    collector = opened()
    broker.kill()
    await eventually(lambda: collector.state().full_because != "", 20)
    with pytest.raises(OutboxFull):
        collector.append(make_record(0, b""))


async def test_a_full_stream_refuses_at_once_and_takes_records_again_when_there_is_room(broker, opened):
    # SPEC: reliability 0.3
    await broker.init(max_bytes=3 * 2**20)
    collector = opened()
    kept_bodies = 0

    async def fill():
        nonlocal kept_bodies
        while True:
            await kept(collector, b"x" * 400_000)
            kept_bodies += 1

    with pytest.raises(OutboxFull, match="full"):
        await fill()
    assert collector.state().full_because == "the stream is full"
    deliverer = opened()
    finish(deliverer, await left_over(deliverer, kept_bodies))
    await eventually(lambda: deliverer._broker.view.used_bytes == 0, 10)
    await kept(collector, b"again")
    assert collector.state().full_because == ""


async def test_a_store_that_is_lost_is_said_and_taken_up_again_once_it_is_set_up(broker, opened):
    collector = opened()
    await kept(collector, b"lost with the disk")
    broker.kill()
    broker.wipe()
    broker.start()
    with pytest.raises(OutboxFull):
        await kept(collector, b"x")
    await eventually(lambda: "no such stream" in collector.state().full_because, 10)
    await broker.init()
    await eventually(lambda: collector.state().full_because == "", 10)
    await kept(collector, b"y")


async def test_groups_are_cut_at_768_kb_and_a_larger_record_travels_alone(opened):
    # SPEC: issue of durable delivery, nats
    collector, deliverer = opened(), opened()
    sizes = [300_000, 300_000, 300_000, 1_500_000, 10]
    await kept(collector, *(bytes(size) for size in sizes))
    found = await left_over(deliverer, len(sizes))
    assert sorted(len(it.record.request.body) for it in found) == sorted(sizes)
    with pytest.raises(OutboxFull, match="too large"):
        collector.append(make_record(0, bytes(3_000_000)))
    await kept(collector, b"the next one is none the worse")


async def test_a_record_that_is_handed_back_waits_in_hand_until_it_is_wanted(opened):
    collector, deliverer = opened(), opened()
    await kept(collector, b"a", b"b")
    found = await left_over(deliverer, 2)
    hold = Hold("meta", "lane")
    for it in found:
        deliverer.ran(it.record_id, frozenset({"meta"}))
        deliverer.hand_back(it.record_id, hold, 2**60)
    assert deliverer.holds()[hold].count == 2
    assert deliverer.holds()[hold].oldest_micros  # the age of what is owed: SPEC reliability 6, alerts
    again = await listed(deliverer.handed_back(hold))
    assert bodies(again) == [b"a", b"b"]
    assert hold not in deliverer.holds()
    for it in again:
        deliverer.settle(it.record_id, "meta")
    assert len(deliverer) == 0


async def test_when_too_much_waits_it_goes_back_as_one_message_and_comes_again(opened, monkeypatch):
    monkeypatch.setattr(engine, "MAX_HAND", 2)
    monkeypatch.setattr(engine, "FIRST_BACK_S", 1.0)
    collector, deliverer = opened(), opened()
    for body in (b"a", b"b", b"c"):
        await kept(collector, body)  # one message each
    hold = Hold("meta", "lane")
    found = []
    async with asyncio.timeout(20):
        async for it in deliverer.left_over():
            found.append(it)
            deliverer.ran(it.record_id, frozenset({"meta", "ga4"}))
            deliverer.settle(it.record_id, "ga4")
            deliverer.hand_back(it.record_id, hold, 2**60)
            if len(found) == 6:
                break
    assert bodies(found) == [b"a", b"b", b"c"] * 2
    assert [it.settled for it in found[3:]] == [frozenset({"ga4"})] * 3


async def test_a_dead_letter_is_on_the_broker_before_its_message_ends(broker, opened):
    collector, deliverer = opened(), opened()
    await kept(collector, b"bad")
    (found,) = await left_over(deliverer, 1)
    letter = engine.build_letter(found, "for the test")
    deliverer.ran(found.record_id, frozenset({"meta"}))
    deliverer.bury(found.record_id, letter)
    deliverer.settle(found.record_id, "meta")
    assert [it.letter for it in await eventually_listed(deliverer)] == [letter]
    deliverer.bury(-1, letter)  # the same again takes its place
    await asyncio.sleep(0.2)
    (kept_letter,) = await collector.letters()
    assert await collector.letters(after=kept_letter.number) == []
    assert await collector.forget([letter.id]) == 1
    assert await deliverer.letters() == []


async def eventually_listed(outbox):
    async with asyncio.timeout(10):
        while not (found := await outbox.letters()):  # noqa: ASYNC110  # the broker's state
            await asyncio.sleep(0.05)
    return found


async def test_a_message_that_kills_is_cut_and_what_is_alone_becomes_a_dead_letter(opened, monkeypatch):
    monkeypatch.setattr("sgtm.delivery.outbox.nats_hand.MAX_DELIVERED", 0)  # each was handed out too often
    collector, deliverer = opened(), opened()
    await kept(collector, b"a", b"b", b"c")
    taking = asyncio.ensure_future(left_over(deliverer, 1))
    async with asyncio.timeout(20):
        while len(await collector.letters()) < 3:  # noqa: ASYNC110  # the broker's state
            await asyncio.sleep(0.1)
    taking.cancel()
    assert {it.letter.record.request.body for it in await collector.letters()} == {b"a", b"b", b"c"}


async def test_a_message_that_nobody_can_read_is_set_aside_and_the_next_one_comes(broker, opened):
    collector, deliverer = opened(), opened()
    collector._broker.wait(collector._broker.publish("strange.0", b"\xff garbage"))
    await kept(collector, b"good")
    assert bodies(await left_over(deliverer, 1)) == [b"good"]


async def test_a_finished_message_that_comes_again_is_acknowledged_and_not_run_again(opened):
    collector, deliverer = opened(), opened()
    await kept(collector, b"a")
    (found,) = await left_over(deliverer, 1)
    words = []
    deliverer._broker.say_all = lambda said: words.extend(said) or asyncio.sleep(0)  # lost on the way
    finish(deliverer, [found])
    await asyncio.sleep(0.1)
    assert words
    del deliverer._broker.say_all
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(6):
            await left_over(deliverer, 1)


async def test_appending_is_answered_by_the_broker_alone(opened):
    """The same id again is known to the broker: an answer that was lost is no second record."""
    collector = opened()
    publish = collector._broker.publish
    assert collector._broker.wait(publish("one.0", b"x")) is False
    assert collector._broker.wait(publish("one.0", b"x")) is True


@pytest.mark.parametrize(
    ("said", "durability", "word"),
    [
        ({}, 2, ""),
        ({"replicas": 3}, 3, ""),
        ({"version": "2.9.10"}, 1, "2.10"),
        ({"sync_s": None}, 1, "nats-monitoring-url"),
        ({"sync_s": 120.0}, 1, "120 s"),
        ({"sync_s": 10.0, "replicas": 3}, 2, "10 s"),
        ({"sync_s": 120.0, "replicas": 3}, 1, "120 s"),
        ({"storage": "memory"}, 1, "memory"),
        ({"discard": "old"}, 0, "discard"),
        ({"retention": "interest"}, 0, "workqueue"),
        ({"persist_mode": "async"}, 1, "persist_mode"),
        ({"max_bytes": -1}, 2, "max_bytes"),
    ],
)
def test_what_a_broker_promises(said, durability, word):
    # SPEC: reliability 1.2, 1.3
    facts = Facts(**{"version": "2.15.1", "sync_s": 0.0, "max_bytes": 10**9, **said})
    promise = judge(facts)
    assert promise.durability == durability
    assert word in " ".join(promise.weak)
    assert bool(promise.weak) == bool(word)


async def test_a_broker_that_does_not_always_sync_is_weak_and_refused_where_that_is_asked(tmp_path):
    broker = BrokerProcess(tmp_path / "broker", sync='"2m"').start()
    try:
        done, promise = await broker.init()
        assert [line.partition(":")[0] for line in done] == [
            "stream sgtm",
            "stream sgtm-dead",
            "stream KV_sgtm-context",
            "consumer deliver",
        ]
        assert promise.durability == 1
        with pytest.raises(SettingsError, match="require-durable"):
            open_outbox(broker.settings(require_durable=True), 0, 1, Counters())
    finally:
        broker.kill()


async def test_without_a_stream_it_says_what_to_do(tmp_path):
    broker = BrokerProcess(tmp_path / "broker").start()
    try:
        with pytest.raises(SettingsError, match="sgtm outbox init"):
            open_outbox(broker.settings(), 0, 1, Counters())
    finally:
        broker.kill()


async def test_users_and_their_passwords(tmp_path):
    broker = BrokerProcess(
        tmp_path / "broker", more='authorization { user: sgtm, password: "s3cret" }'
    ).start()
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    known = {"nats_user": "sgtm", "nats_password_file": str(password)}
    try:
        await set_up(broker.settings(**known), Setup(max_bytes=2**24))
        open_outbox(broker.settings(**known), 0, 1, Counters()).close()
        password.write_text("wrong")
        with pytest.raises(SettingsError, match="refuses our credentials") as error:
            open_outbox(broker.settings(**known), 0, 1, Counters())
        assert "wrong" not in str(error.value)
    finally:
        broker.kill()


async def test_no_credentials_go_to_a_server_without_tls(tmp_path):
    broker = BrokerProcess(tmp_path / "broker").start()
    try:
        url = broker.url.replace("nats://", "tls://")
        outbox = open_outbox(broker.settings(nats_urls=(url,)), 0, 1, Counters())
        assert outbox.state().full_because
        outbox.close()
    finally:
        broker.kill()


def test_roles_need_a_broker_between_them(tmp_path):
    chosen = Settings(outbox="sqlite", role="collect", data_folder=str(tmp_path))
    with pytest.raises(SettingsError, match="--outbox nats"):
        open_outbox(chosen, 0, 1, Counters())


async def test_what_is_set_up_twice_stays_and_what_is_changed_changes(broker):
    done, _ = await broker.init()
    assert done[0] == "stream sgtm: as it should be"
    done, _ = await broker.init(max_bytes=2**24)
    assert done[0] == "stream sgtm: changed max_bytes"


async def test_the_example_of_a_broker_is_one_that_promises_all_it_can(tmp_path, monkeypatch):
    monkeypatch.setenv("NATS_PASSWORD", "s3cret")
    broker = BrokerProcess(tmp_path / "broker")
    text = (EXAMPLES / "nats-server.conf").read_text()
    for written, here in (
        ("port: 4222", f"port: {broker.port}"),
        ("http: 127.0.0.1:8222", f"http: 127.0.0.1:{broker.monitoring}"),
        ('"/var/lib/nats"', f'"{broker.store}"'),
        ("50GB", "1GB"),
    ):
        assert written in text
        text = text.replace(written, here)
    broker.config.write_text(text)
    password = tmp_path / "password"
    password.write_text("s3cret")
    known = broker.settings(nats_user="sgtm", nats_password_file=str(password), require_durable=True)
    broker.start()
    try:
        _, promise = await set_up(known, Setup(max_bytes=2**24))
        assert (promise.durability, promise.weak) == (2, ())
        outbox = open_outbox(known, 0, 1, Counters())
        await kept(outbox, bytes(1_048_576))
        outbox.close()
    finally:
        broker.kill()
