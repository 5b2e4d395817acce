"""Who has taken a key: one file, several processes, and what becomes of it when it is damaged or full."""

import asyncio
import multiprocessing
import stat
import time

import pytest

from sgtm.delivery.taken_keys import Take, TakenKeys
from sgtm.observability.metrics import Counters

# SPEC: requirements R192, R306; reliability 0.7.
HOUR = 3_600_000_000
NOW = time.time_ns() // 1_000


def take(key=b"k", record=b"1", at=NOW, window=HOUR):
    return Take(key, record, at, at + window)


@pytest.fixture
def opened(tmp_path):
    """Workers of one machine."""
    found = []

    def open_one(path=tmp_path / "taken-keys.sqlite"):
        found.append(TakenKeys(path, Counters()))
        return found[-1]

    yield open_one
    for keys in found:
        keys.close()


async def test_a_key_is_the_first_record_s_for_its_window_in_all_workers_and_after_a_restart(opened):
    one, other = opened(), opened()
    assert await one.take(take())
    assert not await other.take(take(record=b"2"))
    assert await other.take(take()), "the same record passes again"
    assert await other.take(take(key=b"other", record=b"2"))
    one.close()
    restarted = opened()
    assert not await restarted.take(take(record=b"2", at=NOW + HOUR - 1))
    assert await restarted.take(take(record=b"2", at=NOW + HOUR))
    assert not await restarted.take(take(at=NOW + HOUR)), "the window began anew, with another owner"


async def test_what_did_not_arrive_lets_its_key_go_and_nobody_else_s(opened):
    keys = opened()
    assert await keys.take(take())
    keys.release(take(record=b"2"))
    assert not await keys.take(take(record=b"3"))
    keys.release(take())
    assert await keys.take(take(record=b"3"))


async def test_the_file_has_a_bound_and_what_ends_first_falls_out(opened, monkeypatch, tmp_path):
    """Anybody can make keys: a call to a Segment client without write keys is one."""
    monkeypatch.setattr("sgtm.delivery.taken_keys.MAX_BYTES", 300_000)
    keys = opened()
    for group in range(30):
        at = NOW + group
        await asyncio.gather(
            *(keys.take(take(key=b"%016d" % (group * 400 + one), at=at)) for one in range(400))
        )
    assert not await keys.take(take(key=b"%016d" % 11_999, record=b"2")), "the latest stay"
    assert await keys.take(take(key=b"%016d" % 0, record=b"2")), "the first has fallen out"
    keys.close()
    assert (tmp_path / "taken-keys.sqlite").stat().st_size < 500_000
    assert keys._counters.value("sgtm_deduplication_fallen_out_total") > 1_000


async def test_a_file_that_another_worker_has_begun_anew_is_everybody_s(opened, tmp_path):
    one, other = opened(), opened()
    assert await one.take(take())
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"taken-keys.sqlite{suffix}").unlink(missing_ok=True)
    assert await other.take(take(record=b"2")), "the mark is lost"
    assert not await one.take(take()), "and everybody knows who has it now"


def _begin(path, name, barrier, told):
    async def ask():
        keys = TakenKeys(path, Counters())
        barrier.wait(20)
        took = await keys.take(take(record=name))
        keys.close()
        return took

    told.put(asyncio.run(ask()))


def test_workers_that_begin_the_file_at_one_moment_all_wait_for_it(tmp_path):
    """SQLite does not wait where two switch a file to WAL: four of five times a webhook went out twice."""
    context = multiprocessing.get_context("spawn")
    for number in range(2):
        barrier, told = context.Barrier(3), context.Queue()
        path = tmp_path / f"keys-{number}.sqlite"
        workers = [
            context.Process(target=_begin, args=(path, b"%d" % worker, barrier, told)) for worker in range(3)
        ]
        for worker in workers:
            worker.start()
        assert sum(told.get(timeout=30) for _ in workers) == 1
        for worker in workers:
            worker.join(10)


async def test_many_askers_of_one_moment_are_answered_each(opened):
    keys = opened()
    took = await asyncio.gather(*(keys.take(take(record=b"%d" % number)) for number in range(1_500)))
    assert took == [True] + [False] * 1_499
    assert all(await asyncio.gather(*(keys.take(take(key=b"%d" % number)) for number in range(1_500))))


async def test_what_is_over_is_forgotten(opened, monkeypatch, tmp_path):
    monkeypatch.setattr("sgtm.delivery.taken_keys._FORGET_EVERY_S", 0.0)
    keys = opened()
    assert await keys.take(take(key=b"old", at=NOW - 2 * HOUR))
    assert await keys.take(take(key=b"new"))
    await asyncio.sleep(0.01)
    assert await keys.take(take(key=b"newer"))
    found = keys._store._file.execute("SELECT key FROM taken ORDER BY key").fetchall()
    assert found == [(b"new",), (b"newer",)]


@pytest.mark.parametrize("damage", ["garbage", "folder"])
async def test_where_nobody_can_say_the_event_goes_out_and_that_is_counted(opened, tmp_path, damage):
    path = tmp_path / "taken-keys.sqlite"
    if damage == "garbage":
        path.write_bytes(b"no database at all" * 500)
    else:
        path.mkdir()
    keys = opened()
    assert await keys.take(take())
    assert keys._counters.value("sgtm_deduplication_failures_total") == 1
    if damage == "garbage":  # begun anew
        assert await keys.take(take())
        assert not await keys.take(take(record=b"2"))


async def test_a_sqlite_with_the_wal_reset_race_is_not_shared(opened, monkeypatch):
    monkeypatch.setattr("apsw.sqlite_lib_version", lambda: "3.51.2")
    keys = opened()
    assert await keys.take(take())
    assert await keys.take(take(record=b"2"))
    assert keys._counters.value("sgtm_deduplication_failures_total") == 2


async def test_the_file_is_its_owner_s_alone_in_a_folder_that_need_not_be_there(opened, tmp_path):
    path = tmp_path / "data" / "taken-keys.sqlite"
    assert await opened(path).take(take())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_in_memory_it_is_the_worker_s_own(opened):
    one, other = opened(None), opened(None)
    assert await one.take(take())
    assert not await one.take(take(record=b"2"))
    assert await other.take(take(record=b"2"))


def take_them_all(path, name, answers):
    async def main():
        keys = TakenKeys(path, Counters())
        took = await asyncio.gather(
            *(keys.take(take(key=b"%d" % number, record=name)) for number in range(400))
        )
        keys.close()
        answers.put((took, keys._counters.value("sgtm_deduplication_failures_total")))

    asyncio.run(main())


def test_of_processes_that_ask_at_the_same_time_one_gets_each_key(tmp_path):
    spawned = multiprocessing.get_context("spawn")
    answers = spawned.Queue()
    processes = [
        spawned.Process(target=take_them_all, args=(tmp_path / "taken-keys.sqlite", name, answers))
        for name in (b"a", b"b")
    ]
    for process in processes:
        process.start()
    (first, _), (second, failures) = (answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(30)
    assert failures == 0
    assert [one != other for one, other in zip(first, second, strict=True)] == [True] * 400
