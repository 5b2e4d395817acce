"""Limits: how large and how slow a request may be. SPEC: reliability 2.4."""

import asyncio
import time

import pytest
from conftest import Serve
from containers import client, container, echo
from raw_http import RawConnection, ask, request

BOTH_WAYS = True
ECHO = container([client(echo, paths=("/g/collect", "/hook"))])
HOST = b"Host: shop.example\r\n"

WITHIN = {
    "target elsewhere": request("/" + "a" * 8191),
    "target on a named path": request("/hook?" + "a" * (16_384 - 6)),
    "one header": request("/c", headers={"X-A": "a" * (8192 - 3)}),
    "all headers": request("/c", headers={f"X-{n}": "a" * 8000 for n in range(4)}),
    "number of headers": request("/c", headers={f"X-{n}": "" for n in range(99)}),
    "collect body": request("/g/collect", method="POST", body=b"a" * 131_072),
    "other body": request("/hook", method="POST", body=b"a" * 1_048_576),
}
BEYOND = {
    "target elsewhere": (414, "long target", request("/" + "a" * 8192)),
    "target on a named path": (414, "long target", request("/hook?" + "a" * (16_385 - 6))),
    "one header": (431, "large headers", request("/c", headers={"X-A": "a" * (8193 - 3)})),
    "name of a header": (431, "large headers", request("/c", headers={"X" * 9000: "a"})),
    "all headers": (431, "large headers", request("/c", headers={f"X-{n}": "a" * 8000 for n in range(5)})),
    "number of headers": (431, "large headers", request("/c", headers={f"X-{n}": "" for n in range(100)})),
    "collect body": (413, "large body", request("/g/collect", method="POST", body=b"a" * 131_073)),
    "other body": (413, "large body", request("/hook", method="POST", body=b"a" * 1_048_577)),
}


@pytest.mark.parametrize("data", WITHIN.values(), ids=WITHIN)
async def test_what_is_within_is_served(data: bytes, serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(data)
        assert (await connection.read_answer()).status == 200


@pytest.mark.parametrize(("status", "reason", "data"), BEYOND.values(), ids=BEYOND)
async def test_what_is_beyond_is_refused_and_closed(
    status: int, reason: str, data: bytes, serve: Serve
) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        connection.send(data)
        answer = await connection.read_answer()
        assert (answer.status, answer.body) == (status, f"{reason}\n".encode())
        assert answer.header("Connection") == "close"
        assert await connection.is_closed()
    assert served.worker.counters.value("sgtm_requests_refused_total", reason) == 1


async def test_limits_hold_across_segments(serve: Serve) -> None:
    # SPEC: reliability 0.15: a line limit that looks at one segment only is none
    served = await serve(ECHO)
    for name in ("target elsewhere", "one header", "number of headers"):
        status, _, data = BEYOND[name]
        async with RawConnection(served.port) as connection:
            for start in range(0, len(data), 1000):
                connection.send(data[start : start + 1000])
                await asyncio.sleep(0.001)
            assert (await connection.read_answer()).status == status


async def test_a_declared_large_body_is_refused_before_it_is_sent(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /g/collect HTTP/1.1\r\n" + HOST + b"Content-Length: 131073\r\n\r\n")
        assert (await connection.read_answer()).status == 413


async def test_a_chunked_body_is_refused_when_it_grows_too_large(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /g/collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            connection.send(b"1000\r\n" + b"a" * 4096 + b"\r\n")
            await asyncio.sleep(0)
        assert (await connection.read_answer()).status == 413


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET /" + b"a" * 96 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "long target"),
        (b"GET /c HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 94 + b"\r\n\r\n", 431, "large headers"),
        (b"GET /c HTTP/1.1\r\n" + HOST + b"X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n\r\n", 431, "large headers"),
        (
            b"POST /g/collect HTTP/1.1\r\n" + HOST + b"Content-Length: 51\r\n\r\n" + b"a" * 51,
            413,
            "large body",
        ),
        (
            b"POST /g/collect HTTP/1.1\r\n"
            + HOST
            + b"Transfer-Encoding: chunked\r\n\r\n33\r\n"
            + b"a" * 51
            + b"\r\n0\r\n\r\n",
            413,
            "large body",
        ),
    ],
    ids=["target", "header", "number of headers", "body", "chunked body"],
)
async def test_a_limit_holds_wherever_the_request_is_cut(
    data: bytes, status: int, reason: str, serve: Serve
) -> None:
    # SPEC: reliability 0.15
    limits = {"request_line_bytes": 96, "collect_line_bytes": 96, "header_bytes": 96, "header_count": 3}
    served = await serve(ECHO, collect_body_bytes=50, connections_per_address=0, **limits)
    for cut in range(1, len(data)):
        async with RawConnection(served.port) as connection:
            connection.send(data[:cut])
            await asyncio.sleep(0.001)
            connection.send(data[cut:])
            answer = await connection.read_answer()
        assert (cut, answer.status, answer.body) == (cut, status, f"{reason}\n".encode())
        assert answer.header("Connection") == "close"
    assert served.worker.counters.value("sgtm_requests_refused_total", reason) == len(data) - 1


async def test_a_body_that_drips_is_given_up(serve: Serve) -> None:
    """The average counts, from the grace on: here 0.1 s and 1 s for each 1,000 bytes."""
    served = await serve(ECHO, body_grace_s=0.1, body_rate_bytes=1000)
    started = time.monotonic()
    async with RawConnection(served.port) as connection:
        connection.send(b"POST /hook HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")
        for _ in range(30):
            connection.send(b"a")
            await asyncio.sleep(0.01)
        answer = await connection.read_answer()
        assert time.monotonic() - started < 1
        assert await connection.is_closed()
    assert (answer.status, answer.body) == (408, b"low body rate\n")
    assert answer.header("Connection") == "close"
    assert served.worker.counters.value("sgtm_requests_refused_total", "low body rate") == 1


async def test_a_body_that_comes_at_the_rate_is_waited_for(serve: Serve) -> None:
    port = (await serve(ECHO, body_grace_s=0.1, body_rate_bytes=1000)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /hook HTTP/1.1\r\n" + HOST + b"Content-Length: 2000\r\n\r\n")
        for _ in range(4):
            connection.send(b"a" * 500)
            await asyncio.sleep(0.1)
        assert (await connection.read_answer()).status == 200


async def test_a_slow_body_is_given_up(serve: Serve) -> None:
    served = await serve(ECHO, body_timeout_s=0.1)
    started = time.monotonic()
    async with RawConnection(served.port) as connection:
        connection.send(b"POST /c HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n")
        for _ in range(20):
            connection.send(b"a")
            await asyncio.sleep(0.01)
        answer = await connection.read_answer()
    assert (answer.status, answer.body) == (408, b"slow body\n")
    assert time.monotonic() - started < 2
    assert served.worker.counters.value("sgtm_requests_refused_total", "slow body") == 1


async def test_a_large_body_has_more_time(serve: Serve) -> None:
    """10 s and 1 s for each 16 KB: here 0.1 s and 4 s for 64 KB."""
    port = (await serve(ECHO, body_timeout_s=0.1)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /hook HTTP/1.1\r\n" + HOST + b"Content-Length: 65540\r\n\r\n" + b"a" * 65_536)
        await asyncio.sleep(0.3)
        connection.send(b"bbbb")
        assert (await connection.read_answer()).status == 200


async def test_a_body_that_breaks_off_costs_nothing_else(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as connection:
        connection.send(b"POST /c HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhalf")
        await asyncio.sleep(0.05)
    assert (await ask(served.port, "/healthz")).status == 200
    for _ in range(100):
        if served.worker.counters.value("sgtm_requests_refused_total", "broken body"):
            break
        await asyncio.sleep(0.01)
    assert served.worker.counters.value("sgtm_requests_refused_total", "broken body") == 1


async def test_an_unknown_expectation_is_refused(serve: Serve) -> None:
    answer = await ask((await serve(ECHO)).port, "/c", method="POST", headers={"Expect": "tea"}, body=b"x")
    assert answer.status == 417


async def test_a_chunk_that_is_broken_later_does_not_hold_the_connection(serve: Serve) -> None:
    """aiohttp does not tell whoever reads the body: the time-out of the body ends it."""
    port = (await serve(ECHO, body_timeout_s=0.2)).port
    async with RawConnection(port) as connection:
        connection.send(b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await asyncio.sleep(0.05)
        connection.send(b"zz\r\n")
        assert (await connection.read_answer()).status in (400, 408)
        assert await connection.is_closed()
