"""The life of a worker: bind, start, drain."""

import asyncio
import errno
import logging
import os
import socket
import time
from contextlib import suppress

import pytest
from conftest import Serve
from containers import client, container, echo, tag
from raw_http import RawConnection, ask, request

from sgtm.demo.vendor import Fault, Vendor
from sgtm.errors import SettingsError
from sgtm.messages import Answer, Claimed, OutgoingRequest
from sgtm.server.listening import AddressInUse, bind
from sgtm.server.worker import Worker
from sgtm.settings import Settings

ECHO = container([client(echo, paths=("/c",))])
COLLECTS = client(lambda _: Claimed([{"event_name": "x"}], Answer(204)), paths=("/c",))


def test_a_port_in_use_is_an_error_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressInUse, match="port"):
        bind(Settings(host="127.0.0.1", port=taken.getsockname()[1]))


@pytest.mark.parametrize("host", ["no-such-name.example", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_a_mistake_in_the_settings(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        bind(Settings(host=host, port=0))
    assert host in caught.value.where
    assert caught.value.mend


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


async def test_the_url_names_where_it_listens(serve: Serve) -> None:
    served = await serve(ECHO)
    assert served.url == f"http://127.0.0.1:{served.port}"
    if _has_ipv6():
        served = await serve(ECHO, host="::1")
        assert served.url == f"http://[::1]:{served.port}"


async def test_a_started_worker_is_ready_and_a_drained_one_does_not_listen(serve: Serve) -> None:
    served = await serve(ECHO)
    assert (await ask(served.port, "/ready")).status == 200
    await served.worker.drain(0)
    with pytest.raises(ConnectionRefusedError):
        await ask(served.port, "/ready")
    await served.worker.drain(0)


async def test_a_drain_goes_on_serving_for_its_delay(serve: Serve) -> None:
    served = await serve(ECHO)
    draining = asyncio.create_task(served.worker.drain(0.3))
    await asyncio.sleep(0.05)
    answer = await ask(served.port, "/c")
    assert (answer.status, answer.header("Connection")) == (200, "close")
    assert (await ask(served.port, "/ready")).status == 503
    assert not draining.done()
    await draining


async def test_a_drain_ends_idle_connections_and_finishes_what_is_under_way(serve: Serve) -> None:
    served = await serve(ECHO)
    async with RawConnection(served.port) as idle, RawConnection(served.port) as busy:
        idle.send(request("/c"))
        await idle.read_answer()
        whole = request("/c", method="POST", body=b"x" * 10)
        busy.send(whole[:-5])
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(served.worker.drain(0))
        await asyncio.sleep(0.05)
        busy.send(whole[-5:])
        assert (await busy.read_answer()).json()["body"] == "x" * 10
        assert await busy.is_closed()
        assert await idle.is_closed()
    await draining


async def test_connections_that_nobody_accepted_yet_are_served_at_the_end(serve: Serve) -> None:
    # SPEC: reliability 6, drain: closing a listening socket resets what waits in the kernel's queue.
    served = await serve(ECHO)
    waiting: list[socket.socket] = []

    def connect() -> None:
        for _ in range(20):
            waiting.append(socket.create_connection(("127.0.0.1", served.port), timeout=5))
            waiting[-1].sendall(request("/c"))

    asyncio.get_running_loop().call_soon(connect)  # runs after the drain began, right before its next step
    await served.worker.drain(0)
    for connection in waiting:
        with connection:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


async def test_a_requester_that_never_finishes_does_not_hold_up_the_end(serve: Serve) -> None:
    served = await serve(ECHO, drain_timeout_s=0.2)
    async with RawConnection(served.port) as connection:
        connection.send(request("/c", method="POST", body=b"x" * 10)[:-5])
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await served.worker.drain(0)
        assert time.monotonic() - started < 2


async def test_requests_that_do_not_end_have_one_time_out_in_all(serve: Serve) -> None:
    # SPEC: reliability 6: requests under way have so long; a supervisor kills a worker that takes longer
    served = await serve(ECHO, drain_timeout_s=1.0)
    async with RawConnection(served.port) as connection:
        connection.send(b"POST /c HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 60000\r\n\r\n")

        async def drip() -> None:
            with suppress(ConnectionError):
                while True:
                    connection.send(b"x" * 200)
                    await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        await asyncio.sleep(0.2)
        started = time.monotonic()
        await served.worker.drain(0)
        took_s = time.monotonic() - started
        dripping.cancel()
    assert 0.9 < took_s < 1.9


async def test_a_drain_lets_the_lanes_deliver(serve: Serve, vendor: Vendor) -> None:
    vendor.fail("/", Fault(latency_ms=200))
    sends = tag(lambda _: [OutgoingRequest("POST", f"{vendor.url}/in")])
    served = await serve(container([COLLECTS], [sends]))
    for _ in range(5):
        assert (await ask(served.port, "/c")).status == 204
    await served.worker.drain(0)
    assert len(vendor.requests("/in")) == 5
    assert (len(served.worker.outbox), served.worker.lanes.pending) == (0, 0)


async def test_what_is_left_over_is_said(
    serve: Serve, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.fail("/", Fault(status=503))
    sends = tag(lambda _: [OutgoingRequest("POST", f"{vendor.url}/in")])
    served = await serve(container([COLLECTS], [sends]), drain_timeout_s=0.1)
    await ask(served.port, "/c")
    with caplog.at_level(logging.WARNING):
        await served.worker.drain(0)
    said = [record for record in caplog.records if getattr(record, "deliveries", 0) == 1]
    assert [record.name for record in said] == ["sgtm.server"]


async def test_two_workers_share_nothing(serve: Serve) -> None:
    """State belongs to a slot: a supervisor can run several."""
    first, second = await serve(ECHO), await serve(ECHO)
    await ask(first.port, "/c")
    await first.worker.drain(0)
    assert (await ask(second.port, "/c")).status == 200
    counted = [one.worker.counters.value("sgtm_requests_claimed_total", "Test") for one in (first, second)]
    assert counted == [1, 1]


async def test_nothing_is_left_open_when_a_worker_has_ended() -> None:
    before = len(os.listdir("/proc/self/fd"))
    settings = Settings(outbox="memory", host="127.0.0.1", port=0)
    for _ in range(3):
        with bind(settings) as listening:
            worker = Worker(ECHO, settings, listening)
            await worker.start()
            await ask(int(worker.url.rpartition(":")[2]), "/c")
            await worker.drain(0)
    await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_released_worker_leaves_the_queue_and_serves_each_connection_once_more(serve: Serve) -> None:
    """What a rolling restart asks of the old worker."""
    served = await serve(ECHO)
    async with RawConnection(served.port) as kept:
        kept.send(request("/c"))
        assert (await kept.read_answer()).header("Connection") is None
        with socket.socket(fileno=os.dup(served.worker._listening.fileno())) as shared:
            await served.worker.release()
            draining = asyncio.create_task(served.worker.drain(10))
            late = socket.create_connection(("127.0.0.1", served.port), timeout=5)
            await asyncio.sleep(0.2)
            shared.setblocking(False)
            shared.accept()[0].close()  # it waited for whoever has the socket now
            late.close()
        kept.send(request("/c"))
        answer = await kept.read_answer()
        assert (answer.status, answer.header("Connection")) == (200, "close")
    async with asyncio.timeout(5):
        await draining  # no connection is left: the rest of the delay is not waited for
