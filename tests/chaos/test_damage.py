"""Damaged files: it starts with anything, loses at most what is damaged, and keeps what it set aside.

SPEC: reliability 0.12, 1.4 row 5. `CHAOS=full` flips 2,000 bits and cuts at 500 places; else 120 and 40.
"""

import asyncio
import os
import random
import shutil
import tempfile
from pathlib import Path

import apsw
import pytest
from chaos.workload import BODY, open_in, present
from delivery.outbox_machine import make_record

IS_FULL = os.environ.get("CHAOS") == "full"
BATCHES, EACH = 20, 10
pytestmark = pytest.mark.timeout(900 if IS_FULL else 120)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with 200 records in 20 batches, all in the file (no WAL), and one with all in the WAL."""
    root = tmp_path_factory.mktemp("whole")

    async def fill():
        outbox = open_in(root / "live")
        for batch in range(BATCHES):
            commits = [outbox.append(make_record(batch * EACH + one, BODY))[1] for one in range(EACH)]
            for commit in commits:
                await commit
        shutil.copytree(root / "live", root / "wal")
        outbox.close()

    asyncio.run(fill())
    return root


def damaged(whole, name, spoil):
    """(numbers found, suspects) after `spoil(folder)` was done to a copy."""
    state = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="sgtm-damage-"))
    try:
        shutil.copytree(whole / name, state, dirs_exist_ok=True)
        spoil(state / "data" / "slot-0-0")
        numbers, suspects = asyncio.run(present(state))
        again, _ = asyncio.run(present(state))
        assert sorted(again) == sorted(numbers), "the next start finds the same, once"
        return numbers, suspects
    finally:
        shutil.rmtree(state)


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def test_one_flipped_bit_costs_at_most_its_batch(whole):
    chance = random.Random(3)
    size = (whole / "live" / "data" / "slot-0-0" / "outbox.sqlite").stat().st_size
    losses = []
    for _ in range(2_000 if IS_FULL else 120):
        bit = chance.randrange(size * 8)
        numbers, _ = damaged(whole, "live", lambda folder, bit=bit: flip(folder / "outbox.sqlite", bit))
        assert set(numbers) <= set(range(BATCHES * EACH)), "nothing that was never there"
        assert len(numbers) == len(set(numbers)), "nothing twice"
        losses.append(BATCHES * EACH - len(numbers))
    assert losses.count(0) > 0
    assert max(losses) > 0, "bits of records were hit"
    # most bits belong to one record; a page that leads to others may cost the batches it leads to
    assert sorted(losses)[len(losses) * 9 // 10] <= EACH
    assert max(losses) < BATCHES * EACH or losses.count(BATCHES * EACH) <= len(losses) // 50


def test_one_flipped_bit_in_the_wal_costs_what_came_after_it_at_most(whole):
    # SQLite believes a WAL up to the first frame that is wrong
    chance = random.Random(4)
    size = (whole / "wal" / "data" / "slot-0-0" / "outbox.sqlite-wal").stat().st_size
    for _ in range(400 if IS_FULL else 40):
        bit = chance.randrange(size * 8)
        numbers, _ = damaged(whole, "wal", lambda folder, bit=bit: flip(folder / "outbox.sqlite-wal", bit))
        assert sorted(numbers) == list(range(len(numbers))), "the first ones, whole"


def test_a_file_cut_anywhere_starts(whole):
    chance = random.Random(5)
    size = (whole / "live" / "data" / "slot-0-0" / "outbox.sqlite").stat().st_size
    for _ in range(500 if IS_FULL else 40):
        length = chance.randrange(size)
        numbers, suspects = damaged(
            whole, "live", lambda folder, length=length: os.truncate(folder / "outbox.sqlite", length)
        )
        assert set(numbers) <= set(range(BATCHES * EACH))
        assert length == 0 or suspects == 1 or len(numbers) == BATCHES * EACH


def test_a_second_half_of_zeros_leaves_the_first_half(whole):
    def spoil(folder):
        path = folder / "outbox.sqlite"
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))

    numbers, suspects = damaged(whole, "live", spoil)
    assert suspects == 1
    assert len(numbers) >= EACH, "what lies in the first half, and can be found from there"


def a_folder_in_its_place(folder):
    (folder / "outbox.sqlite").unlink()
    (folder / "outbox.sqlite").mkdir()
    (folder / "outbox.sqlite" / "precious").write_text("mine")


def a_foreign_database(folder):
    (folder / "outbox.sqlite").unlink()
    connection = apsw.Connection(str(folder / "outbox.sqlite"))
    connection.execute("CREATE TABLE batch(x); INSERT INTO batch VALUES(1)")
    connection.close()


def a_later_format(folder):
    connection = apsw.Connection(str(folder / "outbox.sqlite"))
    connection.execute("PRAGMA user_version=99")
    connection.close()


def a_link(folder):
    (folder / "outbox.sqlite").unlink()
    (folder / "outbox.sqlite").symlink_to("/etc/hostname")


def only_a_wal(folder):
    (folder / "outbox.sqlite").unlink()
    (folder / "outbox.sqlite-wal").write_bytes(bytes(5_000))


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (lambda folder: (folder / "outbox.sqlite").write_bytes(os.urandom(40_000)), 0),
        (a_folder_in_its_place, 0),
        (a_foreign_database, 0),
        (a_later_format, BATCHES * EACH),
        (a_link, 0),
        (only_a_wal, 0),
    ],
    ids=["noise", "folder", "foreign", "later", "link", "only WAL"],
)
def test_what_is_no_outbox_is_set_aside_and_kept(whole, spoil, kept):
    numbers, suspects = damaged(whole, "live", spoil)
    assert len(numbers) == kept
    assert suspects == 1 or spoil is only_a_wal


def test_an_empty_file_is_a_new_one(whole):
    assert damaged(whole, "live", lambda folder: os.truncate(folder / "outbox.sqlite", 0)) == ([], 0)


def test_rows_between_two_damaged_pages_are_found(tmp_path):
    # a walk from either end stops at the damage
    async def fill():
        outbox = open_in(tmp_path)
        for number in range(300):
            await outbox.append(make_record(number, bytes(700)))[1]
        outbox.close()

    asyncio.run(fill())
    path = tmp_path / "data" / "slot-0-0" / "outbox.sqlite"
    content = bytearray(path.read_bytes())
    leaves = [at for at in range(4096, len(content), 4096) if content[at] == 0x0D and content[at + 4] < 16]
    for at in (leaves[len(leaves) // 3], leaves[len(leaves) * 2 // 3]):
        content[at : at + 4096] = bytes(4096)
    path.write_bytes(content)
    numbers, suspects = asyncio.run(present(tmp_path))
    assert suspects == 1
    assert 280 <= len(numbers) < 300
