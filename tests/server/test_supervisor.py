"""The supervisor in this process, its workers in their own: what happens when they do not live."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from doubles import eventually
from processes import BROKEN, CONTAINER
from raw_http import ask

from sgtm.container.compile import load_container
from sgtm.server import child as child_module
from sgtm.server import slot as slot_module
from sgtm.server.child import Begin, Child, WorkerEnded, describe_status
from sgtm.server.crew import CannotRestart, Reload
from sgtm.server.listening import SharedAddress
from sgtm.server.questions import Prepared, Pulse, Source, read_source
from sgtm.server.supervisor import Supervisor
from sgtm.settings import Settings

Run = Callable[..., Awaitable[Supervisor]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    running: list[Supervisor] = []

    async def start(workers: int = 2, source: Source | None = None) -> Supervisor:
        path = tmp_path / "container.yaml"
        path.write_text(CONTAINER.format(name="first"))
        settings = Settings(
            host="127.0.0.1",
            port=0,
            workers=workers,
            drain_delay_s=0,
            drain_timeout_s=1,
            data_folder=str(tmp_path / "data"),
        )
        version = load_container(path).version
        source = source or read_source(path)
        supervisor = Supervisor(source, version, settings, SharedAddress(settings).bind)
        running.append(supervisor)
        await supervisor.start()
        return supervisor

    yield start
    for supervisor in running:
        await supervisor.close()


def port_of(supervisor: Supervisor) -> int:
    return int(supervisor.url.rpartition(":")[2])


def write(supervisor: Supervisor, name: str) -> None:
    Path(supervisor.source.path).write_text(CONTAINER.format(name=name))


async def kill_next(supervisor: Supervisor, slot: int, *known: int) -> int:
    """Kill the worker of this slot as soon as it serves and is another one; its pid."""
    child = None

    def is_there() -> bool:
        nonlocal child
        child = supervisor.slots[slot].child
        return child is not None and child.pid not in known and not child.ended.done()

    await eventually(is_there, 20)
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    return int(child.pid)


async def test_a_slot_in_which_no_worker_lives_is_shut_and_the_others_serve(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # SPEC: requirements R240: what can serve goes on serving
    monkeypatch.setattr(slot_module, "MAX_QUICK_ENDS", 2)
    monkeypatch.setattr(slot_module, "SHUT_S", 1.5)
    supervisor = await run()
    killed = [await kill_next(supervisor, 0)]
    killed.append(await kill_next(supervisor, 0, *killed))
    await eventually(lambda: supervisor.slots[0].is_shut, 20)
    for _ in range(20):  # the kernel gives every connection to the other slot
        assert (await ask(port_of(supervisor), "/ready")).status == 200
    answers = await supervisor.ask_workers("pulse", of=Pulse)
    assert [bool(answer.error) for answer in answers] == [True, False]
    values = await supervisor.metrics()
    assert values["sgtm_worker_ends_total", "0/died"] == 2
    assert (values["sgtm_worker_up", "0"], values["sgtm_worker_up", "1"]) == (0, 1)
    assert "no worker lives in this slot" in caplog.text
    await eventually(lambda: supervisor.slots[0].child is not None, 20)  # tried again, on a new socket
    assert not supervisor.slots[0].is_shut


async def test_a_server_without_any_worker_that_lives_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_module, "MAX_QUICK_ENDS", 1)
    supervisor = await run()
    ended = asyncio.create_task(supervisor.wait_ended())
    for slot in (0, 1):
        await kill_next(supervisor, slot)
    async with asyncio.timeout(20):
        assert await ended == 1


async def test_a_worker_that_cannot_start_ends_the_start(run: Run) -> None:
    with pytest.raises(WorkerEnded) as caught:
        await run(source=Source("container.yaml", BROKEN.encode()))
    assert caught.value.status == 2


async def test_a_restart_that_fails_leaves_the_old_workers_at_work(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = await run()
    pids = [slot.child.pid for slot in supervisor.slots if slot.child is not None]
    monkeypatch.setattr(child_module, "_environment", lambda: {"PYTHONHOME": "/nowhere"})
    with pytest.raises(CannotRestart, match="slot 0"):
        await supervisor.restart()
    assert [slot.child.pid for slot in supervisor.slots if slot.child is not None] == pids
    assert (await ask(port_of(supervisor), "/ready")).status == 200


async def test_two_restarts_at_once_are_one(run: Run) -> None:
    supervisor = await run()
    first = asyncio.create_task(supervisor.restart())
    await asyncio.sleep(0.05)
    with pytest.raises(CannotRestart, match="under way"):
        await supervisor.restart()
    await first


async def test_a_worker_that_dies_in_a_reload_is_followed_by_one_with_the_new_container(run: Run) -> None:
    supervisor = await run()
    victim = supervisor.slots[0].child
    assert victim is not None
    write(supervisor, "second")
    os.kill(victim.pid, signal.SIGSTOP)
    reloading = asyncio.create_task(supervisor.reload())
    await asyncio.sleep(0.3)
    assert not reloading.done()  # every worker is asked before any serves it
    os.kill(victim.pid, signal.SIGKILL)
    assert (await reloading).is_done
    await eventually(lambda: supervisor.slots[0].child not in (None, victim), 20)
    answers = await supervisor.ask_workers("pulse", of=Pulse)
    assert [answer.answer.health.container for answer in answers] == ["second", "second"]


async def test_a_worker_that_does_not_swap_is_replaced(run: Run) -> None:
    supervisor = await run()
    odd = supervisor.slots[0].child
    assert odd is not None
    write(supervisor, "second")

    async def forget() -> None:
        """Its candidate is gone when it is told to serve it."""
        await odd.ask("prepare", read_source(supervisor.source.path), of=Prepared)
        await odd.ask("swap", of=str)

    prepare = supervisor._prepare

    async def prepare_and_forget(children: list[Child], source: Source) -> Reload:
        result = await prepare(children, source)
        await forget()
        return result

    supervisor._prepare = prepare_and_forget  # type: ignore[method-assign]
    assert (await supervisor.reload()).is_done
    await eventually(lambda: supervisor.slots[0].child not in (None, odd), 20)
    answers = await supervisor.ask_workers("pulse", of=Pulse)
    assert [answer.answer.health.container for answer in answers] == ["second", "second"]


async def test_a_later_worker_has_the_log_level_of_now(run: Run) -> None:
    supervisor = await run(workers=2)
    root = logging.getLogger()
    before = root.level
    try:
        await supervisor.set_log_level("error")
        told: Begin = supervisor._begin(0)
        assert (told.log_level, told.settings["log_level"]) == ("error", "info")
    finally:
        root.setLevel(before)


def test_an_exit_status_in_words() -> None:
    assert [describe_status(one) for one in (2, -9, -200)] == ["exit status 2", "SIGKILL", "signal 200"]


def test_a_child_keeps_what_concerns_the_supervisor_alone_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in child_module.OWN_VARIABLES:
        monkeypatch.setenv(name, "x")
    assert not set(child_module.OWN_VARIABLES) & set(child_module._environment())
