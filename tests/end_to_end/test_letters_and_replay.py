"""Dead letters and the archive with real processes: two workers, `kill -9`, the commands of an operator."""

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from processes import Server
from raw_http import ask

from sgtm.demo.vendor import Fault, Vendor

# SPEC: design.md Delivery; R238, R301, R302; reliability 1.4 rows 1 and 2.

ROOT = Path(__file__).parents[2]
FLAGS = ("--workers", "2", "--outbox", "sqlite", "--egress-allow", "127.0.0.0/8", "--archive", "7d")
TIMES = ("--from", "2020-01-01", "--to", "2100-01-01")


def shop(vendor: Vendor, *tags: str) -> str:
    text = """sgtm: 1
name: shop
consent: {unset: granted, gate: declared}
clients:
  - {name: Shop, type: json, parameters: {paths: [/data]}}
tags:
"""
    for name in tags:
        url = f"{vendor.url}/{name.lower()}"
        text += f"  - {{name: {name}, type: http_request, firing_triggers: [All Events], "
        text += f'parameters: {{url: "{url}"}}}}\n'
    return text


async def sgtm(folder: Path, *words: str, status: int = 0, env: dict[str, str] | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sgtm", *words, "--data-folder", str(folder / "data")),
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    assert process.returncode == status, (out, error)
    assert b"Traceback" not in error
    return out.decode() + error.decode()


async def send(server: Server, count: int, first: int = 0) -> None:
    async def one(number: int) -> None:
        body = json.dumps(
            {"event_name": "purchase", "order": number, "email": "jane@canary.example"}
        ).encode()
        answer = await ask(
            server.port, "/data", method="POST", headers={"Content-Type": "application/json"}, body=body
        )
        assert answer.status < 300

    await asyncio.gather(*(one(first + number) for number in range(count)))


def orders(vendor: Vendor, path: str) -> Counter[int]:
    found = (one for one in vendor.requests(path) if 200 <= one.status < 300)
    return Counter(one.json()["order"] for one in found)


async def reload(server: Server, text: str) -> None:
    server.write_container(text)
    assert (await server.admin("POST", "/reload")).status == 200


async def letters(server: Server) -> float:
    return await server.metric("sgtm_letters")


async def has_letters(server: Server, count: int) -> None:
    async with asyncio.timeout(20):
        while await letters(server) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.fixture
async def server(tmp_path: Path, vendor: Vendor) -> Any:
    server = await Server.start(tmp_path, *FLAGS, container=shop(vendor, "Orders"))
    yield server
    await server.kill()


async def test_letters_survive_kill_9_and_are_replayed_once_by_the_mended_tag(
    tmp_path: Path, vendor: Vendor, server: Server
) -> None:
    vendor.fail("/orders", Fault(status=400))
    await send(server, 20)
    await has_letters(server, 20)
    for pid in await server.pids():
        os.kill(pid, signal.SIGKILL)
    await server.said("a worker serves", times=4)
    await has_letters(server, 20)

    listed = await sgtm(tmp_path, "deadletters", "list")
    assert "20 dead letters" in listed
    assert listed.count("delivery  Orders  purchase") == 20
    assert "canary" not in listed
    one = listed.split()[0]
    assert "canary" not in await sgtm(tmp_path, "deadletters", "show", one)
    assert "canary" in await sgtm(tmp_path, "deadletters", "show", one, "--reveal")

    dry = await sgtm(tmp_path, "deadletters", "replay", "--all", "--dry-run")
    assert "20 would be sent" in dry
    assert sum(orders(vendor, "/orders").values()) == 0

    vendor.fail("/orders", None)
    said = await sgtm(tmp_path, "deadletters", "replay", "--tag", "Orders", "--rate", "1000")
    assert "20 sent" in said
    assert orders(vendor, "/orders") == Counter(range(20))
    first = {one.json()["order"]: one.body for one in vendor.requests("/orders") if one.status == 400}
    again = {one.json()["order"]: one.body for one in vendor.requests("/orders") if one.status != 400}
    assert first == again, "the bytes of the undisturbed run"
    await has_letters(server, 0)
    assert "0 dead letters" in await sgtm(tmp_path, "deadletters", "list")


async def test_the_archive_is_replayed_for_a_tag_that_was_added_later_and_once(
    tmp_path: Path, vendor: Vendor, server: Server
) -> None:
    await send(server, 30)
    await vendor.wait_for(30, "/orders")
    archived = "sgtm_archive_records_total"
    async with asyncio.timeout(20):
        while await server.metric(archived) != 30:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await reload(server, shop(vendor, "Orders", "Later"))

    words = ("replay", *TIMES, "--tag", "Later")
    dry = await sgtm(tmp_path, *words, "--dry-run")
    assert "30 records in 2 files of the archive" in dry
    assert "tag 'Later': 30 would be sent" in dry
    assert "give --yes" in await sgtm(tmp_path, *words, status=2)
    assert not vendor.requests("/later")

    said = await sgtm(tmp_path, *words, "--yes", "--rate", "1000")
    assert "30 sent" in said
    assert orders(vendor, "/later") == Counter(range(30))
    assert len(vendor.requests("/orders")) == 30, "the other tag does not run again"
    said = await sgtm(tmp_path, *words, "--yes", "--rate", "1000")
    assert "30 records were sent before" in said
    assert "nothing to do" in said
    assert orders(vendor, "/later") == Counter(range(30)), "safe to run twice"
    assert "30 sent" in await sgtm(tmp_path, *words, "--yes", "--rate", "1000", "--again")
    assert "there is no tag 'Nobody'" in await sgtm(
        tmp_path, "replay", *TIMES, "--tag", "Nobody", "--yes", status=2
    )


async def test_an_interrupted_replay_goes_on_where_it_was(
    tmp_path: Path, vendor: Vendor, server: Server
) -> None:
    await send(server, 40)
    await vendor.wait_for(40, "/orders")
    async with asyncio.timeout(20):
        while await server.metric("sgtm_archive_records_total") != 40:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await reload(server, shop(vendor, "Orders", "Later"))
    words = ("replay", *TIMES, "--tag", "Later", "--yes")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sgtm", *words, "--rate", "20", "--data-folder", str(tmp_path / "data")),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await vendor.wait_for(5, "/later")
    process.kill()
    await process.wait()
    before = sum(orders(vendor, "/later").values())
    assert before < 40
    assert re.search(r"[0-9]+ records were sent before", await sgtm(tmp_path, *words, "--rate", "1000"))
    assert orders(vendor, "/later") == Counter(range(40)), "each once"


async def test_letters_are_read_and_deleted_offline_and_never_beside_a_server(
    tmp_path: Path, vendor: Vendor, server: Server
) -> None:
    vendor.fail("/orders", Fault(status=400))
    await send(server, 6)
    await has_letters(server, 6)
    (tmp_path / "data" / "admin-url").unlink()
    refused = await sgtm(tmp_path, "deadletters", "list", "--admin-port", "1", status=2)
    assert "a server owns it and does not answer" in refused
    server.send_signal(signal.SIGTERM)
    assert await server.finish() == 0

    assert "6 dead letters" in await sgtm(tmp_path, "deadletters", "list", "--admin-port", "1")
    stopped = ("deadletters", "replay", "--all", "--admin-port", "1")
    assert "only a running server sends" in await sgtm(tmp_path, *stopped, status=2)
    assert "6 would be sent" in await sgtm(tmp_path, *stopped, "--dry-run")
    assert "that would be all letters" in await sgtm(
        tmp_path, "deadletters", "purge", "--admin-port", "1", status=2
    )
    assert "6 deleted" in await sgtm(tmp_path, "deadletters", "purge", "--all", "--admin-port", "1")
    assert "0 dead letters" in await sgtm(tmp_path, "deadletters", "list", "--admin-port", "1")
