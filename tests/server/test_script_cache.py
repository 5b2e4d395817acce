"""Which copies have to go when there are too many, and the folder that several workers share."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sgtm.server.script_cache import CopiesInMemory, CopiesOnDisk, Copy


def copy(key: str, size: int = 10) -> Copy:
    return Copy(key, b"x" * size, b"", "text/javascript", "", 0.0)


def test_what_was_asked_for_once_goes_before_what_was_asked_for_again() -> None:
    copies = CopiesInMemory(10_000, max_copies=3)
    copies.put(copy("wanted"))
    copies.get("wanted")
    gone = [key for number in range(5) for key in copies.put(copy(str(number)))]
    assert gone == ["0", "1", "2"]
    assert copies.get("wanted") is not None


def test_a_new_copy_has_a_place_though_all_others_were_asked_for_again() -> None:
    copies = CopiesInMemory(10_000, max_copies=3)
    for key in "abc":
        copies.put(copy(key))
        copies.get(key)
    copies.get("a")
    assert copies.put(copy("new")) == ["b"]
    assert copies.get("new") is not None


def test_bytes_are_counted_over_replacement_and_eviction() -> None:
    copies = CopiesInMemory(1_000)
    for size in (100, 400, 50):
        copies.put(copy("a", size))
    assert copies.size_bytes == 51
    assert copies.put(copy("b", 948)) == []
    assert copies.put(copy("c", 900)) == ["a", "b"]
    assert copies.size_bytes == 901


def test_a_copy_that_is_larger_than_everything_allowed_pushes_nothing_out() -> None:
    copies = CopiesInMemory(1_000)
    copies.put(copy("a"))
    assert copies.put(copy("huge", 1_000)) == ["huge"]
    assert (len(copies), copies.size_bytes) == (1, 11)


def test_workers_that_write_remove_and_load_in_one_folder_never_meet_half_a_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # as two workers do, one of which evicts what the other loads at its start
    def write(worker: int) -> None:
        disk = CopiesOnDisk(tmp_path)
        for turn in range(60):
            disk.write(copy(f"{turn % 7}", 20_000 + worker), [f"{(turn + 3) % 7}"])

    def load(_: int) -> None:
        disk = CopiesOnDisk(tmp_path)
        for _ in range(60):
            assert all(len(one.body) >= 20_000 for one in disk.load())

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(work, number) for work in (write, load) for number in range(2)]:
            future.result(timeout=60)
    assert caplog.records == []
    assert {file.suffix for file in tmp_path.iterdir()} == {".script"}


def test_a_full_disk_keeps_nothing_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    CopiesOnDisk(tmp_path).write(copy("a"), [])
    assert list(tmp_path.iterdir()) == []
    assert [record.message for record in caplog.records] == ["the folder of scripts cannot be used"]


def test_what_a_killed_worker_left_unfinished_is_removed_later(tmp_path: Path) -> None:
    old, fresh = tmp_path / "a.1.unfinished", tmp_path / "b.2.unfinished"
    for file in (old, fresh):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert CopiesOnDisk(tmp_path).load() == []
    assert list(tmp_path.iterdir()) == [fresh]  # another worker may be at it
