import asyncio

import pytest
from broker import BrokerProcess
from delivery.outbox_machine import make_record
from doubles import eventually

from sgtm.delivery.outbox.opening import open_outbox
from sgtm.observability.metrics import Counters

# SPEC: reliability 0.1 to 0.4, 1.2, 1.3 (NATS), design.md Delivery.


@pytest.fixture
async def broker(tmp_path):
    running = BrokerProcess(tmp_path / "broker").start()
    await running.init()
    yield running
    running.kill()


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


async def taken(outbox, count):
    found = []
    async with asyncio.timeout(20):
        async for it in outbox.left_over():
            found.append(it)
            if len(found) == count:
                break
    return found


def bodies(found):
    return [it.record.request.body for it in found]


async def messages(broker_settings_outbox):
    return broker_settings_outbox._broker.view


async def test_what_one_process_appends_another_takes_up(opened):
    collector, deliverer = opened(), opened()
    await kept(collector, b"a", b"b", b"c")
    found = await taken(deliverer, 3)
    assert bodies(found) == [b"a", b"b", b"c"]
    assert found[0].record == make_record(0, b"a")
    for it in found:
        deliverer.ran(it.record_id, frozenset({"meta"}))
        deliverer.settle(it.record_id, "meta")
    assert len(deliverer) == 0
    await eventually(lambda: deliverer._broker.view.oldest_micros is None, 10)
