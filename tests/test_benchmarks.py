"""The benchmarks: who ours is measured against, what is checked of them before their time counts, and that
the load counts right."""

import asyncio
import json
import sys
import time
from collections import deque
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from npm_packages import node_modules

from benchmarks import delivered
from benchmarks.contenders import PEERS, Contender, started, started_node, started_yardstick
from benchmarks.hits import make_hits
from benchmarks.latency import Arrivals
from benchmarks.load import check, is_whole
from benchmarks.stand_in import Arrived, StartedStandIn, started_stand_in
from benchmarks.tag_managers import started_walkeros, started_webcm, webcm_wire

QUERY = make_hits(1)[0]


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_every_peer_of_npm_and_the_plain_way_deliver_the_purchase_to_both_vendors(is_tls: bool) -> None:
    with ExitStack() as stack:
        vendor = stack.enter_context(started_stand_in(0, is_tls=is_tls))
        contenders = [
            stack.enter_context(started_yardstick("plain", "plain", vendor)),
            stack.enter_context(started_node("undici", "undici", vendor)),
            stack.enter_context(started_node("fetch", "fetch", vendor)),
            stack.enter_context(started_walkeros("walkerOS, npm", vendor)),
        ]
        rows = asyncio.run(check(contenders))
        assert vendor.arrived() == Arrived(others=4, events=4)
    assert [contender.wrong for contender in contenders] == [0, 0, 0, 0]
    assert [row.request for row in rows[-2:]] == [
        "POST /events-of-walkeros",
        "POST /v22.0/1234567890/events",
    ]
    assert all("event, order, value" in row.carries and "items" in row.carries for row in rows)


@pytest.mark.parametrize("kind", ["plain", "undici", "fetch"])
def test_a_contender_that_is_not_told_of_the_authority_sends_nothing(kind: str) -> None:
    node_modules(PEERS)
    with started_stand_in(0, is_tls=True) as vendor:
        command = ["node", str(PEERS / "server.mjs")]
        if kind == "plain":
            command = [sys.executable, "-m", "benchmarks.yardsticks"]
        with started(kind, *command, kind, vendor.url) as contender, pytest.raises(HTTPError) as refused:
            urlopen(f"{contender.url}/g/collect?{QUERY.decode()}", timeout=10)
        refused.value.close()
        assert vendor.arrived() == Arrived()


def test_a_purchase_that_arrives_without_its_order_is_wrong() -> None:
    with started_stand_in(0) as vendor:
        text = QUERY.decode()
        urlopen(f"{vendor.url}/g/collect?{text}").close()
        urlopen(f"{vendor.url}/v1/events", data=f'{{"event_name":""}}{text}'.encode()).close()
        whole, cut = Contender("whole", "", vendor=vendor), Contender("cut", "", vendor=vendor)
        delivered.rows_of(whole, QUERY)
        urlopen(f"{vendor.url}/g/collect?{text.replace('transaction_id', 'x').replace('T-', 'U-')}").close()
        rows = delivered.rows_of(cut, QUERY)
    assert (whole.wrong, cut.wrong) == (0, 1)
    assert "order" in rows[0].lacks


def test_webcm_is_told_the_whole_purchase_in_its_own_words() -> None:
    head, _, body = webcm_wire(QUERY).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: %d" % len(body) in head
    track = json.loads(body)
    assert track["eventType"] == "ecommerce"
    assert track["payload"]["name"] == "Order Completed"
    assert len(track["payload"]["data"]["products"]) == 3


def test_a_folder_without_the_peer_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    vendor = StartedStandIn("http://127.0.0.1:9", 0)
    with pytest.raises(SystemExit, match="transformer-ga4"), started_walkeros("walkerOS", vendor, tmp_path):
        pass
    with pytest.raises(SystemExit, match="google-analytics-4/dist"), started_webcm("WebCM", vendor, tmp_path):
        pass


class Echo:
    """A line on which every hit is answered at once."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.due = 0.0

    def carry(self, hit: bytes, due: float) -> None:
        self.due = due
        asyncio.get_running_loop().call_soon(lambda: self._arrivals.answered(self, is_right=True))


async def test_hits_that_came_due_while_the_loop_was_late_are_sent_and_the_round_ends() -> None:
    arrivals = Arrivals(repeat(b"hit"), rate=1_000.0, seconds=0.05, seed=1)
    arrivals.free = deque([Echo(arrivals)])
    arrivals.start()
    time.sleep(0.1)  # noqa: ASYNC251 -- the loop is late
    async with asyncio.timeout(10):
        await arrivals.done
    # from the first hit on, as many gaps of `random.Random(1).expovariate(1_000.0)` as fit into 50 ms
    assert arrivals.sent == len(arrivals.latencies_ms) == 53


def test_an_answer_is_whole_with_the_last_byte_of_its_body() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nGIF"
    assert [is_whole(answer[:end]) for end in (10, -4, -1)] == [False, False, False]
    assert is_whole(answer)
    assert is_whole(b"HTTP/1.1 204 No Content\r\n\r\n")
