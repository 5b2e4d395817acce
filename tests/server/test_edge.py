"""The edge: what it answers itself, what it lends, and that the connection comes back."""

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from certificates import Authority, write_pair
from conftest import Serve, Served, serving
from containers import client, container, echo
from doubles import eventually
from raw_http import RawAnswer, RawConnection, ask, exchange, request

from sgtm.messages import Answer, Claimed, IncomingRequest, Pending
from sgtm.server.edge import Edge
from sgtm.server.memory import SOFT

PATH = "/g/collect"
ECHO = container([client(echo, paths=(PATH,))])
HOST = b"Host: shop.example\r\n"
FORWARDED = {"For": "203.0.113.9", "Proto": "https", "Host": "b.example"}


def lent(served: Served) -> int:
    return served.worker.counters.value("sgtm_requests_lent_total")


def closed(served: Served, why: str) -> int:
    return served.worker.counters.value("sgtm_connections_closed_total", why)


async def _exchange(connection: RawConnection, data: bytes, *, is_head: bool = False) -> RawAnswer:
    connection.send(data)
    async with asyncio.timeout(10):
        return await connection.read_answer(is_head=is_head)


@pytest.fixture
def edge() -> str:
    return "on"


async def test_the_connection_comes_back_after_every_kind_of_lent_request(serve: Serve) -> None:
    # SPEC: design, "One port, two ways through it"
    served = await serve(ECHO)
    others = [
        request(PATH, method="OPTIONS", headers={"Origin": "https://a.example"}),
        request("/healthz"),
        request("/other", method="POST", body=b"x" * 3000),
        request(PATH, method="PUT", body=b"x"),
        request(PATH, method="POST", headers={"Expect": "100-continue", "Content-Length": "0"}),
        request(PATH, headers={"X": "caf\xe9"}),
        b"\r\n" + request(PATH),
        request(PATH, headers={"Accept": " two spaces"}),
    ]
    async with RawConnection(served.port) as connection:
        for count, other in enumerate(others, 1):
            assert (await _exchange(connection, other)).status < 300
            answer = await _exchange(connection, request(PATH, method="POST", body=b"en=x"))
            assert answer.json()["body"] == "en=x"
            assert lent(served) == count, other


async def test_a_head_request_and_one_of_http_1_0_are_lent_and_come_back(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        await _exchange(connection, request(PATH, method="HEAD"), is_head=True)
        old = b"GET /g/collect HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n"
        assert (await _exchange(connection, old)).header("Connection") == "keep-alive"
        assert (await _exchange(connection, request(PATH))).status == 200
    assert lent(served) == 2


@pytest.mark.parametrize(
    "other",
    [
        b"POST /g/collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"GET /g/collect HTTP/1.1\r\n" + HOST + b"Upgrade: foo\r\n\r\n",
        request("/healthz") + request(PATH)[:-2],  # more than the request was lent
    ],
)
async def test_what_could_be_framed_in_two_ways_stays_with_aiohttp(other: bytes, serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        await _exchange(connection, other)
        if not other.endswith(b"\r\n\r\n"):
            await _exchange(connection, b"\r\n")
        for _ in range(3):
            assert (await _exchange(connection, request("/healthz"))).status == 200
            assert (await _exchange(connection, request(PATH))).status == 200
    assert lent(served) == 1


async def test_aiohttp_may_lose_interest_in_a_connection_that_goes_on(serve: Serve) -> None:
    """Its own idle time-out ends the handler that is kept, and nothing else."""
    served = await serve(ECHO, keepalive_s=0.3)
    listener = served.worker._listener
    assert listener is not None
    async with RawConnection(served.port) as connection:
        await _exchange(connection, request("/healthz"))
        assert len(listener.connections) == 1
        for _ in range(12):
            assert (await _exchange(connection, request(PATH))).status == 200
            await asyncio.sleep(0.05)
        assert len(listener.connections) == 0
        assert (await _exchange(connection, request("/healthz"))).status == 200
        assert len(listener.connections) == 1
        assert (await _exchange(connection, request(PATH))).status == 200
    assert lent(served) == 2
    await eventually(lambda: len(listener.connections) == 0)


@pytest.mark.parametrize("first", [b"", request(PATH), request("/healthz")])
async def test_an_idle_connection_ends(first: bytes, serve: Serve) -> None:
    served = await serve(ECHO, keepalive_s=0.2)
    async with RawConnection(served.port) as connection:
        if first:
            await _exchange(connection, first)
        assert await connection.is_closed()
    await eventually(lambda: served.worker.connections == 0)


async def test_without_keepalive_each_answer_is_the_last(serve: Serve) -> None:
    served = await serve(ECHO, keepalive_s=0.0)
    async with RawConnection(served.port) as connection:
        await asyncio.sleep(0.05)
        assert (await _exchange(connection, request(PATH))).status == 200
        assert await connection.is_closed()


async def test_a_body_may_come_later_and_slowly(serve: Serve) -> None:
    served = await serve(ECHO, body_grace_s=0.5)
    whole = request(PATH, method="POST", body=b"x" * 1000)
    async with RawConnection(served.port) as connection:
        for pause_s, count in ((0.01, 0), (0.3, 1)):
            connection.send(whole[:-10])
            await asyncio.sleep(pause_s)
            assert len((await _exchange(connection, whole[-10:])).json()["body"]) == 1000
            assert lent(served) == count
        assert (await _exchange(connection, request(PATH))).status == 200
    assert lent(served) == 1


async def test_a_request_in_many_pieces_is_lent_after_some(serve: Serve) -> None:
    """Each piece makes the edge look at the whole head again: somebody else shall."""
    served = await serve(ECHO, head_timeout_s=5.0)
    data = request(PATH + "?" + "a" * 100, method="POST", body=b"x" * 100)
    async with RawConnection(served.port) as connection:
        for index in range(len(data)):
            connection.send(data[index : index + 1])
            await asyncio.sleep(0.001)
        assert len((await connection.read_answer()).json()["body"]) == 100
        assert lent(served) == 1
        assert (await _exchange(connection, request(PATH))).status == 200
        assert lent(served) == 1


async def test_a_head_that_was_lent_in_pieces_has_no_second_time_out(serve: Serve) -> None:
    served = await serve(ECHO, head_timeout_s=1.5)
    started = time.monotonic()
    async with RawConnection(served.port) as connection:
        connection.send(b"GET /g/collect HTTP/1.1\r\nX: ")
        for _ in range(80):
            connection.send(b"a")
            await asyncio.sleep(0.003)
        answer = await connection.read_answer()
        assert (answer.status, answer.body) == (408, b"slow head\n")
    assert lent(served) == 1
    assert 1.4 < time.monotonic() - started < 2.9


async def test_a_slow_head_is_refused(serve: Serve) -> None:
    served = await serve(ECHO, head_timeout_s=0.2)
    async with RawConnection(served.port) as connection:
        await _exchange(connection, request(PATH))
        connection.send(request(PATH)[:-3])
        answer = await connection.read_answer()
        assert (answer.status, answer.header("Connection")) == (408, "close")
        assert await connection.is_closed()
    assert served.worker.counters.value("sgtm_requests_refused_total", "slow head") == 1
    assert lent(served) == 0


def _gated(gates: dict[str, "asyncio.Future[Claimed]"]) -> Any:
    """A client that waits at the gate that the query names."""

    def claim(request: IncomingRequest) -> Claimed | Pending:
        gate = gates.get(request.query.decode())
        return echo(request) if gate is None else Pending(_opened(gate, request))

    async def _opened(gate: "asyncio.Future[Claimed]", request: IncomingRequest) -> Claimed:
        await gate
        return echo(request)

    return container([client(claim, paths=(PATH,))])


async def test_answers_leave_in_order_whatever_each_waits_for(serve: Serve) -> None:
    # SPEC: reliability 2.2 class 8: pipelined, mixed fast and slow
    gate: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
    served = await serve(_gated({"2": gate}))
    async with RawConnection(served.port) as connection:
        connection.send(b"".join(request(f"{PATH}?{number}") for number in (1, 2, 3)))
        connection.send(request(f"/other?{4}") + request(f"{PATH}?{5}"))
        assert (await connection.read_answer()).json()["query"] == "1"
        await asyncio.sleep(0.05)
        assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 1
        gate.set_result(Claimed([], Answer(204)))
        assert [(await connection.read_answer()).json()["query"] for _ in range(4)] == ["2", "3", "4", "5"]
    assert lent(served) == 1


async def test_a_requester_who_leaves_takes_nothing_along(serve: Serve) -> None:
    gate: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
    served = await serve(_gated({"1": gate}))
    async with RawConnection(served.port) as connection:
        connection.send(request(f"{PATH}?1"))
        await eventually(lambda: served.worker._reception.under_way == 1)
    await eventually(lambda: served.worker.connections == 0)
    gate.set_result(Claimed([], Answer(204)))
    await eventually(lambda: served.worker._reception.under_way == 0)
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 1


async def test_hundreds_of_pipelined_hits_let_others_have_their_turn(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as greedy:
        greedy.send(b"".join(request(f"{PATH}?{number}") for number in range(500)))
        assert (await ask(served.port, PATH)).status == 200
        for number in range(500):
            assert (await greedy.read_answer()).json()["query"] == str(number)
    assert lent(served) == 0


async def test_nothing_is_read_without_end_behind_a_request_that_waits(serve: Serve) -> None:
    # SPEC: reliability 2.4 (pipelined, unanswered: stop reading)
    gate: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
    served = await serve(_gated({"1": gate}))
    loop = asyncio.get_running_loop()
    with _slow_reader(served.port) as peer:
        await loop.sock_sendall(peer, request(f"{PATH}?1"))
        sent, block = 0, request(f"{PATH}?{2}") * 1000
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while sent < 64 * 1024 * 1024:
                    await loop.sock_sendall(peer, block)
                    sent += len(block)
        assert sent < 64 * 1024 * 1024
        gate.set_result(Claimed([], Answer(204)))
        async with asyncio.timeout(5):
            assert await loop.sock_recv(peer, 100)


async def test_a_peer_that_reads_nothing_is_cut_off(serve: Serve) -> None:
    served = await serve(ECHO, write_timeout_s=0.3, collect_line_bytes=16 * 1024)
    loop = asyncio.get_running_loop()
    with _slow_reader(served.port) as peer:
        block = request(f"{PATH}?{'a' * 12_000}") * 50
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2):
                while True:
                    await loop.sock_sendall(peer, block)
        await eventually(lambda: closed(served, "nobody reads") == 1)
    assert lent(served) == 0


async def test_a_slow_reader_gets_everything(serve: Serve) -> None:
    served = await serve(ECHO, write_timeout_s=5.0)
    loop, got = asyncio.get_running_loop(), 0
    with _slow_reader(served.port) as peer:
        sending = asyncio.ensure_future(loop.sock_sendall(peer, request(f"{PATH}?{'a' * 12_000}") * 300))
        async with asyncio.timeout(20):
            while got < 300 * 12_000 or not sending.done():
                got += len(await loop.sock_recv(peer, 256 * 1024))
                await asyncio.sleep(0.001)
    assert lent(served) == 0


def _slow_reader(port: int) -> socket.socket:
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    peer.connect(("127.0.0.1", port))
    peer.setblocking(False)
    return peer


@pytest.mark.parametrize(
    "paths", [[PATH] * 4, ["/other", PATH, PATH, "/other"], [PATH, "/other", "/other", PATH]]
)
async def test_requests_of_both_ways_count_together(paths: list[str], serve: Serve) -> None:
    served = await serve(ECHO, connection_requests=4)
    async with RawConnection(served.port) as connection:
        said = [(await _exchange(connection, request(path))).header("Connection") for path in paths]
        assert said == [None, None, None, "close"]
        assert await connection.is_closed()
    assert closed(served, "requests") == 1


async def test_an_old_connection_ends(serve: Serve) -> None:
    served = await serve(ECHO, connection_age_s=0.2)
    async with RawConnection(served.port) as connection:
        assert (await _exchange(connection, request(PATH))).header("Connection") is None
        await asyncio.sleep(0.25)
        assert (await _exchange(connection, request(PATH))).header("Connection") == "close"
        assert await connection.is_closed()
    assert closed(served, "age") == 1


async def test_what_follows_a_last_request_is_not_served(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        connection.send(request(PATH, headers={"Connection": "close"}) + request(PATH))
        assert (await connection.read_answer()).header("Connection") == "close"
        assert await connection.is_closed()
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 1


async def test_paths_follow_the_container(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        await _exchange(connection, request("/other/collect"))
        assert lent(served) == 1
        served.worker.reload(container([client(echo, paths=("/other/collect",))]))
        await _exchange(connection, request("/other/collect"))
        assert lent(served) == 1
        await _exchange(connection, request(PATH))
        assert lent(served) == 2


async def test_where_another_client_could_claim_first_a_request_is_lent(serve: Serve) -> None:
    # SPEC: design: "no client above it could claim it; else it is lent"
    served = await serve(container([client(echo, "Any"), client(echo, "Collect", paths=(PATH,))]))
    assert (await ask(served.port, PATH)).status == 200
    assert lent(served) == 1


async def test_the_servers_own_paths_are_not_a_clients(serve: Serve) -> None:
    served = await serve(container([client(echo, paths=("/healthz", PATH))]))
    assert (await ask(served.port, "/healthz")).body == b"ok"
    assert (lent(served), served.worker.counters.value("sgtm_requests_claimed_total", "Test")) == (1, 0)


async def test_below_a_prefix_the_edge_answers_as_well(serve: Serve) -> None:
    served = await serve(ECHO, path_prefix="/metrics-x")
    seen = (await ask(served.port, "/metrics-x" + PATH + "?a")).json()
    assert (seen["path"], seen["query"], seen["path_prefix"]) == (PATH, "a", "/metrics-x")
    assert lent(served) == 0


async def test_who_came_through_trusted_proxies_is_known(serve: Serve) -> None:
    served = await serve(ECHO, trusted_proxies=("127.0.0.0/8",))
    headers = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "b.example",
    }
    seen = (await ask(served.port, PATH, headers=headers)).json()
    assert (seen["remote_address"], seen["scheme"], seen["host"]) == ("203.0.113.9", "https", "b.example")
    assert (await ask(served.port, PATH)).json()["remote_address"] == "127.0.0.1"
    assert lent(served) == 0


async def test_over_tls_and_behind_the_proxy_protocol_hits_are_answered_by_the_edge(
    tmp_path: Path, serve: Serve
) -> None:
    certificate, key = write_pair(tmp_path, "one", Authority().issue("shop.example"))
    settings = {"tls_certificates": (certificate,), "tls_keys": (key,), "trusted_proxies": ("127.0.0.0/8",)}
    served = await serve(ECHO, **settings, proxy_protocol=True)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", served.port)) as plain:
        plain.sendall(b"PROXY TCP4 203.0.113.7 198.51.100.1 35646 443\r\n")
        plain.setblocking(False)
        reader, writer = await asyncio.open_connection(
            sock=plain, ssl=context, server_hostname="shop.example"
        )
        connection = RawConnection(served.port)
        connection.reader, connection.writer = reader, writer
        for path, count in ((PATH, 0), ("/other", 1), (PATH, 1)):
            seen = (await _exchange(connection, request(path, method="POST", body=b"x" * 50_000))).json()
            assert (seen["scheme"], seen["remote_address"], len(seen["body"])) == (
                "https",
                "203.0.113.7",
                50_000,
            )
            assert lent(served) == count
        writer.close()
        await writer.wait_closed()


async def test_an_unserved_host_is_refused(serve: Serve) -> None:
    served = await serve(ECHO, host_names=("other.example",))
    answer = await ask(served.port, PATH)
    assert (answer.status, answer.header("Connection")) == (421, "close")
    assert served.worker.counters.value("sgtm_requests_refused_total", "host not served") == 1
    assert lent(served) == 0


def _raising(_: IncomingRequest) -> Claimed:
    return Claimed([], Answer(200, (("X-Split", "a\r\nb: c"),), b""))


async def test_an_answer_that_cannot_be_written_is_an_internal_error(serve: Serve) -> None:
    # SPEC: reliability 2.1 (CVE-2026-34519, response splitting)
    served = await serve(container([client(_raising, paths=(PATH,))]))
    async with RawConnection(served.port) as connection:
        for _ in range(2):
            answer = await _exchange(connection, request(PATH))
            assert (answer.status, answer.body, answer.header("X-Split")) == (500, b"internal error\n", None)
    assert served.worker.counters.value("sgtm_requests_refused_total", "internal error") == 2
    assert lent(served) == 0


async def test_short_of_memory_each_answer_is_the_last_and_idle_connections_end(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as idle, RawConnection(served.port) as busy:
        await _exchange(idle, request(PATH))
        busy.send(request(PATH)[:-2])
        await eventually(lambda: served.worker.connections == 2)
        await asyncio.sleep(0.02)
        served.worker._give_back()
        assert await idle.is_closed()
        served.worker._memory.level = SOFT
        assert (await _exchange(busy, b"\r\n")).header("Connection") == "close"
    assert closed(served, "memory") == 1


async def test_a_drain_lets_what_is_under_way_come_to_its_answer(serve: Serve) -> None:
    gate: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
    served = await serve(_gated({"1": gate}))
    async with RawConnection(served.port) as idle, RawConnection(served.port) as busy:
        await _exchange(idle, request(PATH))
        busy.send(request(f"{PATH}?1"))
        await eventually(lambda: served.worker._reception.under_way == 1)
        draining = asyncio.ensure_future(served.worker.drain(0))
        await asyncio.sleep(0.2)
        gate.set_result(Claimed([], Answer(204)))
        answer = await busy.read_answer()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert await idle.is_closed()
        await draining
    assert served.worker.connections == 0


async def test_a_drain_waits_for_the_rest_of_a_body(serve: Serve) -> None:
    served = await serve(ECHO)
    whole = request(PATH, method="POST", body=b"x" * 1000)
    async with RawConnection(served.port) as early, RawConnection(served.port) as late:
        for connection in (early, late):
            connection.send(whole[:-10])
        await eventually(lambda: served.worker._reception.under_way == 2)
        draining = asyncio.ensure_future(served.worker.drain(0))
        await asyncio.sleep(0.2)
        assert (await _exchange(early, whole[-10:])).header("Connection") == "close"
        await eventually(lambda: lent(served) == 1)
        assert (await _exchange(late, whole[-10:])).header("Connection") == "close"
        await draining
    assert served.worker._reception.under_way == 0


async def test_a_half_request_does_not_hold_a_drain_up(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as half:
        half.send(request(PATH)[:-2])
        await eventually(lambda: served.worker.connections == 1)
        async with asyncio.timeout(5):
            await served.worker.drain(0)
        assert await half.is_closed()


async def test_off_means_off(serve: Serve) -> None:
    served = await serve(ECHO, edge="off")
    assert not isinstance(served.worker._edge, Edge)
    assert (await exchange(served.port, request(PATH))).status == 200


ON_UVLOOP = (
    test_the_connection_comes_back_after_every_kind_of_lent_request,
    test_aiohttp_may_lose_interest_in_a_connection_that_goes_on,
    test_a_body_may_come_later_and_slowly,
    test_answers_leave_in_order_whatever_each_waits_for,
    test_nothing_is_read_without_end_behind_a_request_that_waits,
    test_a_peer_that_reads_nothing_is_cut_off,
    test_a_slow_reader_gets_everything,
    test_what_follows_a_last_request_is_not_served,
    test_a_drain_lets_what_is_under_way_come_to_its_answer,
    partial(test_over_tls_and_behind_the_proxy_protocol_hits_are_answered_by_the_edge, Path("unused")),
)


def _name(test: Any) -> str:
    return str(getattr(test, "func", test).__name__)


@pytest.mark.parametrize("test", ON_UVLOOP, ids=_name)
def test_on_the_loop_that_serves_it_is_the_same(test: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "on") as serve:
            await (partial(test.func, tmp_path) if isinstance(test, partial) else test)(serve)

    uvloop.run(main())
