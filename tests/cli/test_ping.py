"""`sgtm ping`: one hit through the whole path of a running server, hop by hop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from processes import Server

from sgtm.cli import main
from sgtm.demo.vendor import Fault, Vendor

CONTAINER = """
sgtm: 1
name: pinged
consent: {unset: granted, gate: declared}
clients:
  - {name: Web, type: ga4}
  - {name: Shop, type: json, parameters: {paths: [/data]}}
triggers: [{name: Every, type: all_events}]
tags:
  - {name: Warehouse, type: http_request, firing_triggers: [Every], parameters: {url: "VENDOR/a?key=1"}}
"""


Ping = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def ping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ping:
    """Run the command; its exit status and what it said."""

    async def run(*words: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, ["ping", "--data-folder", str(tmp_path / "data"), *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


async def test_a_ping_tells_every_hop_and_sends_only_when_asked_to(
    tmp_path: Path, vendor: Vendor, ping: Ping
) -> None:
    container = CONTAINER.replace("VENDOR", vendor.url)
    flags = ("--workers", "2", "--egress-allow", "127.0.0.1", "--outbox", "memory")
    server = await Server.start(tmp_path, *flags, container=container)
    try:
        status, said = await ping()
        assert status == 0, said
        for what in (
            "client    ok     Web",
            "event            page_view",
            "Warehouse: fired",
            "built, not sent",
        ):
            assert what in said
        assert not vendor.received

        status, said = await ping("--send")
        assert (status, "HTTP 204, attempt 1" in said) == (0, True), said
        assert "key=1" not in said  # what stands in a query may be a secret
        assert len(vendor.received) == 1

        vendor.fail("/", Fault(status=400))
        status, said = await ping("--send")
        assert (status, "WRONG" in said, "HTTP 400" in said) == (1, True, True), said

        file = tmp_path / "unknown.http"
        file.write_text("# nobody knows it\nGET /nowhere HTTP/1.1\nHost: sst.shop.example\n\n")
        status, said = await ping("--file", str(file), "--json")
        assert status == 1, said
        assert json.loads(said)["view"]["claimed_by"] == ""
    finally:
        await server.kill()
    status, said = await ping()
    assert (status, "is the server running?" in said) == (2, True)
