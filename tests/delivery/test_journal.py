"""The journal: what is noted is read again, whatever happens to the files."""

import asyncio
import os
import time

from doubles import eventually
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery import journal
from sgtm.delivery.journal import FOLDER, Journal, Noted, read_tries
from sgtm.observability.metrics import Counters

# SPEC: requirements R350: each attempt and the vendor's answer over the retention time.

DAY_S = 86_400.0


def entry(seed=1, tag="Meta", attempt=1, outcome="done", reason=""):
    return Noted(
        1_764_000_000_000_000, seed, 0, tag, "https://v.example:443", 5, attempt, 200, outcome, reason
    )


def make(tmp_path, slot=0, *, age_s=DAY_S, max_bytes=10**6, counters=None):
    return Journal(tmp_path, slot, age_s, max_bytes, counters or Counters())


def files(tmp_path):
    return sorted((tmp_path / FOLDER).glob("slot-*/*"))


async def test_entries_of_the_records_that_are_asked_for_come_back_from_all_slots(tmp_path):
    for slot in (0, 1):
        one = make(tmp_path, slot)
        one.note(entry(seed=slot, reason="HTTP 500"))
        one.note(entry(seed=7 + slot))
        await one.close()
    found = list(read_tries(tmp_path, [(1_764_000_000_000_000, 0), (1_764_000_000_000_000, 8)]))
    assert found == [entry(seed=0, reason="HTTP 500"), entry(seed=8)]
    assert list(read_tries(tmp_path, [(1, 0)])) == []


async def test_it_is_written_by_itself_soon_and_only_for_its_owner(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "FLUSH_S", 0.01)
    one = make(tmp_path)
    one.note(entry())
    await eventually(lambda: list(read_tries(tmp_path, [entry().record])) == [entry()])
    one.note(entry(attempt=2))
    await eventually(lambda: len(list(read_tries(tmp_path, [entry().record]))) == 2)
    assert files(tmp_path)[0].stat().st_mode & 0o777 == 0o600
    assert len(files(tmp_path)) == 1, "one file an hour, however often it is written to"
    await one.close()


async def test_nothing_is_made_where_nothing_is_noted(tmp_path):
    await make(tmp_path).close()
    assert not (tmp_path / FOLDER).exists()
    assert list(read_tries(tmp_path, [entry().record])) == []


async def test_what_a_stalled_disk_cannot_take_is_counted_and_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "MOST_WAITING", 3)
    counters = Counters()
    one = make(tmp_path, counters=counters)
    for seed in range(5):
        one.note(entry(seed))
    assert counters.value("sgtm_journal_lost_total") == 2
    await one.close()
    assert len(list(read_tries(tmp_path, [(entry().received_micros, seed) for seed in range(5)]))) == 3


async def test_a_disk_that_fails_costs_its_entries_and_nothing_else(tmp_path, caplog):
    (tmp_path / FOLDER).write_text("in the way")
    counters = Counters()
    one = make(tmp_path, counters=counters)
    one.note(entry())
    await one.close()
    assert counters.value("sgtm_journal_lost_total") == 1
    assert "tries are not noted" in caplog.text


async def test_old_files_go_and_of_too_much_the_oldest(tmp_path):
    for number in range(3):
        one = make(tmp_path, age_s=10 * DAY_S)
        one.note(entry(number))
        await one.close()
        os.utime(files(tmp_path)[number], (time.time() - DAY_S * (2 - number),) * 2)
    size = files(tmp_path)[0].stat().st_size
    one = make(tmp_path, age_s=DAY_S * 1.5, max_bytes=2 * size + 10)
    one.note(entry(3))
    await one.close()
    seeds = {found.seed for found in read_tries(tmp_path, [(entry().received_micros, n) for n in range(4)])}
    assert seeds == {2, 3}


@given(data=st.data())
def test_a_damaged_file_costs_the_damaged_part_and_never_raises(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")

    async def write():
        one = make(folder)
        for number in range(3):
            one.note(entry(number))
            await asyncio.to_thread(one._write, one._taken())  # a frame of its own
        await one.close()

    asyncio.run(write())
    path = files(folder)[0]
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    found = list(read_tries(folder, [(entry().received_micros, number) for number in range(3)]))
    assert len(found) >= 2
    path.write_bytes(whole[:at])
    list(read_tries(folder, [entry().record]))
