"""kill -9 of brokers, deliverers and collectors under load: what was answered arrives at every vendor.

SPEC: reliability 1.4 rows 9 and 10. `CHAOS=full`: 50 kills of each; else 3. Two collectors and two deliverers
are real processes, the broker is a real one that always syncs.
"""

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest
from broker import BrokerProcess, free_port
from chaos.ledger import Ledger
from processes import TWO_VENDORS
from raw_http import ask

from sgtm.delivery.outbox.opening import open_outbox
from sgtm.demo.vendor import Vendor
from sgtm.observability.metrics import Counters

IS_FULL = os.environ.get("CHAOS") == "full"
KILLS = 50 if IS_FULL else 3
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(1_500 if IS_FULL else 120)


class Rig:
    """A broker, and servers that come and go."""

    def __init__(self, folder, vendor, broker):
        self.ledger, self.broker, self._folder = Ledger(vendor), broker, folder
        self._path = folder / "container.yaml"
        self._path.write_text(TWO_VENDORS.replace("VENDOR", vendor.url))
        self.processes, self._folders = [], itertools.count()

    async def start(self, role):
        """A server with its port, when it is ready."""
        port, data = free_port(), self._folder / f"data-{next(self._folders)}"
        flags = ("--host", "127.0.0.1", "--port", port, "--no-admin", "--role", role, "--data-folder", data)
        flags += (*self.broker.flags(), "--egress-allow", "127.0.0.1", "--log-level", "error")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sgtm", "serve", *map(str, (self._path, *flags))),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.processes.append(process)
        async with asyncio.timeout(40):
            while process.returncode is None:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    if (await ask(port, "/ready")).status == 200:
                        break
                await asyncio.sleep(0.05)
        return process, port

    async def end(self):
        """Nothing is left running."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def settle_accounts(self, what):
        """Wait for what was acknowledged, and compare."""
        await self.ledger.all_arrived()
        said = f"{len(self.ledger.acknowledged)} acknowledged, 0 lost, copies {self.ledger.copies()}"
        print(f"\n{what}: {said}, {dict(self.ledger.statuses)}")


@pytest.fixture
async def rig(tmp_path):
    broker = BrokerProcess(tmp_path / "broker").start()
    await broker.init(ack_wait_s=2.0)
    async with Vendor(keeps=2_000_000) as vendor:
        rig = Rig(tmp_path, vendor, broker)
        yield rig
        await rig.end()
    broker.kill()


@contextlib.asynccontextmanager
async def loaded(rig, ports):
    over = asyncio.Event()
    loading = asyncio.gather(*(rig.ledger.load(port, over, visitors=4) for port in ports))
    try:
        yield
    finally:
        over.set()
        await loading


async def crew(rig):
    """Two collectors and two deliverers."""
    started = await asyncio.gather(
        *(rig.start(role) for role in ("collect", "collect", "deliver", "deliver"))
    )
    return started[:2], [process for process, _ in started[2:]]


async def test_kills_of_broker_deliverers_and_collectors_lose_nothing(rig):
    chance = random.Random(21)
    collectors, deliverers = await crew(rig)
    async with loaded(rig, [port for _, port in collectors]):
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            rig.broker.kill()
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            rig.broker.start()
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            victim = deliverers.pop(0)
            victim.kill()
            await victim.wait()
            process, _ = await rig.start("deliver")
            deliverers.append(process)
        collectors[1][0].kill()
        await asyncio.sleep(0.3)
    assert len(rig.ledger.acknowledged) > 100
    await rig.settle_accounts(f"{KILLS} kills of the broker and of deliverers, one of a collector")


async def test_a_broker_that_stands_still_is_named_and_loses_nothing(rig):
    collectors, _ = await crew(rig)
    port = collectors[0][1]
    async with loaded(rig, [port]):
        await asyncio.sleep(0.5)
        rig.broker.send(signal.SIGSTOP)
        async with asyncio.timeout(30):
            while not rig.ledger.statuses[503]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        answer = await ask(port, "/ready")
        assert (answer.status, answer.json()["because"]) == (503, ["outbox full"])
        rig.broker.send(signal.SIGCONT)
        before = len(rig.ledger.acknowledged)
        async with asyncio.timeout(30):
            while len(rig.ledger.acknowledged) < before + 20:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await rig.settle_accounts("the broker stood still")


async def test_every_acknowledged_message_was_synced(tmp_path):
    # SPEC: reliability 0.1, 1.5.6
    assert shutil.which("strace"), "the tests need strace"
    trace = tmp_path / "trace"
    wrapper = ("strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace))
    broker = BrokerProcess(tmp_path / "broker").start(wrapper)
    try:
        await broker.init()
        outbox = open_outbox(broker.settings(), 0, 1, Counters())
        before = syncs_in(trace)
        for number in range(20):
            assert outbox._broker.wait(outbox._broker.publish(f"one-{number}.0", b"x")) is False
        assert syncs_in(trace) - before >= 20
        outbox.close()
    finally:
        for pid in children_of(broker.process.pid):
            os.kill(pid, signal.SIGKILL)
        broker.process.wait()


def children_of(pid):
    """Processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def syncs_in(trace):
    """Syncs that have returned, as strace wrote them down."""
    lines = trace.read_text().splitlines()
    return sum(("sync(" in line and "unfinished" not in line) or "sync resumed" in line for line in lines)
