"""Power cuts, simulated: whatever the disk kept, nothing that was acknowledged is lost.

SPEC: reliability 1.4 row 4, 1.5. `CHAOS=full` takes 5,000 states and every cut; else 500.
"""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from chaos.power_cut import POLICIES, Disk, read_log
from chaos.workload import kept, present

IS_FULL = os.environ.get("CHAOS") == "full"
STATES = 5_000 if IS_FULL else 500
HERE = Path(__file__).parent


def recorded(shim, folder, mutant=""):
    root = folder / "root"
    root.mkdir()
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "DISK_ROOT": str(root),
        "DISK_LOG": str(folder / "log"),
    }
    command = [sys.executable, str(HERE / "workload.py"), "record", str(root), *([mutant] if mutant else [])]
    subprocess.run(command, check=True, env=environment, cwd=HERE.parents[1], timeout=60)
    return list(read_log(folder / "log")), str(root)


def states(operations, root, count, **how):
    """(disk, said so far, policy, chance) at `count` moments, all policies in turn, in order of time."""
    chance = random.Random(5)
    cuts = sorted(chance.randint(0, len(operations)) for _ in range(count))
    disk, said, done = Disk(root, **how), bytearray(), 0
    for number, cut in enumerate(cuts):
        for operation in operations[done:cut]:
            disk.apply(operation)
            if operation.path.endswith("/said"):
                said += operation.content
        done = cut
        yield disk, bytes(said), POLICIES[number % len(POLICIES)], chance


def judged(disk, said, policy, chance):
    """(lost, invented, suspects) in one state."""
    state = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="sgtm-cut-"))
    try:
        disk.leave(state, policy, chance)
        promised = [line.split(b" ") for line in said.splitlines()]
        acknowledged = {int(number) for what, number in promised if what == b"a"}
        delivered = {int(number) for what, number in promised if what == b"d"}
        numbers, suspects = asyncio.run(present(state))
        assert len(numbers) == len(set(numbers)), "a record is there twice"
        return acknowledged - delivered - set(numbers), {n for n in numbers if n > 1_000}, suspects
    finally:
        shutil.rmtree(state)


def test_a_power_cut_loses_nothing_and_every_state_opens(shim, tmp_path):
    operations, root = recorded(shim, tmp_path)
    assert sum(operation.kind == "S" for operation in operations) > 50, (
        "the recorder sees the syncs of SQLite"
    )
    for number, (disk, said, policy, chance) in enumerate(states(operations, root, STATES)):
        lost, invented, suspects = judged(disk, said, policy, chance)
        assert (lost, invented, suspects) == (set(), set(), 0), (number, policy)


@pytest.mark.parametrize(
    ("mutant", "how"), [("normal", {}), ("no_folder_sync", {"syncs_folders": False}), ("early", {})]
)
def test_the_test_can_fail(shim, tmp_path, mutant, how):
    """Synchronous NORMAL, no sync of folders, an answer before the commit: each is seen as loss."""
    operations, root = recorded(shim, tmp_path, mutant)
    losing = sum(bool(judged(*state)[0]) for state in states(operations, root, 60, **how))
    assert losing >= 5


def missing(disk, said, policy, chance):
    """Records that are neither in the outbox nor in the archive; given up and without a letter."""
    state = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="sgtm-cut-"))
    try:
        disk.leave(state, policy, chance)
        promised = [line.split(b" ") for line in said.splitlines()]
        acknowledged = {int(number) for what, number in promised if what == b"a"}
        given_up = {int(number) for what, number in promised if what == b"b"}
        owing, standing, buried, archived = asyncio.run(kept(state))
        return acknowledged - standing - archived, given_up - owing - buried
    finally:
        shutil.rmtree(state)


def test_a_power_cut_costs_no_letter_and_nothing_that_is_archived(shim, tmp_path):
    # SPEC: reliability 1.5.7: the same recorder serves the archive segments and dead letters
    operations, root = recorded(shim, tmp_path, "kept")
    for number, state in enumerate(states(operations, root, STATES // 2)):
        assert missing(*state) == (set(), set()), (number, state[2])


def test_an_archive_that_is_not_synced_is_seen_as_loss(shim, tmp_path):
    operations, root = recorded(shim, tmp_path, "unsynced_archive")
    assert sum(bool(missing(*state)[0]) for state in states(operations, root, 60)) >= 5
