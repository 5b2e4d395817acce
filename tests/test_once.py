"""A tag that sends the same event once only: which events are the same, and when the mark is made."""

import asyncio
import time

import msgspec
import pytest
from cases import make_request
from corridor import claim, make_client, make_container, make_tag, send_one
from doubles import HeldLanes, NotedCommit, NotingOutbox

from sgtm.container.container import ContainerDeduplication
from sgtm.container.model import Deduplication
from sgtm.container.tags import deduplication_of
from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.delivery.taken_keys import TakenKeys
from sgtm.hit import Again
from sgtm.messages import DONE, Claimed, Outcome, Record
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline

# SPEC: requirements R192, R306.
NOW = time.time_ns() // 1_000


class World:
    """A pipeline with one tag and its keys; each hit is one event with these data."""

    def __init__(self, rule=None, outcome=DONE):
        self.outbox, self.lanes, self.counters = NotingOutbox(), HeldLanes(outcome), Counters()
        self.keys = TakenKeys(None, self.counters)
        tag = make_tag(send_one, "ads")
        self.tag = msgspec.structs.replace(tag, deduplication=deduplication_of(rule or Deduplication()))
        self.seed = 0

    async def hit(self, *events, seed=None, walk=None, again=None):
        self.seed += 1
        request = make_request({"target": "/c", "received_micros": NOW})
        request = msgspec.structs.replace(request, seed=self.seed if seed is None else seed)
        container = make_container([make_client(lambda r: Claimed(events, claim().answer))], [self.tag])
        pipeline = Pipeline(container, self.outbox, self.lanes, self.counters, keys=self.keys)
        if again is not None:
            await pipeline.run_again(Record(request, "v1"), again)
        else:
            answer = pipeline.run(request, walk)
            if asyncio.iscoroutine(answer):
                await answer
            await pipeline.finish()

    @property
    def sent(self):
        return len(self.lanes.deliveries)

    @property
    def dropped(self):
        return self.counters.value("sgtm_events_deduplicated_total", "ads")


@pytest.fixture
def world():
    it = World()
    yield it
    it.keys.close()


def purchase(event_id="e1", name="purchase", **data):
    return {"event_name": name, "event_id": event_id, **data}


async def test_an_event_with_the_id_of_an_earlier_one_is_not_sent_and_that_is_counted_and_shown(world):
    await world.hit(purchase())
    walk = Walk()
    await world.hit(purchase(), walk=walk)
    assert (world.sent, world.dropped) == (1, 1)
    (tag,) = walk.events[0].tags
    assert (tag.outcome, tag.reason) == ("sent nothing", "the same event went out before")
    assert world.outbox.told[-1] == ("ran", 7, frozenset()), "it owes nothing"


async def test_another_id_another_name_and_no_id_are_other_events(world):
    for event in (
        purchase(),
        purchase("e2"),
        purchase(name="refund"),
        {"event_name": "purchase"},
        {"event_name": "purchase"},
    ):
        await world.hit(event)
    assert (world.sent, world.dropped) == (5, 0)


async def test_a_business_key_counts_whatever_the_event_is_called_but_for_exceptions():
    rule = Deduplication(key=("transaction_id", "items.0.id"), window="30d", except_events=("refund",))
    world = World(rule)
    order = {"transaction_id": "T1", "items": [{"id": 1}]}
    await world.hit(purchase("e1", **order))
    await world.hit(purchase("e2", **order))
    await world.hit(purchase("e3", name="order_placed", **order))
    assert (world.sent, world.dropped) == (1, 2)
    for _ in range(2):
        await world.hit(purchase("e4", name="refund", **order))
    await world.hit(purchase("e5", **{**order, "transaction_id": "T2"}))
    assert (world.sent, world.dropped) == (4, 2)
    world.keys.close()


async def test_two_copies_in_one_hit_are_sent_once(world):
    await world.hit(purchase(), purchase())
    assert (world.sent, world.dropped) == (1, 1)


async def test_the_record_that_took_the_key_passes_again_after_a_crash_and_its_copy_does_not(world):
    await world.hit(purchase(), seed=1)
    await world.hit(purchase(), seed=2)
    await world.hit(purchase(), seed=1, again=Again(7))
    assert world.sent == 2
    await world.hit(purchase(), seed=2, again=Again(8))
    assert world.sent == 2


async def test_a_record_that_was_not_kept_takes_no_key(world):
    # the requester is told to come again, and then nothing may say that it had come before
    world.outbox.commit = NotedCommit()
    world.outbox.commit.set_exception(OutboxUnavailable("no"))
    await world.hit(purchase())
    assert (world.sent, world.dropped) == (0, 0)
    world.outbox.commit = None
    await world.hit(purchase())
    assert world.sent == 1


async def test_nothing_is_sent_before_the_record_is_kept(world):
    world.outbox.commit = NotedCommit()
    running = asyncio.ensure_future(world.hit(purchase()))
    await asyncio.sleep(0.05)
    assert world.sent == 0
    world.outbox.commit.set_result(None)
    await running
    assert world.sent == 1


@pytest.mark.parametrize(
    ("outcome", "sent"), [(Outcome("dead"), 2), (Outcome("refused"), 2), (Outcome("retry"), 1), (DONE, 1)]
)
async def test_what_is_given_up_lets_its_key_go(outcome, sent):
    world = World(outcome=outcome)
    await world.hit(purchase())
    await world.hit(purchase())
    assert world.sent == sent
    world.keys.close()


@pytest.mark.parametrize(("window", "seconds"), [("30s", 30), ("5m", 300), ("12h", 43_200), ("7d", 604_800)])
def test_windows(window, seconds):
    rule = deduplication_of(Deduplication(window=window))
    assert rule == ContainerDeduplication(("event_id",), True, seconds * 1_000_000, frozenset())
