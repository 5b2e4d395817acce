"""`sgtm doctor`: each thing that an installation can have wrong is found, and how to mend it."""

import asyncio
import json
import shutil
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from processes import TWO_VENDORS, Server, until
from raw_http import ask

from sgtm.cli import _doctor_machine, _doctor_server, main
from sgtm.cli._doctor_machine import certificates, data_folder, machine
from sgtm.cli._doctor_vendors import vendors
from sgtm.cli._findings import Finding
from sgtm.delivery.outbox import OutboxState
from sgtm.demo.vendor import Fault, Vendor
from sgtm.server.admin_health import Overview
from sgtm.server.crew import Destination
from sgtm.server.questions import WorkerHealth
from sgtm.settings import Settings


def said(findings: list[Finding], level: str) -> str:
    return "\n".join(f"{one}" for one in findings if one.level == level)


def test_a_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not said(list(machine()), "error")
    few = tmp_path / "somaxconn"
    few.write_text("128\n")
    monkeypatch.setattr(_doctor_machine, "SOMAXCONN", few)
    monkeypatch.setattr(_doctor_machine.resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(_doctor_machine.time, "time", lambda: 0.0)
    found = list(machine())
    assert "clock: says 1970" in said(found, "error")
    assert "open files: 1024 at most" in said(found, "warning")
    assert "net.core.somaxconn: 128" in said(found, "warning")


def test_a_data_folder_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    settings = Settings(data_folder=str(folder))
    assert "is not there" in said(list(data_folder(settings)), "warning")
    slot = folder / "slot-0-0"
    slot.mkdir(parents=True)
    folder.chmod(0o777)
    (slot / "outbox.db.1.suspect").touch()
    (folder / "admin-token").write_text("x" * 32)
    (folder / "admin-token").chmod(0o644)
    usage = shutil.disk_usage(folder)._replace(total=100, free=3)
    monkeypatch.setattr(_doctor_machine.shutil, "disk_usage", lambda _: usage)
    found = list(data_folder(settings))
    assert "others can read the admin token" in said(found, "error")
    for what in ("others may look into it (777)", "1 outbox files were set aside", "3%"):
        assert what in said(found, "warning")


def test_a_certificate_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    settings = Settings(tls_certificates=(str(tmp_path / "none.pem"),))
    assert "No such file" in said(list(certificates(settings)), "error")
    assert not list(certificates(Settings()))


async def test_vendors_are_reached_through_the_egress_door_alone(vendor: Vendor) -> None:
    port = int(vendor.url.rpartition(":")[2])
    told = Settings(egress_allow=("127.0.0.1",))
    found = await asyncio.to_thread(vendors, [("127.0.0.1", port), ("127.0.0.1", 1)], "127.0.0.1", told)
    assert f"127.0.0.1:{port}: is reached" in said(found, "ok")
    assert "127.0.0.1:1: no connection" in said(found, "error")
    refused = await asyncio.to_thread(vendors, [("127.0.0.1", port)], "127.0.0.1", Settings())
    assert "not to be connected to" in said(refused, "error")
    assert not vendor.received


def test_a_running_server_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    box = OutboxState("memory", 0, 3, letters=2, suspects=1)
    workers = [
        WorkerHealth(0, is_ready=True, outbox=box),
        WorkerHealth(1, because=["outbox full"], outbox=box),
    ]
    shut = Destination("https://a.example:443", "", "shut", "", 1.0, 5, 0, last_error="HTTP 503")
    refused = replace(shut, state="open", refused_tags=("Meta",))
    one = Overview(time.time(), "0.0.1", "v2", workers, 1, [shut, refused])
    monkeypatch.setenv("SGTM_ADMIN_TOKEN", "x" * 32)
    answer = _doctor_server._admin.Answer(200, msgspec.to_builtins(one))
    monkeypatch.setattr(_doctor_server._admin, "ask", lambda *_: answer)
    found = list(_doctor_server.server(Settings(), "v3"))
    for what in ("1 do not answer", "worker 1: outbox full", "refuses what Meta shows it"):
        assert what in said(found, "error")
    for what in (
        "is sgtm 0.0.1",
        "serves version v2, in the file is v3",
        "is shut, 5 wait: HTTP 503",
        "lost with the process",
        "4 wait for somebody",
        "2 files were set aside",
    ):
        assert what in said(found, "warning")


async def test_the_command_tells_what_to_mend_and_its_status_says_whether(
    tmp_path: Path, vendor: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.fail("/b", Fault(status=503))
    container = TWO_VENDORS.replace("VENDOR", vendor.url)
    flags = ("--workers", "2", "--egress-allow", "127.0.0.1")
    words = ["doctor", str(tmp_path / "container.yaml"), "--data-folder", str(tmp_path / "data")]
    server = await Server.start(tmp_path, *flags, container=container)

    async def doctor(*more: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, [*words, *more])
        return status, capsys.readouterr().out

    try:
        await until(lambda: fails(server))
        status, told = await doctor("--vendors", "--egress-allow", "127.0.0.1")
        assert status == 0, told
        for what in ("2 of 2 ready", "is reached", "failed", "0 errors", "oauth2.googleapis.com"):
            assert what in told
        server.write_container(
            container + '  - {name: C, type: http_request, parameters: {url: "${NOBODY}"}}\n'
        )
        status, told = await doctor("--json")
        assert status == 1
        assert any("NOBODY" in one["what"] for one in json.loads(told) if one["level"] == "error")
    finally:
        await server.kill()
    status, told = await doctor()
    assert (status, "is the server running?" in told) == (1, True)


async def fails(server: Server) -> bool:
    """Whether a destination has failed."""
    await ask(server.port, "/data?event_name=x")
    found = (await server.admin("GET", "/destinations")).json()["destinations"]
    return any(one["failed"] for one in found)
