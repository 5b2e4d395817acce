"""An event that its sender delivers again runs once: `Claimed.once_keys`.

SPEC: requirements R80, R89, R295.
"""

import asyncio
import time
from inspect import isawaitable

import msgspec
import pytest
from cases import make_request
from corridor import make_client, make_container, make_tag, send_one
from doubles import HeldLanes, NotedCommit, NotingOutbox

from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.delivery.taken_keys import TakenKeys
from sgtm.event import make_event
from sgtm.hit import Again
from sgtm.messages import DONE, Answer, Claimed, Outcome, Pending, Record
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline

NOW = time.time_ns() // 1_000
WINDOW_S = 600.0


class Worker:
    """A pipeline with one tag; each of its requests brings events with these keys."""

    def __init__(self, keys, outcome=DONE):
        self.keys, self.outbox, self.lanes, self.counters = (
            keys,
            NotingOutbox(),
            HeldLanes(outcome),
            Counters(),
        )
        self._seed = 0

    async def deliver(self, *keys, seed=None, walk=None, again=None, at=NOW, client="Shop", tag=send_one):
        self._seed += 1
        request = make_request({"target": "/c", "received_micros": at})
        request = msgspec.structs.replace(request, seed=self._seed if seed is None else seed)
        events = [{"event_name": "order"} for _ in keys]
        claimed = Claimed(events, Answer(200), once_keys=keys, once_s=WINDOW_S)
        container = make_container([make_client(lambda _: claimed, client)], [make_tag(tag, "ads")])
        pipeline = Pipeline(container, self.outbox, self.lanes, self.counters, keys=self.keys)
        if again is not None:
            return await pipeline.run_again(Record(request, "v1"), again)
        answer = pipeline.run(request, walk)
        answer = await answer if isawaitable(answer) else answer
        await pipeline.finish()
        return answer.status

    @property
    def sent(self):
        return len(self.lanes.deliveries)

    @property
    def dropped(self):
        return self.counters.value("sgtm_events_repeated_total", "Shop")


@pytest.fixture
def worker():
    it = Worker(TakenKeys(None, Counters()))
    yield it
    it.keys.close()


async def test_the_second_delivery_is_answered_like_the_first_and_runs_nothing(worker):
    assert await worker.deliver("evt_1") == 200
    walk = Walk()
    assert await worker.deliver("evt_1", walk=walk) == 200
    assert (worker.sent, worker.dropped) == (1, 1)
    assert [event.note for event in walk.events] == ["dropped: its sender had delivered it before"]
    assert worker.outbox.told[-1] == ("ran", 7, frozenset()), "its record owes nothing"


async def test_another_id_another_client_and_a_later_time_are_other_deliveries(worker):
    await worker.deliver("evt_1")
    await worker.deliver("evt_2")
    await worker.deliver("evt_1", client="Other shop")
    await worker.deliver("evt_1", at=NOW + int(WINDOW_S * 1e6) + 1)
    assert (worker.sent, worker.dropped) == (4, 0)


async def test_each_event_of_a_request_counts_by_itself(worker):
    await worker.deliver("1", "2", "2", "\ud800")
    assert (worker.sent, worker.dropped) == (3, 1)
    await worker.deliver("2", "3")
    assert (worker.sent, worker.dropped) == (4, 2)


async def test_two_workers_and_a_restart_share_what_was_delivered(tmp_path):
    first = Worker(TakenKeys(tmp_path / "keys.sqlite", Counters()))
    second = Worker(TakenKeys(tmp_path / "keys.sqlite", Counters()))
    await asyncio.gather(*(worker.deliver("evt_1", seed=i) for i, worker in enumerate((first, second))))
    first.keys.close()
    second.keys.close()
    third = Worker(TakenKeys(tmp_path / "keys.sqlite", Counters()))
    await third.deliver("evt_1", seed=3)
    third.keys.close()
    assert first.sent + second.sent + third.sent == 1


async def test_the_record_that_came_first_passes_again_after_a_crash_and_its_copy_does_not(worker):
    await worker.deliver("evt_1", seed=1)
    await worker.deliver("evt_1", seed=2)
    await worker.deliver("evt_1", seed=1, again=Again(7))
    assert worker.sent == 2
    await worker.deliver("evt_1", seed=2, again=Again(8))
    assert worker.sent == 2


async def test_a_record_that_was_kept_and_has_not_run_yet_is_a_copy_once_another_one_has(worker):
    # the worker died between the commit and the mark, its sender was not answered and came again
    await worker.deliver("evt_1", seed=2)
    await worker.deliver("evt_1", seed=1, again=Again(7), at=NOW - 1_000_000)
    assert worker.sent == 1


async def test_what_was_not_kept_takes_no_key_and_its_sender_is_told(worker):
    worker.outbox.commit = NotedCommit()
    worker.outbox.commit.set_exception(OutboxUnavailable("no"))
    assert await worker.deliver("evt_1") == 503
    assert (worker.sent, worker.dropped) == (0, 0)
    worker.outbox.commit = None
    assert await worker.deliver("evt_1") == 200
    assert worker.sent == 1


async def test_nothing_is_sent_before_the_record_is_kept(worker):
    worker.outbox.commit = NotedCommit()
    running = asyncio.ensure_future(worker.deliver("evt_1"))
    await asyncio.sleep(0.05)
    assert worker.sent == 0
    worker.outbox.commit.set_result(None)
    assert await running == 200
    assert worker.sent == 1


async def test_tags_that_wait_for_something_send_before_the_record_owes_nothing(worker):
    async def later():
        await asyncio.sleep(0.01)
        return send_one(make_event({"event_name": "order"}, make_request(), "Shop", 0))

    await worker.deliver("evt_1", tag=lambda event: Pending(later()))
    assert worker.sent == 1
    assert worker.outbox.told[-1] == ("ran", 7, frozenset())


async def test_what_a_vendor_refuses_for_good_is_not_sent_for_the_next_delivery():
    # it is a dead letter: whoever mends it replays that
    worker = Worker(TakenKeys(None, Counters()), Outcome("dead"))
    await worker.deliver("evt_1")
    await worker.deliver("evt_1")
    assert worker.sent == 1
    worker.keys.close()
