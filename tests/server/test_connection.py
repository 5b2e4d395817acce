"""Connections: keep-alive, pipelining, pieces, and what is said about malformed requests."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from aiohttp import http_parser
from conftest import Serve, Served
from containers import client, container, echo
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import RawAnswer, RawConnection, ask, exchange, request

from sgtm.errors import SettingsError
from sgtm.messages import Answer, Claimed, IncomingRequest, Pending
from sgtm.server.connection import require_compiled_parser
from sgtm.server.written import http_date

BOTH_WAYS = True
ECHO = container([client(echo, paths=("/g/collect",))])
HOST = b"Host: shop.example\r\n"


async def test_a_connection_carries_many_requests(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        for number in range(20):
            connection.send(request(f"/c?n={number}"))
            answer = await connection.read_answer()
            assert answer.header("Connection") is None
            assert answer.json()["query"] == f"n={number}"


async def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(
            b"".join(request(f"/c?n={number}", method="POST", body=b"x" * number) for number in range(1, 101))
        )
        for number in range(1, 101):
            seen = (await connection.read_answer()).json()
            assert (seen["query"], len(seen["body"])) == (f"n={number}", number)


async def test_a_request_cut_at_every_byte_is_the_same_request(serve: Serve) -> None:
    # SPEC: reliability 2.2 class 8
    port = (await serve(ECHO)).port
    data = request("/g/collect?v=2", method="POST", headers={"X-A": "b"}, body=b"en=x")
    async with RawConnection(port) as connection:
        for cut in range(1, len(data)):
            connection.send(data[:cut])
            await asyncio.sleep(0)
            await connection.writer.drain()
            await asyncio.sleep(0.001)
            connection.send(data[cut:])
            seen = (await connection.read_answer()).json()
            assert (seen["query"], seen["body"], len(seen["headers"])) == ("v=2", "en=x", 3)


async def test_close_is_honoured(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(request("/c", headers={"Connection": "close"}))
        assert (await connection.read_answer()).header("Connection") == "close"
        assert await connection.is_closed()


@pytest.mark.parametrize(("header", "stays"), [(b"", False), (b"Connection: keep-alive\r\n", True)])
async def test_http_1_0_closes_unless_asked(header: bytes, stays: bool, serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(b"GET /c HTTP/1.0\r\n" + header + b"\r\n")
        answer = await connection.read_answer()
        assert (answer.status, answer.json()["host"]) == (200, "")
        assert answer.header("Connection") == ("keep-alive" if stays else "close")
        assert await connection.is_closed(0.2) is not stays


async def test_an_idle_connection_is_closed(serve: Serve) -> None:
    port = (await serve(ECHO, keepalive_s=0.1)).port
    async with RawConnection(port) as connection:
        connection.send(request("/c"))
        await connection.read_answer()
        assert await connection.is_closed(2)


async def test_a_body_that_is_waited_for_is_asked_for(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /c HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nExpect: 100-Continue\r\n\r\n")
        assert (await connection.read_answer()).status == 100
        connection.send(b"body")
        answer = await connection.read_answer()
        assert (answer.status, answer.json()["body"]) == (200, "body")


async def test_an_upgrade_is_declined_and_the_connection_goes_on(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(request("/c?1", headers={"Upgrade": "websocket", "Connection": "upgrade"}))
        connection.send(request("/c?2"))
        assert [(await connection.read_answer()).json()["query"] for _ in range(2)] == ["1", "2"]


MALFORMED = {
    # SPEC: reliability 2.2, classes 1 to 7
    "nonsense": b"NONSENSE\r\n\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03secret-bytes\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case method": b"get /secret-bytes HTTP/1.1\r\n" + HOST + b"\r\n",
    "two lengths": b"POST /c HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length and chunks": b"POST /c HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "signed length": b"POST /c HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nhello",
    "hexadecimal length": b"POST /c HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\nhello",
    "unknown transfer coding": b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "space before the colon": b"GET /c HTTP/1.1\r\n" + HOST + b"Secret-Bytes : 1\r\n\r\n",
    "folded header": b"GET /c HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n secret-bytes\r\n\r\n",
    "bare line feed": b"GET /c HTTP/1.1\n" + HOST + b"\n",
    "NUL in a value": b"GET /c HTTP/1.1\r\n" + HOST + b"X-A: secret\x00bytes\r\n\r\n",
    "no host": b"GET /c HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /c HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "host with a path": b"GET /c HTTP/1.1\r\nHost: shop.example/secret-bytes\r\n\r\n",
    "host list": b"GET /c HTTP/1.1\r\nHost: shop.example, secret-bytes\r\n\r\n",
    "absolute form": b"GET http://evil.example/secret-bytes HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority form": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw byte in the target": b"GET /c?\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /c secret-bytes HTTP/1.1\r\n" + HOST + b"\r\n",
    "bad chunk size": b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "line feed in a chunk extension": b"POST /c HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_refused_and_learns_nothing(
    data: bytes, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(ECHO)
    with caplog.at_level(logging.DEBUG):
        async with RawConnection(served.port) as connection:
            connection.send(data)
            answer = await connection.read_answer()
            assert (answer.status, answer.body) == (400, b"malformed request\n")
            assert {name for name, _ in answer.headers} == {
                "Cache-Control",
                "Content-Type",
                "Date",
                "Content-Length",
                "Connection",
            }
            assert await connection.is_closed()
    assert served.worker.counters.value("sgtm_requests_refused_total", "malformed request") == 1
    logged = caplog.text + str([vars(record) for record in caplog.records if record.name != "asyncio"])
    assert "secret" not in logged.lower()


async def test_another_version_of_http_is_refused(serve: Serve) -> None:
    answer = await exchange((await serve(ECHO)).port, b"GET /c HTTP/2.0\r\n" + HOST + b"\r\n")
    assert (answer.status, answer.header("Connection")) == (505, "close")


async def test_no_bytes_bring_the_worker_down(serve: Serve) -> None:
    port = (await serve(ECHO, body_timeout_s=0.05)).port
    good = request("/c", method="POST", headers={"X-A": "b"}, body=b"hello")
    mutation = st.tuples(st.integers(0, len(good)), st.integers(0, 4), st.binary(max_size=4))

    async def survives(data: bytes) -> None:
        async with RawConnection(port) as connection:
            connection.send(data)
            connection.writer.write_eof()
            try:
                async with asyncio.timeout(5):
                    while await connection.reader.read(65_536):
                        pass
            except ConnectionError:
                pass
        assert (await ask(port, "/healthz")).status == 200

    loop = asyncio.get_running_loop()

    @settings(max_examples=100)
    @given(st.lists(mutation, min_size=1, max_size=4))
    def mutate(mutations: list[tuple[int, int, bytes]]) -> None:
        data = good
        for at, length, insert in mutations:
            data = data[:at] + insert + data[at + length :]
        asyncio.run_coroutine_threadsafe(survives(data), loop).result(10)

    await asyncio.to_thread(mutate)


def test_the_date_is_that_of_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgtm.server.written.time.time", lambda: 1_764_000_000.9)
    assert http_date() == "Mon, 24 Nov 2025 16:00:00 GMT"
    monkeypatch.setattr("sgtm.server.written.time.time", lambda: 1_764_000_001.0)
    assert http_date() == "Mon, 24 Nov 2025 16:00:01 GMT"


def test_it_does_not_start_without_the_compiled_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: reliability 0.14
    require_compiled_parser()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(SettingsError, match="compiled parser"):
        require_compiled_parser()


# -- limits that aiohttp does not have: SPEC reliability 2.4 ---------------------------------------


def _closed(served: Served, reason: str) -> int:
    return served.worker.counters.value("sgtm_connections_closed_total", reason)


async def test_a_head_that_is_never_finished_is_given_up_wherever_it_ends(serve: Serve) -> None:
    served = await serve(ECHO, head_timeout_s=0.2, connections_per_address=0)
    data = request("/g/collect?secret", headers={"X-Secret": "secret"})

    async def begin(length: int) -> RawAnswer:
        async with RawConnection(served.port) as connection:
            connection.send(data[:length])
            answer = await connection.read_answer()
            assert await connection.is_closed()
            return answer

    answers = await asyncio.gather(*(begin(length) for length in range(1, len(data))))
    assert {(answer.status, answer.body) for answer in answers} == {(408, b"slow head\n")}
    names = {name for name, _ in answers[0].headers}
    assert names == {"Cache-Control", "Content-Type", "Date", "Content-Length", "Connection"}
    assert {answer.header("Connection") for answer in answers} == {"close"}
    assert served.worker.counters.value("sgtm_requests_refused_total", "slow head") == len(data) - 1


async def test_the_time_for_a_head_is_one_for_all_its_bytes(serve: Serve) -> None:
    """A drip does not begin it anew: here a byte every 20 ms."""
    port = (await serve(ECHO, head_timeout_s=0.2)).port
    started = time.monotonic()
    async with RawConnection(port) as connection:
        answer = asyncio.ensure_future(connection.read_answer())
        for byte in request("/c", headers={"X-A": "a" * 200}):
            connection.send(bytes((byte,)))
            await asyncio.wait({answer}, timeout=0.02)
            if answer.done():
                break
        assert (await answer).status == 408
    assert 0.15 < time.monotonic() - started < 1


async def test_a_second_head_is_timed_like_the_first(serve: Serve) -> None:
    port = (await serve(ECHO, head_timeout_s=0.1)).port
    async with RawConnection(port) as connection:
        connection.send(request("/c", method="POST", body=b"x" * 10))
        assert (await connection.read_answer()).status == 200
        await asyncio.sleep(0.2)
        connection.send(b"GET /c")
        assert (await connection.read_answer()).status == 408
        assert await connection.is_closed()


async def test_the_time_for_a_head_counts_for_nothing_else(serve: Serve) -> None:
    """Neither a slow body, nor one that nobody reads, nor a slow answer, nor an idle connection."""

    async def claim_later() -> Claimed:
        await asyncio.sleep(0.3)
        return Claimed([], Answer(200, (), b"at last"))

    def slow(request: IncomingRequest) -> Claimed | Pending:
        return Pending(asyncio.ensure_future(claim_later())) if request.path == "/slow" else echo(request)

    served = await serve(container([client(slow)]), head_timeout_s=0.1)
    async with RawConnection(served.port) as connection:
        for target in ("/c", "/healthz"):
            whole = request(target, method="POST", body=b"x" * 20)
            connection.send(whole[:-10])
            await asyncio.sleep(0.15)
            connection.send(whole[-10:-5])
            await asyncio.sleep(0.15)
            connection.send(whole[-5:])
            assert (await connection.read_answer()).status == 200
            await asyncio.sleep(0.2)
        connection.send(request("/slow"))
        await asyncio.sleep(0.02)
        connection.send(request("/c")[:10])
        await asyncio.sleep(0.15)
        connection.send(request("/c")[10:])
        assert [(await connection.read_answer()).status for _ in range(2)] == [200, 200]
    assert served.worker.counters.value("sgtm_requests_refused_total", "slow head") == 0


async def test_the_body_of_a_request_that_waits_for_its_turn_is_no_head(serve: Serve) -> None:
    gate: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
    waits = client(lambda request: Pending(gate) if request.path == "/slow" else echo(request))
    served = await serve(container([waits]), head_timeout_s=0.1)
    whole = request("/c", method="POST", body=b"x" * 20)
    async with RawConnection(served.port) as connection:
        connection.send(request("/slow") + whole[:-10])
        await asyncio.sleep(0.05)
        connection.send(whole[-10:-5])
        await asyncio.sleep(0.05)
        gate.set_result(Claimed([], Answer(200, (), b"")))
        await asyncio.sleep(0.05)
        connection.send(whole[-5:])
        assert [(await connection.read_answer()).status for _ in range(2)] == [200, 200]
        await asyncio.sleep(0.2)
    assert served.worker.counters.value("sgtm_requests_refused_total", "slow head") == 0


async def test_the_smallest_unread_rest_of_an_answer_is_noticed(serve: Serve) -> None:
    """aiohttp's connections notice it from 64 KiB on, and close for ever on less."""
    served = await serve(ECHO)
    assert served.worker._listener is not None
    async with RawConnection(served.port) as connection:
        connection.send(request("/c"))
        await connection.read_answer()
        (ours,) = served.worker._listener.connections
        assert ours.transport is not None
        assert ours.transport.get_write_buffer_limits() == (0, 0)


async def test_a_connection_ends_after_its_number_of_requests(serve: Serve) -> None:
    served = await serve(ECHO, connection_requests=3)
    async with RawConnection(served.port) as connection:
        for said in (None, None, "close"):
            connection.send(request("/c"))
            assert (await connection.read_answer()).header("Connection") == said
        assert await connection.is_closed()
    assert _closed(served, "requests") == 1


async def test_pipelined_requests_beyond_the_number_are_not_served(serve: Serve) -> None:
    served = await serve(ECHO, connection_requests=3)
    async with RawConnection(served.port) as connection:
        connection.send(request("/c") * 5)
        answers = [await connection.read_answer() for _ in range(3)]
        assert [answer.header("Connection") for answer in answers] == [None, None, "close"]
        assert await connection.is_closed()
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 3


async def test_a_connection_ends_at_its_age(serve: Serve) -> None:
    served = await serve(ECHO, connection_age_s=0.2)
    async with RawConnection(served.port) as connection:
        connection.send(request("/c"))
        assert (await connection.read_answer()).header("Connection") is None
        await asyncio.sleep(0.25)
        connection.send(request("/c"))
        answer = await connection.read_answer()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert await connection.is_closed()
    assert _closed(served, "age") == 1


LARGE = b"x" * (8 * 1024 * 1024)
"""More than the kernel keeps for a connection that nobody reads."""


def _large_answers(request: IncomingRequest) -> Claimed:
    return Claimed([], Answer(200, (), LARGE if request.path == "/large" else b"small"))


async def test_an_answer_that_nobody_reads_is_given_up(serve: Serve) -> None:
    served = await serve(container([client(_large_answers)]), write_timeout_s=0.2)
    with _slow_reader(served.port) as peer:
        peer.sendall(request("/large"))
        await _until(lambda: _closed(served, "nobody reads") == 1)
        assert await _read_all(peer) < len(LARGE)
    assert (await ask(served.port, "/c")).body == b"small"


async def test_a_last_answer_that_nobody_reads_does_not_hold_the_connection(serve: Serve) -> None:
    """Closing waits for what is still to be sent: for ever, if nobody gives up."""
    served = await serve(container([client(_large_answers)]), write_timeout_s=0.2)
    with _slow_reader(served.port) as peer:
        peer.sendall(request("/large", headers={"Connection": "close"}))
        await _until(lambda: _closed(served, "nobody reads") == 1)
        await _until(lambda: served.worker._admission.open == 0)


async def test_who_reads_slowly_gets_the_whole_answer(serve: Serve) -> None:
    served = await serve(container([client(_large_answers)]), write_timeout_s=1.0)
    with _slow_reader(served.port) as peer:
        peer.sendall(request("/large", headers={"Connection": "close"}))
        assert await _read_all(peer, pause_s=0.02) > len(LARGE)
    assert _closed(served, "nobody reads") == 0


async def test_who_pipelines_without_end_is_not_read_without_end(serve: Serve) -> None:
    # SPEC: reliability 0.15 (CVE-2026-54273) and 2.4: 32 unanswered requests, then no more is read
    gate: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
    served = await serve(container([client(lambda _: Pending(gate))]))
    assert served.worker._listener is not None
    with _slow_reader(served.port) as peer:
        block = request("/c") * 1000
        sent = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while sent < 64 * 1024 * 1024:
                    await asyncio.get_running_loop().sock_sendall(peer, block)
                    sent += len(block)
        assert sent < 64 * 1024 * 1024
        (connection,) = served.worker._listener.connections
        assert len(connection._messages) <= 32
    gate.set_result(Claimed([], Answer(204)))


def _slow_reader(port: int) -> socket.socket:
    """A connection with a small window, which nobody reads unless told."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    peer.connect(("127.0.0.1", port))
    peer.setblocking(False)
    return peer


async def _read_all(peer: socket.socket, pause_s: float = 0.0) -> int:
    """How many bytes come up to the end, or a reset."""
    got = 0
    with suppress(ConnectionError):
        while data := await asyncio.get_running_loop().sock_recv(peer, 512 * 1024):
            got += len(data)
            await asyncio.sleep(pause_s)
    return got


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.01)


async def test_pipelined_requests_wait_unread_and_are_answered_in_order(serve: Serve) -> None:
    # SPEC: reliability 2.4 (pipelined, unanswered: 32, stop reading); aiohttp CVE-2026-54273
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        connection.send(b"POST /c?0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
        connection.send(b"".join(request(f"/c?{n}") for n in range(1, 200)))
        most = 0
        for number in range(200):
            assert (await connection.read_answer()).json()["query"] == str(number)
            held = next(iter(served.worker._listener.connections))
            most = max(most, held._request_count - held._begun)
    assert 1 < most <= 33


async def test_requests_behind_a_body_that_comes_late_are_all_answered(serve: Serve) -> None:
    """Many of them: aiohttp stops reading after 32 and would forget to go on."""
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /c?0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        await asyncio.sleep(0.05)
        connection.send(b"a" + b"".join(request(f"/c?{n}") for n in range(1, 200)))
        async with asyncio.timeout(10):
            for number in range(200):
                assert (await connection.read_answer()).json()["query"] == str(number)
