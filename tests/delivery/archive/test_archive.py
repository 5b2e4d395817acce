import asyncio
import errno
import io
import os
import stat
import time

import pytest
from delivery.outbox_machine import make_record
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery.archive.keeping import Archive, Group
from sgtm.delivery.archive.reading import Reading
from sgtm.delivery.archive.segment import HEADER, frame_of, read_segment
from sgtm.delivery.outbox.file import OutboxFile
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.delivery.outbox.records import write_record
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

# SPEC: design.md Delivery (the archive: compressed segment files, the same for all engines, fsynced before
# the row goes; retention by time; 0600); reliability 1.3, 1.4 row 5 (damage costs what is damaged).

AT = 1_764_000_000_000_000


def group(seeds, body=b"x" * 200):
    records = bytearray()
    for seed in seeds:
        write_record(make_record(seed, body, received_micros=AT + seed), records)
    return Group(records, len(seeds), AT + min(seeds), AT + max(seeds))


def segment(*groups):
    frames = (frame_of(one.records, one.first_micros, one.last_micros) for one in groups)
    return HEADER + b"".join(frames)


def read(content, from_micros=0, to_micros=2**62):
    """Seeds of what is found, and how much is said to be damaged."""
    found = list(read_segment(io.BytesIO(content), from_micros, to_micros))
    return [one.request.seed for part in found for one in part.records], sum(part.damaged for part in found)


def archive(folder, slot=0, workers=1, age_s=3600.0, max_bytes=2**30, counters=None):
    return Archive(folder, slot, workers, age_s, max_bytes, counters or Counters())


def seeds_in(folder, from_micros=0, to_micros=2**62):
    return [record.request.seed for record in Reading(folder, from_micros, to_micros).records()]


# -- one segment ----------------------------------------------------------------------------------


def test_what_was_written_is_read_in_its_order():
    assert read(segment(group([1, 2]), group([3]))) == ([1, 2, 3], 0)


def test_only_records_of_the_time_are_read_its_end_excluded():
    content = segment(group(range(10)), group(range(10, 20)), group(range(20, 30)))
    assert read(content, AT + 5, AT + 12) == ([5, 6, 7, 8, 9, 10, 11], 0)


@pytest.mark.parametrize("cut", [0, 3, 8, 20, 60, 200])
def test_a_frame_that_is_still_being_written_is_not_damage(cut):
    whole, more = segment(group([1])), segment(group([1]), group([2, 3]))
    content = more[: min(len(whole) + cut, len(more) - 1)]
    assert read(content)[0] == [1]
    assert read(content)[1] == 0


FRAMES = [group([number * 10 + one for one in range(5)], os.urandom(300)) for number in range(6)]
CONTENT = segment(*FRAMES)


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_damaged_byte_costs_at_most_its_frame(position, change):
    damaged = bytearray(CONTENT)
    damaged[position] ^= change
    seeds, _ = read(bytes(damaged))
    everyone = [number * 10 + one for number in range(6) for one in range(5)]
    assert seeds == [seed for seed in everyone if seed in seeds], "in their order, once"
    lost = {seed // 10 for seed in everyone} - {seed // 10 for seed in seeds if seeds.count(seed) == 1}
    touched = {seed // 10 for seed in set(everyone) - set(seeds)}
    assert len(touched | lost) <= 1


def test_damage_is_said_and_records_before_it_are_kept():
    records = bytearray()
    for seed in range(100):
        write_record(make_record(seed, os.urandom(200)), records)
    first = segment(Group(records, 100, AT, AT))
    damaged = bytearray(first + segment(group([200]))[len(HEADER) :])
    damaged[len(first) // 2] ^= 0xFF
    seeds, count = read(bytes(damaged))
    assert count >= 1
    assert seeds[-1] == 200
    assert seeds[:30] == list(range(30))


@given(st.binary(max_size=3000))
def test_garbage_is_read_as_nothing(content):
    assert read(content)[0] == []
    assert read(HEADER + content)[0] == []


# -- keeping --------------------------------------------------------------------------------------


def test_it_is_private_and_in_a_folder_per_slot(tmp_path):
    kept = archive(tmp_path, slot=2, workers=4)
    kept.write([group([1])])
    (path,) = (tmp_path / "archive" / "slot-2").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    kept.close()


def test_it_is_read_while_it_is_written_and_of_all_slots(tmp_path):
    one, two = archive(tmp_path, 0, 2), archive(tmp_path, 1, 2)
    one.write([group([1])])
    two.write([group([2])])
    assert sorted(seeds_in(tmp_path)) == [1, 2]
    one.write([group([3])])
    assert sorted(seeds_in(tmp_path)) == [1, 2, 3]
    assert one.bytes > 0
    one.close()
    two.close()


def test_small_groups_are_compressed_together(tmp_path):
    kept = archive(tmp_path)
    kept.write(group([seed]) for seed in range(100))
    (path,) = (tmp_path / "archive" / "slot-0").iterdir()
    assert path.read_bytes().count(b"\xa5\x9eSG") == 1
    assert path.stat().st_size < 100 * 250 / 4
    assert seeds_in(tmp_path) == list(range(100))
    kept.close()


def test_what_is_too_old_is_deleted(tmp_path):
    counters = Counters()
    old = archive(tmp_path)
    old.write([group([1])])
    old.close()
    (path,) = (tmp_path / "archive" / "slot-0").iterdir()
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    kept = archive(tmp_path, counters=counters)
    kept.write([group([2])])
    assert seeds_in(tmp_path) == [2]
    assert counters.value("sgtm_archive_segments_deleted_total") == 1
    kept.close()


def test_what_is_too_much_is_deleted_the_oldest_first(tmp_path, monkeypatch):
    monkeypatch.setattr("sgtm.delivery.archive.keeping.SEGMENT_BYTES", 1)
    kept = archive(tmp_path, max_bytes=4_000)
    for seed in range(10):
        kept.write([group([seed], os.urandom(1_000))])
    kept.clean()
    seeds = seeds_in(tmp_path)
    assert seeds == list(range(10))[-len(seeds) :]
    assert 1 <= len(seeds) <= 4
    assert kept.bytes <= 4_000
    kept.close()


def test_segments_of_vanished_slots_are_somebodys_to_delete(tmp_path):
    archive(tmp_path, 3, 4).write([group([1])])
    (path,) = (tmp_path / "archive" / "slot-3").iterdir()
    os.utime(path, (0, 0))
    archive(tmp_path, 0, 2)
    assert path.exists()  # it is slot 1's
    archive(tmp_path, 1, 2)
    assert not path.exists()


def test_a_disk_that_fails_costs_the_archive_and_nothing_else(tmp_path, monkeypatch, caplog):
    counters = Counters()
    kept = archive(tmp_path, counters=counters)
    write = os.write

    def failing(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", failing)
    kept.write([group([1, 2])])
    monkeypatch.setattr(os, "write", write)
    assert counters.value("sgtm_archive_records_lost_total") == 2
    assert "records are not archived" in caplog.text
    kept.write([group([3])])
    assert seeds_in(tmp_path) == [3]
    kept.close()


def test_a_short_write_is_continued_and_a_broken_one_costs_itself(tmp_path, monkeypatch):
    kept = archive(tmp_path)
    write, calls = os.write, []

    def breaking(descriptor, content):
        calls.append(len(content))
        if len(calls) == 4:
            raise OSError(errno.EIO, "Input/output error")
        return write(descriptor, bytes(content)[: max(len(content) // 2, 1)])

    kept.write([group([1])])
    monkeypatch.setattr(os, "write", breaking)
    kept.write([group([2])])
    monkeypatch.undo()
    kept.write([group([3])])
    assert seeds_in(tmp_path) == [1, 2, 3]
    kept.close()


# -- under the engines ----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_what_owes_nothing_any_more_is_archived(tmp_path, engine):
    counters = Counters()
    settings = Settings(outbox=engine, data_folder=str(tmp_path), archive="7d")
    outbox = open_outbox(settings, 0, 1, counters)
    for seed in range(3):
        record_id, commit = outbox.append(make_record(seed, b"body"))
        if commit is not None:
            await commit
        outbox.ran(record_id, frozenset({"meta"}))
        if seed != 2:
            outbox.settle(record_id, "meta")
    outbox.close()
    found = list(Reading(tmp_path, 0, 2**62).records())
    assert found == [make_record(seed, b"body") for seed in range(2)]
    assert counters.value("sgtm_archive_records_total") == 2


async def test_the_memory_engine_archives_within_a_second_or_so(tmp_path):
    outbox = open_outbox(Settings(outbox="memory", data_folder=str(tmp_path), archive="7d"), 0, 1, Counters())
    record_id, _ = outbox.append(make_record(5))
    outbox.ran(record_id, frozenset())
    async with asyncio.timeout(10):
        while seeds_in(tmp_path) != [5]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    outbox.close()


async def test_the_archive_is_synced_before_the_row_goes(tmp_path, monkeypatch):
    done = []
    write, sync = OutboxFile.write, os.fdatasync

    def noting(file, change):
        done.extend("row goes" for _ in change.finished)
        write(file, change)

    def syncing(descriptor):
        done.append("archive synced")
        sync(descriptor)

    monkeypatch.setattr(OutboxFile, "write", noting)
    monkeypatch.setattr(os, "fdatasync", syncing)
    outbox = open_outbox(Settings(outbox="sqlite", data_folder=str(tmp_path), archive="1h"), 0, 1, Counters())
    record_id, commit = outbox.append(make_record(1))
    await commit
    outbox.ran(record_id, frozenset())
    outbox.close()
    assert done == ["archive synced", "row goes"]


def test_without_the_setting_there_is_none(tmp_path):
    outbox = open_outbox(Settings(outbox="sqlite", data_folder=str(tmp_path)), 0, 1, Counters())
    outbox.close()
    assert not (tmp_path / "archive").exists()
