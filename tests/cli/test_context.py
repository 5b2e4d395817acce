"""`sgtm context`: of a running server of two workers, and of its folder when it is gone."""

import asyncio
import json

import pytest
from processes import Server
from raw_http import RawConnection, request

from sgtm.delivery.context.rules import ContextRules
from sgtm.server.context import ContextAsked, problem_with

CONTAINER = """
sgtm: 1
name: shop
consent: {unset: denied, gate: declared}
context:
  browser_clients: [Browser]
  server_clients: [Shop]
  holds: [{name: purchase, key: order, events: [purchase], wait: 1h}]
clients:
  - {name: Browser, type: ga4, priority: 2}
  - {name: Shop, type: json, priority: 1, parameters: {paths: [/orders], adds_request_data: false}}
"""
HIT = "/g/collect?v=2&tid=G-ABC123&cid=1.1&sid=17&gcd=13n3n3n3n5l1&en="


async def send(port, target):
    async with RawConnection(port) as connection:
        connection.send(request(target))
        assert (await connection.read_answer()).status == 204


@pytest.mark.timeout(60)
async def test_show_and_erase_of_a_running_server_and_of_its_folder(tmp_path, sgtm):
    flags = ("--outbox", "sqlite", "--workers", "2")
    server = await Server.start(tmp_path, *flags, container=CONTAINER)
    where = ("--data-folder", tmp_path / "data")

    async def run(*words):
        done = await asyncio.to_thread(sgtm, "context", *words, *where)
        return done.returncode, done.stdout + done.stderr

    try:
        for order in ("T1", "T2"):  # a connection each: either worker
            await send(server.port, f"{HIT}add_to_cart&ep.transaction_id={order}")
        await send(server.port, f"{HIT}purchase&ep.transaction_id=T3")
        status, said = await run("show", "order=T1")
        assert status == 0, said
        assert "ga_session_id, seen" in said
        assert "ad_storage granted" in said
        assert '"17"' not in said
        status, said = await run("show", "order=T1", "--reveal", "--format", "json")
        values = {one["name"]: one["value"] for one in json.loads(said)["values"]}
        assert values["ga_session_id"] == "17"
        assert await run("erase", "order=T1") == (0, "erased: 4 keys, 1 halves of events\n")
        assert (await run("show", "client_id=1.1"))[0] == 1
        await send(server.port, f"{HIT}add_to_cart&ep.transaction_id=T4")
        await asyncio.sleep(0.3)
    finally:
        server.process.terminate()
        await server.process.wait()
    assert (await run("erase", "client_id=1.1"))[1] == "erased: 2 keys, 0 halves of events\n"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (("orders", "T1"), "there is no such key; there are: order, user, client_id"),
        (("order", "x" * 600), "the value is too long to be a key"),
        (("client_id", "1.1"), ""),
    ],
)
def test_a_key_that_cannot_be_is_said_to_be_none(key, problem):
    rules = ContextRules(browser_clients=("a",), server_clients=("b",))
    assert problem_with(ContextAsked(*key), rules) == problem
    assert "so nothing is kept" in problem_with(ContextAsked(*key), None)
