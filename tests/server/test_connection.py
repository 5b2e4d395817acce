"""Connections: keep-alive, pipelining, pieces, and what is said about malformed requests."""

import asyncio
import logging

import pytest
from aiohttp import http_parser
from conftest import Serve
from containers import client, container, echo
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import RawConnection, ask, exchange, request

from sgtm.errors import SettingsError
from sgtm.server.connection import http_date, require_compiled_parser

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
    monkeypatch.setattr("sgtm.server.connection.time.time", lambda: 1_764_000_000.9)
    assert http_date() == "Mon, 24 Nov 2025 16:00:00 GMT"
    monkeypatch.setattr("sgtm.server.connection.time.time", lambda: 1_764_000_001.0)
    assert http_date() == "Mon, 24 Nov 2025 16:00:01 GMT"


def test_it_does_not_start_without_the_compiled_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    # SPEC: reliability 0.14
    require_compiled_parser()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(SettingsError, match="compiled parser"):
        require_compiled_parser()
