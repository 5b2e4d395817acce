"""Connections of one worker and of one address: SPEC reliability 2.4."""

import logging
import resource
import socket
from contextlib import AsyncExitStack

import pytest
from conftest import Serve, Served
from containers import client, container, echo
from raw_http import RawConnection, ask, request

from sgtm.observability.metrics import Counters
from sgtm.server.admission import Admission
from sgtm.server.proxy import TrustedProxies
from sgtm.settings import Settings

ECHO = container([client(echo, paths=("/c",))])


def closed(served: Served, reason: str) -> int:
    return served.worker.counters.value("sgtm_connections_closed_total", reason)


def admission(*networks: str, **changes: int) -> Admission:
    return Admission(Settings(**changes), TrustedProxies(networks), Counters())


async def _fill(stack: AsyncExitStack, port: int, count: int) -> list[RawConnection]:
    connections = [await stack.enter_async_context(RawConnection(port)) for _ in range(count)]
    for connection in connections:
        connection.send(request("/c"))
        assert (await connection.read_answer()).status == 200
    return connections


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"connections": 3, "connections_per_address": 0}, "worker full"),
        ({"connections_per_address": 3}, "address full"),
    ],
)
async def test_who_comes_when_it_is_full_is_closed_at_once(
    limits: dict[str, int], reason: str, serve: Serve
) -> None:
    served = await serve(ECHO, **limits)
    async with AsyncExitStack() as stack:
        first, *others = await _fill(stack, served.port, 3)
        for _ in range(2):
            late = await stack.enter_async_context(RawConnection(served.port))
            assert await late.is_closed()
        assert closed(served, reason) == 2
        first.send(request("/c"))
        assert (await first.read_answer()).status == 200
        others[0].send(request("/c", headers={"Connection": "close"}))
        await others[0].read_answer()
        assert await others[0].is_closed()
        assert (await ask(served.port, "/c")).status == 200
    assert closed(served, reason) == 2


async def test_a_trusted_proxy_may_have_as_many_as_it_likes(serve: Serve) -> None:
    served = await serve(ECHO, connections_per_address=2, trusted_proxies=("127.0.0.0/8",))
    async with AsyncExitStack() as stack:
        await _fill(stack, served.port, 5)
    assert closed(served, "address full") == 0


async def test_a_proxy_that_nobody_named_is_hinted_at_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(ECHO, connections_per_address=1)
    with caplog.at_level(logging.WARNING):
        async with AsyncExitStack() as stack:
            await _fill(stack, served.port, 1)
            for _ in range(3):
                assert await (await stack.enter_async_context(RawConnection(served.port))).is_closed()
    hints = [record.hint for record in caplog.records if hasattr(record, "hint")]
    assert len(hints) == 1
    assert "--trusted-proxy" in hints[0]
    assert "127.0.0.1" not in str([vars(record) for record in caplog.records if record.name == "sgtm.server"])


async def test_every_connection_is_counted_out_however_it_ends(serve: Serve) -> None:
    served = await serve(ECHO, connections=4, connections_per_address=4, head_timeout_s=0.05)
    endings = (b"", b"NONSENSE\r\n\r\n", b"GET /c HT", request("/c"), request("/c?" + "a" * 9000))
    for data in endings * 4:
        async with RawConnection(served.port) as connection:
            connection.send(data)
            if data:
                await connection.read_answer()
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", served.port)) as reset:
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            reset.sendall(b"POST /c HTTP/1.1\r\n")
        assert (await ask(served.port, "/c")).status == 200
    assert closed(served, "worker full") + closed(served, "address full") == 0


def test_addresses_count_by_themselves_and_ipv6_by_64() -> None:
    limited = admission(connections_per_address=1)
    for address in ("203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8:0:1::1"):
        assert limited.enter((address, 4711)) is not None
    for address in ("203.0.113.1", "::ffff:203.0.113.2", "2001:db8::2"):
        assert limited.enter((address, 4711)) is None


def test_the_table_of_addresses_is_empty_when_everybody_left() -> None:
    limited = admission()
    entered = [limited.enter((f"2001:db8:{number:x}::1", 1, 0, 0)) for number in range(5000)]
    for network in entered:
        assert network
        limited.leave(network)
    assert (limited.open, limited._open_of) == (0, {})


def test_a_peer_without_an_address_is_counted_in_all_only() -> None:
    limited = admission(connections=2, connections_per_address=1)
    assert [limited.enter(peer) for peer in ("", "", "")] == ["", "", None]


def test_no_more_connections_than_descriptors_leave_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: reliability 2.4: min(10,000, 80 % of the limit)
    for limit, most in ((100, 80), (1_000_000, 10_000), (resource.RLIM_INFINITY, 10_000), (1, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert admission().most == most
