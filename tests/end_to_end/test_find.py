"""`sgtm find` with real processes: two workers, an archive, a vendor that fails, one that is down."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles import eventually
from end_to_end.test_letters_and_replay import FLAGS, sgtm, shop
from processes import Server
from raw_http import ask

from sgtm.demo.vendor import Fault, Vendor

# SPEC: requirements R350: request, client, tags, each attempt, vendor answers, present state; the same on
# the admin listener for the page.


@pytest.fixture
async def server(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Server]:
    text = shop(vendor, "Good", "Flaky", "Bad") + (
        "  - {name: Down, type: http_request, firing_triggers: [All Events], "
        'parameters: {url: "http://127.0.0.1:9/down"}}\n'
    )
    running = await Server.start(tmp_path, *FLAGS, container=text)
    yield running
    await running.kill()


async def order(server: Server, number: str, **more: str) -> None:
    body = json.dumps({"event_name": "purchase", "transaction_id": number, **more}).encode()
    headers = {"Content-Type": "application/json"}
    assert (await ask(server.port, "/data", method="POST", headers=headers, body=body)).status < 300


def states(found: str) -> dict[str, str]:
    """Tag -> state, of the only event that was found."""
    (one,) = json.loads(found)["found"]
    (event,) = one["events"]
    return {tag["name"]: tag["state"] for tag in event["tags"]}


async def test_an_order_is_found_with_each_attempt_and_how_it_stands(
    server: Server, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.fail("/flaky", Fault(status=500, times=1))
    vendor.fail("/bad", Fault(status=400))
    for number in range(20):  # both workers have some
        await order(server, f"T-{number}", email="jane@canary.example")
    await eventually(lambda: len(vendor.requests("/flaky")) >= 21, 20)
    looked = {}
    for _ in range(100):
        looked = states(await sgtm(tmp_path, "find", "T-7", "--json"))
        if looked.get("Flaky") == "delivered" and looked.get("Bad") == "given up":
            break
    assert looked == {"Good": "delivered", "Flaky": "delivered", "Bad": "given up", "Down": "waiting"}
    told = await sgtm(tmp_path, "find", "T-7")
    assert "POST /data, claimed by Shop" in told
    assert "event purchase: the id is transaction_id" in told
    assert "attempt 1: dead, HTTP 400" in told
    assert "sgtm deadletters show" in told
    assert "127.0.0.1:9  attempt 1: retry, ConnectFailed" in told
    assert "jane@canary.example" not in told, "nothing of the event is shown"


async def test_delivered_orders_are_found_in_the_archive_also_where_no_server_runs(
    tmp_path: Path, vendor: Vendor
) -> None:
    server = await Server.start(tmp_path, *FLAGS, container=shop(vendor, "Good"))
    try:
        await order(server, "T 1/ä")
        await order(server, "T-2")
        await eventually(lambda: len(vendor.requests("/good")) == 2, 20)
    finally:
        server.process.terminate()
        assert await server.finish() == 0
    told = await sgtm(tmp_path, "find", "T 1/ä")
    assert "read from the archive" in told
    assert "Good: fired; delivered" in told
    assert "attempt 1: done HTTP 2" in told
    assert "no server runs here" in told
    assert "not found in 2 records" in await sgtm(tmp_path, "find", "T-3", status=1)


async def test_the_admin_listener_finds_the_same_for_who_has_the_token(
    server: Server, vendor: Vendor
) -> None:
    await order(server, "T-1")
    await eventually(lambda: len(vendor.requests("/good")) == 1, 20)
    answer = await server.admin("POST", "/find", b'{"id": "T-1"}')
    assert answer.status == 200
    assert set(states(answer.body.decode())) == {"Good", "Flaky", "Bad", "Down"}
    assert (await server.admin("POST", "/find", b'{"id": "T-1"}', token="wrong")).status == 401
    for body in (b"", b'{"id": ""}', b'{"id": 7}', b'{"id": "%b"}' % (b"x" * 600)):
        assert (await server.admin("POST", "/find", body)).status == 400
    assert (await server.admin("POST", "/waiting", b'{"texts": "x"}')).status == 400
