"""What systemd is told, over a real datagram socket (sd_notify(3))."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgtm.server.systemd import ServiceManager


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.settimeout(5)
        yield one


def test_it_is_told_what_happens(listening: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listening.getsockname()})
    manager.ready()
    manager.reloading()
    manager.stopping()
    said = [listening.recv(1000).decode() for _ in range(3)]
    assert (said[0], said[2]) == ("READY=1", "STOPPING=1")
    # Type=notify-reload wants the moment too
    assert said[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[1].rpartition("=")[2].isdecimal()


def test_an_abstract_address_begins_with_an_at_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(f"\0sgtm-test-{os.getpid()}")
        one.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": f"@sgtm-test-{os.getpid()}"}).ready()
        assert one.recv(100) == b"READY=1"


async def test_the_watchdog_hears_of_us_twice_in_each_interval(listening: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": listening.getsockname(), "WATCHDOG_USEC": "100000"}
    environment["WATCHDOG_PID"] = str(os.getpid())
    watching = asyncio.create_task(ServiceManager(environment).watch())
    said = [await asyncio.to_thread(listening.recv, 100) for _ in range(3)]
    watching.cancel()
    assert said == [b"WATCHDOG=1"] * 3
    assert environment == {}  # no child takes them for its own


async def test_another_process_watchdog_and_no_manager_are_nobody() -> None:
    for environment in ({}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}):
        async with asyncio.timeout(5):
            await ServiceManager(environment).watch()


def test_a_manager_that_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
