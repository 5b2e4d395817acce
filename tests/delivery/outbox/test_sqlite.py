import asyncio
import logging
import shutil
import stat
import tempfile
import tracemalloc
from contextlib import aclosing
from pathlib import Path

import apsw
import pytest
from containers import container
from delivery.outbox_machine import OutboxMachine, left_over, listed, make_record
from doubles import eventually
from hypothesis import settings
from hypothesis.stateful import rule
from raw_http import ask

from sgtm.delivery.outbox import Outbox, OutboxFull, OutboxUnavailable
from sgtm.delivery.outbox import sqlite as engine
from sgtm.delivery.outbox.file import OutboxFile
from sgtm.delivery.outbox.folder import FolderInUse
from sgtm.delivery.outbox.held import Hold
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

# SPEC: reliability 0.5 to 0.10, 1.3 (settings of the file, group commit, start-up), design.md Delivery.


def open_in(folder, slot=0, workers=1, counters=None, **changes):
    chosen = Settings(outbox="sqlite", data_folder=str(folder), **changes)
    return open_outbox(chosen, slot, workers, counters or Counters())


async def kept(outbox, *bodies):
    """Ids of records with these bodies, committed."""
    ids, commits = [], []
    for seed, body in enumerate(bodies):
        record_id, commit = outbox.append(make_record(seed, body))
        ids.append(record_id)
        commits.append(commit)
    for commit in commits:
        await commit
    return ids


async def bodies_of(outbox):
    return [found.record.request.body for found in await listed(outbox.unfinished())]


class SqliteMachine(OutboxMachine):
    """Closed, opened again, adopted by another slot: what is owed is what the model owes."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sgtm-outbox-"))
        super().__init__()

    def open(self):
        return open_in(self.folder)

    @rule()
    def flush(self):
        async def flushed():
            self.outbox._flush()
            await asyncio.sleep(0.01)

        self.loop.run_until_complete(flushed())

    def teardown(self):
        super().teardown()
        shutil.rmtree(self.folder)


TestSqliteMachine = SqliteMachine.TestCase
TestSqliteMachine.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


@pytest.fixture
def outbox(tmp_path):
    opened = open_in(tmp_path)
    yield opened
    opened.close()


async def test_it_is_an_outbox(outbox):
    _: Outbox = outbox
    (record_id,) = await kept(outbox, b"a")
    assert [found.record_id for found in await listed(outbox.unfinished())] == [record_id]
    assert len(outbox) == 1


async def test_hits_of_one_moment_are_one_commit(outbox):
    await kept(outbox, *(b"%d" % number for number in range(300)))
    assert outbox._counters.value("sgtm_outbox_commits_total") == 1


async def test_a_group_has_at_most_500_records_or_a_megabyte_and_one_more(outbox):
    await kept(outbox, *([b""] * 1100))
    assert outbox._counters.value("sgtm_outbox_commits_total") == 3
    await kept(outbox, *([bytes(300_000)] * 5))
    assert outbox._counters.value("sgtm_outbox_commits_total") == 5
    took = {one.name: one.value for one in outbox._counters.histogram_samples()}
    assert took["sgtm_outbox_commit_seconds_count"] == 5
    assert 0 < took["sgtm_outbox_commit_seconds_sum"] < 60


async def test_what_is_committed_is_in_the_file_as_one_row_and_synced(tmp_path, outbox):
    await kept(outbox, b"a", b"b")
    outbox.close()
    connection = apsw.Connection(str(tmp_path / "slot-0-0" / "outbox.sqlite"))
    assert connection.execute("SELECT count(*), max(count) FROM batch").fetchall() == [(1, 2)]
    assert connection.execute("PRAGMA auto_vacuum").fetchall() == [(2,)]
    assert connection.execute("PRAGMA page_size").fetchall() == [(4096,)]


def test_settings_of_the_file_are_those_asked_for(tmp_path):
    file = OutboxFile(tmp_path / "outbox.sqlite", 2**30)
    asked = file._connection.execute
    said = {
        name: asked(f"PRAGMA {name}").fetchall()[0][0]
        for name in (
            "journal_mode",
            "locking_mode",
            "synchronous",
            "mmap_size",
            "temp_store",
            "wal_autocheckpoint",
        )
    }
    file.close()
    assert said == {
        "journal_mode": "wal",
        "locking_mode": "exclusive",
        "synchronous": 2,
        "mmap_size": 0,
        "temp_store": 2,
        "wal_autocheckpoint": 0,
    }


async def test_files_and_folders_are_private(tmp_path, outbox):
    await kept(outbox, b"a")
    folder = tmp_path / "slot-0-0"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert names == dict.fromkeys(["lock", "outbox.sqlite", "outbox.sqlite-wal", "reserve"], 0o600)


async def test_what_settled_in_the_last_second_is_written_without_a_new_record(tmp_path, outbox):
    (first, second) = await kept(outbox, b"a", b"b")
    outbox.ran(first, frozenset({"meta"}))
    outbox.settle(first, "meta")
    outbox.ran(second, frozenset({"meta", "ga4"}))
    outbox.settle(second, "ga4")
    await eventually(lambda: not outbox.ledger.owes_a_change)
    await asyncio.sleep(0.05)
    shutil.copytree(tmp_path, tmp_path.parent / "copy")  # as if it had died now
    survivor = open_in(tmp_path.parent / "copy")
    (found,) = await left_over(survivor, 1)
    assert (found.record_id, found.settled) == (second, {"ga4"})
    survivor.close()


async def test_a_batch_whose_records_are_all_finished_is_deleted(tmp_path, outbox):
    for record_id in await kept(outbox, *([b"x" * 1000] * 400)):
        outbox.ran(record_id, frozenset())
    assert len(outbox) == 0
    outbox.close()
    connection = apsw.Connection(str(tmp_path / "slot-0-0" / "outbox.sqlite"))
    assert connection.execute(
        "SELECT (SELECT count(*) FROM batch) + (SELECT count(*) FROM bits)"
    ).fetchall() == [(0,)]


async def test_a_record_keeps_bytes_that_are_no_text(outbox):
    record = make_record(
        path="/caf\udce9", host="shop.example", headers=((b"cookie", b"\xff\x00"),), body=bytes(range(256))
    )
    _, commit = outbox.append(record)
    await commit
    (found,) = await listed(outbox.unfinished())
    assert found.record == record


async def test_left_over_records_come_once_oldest_first_and_those_in_hand_do_not(tmp_path, outbox):
    ids = await kept(outbox, b"a", b"b", b"c")
    outbox.close()
    survivor = open_in(tmp_path)
    await kept(survivor, b"new")
    found = await left_over(survivor, 3)
    assert [it.record_id for it in found] == ids
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await left_over(survivor, 1)
    assert len(await listed(survivor.unfinished())) == 4
    survivor.close()


async def test_waiting_for_more_left_over_records_ends_with_the_outbox(outbox):
    waiting = asyncio.create_task(listed(outbox.left_over()))
    await asyncio.sleep(0.05)
    outbox.close()
    async with asyncio.timeout(5):
        assert await waiting == []


async def test_who_gives_up_waiting_for_the_commit_disturbs_nobody_else(outbox):
    _, commit = outbox.append(make_record())

    async def wait():
        await commit

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()


async def test_close_commits_what_is_waiting_and_takes_no_more(tmp_path, outbox):
    ids = [outbox.append(make_record(number))[0] for number in range(1200)]
    outbox.ran(ids[0], frozenset())
    outbox.close()
    with pytest.raises(OutboxFull):
        outbox.append(make_record())
    survivor = open_in(tmp_path)
    assert [found.record_id for found in await listed(survivor.unfinished())] == ids[1:]
    survivor.close()


async def test_ids_never_come_again(tmp_path):
    seen = set()
    for _ in range(4):
        outbox = open_in(tmp_path)
        ids = await kept(outbox, b"a", b"b")
        for record_id in ids:
            outbox.ran(record_id, frozenset())
        outbox.close()
        assert not seen & set(ids)
        seen |= set(ids)


async def test_who_replaces_a_living_worker_takes_over_what_that_leaves(tmp_path, outbox, monkeypatch):
    monkeypatch.setattr(engine, "LOOK_S", 0.05)
    await kept(outbox, b"a", b"b")
    heir = open_in(tmp_path)
    await kept(heir, b"c")
    finding = asyncio.create_task(left_over(heir, 2))
    await asyncio.sleep(0.3)
    assert not finding.done()
    outbox.close()
    assert [it.record.request.body for it in await finding] == [b"a", b"b"]
    await eventually(lambda: [path.name for path in tmp_path.iterdir()] == ["slot-0-1"])
    heir.close()


async def test_a_slot_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr("sgtm.delivery.outbox.opening.MAX_FOLDERS", 2)
    opened = [open_in(tmp_path), open_in(tmp_path)]
    with pytest.raises(FolderInUse):
        open_in(tmp_path)
    for outbox in opened:
        outbox.close()


async def test_folders_of_slots_that_no_worker_has_are_adopted_and_deleted(tmp_path):
    counters = Counters()
    for slot in range(4):
        gone = open_in(tmp_path, slot, 4)
        ids = await kept(gone, b"of %d" % slot, b"partly")
        gone.ran(ids[1], frozenset({"meta", "ga4"}))
        gone.settle(ids[1], "ga4")
        gone.close()
    heir = open_in(tmp_path, 0, 2, counters)
    other = open_in(tmp_path, 1, 2)
    found = await left_over(heir, 4)
    assert [(it.record.request.body, it.settled) for it in found] == [
        (b"of 0", set()),
        (b"partly", {"ga4"}),
        (b"of 2", set()),
        (b"partly", {"ga4"}),
    ]
    assert [it.record.request.body for it in await left_over(other, 4)] == [
        b"of 1",
        b"partly",
        b"of 3",
        b"partly",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slot-0-0", "slot-1-0"]
    assert counters.value("sgtm_outbox_records_taken_over_total") == 2
    heir.close()
    other.close()


async def test_require_durable_refuses_memory(tmp_path):
    for changes in ({"outbox": "memory"}, {"outbox": "sqlite", "data_folder": "/dev/shm/sgtm-test-durable"}):
        chosen = Settings(require_durable=True, **{"data_folder": str(tmp_path), **changes})
        with pytest.raises(Exception, match="require-durable"):
            open_outbox(chosen, 0, 1, Counters())
    shutil.rmtree("/dev/shm/sgtm-test-durable")
    open_in(tmp_path, require_durable=True).close()


async def test_a_disk_that_is_memory_is_said(caplog):
    folder = tempfile.mkdtemp(dir="/dev/shm", prefix="sgtm-test-")
    with caplog.at_level(logging.WARNING):
        outbox = open_in(folder)
    assert outbox.state().durability == 1
    assert "disk is memory" in caplog.text
    outbox.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("kind", "allows", "refused"),
    [
        ("nfs4", False, True),
        ("fuse.sshfs", False, True),
        ("fuse.sshfs", True, False),
        ("9p", True, True),
        ("ext4", False, False),
    ],
)
def test_network_file_systems_are_refused(tmp_path, monkeypatch, kind, allows, refused):
    table = tmp_path / "mountinfo"
    table.write_text(
        "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        f"30 21 0:44 / {tmp_path}/a\\040disk rw - {kind} server:/x rw\n"
    )
    monkeypatch.setattr("sgtm.delivery.outbox.folder.MOUNTINFO", table)
    folder = tmp_path / "a disk" / "data"
    if refused:
        with pytest.raises(Exception, match=kind):
            open_in(folder, outbox_on_fuse=allows)
    else:
        open_in(folder, outbox_on_fuse=allows).close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="data-folder"):
        open_in(tmp_path / "file" / "data")


async def test_state_tells_space_and_the_oldest_record(outbox):
    assert outbox.state().oldest_micros is None
    await kept(outbox, b"a", b"b")
    state = outbox.state()
    assert (state.engine, state.records, state.oldest_micros) == ("sqlite", 2, 1_764_000_000_000_000)
    assert state.free_bytes > 0
    assert state.budget_bytes == 16 * 2**30


def failing_write(monkeypatch, error, *, after=0, is_written=False):
    """The next commit (after so many) fails; with `is_written` it is in the file all the same."""
    write, calls = OutboxFile.write, iter(range(10**9))

    def fails_once(self, change):
        if next(calls) != after:
            return write(self, change)
        if is_written:
            write(self, change)
        raise error

    monkeypatch.setattr(OutboxFile, "write", fails_once)


async def test_after_an_io_error_the_file_is_set_aside_and_nothing_is_lost(tmp_path, outbox, monkeypatch):
    # SPEC: reliability 0.8, 1.3 (I/O error)
    ids = await kept(outbox, b"a", b"b", b"finished")
    outbox.ran(ids[2], frozenset())
    failing_write(monkeypatch, apsw.IOError("disk I/O error"))
    _, commit = outbox.append(make_record(9, b"refused"))
    with pytest.raises(OutboxUnavailable):
        await commit
    (suspect,) = (tmp_path / "slot-0-0").glob("*.suspect")
    before = suspect.read_bytes()
    await kept(outbox, b"c")  # into the new file
    taking = asyncio.create_task(left_over(outbox, 1))
    await eventually(lambda: outbox._counters.value("sgtm_outbox_records_taken_over_total") == 3)
    assert not taking.done(), "who has them in hand goes on with them"
    outbox.ran(ids[0], frozenset())
    await asyncio.sleep(0)
    assert await bodies_of(outbox) == [b"b", b"c"]
    taking.cancel()
    await asyncio.wait([taking])
    outbox.close()
    survivor = open_in(tmp_path)
    assert await bodies_of(survivor) == [b"b", b"c"]
    assert survivor.state().suspects == 1
    assert suspect.read_bytes() == before
    survivor.close()


async def test_a_record_of_a_failed_commit_that_turns_up_is_delivered(outbox, monkeypatch):
    # SPEC: reliability 1.3: a failed commit is unknown
    failing_write(monkeypatch, apsw.IOError("disk I/O error"), is_written=True)
    _, commit = outbox.append(make_record(1, b"unknown"))
    with pytest.raises(OutboxUnavailable):
        await commit
    (found,) = await left_over(outbox, 1)
    assert found.record.request.body == b"unknown"


async def test_a_file_that_cannot_be_replaced_is_tried_again(tmp_path, outbox, monkeypatch):
    await kept(outbox, b"a")
    failing_write(monkeypatch, apsw.IOError("disk I/O error"))
    is_gone = [True]
    opened = OutboxFile.__init__

    def fails(self, *arguments):
        if is_gone[0]:
            raise OSError(5, "Input/output error")
        opened(self, *arguments)

    monkeypatch.setattr(OutboxFile, "__init__", fails)
    for _ in range(2):
        _, commit = outbox.append(make_record(1, b"refused"))
        with pytest.raises(OutboxUnavailable):
            await commit
    is_gone[0] = False
    async with asyncio.timeout(10):
        while True:
            try:
                await kept(outbox, b"b")
            except OutboxUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    assert len(list((tmp_path / "slot-0-0").glob("*.suspect"))) == 1


async def test_on_a_full_disk_the_reserve_is_given_up_so_that_delivered_records_go(
    tmp_path, outbox, monkeypatch
):
    # SPEC: reliability 0.9
    ids = await kept(outbox, *([bytes(1_000)] * 100))
    reserve = tmp_path / "slot-0-0" / "reserve"
    assert reserve.stat().st_size == 2**26
    for record_id in ids:
        outbox.ran(record_id, frozenset())
    at_full = []
    checkpoint = OutboxFile.checkpoint

    def watched(self, *, truncate=False):
        at_full.append(reserve.exists())
        checkpoint(self, truncate=truncate)

    monkeypatch.setattr(OutboxFile, "checkpoint", watched)
    failing_write(monkeypatch, apsw.FullError("database or disk is full"))
    _, commit = outbox.append(make_record(1, b"refused"))
    with pytest.raises(OutboxUnavailable):
        await commit
    assert at_full[0] is False, "given up before the checkpoint"
    await eventually(lambda: outbox.state().full_because == "")
    await eventually(reserve.exists)
    assert not list((tmp_path / "slot-0-0").glob("*.suspect")), "a full disk is no damage"
    await kept(outbox, b"again")
    assert await bodies_of(outbox) == [b"again"]


async def test_a_full_outbox_refuses_and_takes_again_below_80_percent(tmp_path):
    # SPEC: reliability 1.3 (Space): refused at 90 % of the budget, accepted again at 80 %
    outbox = open_in(tmp_path, outbox_disk_bytes=4_000_000)
    ids = []
    while not outbox.state().full_because:
        ids += await kept(outbox, *([bytes(10_000)] * 10))
        await asyncio.sleep(0.11)
    with pytest.raises(OutboxFull):
        outbox.append(make_record())
    assert "of 4000000 bytes" in outbox.state().full_because
    assert outbox.state().used_bytes >= 3_600_000
    for record_id in ids[:20]:  # 5 %: still too full
        outbox.ran(record_id, frozenset())
    await asyncio.sleep(0.6)
    assert outbox.state().full_because
    for record_id in ids[20:120]:
        outbox.ran(record_id, frozenset())
    await eventually(lambda: not outbox.state().full_because)
    await kept(outbox, b"again")
    outbox.close()


async def test_jumps_of_the_clock_change_nothing(tmp_path, outbox, monkeypatch):
    # SPEC: reliability 1.4 row 12
    for received in (1_764_000_000_000_000, 1_764_003_600_000_000, 1_000_000, 1_767_456_000_000_000):
        _, commit = outbox.append(make_record(received_micros=received))
        await commit
    outbox.close()
    survivor = open_in(tmp_path)
    found = await left_over(survivor, 4)
    assert [it.record.request.received_micros // 10**12 for it in found] == [1764, 1764, 0, 1767]
    survivor.close()


async def handed_back(outbox, hold, expired_by=None):
    return [found.record.request.body async for found in outbox.handed_back(hold, expired_by)]


async def test_what_is_handed_back_waits_on_the_disk_and_comes_again_what_expires_first_first(outbox):
    ids = [record_id for body in (b"a", b"b", b"c") for record_id in await kept(outbox, body)]
    shut, other = Hold("ga4", "there"), Hold("meta", "there")
    for record_id, expires in zip(ids, (30, 10, 20), strict=True):
        outbox.ran(record_id, frozenset({"ga4"}))
        outbox.hand_back(record_id, shut, expires)
    assert outbox.holds()[shut].count == 3
    assert outbox.holds()[shut].first_expires_micros == 10
    assert outbox.holds()[shut].oldest_micros
    assert await handed_back(outbox, other) == []
    assert await handed_back(outbox, shut, expired_by=10) == [b"b"]
    assert await handed_back(outbox, shut) == [b"c", b"a"]
    assert not outbox.holds()
    assert len(outbox) == 3, "to come again settles nothing"


async def test_what_is_settled_while_it_waits_does_not_come_again(outbox):
    ids = await kept(outbox, b"a", b"b")
    hold = Hold("ga4", "there")
    for record_id in ids:
        outbox.ran(record_id, frozenset({"ga4", "meta"}))
        outbox.hand_back(record_id, hold, 10)
    outbox.settle(ids[0], "ga4")
    assert await handed_back(outbox, hold) == [b"b"]


async def test_what_waits_holds_no_record_in_memory(outbox):
    # SPEC: design.md Delivery, "a lane that is shut keeps no requests in memory"
    hold = Hold("ga4", "there")
    ids = await kept(outbox, *([bytes(1_000)] * 2_000))
    tracemalloc.start()
    for record_id in ids:
        outbox.ran(record_id, frozenset({"ga4"}))
        outbox.hand_back(record_id, hold, 10)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outbox.holds()[hold].count == 2_000
    assert held < 20_000, "ten bytes a record"


async def test_after_a_restart_what_waited_is_left_over(tmp_path, outbox):
    (record_id,) = await kept(outbox, b"a")
    outbox.ran(record_id, frozenset({"ga4"}))
    outbox.hand_back(record_id, Hold("ga4", "there"), 10)
    outbox.close()
    again = open_in(tmp_path)
    assert not again.holds()
    assert [found.record_id for found in await left_over(again, 1)] == [record_id]
    again.close()


async def test_who_stops_reading_leaves_the_others_waiting_and_has_what_came(outbox):
    hold = Hold("ga4", "there")
    for record_id in await kept(outbox, b"a", b"b", b"c"):
        outbox.ran(record_id, frozenset({"ga4"}))
        outbox.hand_back(record_id, hold, 10)
    async with aclosing(outbox.handed_back(hold)) as found:
        assert (await anext(found)).record.request.body == b"a"
    assert outbox.holds()[hold].count == 2
    assert await handed_back(outbox, hold) == [b"b", b"c"]


async def test_a_worker_whose_writer_thread_is_dead_is_not_live(serve, tmp_path):
    # SPEC: reliability 6 (probes): writer thread answers
    served = await serve(container([]), outbox="sqlite", data_folder=str(tmp_path / "data"))
    assert (await ask(served.port, "/live")).status == 200
    served.worker.outbox._writer.stop(5.0)
    assert (await ask(served.port, "/live")).status == 503
