"""What a server does to its outbox, without the server: in a process of its own, on a disk that may fail.

    python workload.py record ROOT [normal|no_folder_sync|early|kept|unsynced_archive]      to be recorded
    python workload.py sweep ROOT KIND FIRST LAST STEP              one run with a fault at each call number
    python workload.py fill ROOT BYTES CYCLES                       until it is full, then freed; each time
    python workload.py stall ROOT MS        slow syncs: the loop's longest pause

`ROOT/said` tells what was promised, in order: `a N` record N is acknowledged, `d N` it is delivered (said
before the outbox hears of it), `r N` it was refused.
"""

import asyncio
import ctypes
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))

from delivery.outbox_machine import make_record

from sgtm.delivery.archive import keeping
from sgtm.delivery.archive.reading import Reading
from sgtm.delivery.letter import Letter, now_micros
from sgtm.delivery.outbox import OutboxFull, OutboxUnavailable, file, folder, space, taking_over
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.delivery.outbox.records import read_record, split_group
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

SMALL_RESERVE_BYTES = 2 * 1024 * 1024
BODY = bytes(range(256)) * 3


def open_in(root, slot=0, workers=1, **changes):
    chosen = Settings(outbox="sqlite", data_folder=str(Path(root) / "data"), **changes)
    return open_outbox(chosen, slot, workers, Counters())


class Said:
    """Promises, in the order in which they were made."""

    def __init__(self, root):
        self._file = os.open(Path(root) / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, what, number):
        os.write(self._file, b"%s %d\n" % (what.encode(), number))


async def work(root, rounds=40, *, is_early=False, is_kept=False):
    """Append, acknowledge, deliver some, in rounds of 1 to 12 hits at a time; half way what another
    slot has left is taken over. `is_kept`: with an archive, and some are given up instead."""
    chance = random.Random(1)  # the same work each time
    outbox = open_in(root, archive="7d" if is_kept else "")
    said = Said(root)
    number = 0
    for one_round in range(rounds):
        waiting = []
        for _ in range(chance.randint(1, 12)):
            try:
                record_id, commit = outbox.append(make_record(number, BODY))
            except OutboxFull:
                said.say("r", number)
            else:
                waiting.append((number, record_id, commit))
            number += 1
        if is_early:
            for number_, _, _ in waiting:
                said.say("a", number_)
        for number_, record_id, commit in waiting:
            try:
                await commit
            except OutboxFull:
                said.say("r", number_)
                continue
            if not is_early:
                said.say("a", number_)
            if chance.random() < 0.7:
                is_dead = is_kept and number_ % 4 == 0
                said.say("b" if is_dead else "d", number_)
                if is_dead:
                    outbox.bury(record_id, make_letter(number_))
                outbox.ran(record_id, frozenset({"meta"}))
                outbox.settle(record_id, "meta")
        if one_round == rounds // 2:
            await outbox._taking_over.run(outbox)
        if one_round % 13 == 12:
            await outbox.ask(lambda store: store.tick())  # as when nothing comes for a second
    return outbox, number


def make_letter(number):
    record = make_record(number, BODY)
    return Letter(record=record, kind="delivery", tag="meta", reason="400", at_micros=now_micros())


async def leave_a_slot(root):
    """Records of a slot that no worker has any more."""
    gone = open_in(root, 1, 2)
    said = Said(root)
    for number in range(800, 830, 5):
        commits = [gone.append(make_record(one, BODY))[1] for one in range(number, number + 5)]
        for one, commit in enumerate(commits):
            await commit
            said.say("a", number + one)
    gone.close()


async def until_accepted(outbox, number, within_s=5.0):
    """Whether it takes records again without help."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            _, commit = outbox.append(make_record(number, BODY))
            await commit
        except OutboxFull:
            await asyncio.sleep(0.05)
        else:
            return True
    return False


def promises(root, length=None):
    """Numbers that were acknowledged, and those that may be gone because they were delivered."""
    acknowledged, delivered = set(), set()
    path = Path(root) / "said"
    lines = path.read_bytes()[:length].splitlines() if path.exists() else []
    for line in lines:
        what, _, number = line.partition(b" ")
        {b"a": acknowledged, b"d": delivered, b"b": delivered, b"r": set()}[what].add(int(number))
    return acknowledged, delivered


async def present(root):
    """What recovery finds: numbers of all records that are kept, and how many files are suspect."""
    outbox = open_in(root)
    numbers = None
    while numbers is None:
        with suppress(OutboxUnavailable):  # damage that is met while reading: set aside, and once more
            await outbox._taking_over.run(outbox)
            numbers = [found.record.request.seed async for found in outbox.unfinished()]
    suspects = list((Path(root) / "data").glob("*/*.suspect"))
    outbox.close()
    return numbers, len(suspects)


async def kept(root):
    """Numbers of records that owe something, that stand in the outbox, in letters, in the archive."""
    outbox = open_in(root)
    await outbox._taking_over.run(outbox)
    owing = {found.record.request.seed async for found in outbox.unfinished()}
    standing = set()
    for batch in list(outbox.ledger.in_order()):
        group = await outbox.ask(lambda store, number=batch.number: store.read(number))
        standing |= {read_record(payload).request.seed for payload in split_group(group)}
    buried = {one.letter.record.request.seed for one in await outbox.letters(0, 10_000)}
    outbox.close()
    archived = {one.request.seed for one in Reading(Path(root) / "data", 0, 2**62).records()}
    return owing, standing, buried, archived


def record(root, mutant=""):
    if mutant == "unsynced_archive":
        keeping.os = SimpleNamespace(**{**vars(os), "fdatasync": lambda descriptor: None})
    if mutant == "normal":
        file.SYNCHRONOUS = "NORMAL"
    if mutant == "no_folder_sync":
        for module in (file, folder, taking_over):
            module.sync_folder = lambda path: None

    async def run():
        await leave_a_slot(root)
        is_kept = mutant in ("kept", "unsynced_archive")
        outbox, _ = await work(root, is_early=mutant == "early", is_kept=is_kept)
        outbox.close()

    asyncio.run(run())


@contextmanager
def in_child(verdict: Path) -> Iterator[bool]:
    """True in a child process, which ends with the block; False in the parent, when it has ended."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        yield False
        return
    try:
        yield True
    except BaseException as error:
        verdict.write_text(f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


async def work_with_fault(here, kind, at):
    """What was wrong, or ""."""
    disk = ctypes.CDLL(None)
    disk.disk_fault(kind, at, 1)
    outbox, number = await work(here, 25)
    disk.disk_fault(0, -1, 0)
    is_well = await until_accepted(outbox, number)
    outbox.close()
    return "" if is_well else "does not accept again"


def sweep(root, kind, first, last, step):
    """One child with a fault at each call; what was wrong, as JSON lines."""
    for at in range(first, last + 1, step):
        here = Path(root) / f"{kind}-{at}"
        here.mkdir(parents=True)
        verdict = here / "verdict"
        with in_child(verdict) as is_child:
            if is_child:
                verdict.write_text(asyncio.run(work_with_fault(here, kind, at)))
        acknowledged, delivered = promises(here)
        numbers, suspects = asyncio.run(present(here))
        said = verdict.read_text() if verdict.exists() else "died"
        lost = sorted(acknowledged - delivered - set(numbers))
        print(
            json.dumps(
                {
                    "at": at,
                    "said": said,
                    "lost": lost,
                    "suspects": suspects,
                    "acknowledged": len(acknowledged),
                }
            )
        )
        shutil.rmtree(here)


async def fill(root, budget, cycles):
    """Fill the disk with records that no vendor takes; then the vendor is back."""
    outbox = open_in(root, outbox_disk_bytes=budget)
    for _ in range(cycles):
        kept, refused, number = {}, 0, 0
        while refused < 200:
            waiting = []
            for _ in range(100):
                number += 1
                try:
                    record_id, commit = outbox.append(make_record(number, BODY * 4))
                except OutboxFull:
                    refused += 1
                    await asyncio.sleep(0)
                else:
                    waiting.append((number, record_id, commit))
            for one, record_id, commit in waiting:
                try:
                    await commit
                except OutboxFull:
                    refused += 1
                else:
                    kept[one] = record_id
        found = {it.record.request.seed async for it in outbox.unfinished()}
        for record_id in kept.values():
            outbox.ran(record_id, frozenset())
        began = time.monotonic()
        is_well = await until_accepted(outbox, 0, within_s=10)
        again_s = time.monotonic() - began
        for it in [it async for it in outbox.unfinished()]:
            outbox.ran(it.record_id, frozenset())
        verdict = {"refused": refused, "kept": len(kept), "lost": sorted(set(kept) - found)}
        print(json.dumps({**verdict, "again_s": again_s if is_well else 1e9}))
    outbox.close()


def stall(root, ms):
    """The longest time for which the loop did not turn while each sync took `ms`."""
    ctypes.CDLL(None).disk_stall(ms)

    async def run():
        worst, is_over = 0.0, False

        async def watch():
            nonlocal worst
            while not is_over:
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                worst = max(worst, time.perf_counter() - before - 0.001)

        ctypes.CDLL(None).disk_stall(0)
        outbox = open_in(root)
        ctypes.CDLL(None).disk_stall(ms)
        watching = asyncio.create_task(watch())
        for number in range(5):
            _, commit = outbox.append(make_record(number, BODY))
            await commit
        is_over = True
        await watching
        ctypes.CDLL(None).disk_stall(0)
        outbox.close()
        print(json.dumps({"worst_s": worst}))

    asyncio.run(run())


if __name__ == "__main__":
    space._RESERVE_BYTES = SMALL_RESERVE_BYTES
    command, root, *arguments = sys.argv[1:]
    if command == "record":
        record(root, *arguments)
    elif command == "sweep":
        sweep(root, *(int(argument) for argument in arguments))
    elif command == "fill":
        asyncio.run(fill(root, *(int(argument) for argument in arguments)))
    else:
        stall(root, int(arguments[0]))
