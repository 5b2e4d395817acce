"""Requests over real sockets: what the pipeline gets, and what goes back."""

import asyncio
import logging
import time

import msgspec
import pytest
from conftest import Serve
from containers import client, container, echo, tag
from raw_http import RawConnection, ask, exchange, request

from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import (
    Answer,
    Claimed,
    Cookie,
    IncomingRequest,
    OutgoingRequest,
    Pending,
    TagResult,
)
from sgtm.observability.walk import Walk

BOTH_WAYS = True
ECHO = container([client(echo, paths=("/c",))])


# -- what the pipeline gets ----------------------------------------------------------------------


async def test_path_and_query_arrive_as_they_were_on_the_wire(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    seen = (await ask(port, "/a/../b//%2f%C3%A9?x=%20+&y&&=;#z?")).json()
    assert (seen["path"], seen["query"]) == ("/a/../b//%2f%C3%A9", "x=%20+&y&&=;#z?")


async def test_header_names_are_lower_case_and_values_and_order_kept(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    lines = (
        b"GET /c HTTP/1.1",
        b"HOST: shop.example",
        b"X-B:  1 ",
        b"Cookie: a=1",
        b"x-b: \xe9",
        b"Cookie: b=2",
    )
    data = b"\r\n".join((*lines, b"", b""))
    seen = (await exchange(port, data)).json()
    assert seen["headers"] == [
        ["host", "shop.example"],
        ["x-b", "1"],
        ["cookie", "a=1"],
        ["x-b", "\xe9"],
        ["cookie", "b=2"],
    ]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_methods_and_bodies_arrive(method: str, serve: Serve) -> None:
    port = (await serve(ECHO)).port
    seen = (await ask(port, "/other", method=method, body=b"\x00\xff{}")).json()
    assert (seen["method"], seen["body"]) == (method, "\x00\xff{}")


async def test_a_compressed_body_arrives_as_it_was_on_the_wire(serve: Serve) -> None:
    """The record is the request as it came; who decompresses is the client's business."""
    port = (await serve(ECHO)).port
    seen = (
        await ask(port, "/c", method="POST", headers={"Content-Encoding": "gzip"}, body=b"not gzip")
    ).json()
    assert seen["body"] == "not gzip"


async def test_a_chunked_body_arrives_whole(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    data = b"POST /c HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    seen = (await exchange(port, data + b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n")).json()
    assert seen["body"] == "abcdefg"


async def test_moment_and_chance_are_given_at_receipt(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    before = time.time_ns() // 1000
    seen = [(await ask(port, "/c")).json() for _ in range(3)]
    assert all(before <= one["received_micros"] <= time.time_ns() // 1000 for one in seen)
    seeds = {one["seed"] for one in seen}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**64 for seed in seeds)


async def test_a_forged_forwarded_for_is_ignored_from_a_stranger(serve: Serve) -> None:
    # SPEC: R279
    port = (await serve(ECHO)).port
    forged = {"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    seen = (await ask(port, "/c", headers=forged)).json()
    assert (seen["remote_address"], seen["is_peer_trusted"]) == ("127.0.0.1", False)
    assert (seen["scheme"], seen["host"]) == ("http", "shop.example")


async def test_a_trusted_proxy_is_believed(serve: Serve) -> None:
    # SPEC: R204, R332
    port = (await serve(ECHO, trusted_proxies=("127.0.0.0/8",))).port
    told = {
        "X-Forwarded-For": "1.1.1.1, [2001:DB8::9]:5000",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "Shop.Example:443",
    }
    seen = (await ask(port, "/c", headers=told)).json()
    assert (seen["remote_address"], seen["is_peer_trusted"]) == ("2001:db8::9", True)
    assert (seen["scheme"], seen["host"]) == ("https", "shop.example")


# -- what goes back ------------------------------------------------------------------------------


async def test_every_set_cookie_line_survives(serve: Serve) -> None:
    # SPEC: R200
    cookies = (Cookie("FPID", "FPID2.2.x", 3600), Cookie("FPLC", "y", 60, is_http_only=True))
    answers = container([client(lambda _: Claimed([], Answer(200, cookies=cookies)), paths=("/c",))])
    answer = await ask((await serve(answers)).port, "/c")
    assert [line.partition("=")[0] for line in answer.all("Set-Cookie")] == ["FPID", "FPLC"]


async def test_the_answer_carries_nothing_of_the_server(serve: Serve) -> None:
    # SPEC: R201
    plain = container([client(lambda _: Claimed([], Answer(200, (("X-Own", "1"),), b"hi")))])
    answer = await ask((await serve(plain)).port, "/c")
    assert {name for name, _ in answer.headers} == {"X-Own", "Cache-Control", "Date", "Content-Length"}
    assert answer.body == b"hi"
    assert answer.header(
        "Date",
    ).endswith("GMT")  # type: ignore[union-attr]


async def test_collect_answers_are_not_cached(serve: Serve) -> None:
    # SPEC: R276, R199
    assert (await ask((await serve(ECHO)).port, "/c")).header("Cache-Control") == "no-store"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_content_has_no_length(status: int, serve: Serve) -> None:
    silent = container([client(lambda _: Claimed([], Answer(status, (), b"never sent")))])
    port = (await serve(silent)).port
    async with RawConnection(port) as connection:
        connection.send(request("/c") + request("/c"))
        for _ in range(2):
            answer = await connection.read_answer()
            assert (answer.status, answer.header("Content-Length")) == (status, None)


async def test_head_is_answered_without_a_body(serve: Serve) -> None:
    port = (await serve(ECHO)).port
    async with RawConnection(port) as connection:
        connection.send(request("/c", method="HEAD") + request("/healthz"))
        answer = await connection.read_answer(is_head=True)
        assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
        assert int(answer.header("Content-Length") or 0) > 100
        assert (await connection.read_answer()).body == b"ok"


async def test_a_component_cannot_touch_the_framing(serve: Serve) -> None:
    framing = (("Content-Length", "1"), ("Transfer-Encoding", "chunked"), ("Connection", "close"))
    port = (await serve(container([client(lambda _: Claimed([], Answer(200, framing, b"whole")))]))).port
    async with RawConnection(port) as connection:
        connection.send(request("/c") + request("/c"))
        assert [(await connection.read_answer()).body for _ in range(2)] == [b"whole", b"whole"]


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: evil=1", "a\nb", "a\x00b", "\x7f"])
async def test_a_control_character_in_a_header_never_leaves(value: str, serve: Serve) -> None:
    # SPEC: R280
    evil = container([client(lambda _: Claimed([], Answer(200, (("X-Evil", value),))))])
    answer = await ask((await serve(evil)).port, "/c")
    assert answer.status == 500
    assert answer.all("Set-Cookie") == []


async def test_an_unknown_status_is_written(serve: Serve) -> None:
    odd = container([client(lambda _: Claimed([], Answer(299, (), b"odd")))])
    answer = await ask((await serve(odd)).port, "/c")
    assert (answer.status, answer.body) == (299, b"odd")


async def test_unclaimed_is_400_and_logged_with_a_hint(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    # SPEC: R261
    only = container([client(lambda _: Claimed([], Answer(204)), paths=("/g/collect",))])
    refusing = msgspec.structs.replace(only, clients=())
    served = await serve(msgspec.structs.replace(refusing, unclaimed_status=404))
    assert (await ask(served.port, "/g/colect")).status == 404
    served = await serve(refusing)
    with caplog.at_level(logging.INFO):
        assert (await ask(served.port, "/g/colect")).status == 400
    assert served.worker.counters.value("sgtm_requests_unclaimed_total") == 1
    assert any(hasattr(record, "hint") for record in caplog.records)


async def test_a_client_that_never_answers_is_answered_by_time_out(serve: Serve) -> None:
    # SPEC: R264: 504, and the client is named
    def never(_: IncomingRequest) -> Pending:
        return Pending(asyncio.get_running_loop().create_future())

    served = await serve(container([client(never, "Stuck", claim_timeout_s=0.05)]))
    answer = await ask(served.port, "/c")
    assert (answer.status, answer.header("Cache-Control")) == (504, "no-store")
    assert served.worker.counters.value("sgtm_client_timeouts_total", "Stuck") == 1


async def test_an_exception_in_a_component_costs_that_hit_only(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(request: IncomingRequest) -> Claimed:
        if request.path == "/bad":
            raise ValueError("anna@example.com")
        return echo(request)

    port = (await serve(container([client(raising)]))).port
    async with RawConnection(port) as connection:
        for target, status in (("/bad", 400), ("/good", 200), ("/bad", 400), ("/good", 200)):
            connection.send(request(target))
            assert (await connection.read_answer()).status == status
    assert "anna" not in caplog.text


async def test_an_error_of_our_own_is_a_constant_500(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def breaks(_: IncomingRequest) -> Walk:
        raise RuntimeError("anna@example.com")

    served = await serve(ECHO, new_walk=breaks)
    async with RawConnection(served.port) as connection:
        for _ in range(2):
            connection.send(request("/c?em=anna"))
            answer = await connection.read_answer()
            assert (answer.status, answer.body) == (500, b"internal error\n")
        connection.send(request("/healthz"))
        assert (await connection.read_answer()).status == 200
    assert served.worker.counters.value("sgtm_requests_refused_total", "internal error") == 2
    assert "RuntimeError" in [getattr(record, "error", None) for record in caplog.records]
    assert "anna" not in caplog.text + str([vars(record) for record in caplog.records])


async def test_a_walk_is_kept_where_somebody_looks(serve: Serve) -> None:
    walks: list[Walk] = []

    def look(request: IncomingRequest) -> Walk | None:
        if request.path != "/c":
            return None
        walks.append(Walk())
        return walks[-1]

    port = (await serve(ECHO, new_walk=look)).port
    await ask(port, "/c")
    await ask(port, "/d")
    assert [walk.claimed_by for walk in walks] == ["Test"]


# -- the corridor as a whole ---------------------------------------------------------------------


async def test_a_hit_reaches_the_vendor_and_the_answer_does_not_wait(serve: Serve, vendor: Vendor) -> None:
    vendor.fail("/", Fault(latency_ms=300))
    claims = client(lambda _: Claimed([{"event_name": "page_view"}], Answer(204)), paths=("/c",))
    sends = tag(lambda _: TagResult((OutgoingRequest("POST", f"{vendor.url}/in", (), b"x"),)))
    port = (await serve(container([claims], [sends]))).port
    started = time.monotonic()
    assert (await ask(port, "/c")).status == 204
    assert time.monotonic() - started < 0.25
    assert [received.body for received in await vendor.wait_for(1)] == [b"x"]
