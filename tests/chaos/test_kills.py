"""kill -9 of servers under load: what was answered arrives at every vendor, copies are equal.

SPEC: reliability 1.4 rows 1 to 3. `CHAOS=full`: 200 kills, 50 of all processes, 20 of an adopter; else 20, 3
and 2. The ledger: what was answered (written down here, in another process) against what vendors received.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest
from chaos.killed import HOOKS
from chaos.ledger import Ledger
from delivery.outbox_machine import listed
from processes import TWO_VENDORS
from raw_http import RawConnection, ask

from sgtm.container.compile import load_container
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.demo.hits import read_hit
from sgtm.demo.tour import SHOP, stand_in_environment
from sgtm.demo.vendor import Fault, Vendor
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

IS_FULL = os.environ.get("CHAOS") == "full"
HERE = Path(__file__).parent
PURCHASE = next(path.name for path in (SHOP / "hits").glob("*-purchase.http"))
pytestmark = pytest.mark.timeout(1_500 if IS_FULL else 120)


class Rig:
    """One address, one data folder, one vendor; servers come and go."""

    def __init__(self, folder, vendor, container=TWO_VENDORS, *flags):
        self.ledger, self._data, self._flags = Ledger(vendor), folder / "data", flags
        self._path = folder / "container.yaml"
        self._path.write_text(container.replace("VENDOR", vendor.url))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.kills = 0
        self._processes = []

    async def start(self, hook="-", count=0, workers=1):
        """A server that serves, in a process group of its own."""
        flags = ("--host", "127.0.0.1", "--port", self.port, "--workers", workers, "--no-admin")
        flags += ("--log-level", "error", "--outbox", "sqlite")
        flags += ("--data-folder", self._data, "--egress-allow", "127.0.0.1")
        command = (
            HERE / "killed.py",
            hook,
            count,
            "serve",
            self._path,
            *flags,
            *self._flags,
            "--log-level",
            "error",
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *map(str, command),
            cwd=HERE.parents[1],
            start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._processes.append(process)
        async with asyncio.timeout(30):
            while process.returncode is None:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    if (await ask(self.port, "/ready")).status == 200:
                        break
                await asyncio.sleep(0.02)
        return process

    async def kill(self, process):
        # its workers first: without a supervisor they would come to an orderly end
        for pid in (*workers_of(process.pid), process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await process.wait()
        self.kills += 1

    async def end(self):
        """Nothing is left running, however a test ends."""
        for process in self._processes:
            if process.returncode is None:
                await self.kill(process)

    async def settle_accounts(self, workers=1):
        """Start once more, undisturbed, and compare."""
        process = await self.start(workers=workers)
        await self.ledger.all_arrived()
        await self.kill(process)
        said = f"{len(self.ledger.acknowledged)} acknowledged, 0 lost, copies {self.ledger.copies()}"
        print(f"\n{self.kills - 1} kills: {said}")


def workers_of(pid):
    """Processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@pytest.fixture
async def rig(tmp_path):
    async with Vendor(keeps=2_000_000) as vendor:
        rig = Rig(tmp_path, vendor)
        yield rig
        await rig.end()


async def killed_again_and_again(rig, moments, chance):
    for hook, count in moments:
        over = asyncio.Event()
        process = await rig.start(hook, count)
        loading = asyncio.create_task(rig.ledger.load(rig.port, over, visitors=12))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(chance.uniform(0.05, 0.4) if hook == "-" else 1.5):
                await process.wait()
        await rig.kill(process)
        over.set()
        await loading


async def test_killed_workers_lose_nothing(rig):
    chance = random.Random(11)
    times = 10 if IS_FULL else 1
    hooks = [(hook, chance.randint(1, 60)) for hook in HOOKS[:6] for _ in range(times)]
    moments = hooks + [("-", 0)] * (140 if IS_FULL else 14)
    chance.shuffle(moments)
    await killed_again_and_again(rig, moments, chance)
    assert len(rig.ledger.acknowledged) > 100
    await rig.settle_accounts()


async def test_all_processes_killed_lose_nothing(rig):
    chance = random.Random(12)
    for _ in range(50 if IS_FULL else 3):
        over = asyncio.Event()
        process = await rig.start(workers=2)
        loading = asyncio.create_task(rig.ledger.load(rig.port, over, visitors=12))
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        await rig.kill(process)
        over.set()
        await loading
    assert len(rig.ledger.acknowledged) > 30
    await rig.settle_accounts(workers=2)


async def test_an_adopter_killed_while_it_adopts_loses_nothing_and_adopts_once(rig):
    rig.ledger.vendor.fail("/a", Fault(status=503))  # so that every record still owes something
    chance = random.Random(13)
    for _ in range(20 if IS_FULL else 2):
        over = asyncio.Event()
        process = await rig.start(workers=3)  # more workers than later: their folders are adopted
        loading = asyncio.create_task(rig.ledger.load(rig.port, over, visitors=12))
        await asyncio.sleep(0.3)
        await rig.kill(process)
        over.set()
        await loading
        adopter = await rig.start("taking_over", chance.randint(1, 3))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await adopter.wait()
        await rig.kill(adopter)
    rig.ledger.vendor.fail("/a", None)
    await rig.settle_accounts()


async def test_killed_after_the_commit_and_before_the_answer_every_vendor_gets_it(rig):
    process = await rig.start("after_commit", 1)
    over = asyncio.Event()
    loading = asyncio.create_task(rig.ledger.load(rig.port, over, visitors=12))
    async with asyncio.timeout(10):
        await process.wait()
    over.set()
    await loading
    assert rig.ledger.acknowledged == set(), "no answer had left"
    survivor = await rig.start()
    async with asyncio.timeout(20):
        while not (rig.ledger.received("/a") and rig.ledger.received("/b")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await rig.kill(survivor)
    for name, bodies in rig.ledger.received("/a").items():
        assert set(bodies) == set(rig.ledger.received("/b")[name])


async def test_killed_before_any_tag_has_run_vendors_get_what_an_undisturbed_run_sends(
    tmp_path, serve, monkeypatch
):
    """Method, target, headers and body of every request, by GA4's, Meta's and the HTTP tag; ids and times are
    those of the record."""
    async with Vendor() as vendor:
        for name, value in stand_in_environment(vendor.url).items():
            monkeypatch.setenv(name, value)
        rig = Rig(tmp_path, vendor, (SHOP / "container.yaml").read_text(), "--trusted-proxy", "127.0.0.0/8")
        process = await rig.start("before_tags", 1)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with RawConnection(rig.port) as connection:
                connection.send(read_hit(SHOP / "hits" / PURCHASE).wire())
                await connection.read_answer()
        await process.wait()
        assert not vendor.received
        record = await only_record_in(tmp_path / "data", tmp_path / "copy")
        survivor = await rig.start()
        await vendor.wait_for(3, timeout_s=20)
        await rig.kill(survivor)
        after_the_crash = sent_to(vendor)

        vendor.received.clear()
        served = await serve(load_container(SHOP / "container.yaml"))
        assert served.worker._pipeline.run(record.request).status // 100 == 2
        await vendor.wait_for(3, timeout_s=20)
        assert sent_to(vendor) == after_the_crash
        assert {received[1] for received in after_the_crash} == {
            "/g/collect",
            "/v25.0/1234567890/events",
            "/orders",
        }


def sent_to(vendor):
    return sorted((it.method, it.path, it.query, sorted(it.headers), it.body) for it in vendor.received)


async def only_record_in(data, copy):
    """The record that a dead server has left, read from a copy."""
    shutil.copytree(data, copy)
    outbox = open_outbox(Settings(outbox="sqlite", data_folder=str(copy)), 0, 1, Counters())
    (found,) = await listed(outbox.unfinished())
    outbox.close()
    return found.record
