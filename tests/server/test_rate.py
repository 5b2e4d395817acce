"""Rates per network: SPEC reliability 5 rule 3 and 2.4 (requests per IP)."""

import asyncio
import resource
import tracemalloc
from pathlib import Path

import pytest
from conftest import Serve, Served
from containers import client, container, echo
from raw_http import RawConnection, ask, request

from sgtm.container.container import Endpoint
from sgtm.observability.metrics import Counters
from sgtm.server.rate import Rates, RateTable, network_of, retry_after
from sgtm.settings import Settings

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


# -- rates of more than networks: SPEC reliability 5 rule 3 -------------------------------------------

GA4 = """
sgtm: 1
name: shop
consent: {unset: granted, gate: declared}
clients:
  - name: GA4
    type: ga4
    allowed_origins: [https://shop.example]
    parameters: {paths: [/g/collect, /renamed]}
  - {name: MP, type: measurement_protocol}
  - {name: Data, type: json, parameters: {paths: [/data]}}
"""


def exceeded(served: Served, by: str) -> int:
    return served.worker.counters.value("sgtm_rates_exceeded_total", by)


def hit(path: str = "/g/collect", tid: str = "G-A", cid: str = "1.2") -> str:
    return f"{path}?v=2&tid={tid}&cid={cid}&en=x"


async def _events(served: Served, targets: list[str]) -> int:
    for target in targets:
        assert (await ask(served.port, target)).status == 204
    return served.worker.counters.value("sgtm_events_total", "GA4")


@pytest.mark.parametrize(
    ("rate", "by", "one", "other"),
    [
        ("client_id_rate", "client id", hit(cid="1.2"), hit(cid="1.3")),
        ("client_id_rate", "client id", hit(cid="1.2"), hit("/renamed", cid="1.3")),
        ("measurement_id_rate", "measurement id", hit(tid="G-A"), hit(tid="G-B")),
        ("path_rate", "path", hit("/g/collect"), hit("/renamed")),
    ],
)
async def test_each_visitor_property_and_path_has_its_own_rate(
    rate: str, by: str, one: str, other: str, serve: Serve
) -> None:
    served = await serve(GA4, **{rate: 1, "rate_burst": 2})
    assert await _events(served, [one] * 5 + [other]) == 3
    assert exceeded(served, by) == 3
    assert served.worker.counters.value("sgtm_requests_dropped_total", "too many requests") == 3


async def test_an_id_is_read_as_it_is_meant_however_it_is_escaped(serve: Serve) -> None:
    served = await serve(GA4, client_id_rate=1, rate_burst=1)
    assert await _events(served, [hit(cid="1.2"), hit(cid="%31.2"), hit(cid="1%2E2")]) == 1


async def test_observing_counts_what_a_rate_would_stop_and_stops_nothing(serve: Serve) -> None:
    served = await serve(GA4, collect_rate=1, request_rate=1, rate_burst=1, rate_mode="observe")
    assert await _events(served, [hit()] * 4) == 4
    statuses = [(await ask(served.port, "/data?event_name=x")).status for _ in range(3)]
    assert statuses == [200] * 3
    assert exceeded(served, "network") == 3 + 2
    assert served.worker.counters.value("sgtm_requests_dropped_total", "too many requests") == 0


async def test_the_measurement_protocol_is_told_429(serve: Serve) -> None:
    # SPEC: reliability 5 rule 3: its senders read the answer; 204 is for browsers
    served = await serve(GA4, measurement_id_rate=1, rate_burst=1)
    target, body = "/mp/collect?measurement_id=G-A", b'{"client_id":"1","events":[{"name":"x"}]}'
    answers = [await ask(served.port, target, method="POST", body=body) for _ in range(2)]
    assert [answer.status for answer in answers] == [204, 429]
    assert answers[1].header("Retry-After") == "1"
    other = await ask(served.port, "/mp/collect?measurement_id=G-B", method="POST", body=body)
    assert other.status == 204


async def test_a_dropped_hit_cannot_be_told_from_a_taken_one(serve: Serve) -> None:
    served = await serve(GA4, collect_rate=1, rate_burst=1)
    headers = {"Origin": "https://shop.example"}
    taken, dropped = [await ask(served.port, hit(), headers=headers) for _ in range(2)]
    without_date = [sorted(pair for pair in one.headers if pair[0] != "Date") for one in (taken, dropped)]
    assert (taken.status, without_date[0]) == (dropped.status, without_date[1])
    assert dropped.header("Access-Control-Allow-Origin") == "https://shop.example"
    assert served.worker.counters.value("sgtm_requests_dropped_total", "too many requests") == 1


async def test_a_preflight_is_answered_in_a_flood(serve: Serve) -> None:
    port = (await serve(GA4, collect_rate=1, rate_burst=1)).port
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    for _ in range(3):
        await ask(port, hit())
        answer = await ask(port, "/g/collect", method="OPTIONS", headers=headers)
        assert answer.header("Access-Control-Allow-Methods") == "GET, POST, OPTIONS"


async def test_hits_of_others_and_other_origins_use_up_nobodys_rate(serve: Serve) -> None:
    # SPEC: reliability 5.1: the id and the origin come before the rate
    ours = GA4.replace("{paths: [/g", "{measurement_ids: [G-A], paths: [/g")
    served = await serve(ours, path_rate=1, rate_burst=1)
    for _ in range(3):
        assert (await ask(served.port, hit(tid="G-B"))).status == 204
        assert (await ask(served.port, hit(), headers={"Origin": "https://evil.example"})).status == 403
    assert await _events(served, [hit()]) == 1
    assert exceeded(served, "path") == 0


async def test_paths_that_nobody_names_share_a_bucket(serve: Serve) -> None:
    served = await serve(GA4, path_rate=1, rate_burst=2)
    assert [(await ask(served.port, f"/scan/{n}")).status for n in range(4)] == [400, 400, 429, 429]


def test_whoever_floods_does_not_use_up_what_others_share() -> None:
    """The narrowest table counts first."""
    rates, endpoint = (
        Rates(Settings(client_id_rate=1, path_rate=20, rate_burst=10), Counters()),
        _ga4_endpoint(),
    )
    for _ in range(50):
        rates.wait_s(endpoint, "/g/collect", b"cid=1", "", 100.0)
    assert rates.wait_s(endpoint, "/g/collect", b"cid=2", "", 100.0) == 0.0


def test_a_million_addresses_and_ids_take_eight_megabytes_at_most() -> None:
    # SPEC: reliability scoreboard 34
    before = _resident_bytes()
    settings = Settings(request_rate=9, collect_rate=9, client_id_rate=9, measurement_id_rate=9, path_rate=9)
    rates, endpoint = Rates(settings, Counters()), _ga4_endpoint()
    for number in range(1_000_000):
        address = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
        query = b"v=2&tid=G-%d&cid=%d.1" % (number, number)
        rates.wait_s(endpoint, "/g/collect", query, address, 100.0 + number / 1000)
    assert _resident_bytes() - before <= 8 * 1024 * 1024


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _ga4_endpoint() -> Endpoint:
    ids = {"client_id_key": b"cid", "measurement_id_key": b"tid"}
    endpoint = container([client(echo, paths=("/g/collect",), **ids)]).endpoint("/g/collect", "")
    assert endpoint is not None
    return endpoint


@pytest.mark.parametrize(("path", "status"), [("/hook", 429), ("/g/collect", 204)])
async def test_a_rate_holds_wherever_the_request_is_cut(path: str, status: int, serve: Serve) -> None:
    # SPEC: reliability 0.15
    limits = {"request_rate": 1, "collect_rate": 1, "rate_burst": 1, "connections_per_address": 0}
    served = await serve(ECHO, **limits)
    served.worker._reception._rates.wait_s = lambda *_: 0.5  # full for good, however long the test takes
    data = request(path, method="POST", body=b"en=x")
    for cut in range(1, len(data)):
        async with RawConnection(served.port) as connection:
            connection.send(data[:cut])
            await asyncio.sleep(0.001)
            connection.send(data[cut:])
            assert (cut, (await connection.read_answer()).status) == (cut, status)
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 0
