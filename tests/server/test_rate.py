"""Rates per network: SPEC reliability 5 rule 3 and 2.4 (requests per IP)."""

import tracemalloc

import pytest
from conftest import Serve
from containers import client, container, echo
from raw_http import RawConnection, ask, request

from sgtm.server.rate import RateTable, network_of, retry_after

ECHO = container([client(echo, paths=("/g/collect", "/hook"))])
BEHIND = {"trusted_proxies": ("127.0.0.0/8",)}


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


# -- the table -----------------------------------------------------------------------------------


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    table = RateTable(10, 4)
    assert [table.take("a", 100.0) for _ in range(4)] == [0.0] * 4
    assert table.take("a", 100.0) == pytest.approx(0.1)
    assert table.take("a", 100.05) == pytest.approx(0.05)
    assert table.take("a", 100.1) == 0.0
    assert table.take("a", 100.1) == pytest.approx(0.1)


def test_whoever_is_refused_pays_nothing_for_it() -> None:
    table = RateTable(1, 1)
    table.take("a", 100.0)
    for _ in range(50):
        assert table.take("a", 100.5) == pytest.approx(0.5)
    assert table.take("a", 101.0) == 0.0


def test_a_bucket_fills_up_to_the_burst_and_no_further() -> None:
    table = RateTable(10, 4)
    for _ in range(4):
        table.take("a", 100.0)
    assert [table.take("a", 1000.0) == 0.0 for _ in range(5)] == [True] * 4 + [False]


def test_one_network_does_not_use_up_anothers_bucket() -> None:
    table = RateTable(1, 1)
    table.take("a", 100.0)
    assert table.take("a", 100.0) > 0
    assert table.take("b", 100.0) == 0.0


def test_memory_does_not_grow_with_the_number_of_addresses() -> None:
    # SPEC: reliability 5 rule 3: a table of fixed size
    table = RateTable(1, 1)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(200_000):
        table.take(network_of(f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1", is_wide=True), 100.0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 16 * 1024


def test_a_full_table_lets_newcomers_in_and_still_holds_a_flooder() -> None:
    """A slot is taken over rather than shared: nobody pays for another one's requests."""
    table = RateTable(1, 100)
    for number in range(200_000):
        assert table.take(number, 100.0) == 0.0
    refused = sum(table.take("flooder", 100.0) > 0 for _ in range(1000))
    assert refused == 900


def test_old_buckets_give_way_first() -> None:
    table = RateTable(1, 10)
    for number in range(200_000):
        table.take(number, 100.0)
    for _ in range(10):
        table.take("busy", 200.0)
    for number in range(20_000):
        table.take(number + 200_000, 200.0)
    assert table.take("busy", 200.0) > 0


@pytest.mark.parametrize(
    ("address", "wide", "narrow"),
    [
        ("203.0.113.9", "203.0.113", "203.0.113.9"),
        ("2001:db8:1:2::9", "20010db800010002", "20010db800010002"),
        ("::1", "0000000000000000", "0000000000000000"),
        ("", "", ""),
    ],
)
def test_a_network_is_a_24_or_a_64(address: str, wide: str, narrow: str) -> None:
    assert network_of(address, is_wide=True) == wide
    assert network_of(address, is_wide=False) == narrow


@pytest.mark.parametrize(("wait_s", "seconds"), [(0.001, "1"), (1.0, "1"), (1.2, "2")])
def test_retry_after_is_whole_seconds(wait_s: float, seconds: str) -> None:
    assert retry_after(wait_s) == ("Retry-After", seconds)


# -- over the wire -------------------------------------------------------------------------------


async def test_there_is_no_rate_unless_one_is_set(serve: Serve) -> None:
    port = (await serve(ECHO, rate_burst=1)).port
    for path in ("/g/collect", "/hook"):
        assert [(await ask(port, path)).status for _ in range(3)] == [200] * 3


async def test_too_many_requests_are_told_when_to_come_back(serve: Serve) -> None:
    # SPEC: reliability 2.4: 429 + Retry-After, Connection: close
    served = await serve(ECHO, request_rate=1, rate_burst=2)
    statuses = [(await ask(served.port, "/hook", method="POST", body=b"secret")).status for _ in range(2)]
    assert statuses == [200, 200]
    async with RawConnection(served.port) as connection:
        connection.send(request("/hook?secret", method="POST", body=b"secret"))
        answer = await connection.read_answer()
        assert await connection.is_closed()
    assert (answer.status, answer.body) == (429, b"too many requests\n")
    assert answer.header("Retry-After") == "1"
    assert (answer.header("Connection"), answer.header("Cache-Control")) == ("close", "no-store")
    assert served.worker.counters.value("sgtm_requests_refused_total", "too many requests") == 1
    assert (await ask(served.port, "/g/collect")).status == 200
    assert (await ask(served.port, "/ready")).status == 200


async def test_a_flood_of_hits_is_answered_as_usual_and_dropped(serve: Serve) -> None:
    served = await serve(ECHO, collect_rate=1, rate_burst=2)
    hit = request("/g/collect?v=2", method="POST", body=b"en=x")
    async with RawConnection(served.port) as connection:
        for status in (200, 200, 204, 204):
            connection.send(hit)
            answer = await connection.read_answer()
            assert (answer.status, answer.header("Connection")) == (status, None)
            assert answer.header("Cache-Control") == "no-store"
    assert served.worker.counters.value("sgtm_requests_dropped_total", "too many requests") == 2
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 2
    assert (await ask(served.port, "/hook")).status == 200


async def test_the_network_of_the_requester_counts_not_the_proxys(serve: Serve) -> None:
    served = await serve(ECHO, request_rate=1, rate_burst=1, **BEHIND)
    asked = ["203.0.113.1", "203.0.113.2", "203.0.112.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
    statuses = [(await ask(served.port, "/hook", headers=from_address(one))).status for one in asked]
    assert statuses == [200, 429, 200, 200, 429, 200]


async def test_a_forged_address_does_not_help(serve: Serve) -> None:
    served = await serve(ECHO, request_rate=1, rate_burst=1)
    asked = ["203.0.113.1", "203.0.112.1"]
    assert [(await ask(served.port, "/hook", headers=from_address(one))).status for one in asked] == [
        200,
        429,
    ]
