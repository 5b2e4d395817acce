import logging

import pytest
from delivery.outbox_machine import OutboxMachine, listed, make_record
from hypothesis import settings

from sgtm.delivery.outbox import Outbox, OutboxFull
from sgtm.delivery.outbox.memory import MemoryOutbox

# SPEC: reliability 1.2 (what the memory engine may promise), design.md Delivery.


class MemoryMachine(OutboxMachine):
    survives = False

    def open(self):
        return MemoryOutbox()

    def reopen(self):
        """Nothing outlives the process: its end is only tried by `test_close_...`."""


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


async def test_it_is_an_outbox():
    outbox: Outbox = MemoryOutbox()
    record_id, waited = outbox.append(make_record())
    assert waited is None
    assert [found.record_id for found in await listed(outbox.unfinished())] == [record_id]
    assert await listed(outbox.left_over()) == []


async def test_settling_before_the_tags_have_run_is_remembered():
    outbox = MemoryOutbox()
    record_id, _ = outbox.append(make_record())
    outbox.settle(record_id, "meta")
    assert (await listed(outbox.unfinished()))[0].settled == {"meta"}
    outbox.ran(record_id, frozenset({"meta"}))
    assert len(outbox) == 0


def test_a_record_that_owes_nothing_is_forgotten_at_once():
    outbox = MemoryOutbox()
    record_id, _ = outbox.append(make_record())
    outbox.ran(record_id, frozenset())
    assert len(outbox) == outbox.size_bytes == 0


def test_it_is_full_at_its_bound_of_records_and_has_room_again_after_a_settle():
    outbox = MemoryOutbox(max_records=2)
    first, _ = outbox.append(make_record())
    outbox.append(make_record())
    with pytest.raises(OutboxFull) as full:
        outbox.append(make_record())
    assert full.value.what
    assert full.value.mend
    outbox.ran(first, frozenset())
    outbox.append(make_record())


def test_it_is_full_at_its_bound_of_bytes():
    outbox = MemoryOutbox(max_bytes=10_000)
    outbox.append(make_record(body=bytes(5_000)))
    with pytest.raises(OutboxFull):
        outbox.append(make_record(body=bytes(5_000)))
    outbox.append(make_record(body=bytes(1_000)))
    assert outbox.size_bytes <= 10_000


def test_close_says_how_many_records_are_lost_and_takes_no_more(caplog):
    outbox = MemoryOutbox()
    for _ in range(3):
        outbox.append(make_record(body=b"canary"))
    with caplog.at_level(logging.WARNING):
        outbox.close()
    assert [record.records for record in caplog.records] == [3]
    assert "canary" not in caplog.text
    with pytest.raises(OutboxFull):
        outbox.append(make_record())


def test_closing_an_empty_outbox_says_nothing(caplog):
    MemoryOutbox().close()
    assert not caplog.records
