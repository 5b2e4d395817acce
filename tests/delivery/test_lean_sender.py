"""What only the lean sender does; what all senders do is in test_sender.py, for both.

SPEC: reliability 3, rules 3, 6 and 8; design.md Delivery; R216."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop
from delivery.deliveries import exchanged, to_loopback, until
from delivery.test_egress import Answering, Listening

from sgtm.delivery import dialing, names, pool
from sgtm.delivery.answer_reader import MAX_HEAD_BYTES
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.errors import BadAnswer, ConnectFailed, Disconnected, Refused, TimedOut
from sgtm.delivery.lean_sender import LeanSender
from sgtm.messages import OutgoingRequest

TLS = Path(__file__).parent / "tls"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Script:
    """A server that runs `talk(connection number, reader, writer)` for each connection."""

    def __init__(self, talk, tls=None):
        self._talk, self._tls = talk, tls
        self.connections, self.open = 0, 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/x"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await until(lambda: not self.open)

    async def _serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        try:
            await self._talk(self.connections, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.open -= 1


async def heard(reader):
    """One request without a body, or with one of 2 bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"Content-Length: 2\r\n" in head:
        await reader.readexactly(2)
    return head


def answering(*answers):
    """Says these, one for each request, the last one for ever."""

    async def talk(number, reader, writer):
        left = list(answers)
        while True:
            await heard(reader)
            writer.write(left.pop(0) if len(left) > 1 else left[0])

    return talk


def closing_after(answer, *, by_reset=False):
    """Says it and closes the connection."""

    async def talk(number, reader, writer):
        await heard(reader)
        writer.write(answer)
        if by_reset:
            await writer.drain()
            writer.transport.abort()

    return talk


@asynccontextmanager
async def lean(**said):
    egress = said.pop("egress", None) or to_loopback()
    async with LeanSender(Credentials({}), egress, **said) as sender:
        yield sender


async def ask(sender, url, timeout_s=5.0, **said):
    send = exchanged if said.pop("starts", True) else LeanSender.send
    answer = await send(sender, OutgoingRequest(said.pop("method", "POST"), url, **said), timeout_s)
    return answer.status, answer.body


# -- a connection is kept, or not ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (OK, 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, 1),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3),
        (OK + OK, 3),
        (OK + b"\0", 3),
    ],
)
async def test_a_connection_is_used_again_only_after_one_complete_message(answer, connections):
    async with Script(answering(answer)) as server, lean() as sender:
        for _ in range(3):
            await ask(sender, server.url)
        assert server.connections == connections


async def test_an_answer_that_comes_after_the_answer_is_never_taken_for_the_next_one():
    async def talk(number, reader, writer):
        await heard(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with Script(talk) as server, lean() as sender:
        assert await ask(sender, server.url) == (200, b"ok")
        await until(lambda: not server.open)  # we have closed it
        assert await ask(sender, server.url) == (200, b"ok")
        assert server.connections == 2


async def test_head_has_no_body_and_keeps_the_connection():
    async with Script(answering(OK[:-2], OK)) as server, lean() as sender:
        assert await ask(sender, server.url, method="HEAD") == (200, b"")
        assert await ask(sender, server.url) == (200, b"ok")
        assert server.connections == 1


async def test_what_answers_head_with_a_body_is_not_asked_again_over_that_connection():
    async with Script(answering(OK)) as server, lean() as sender:
        assert await ask(sender, server.url, method="HEAD") == (200, b"")
        assert await ask(sender, server.url) == (200, b"ok")
        assert server.connections == 2


async def test_a_kept_connection_is_no_way_past_the_door():
    async with Script(answering(OK)) as server:
        url = f"http://vendor.example:{server.port}/x"
        egress = to_loopback(resolver=Answering(["127.0.0.1"]), is_airgapped=True)
        egress.use_destinations({("vendor.example", server.port)})
        async with lean(egress=egress) as sender:
            for _ in range(2):
                assert await ask(sender, url) == (200, b"ok")
            egress.use_destinations(())
            with pytest.raises(Refused, match="airgapped"):
                await ask(sender, url)
            assert server.connections == 1


async def test_a_body_without_length_ends_with_the_connection():
    async with Script(closing_after(b"HTTP/1.1 200 OK\r\n\r\nto the end")) as server, lean() as sender:
        assert await ask(sender, server.url) == (200, b"to the end")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        OK[:-1],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_an_answer_that_is_cut_off_is_a_disconnect(answer):
    async with Script(closing_after(answer)) as server, lean() as sender:
        with pytest.raises(Disconnected) as failure:
            await ask(sender, server.url)
        assert failure.value.may_have_arrived
        assert server.connections == 1, "a new connection is not tried twice"


def test_over_tls_a_body_without_length_ends_with_the_peers_word_for_it():
    # RFC 9112, 9.8. On uvloop, as in the product: asyncio's own TLS keeps the difference to itself.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "good.pem")
    answer = b"HTTP/1.1 200 OK\r\n\r\nto the end"

    async def main():
        async with lean(ca_file=str(TLS / "authority.pem")) as sender:
            async with Script(closing_after(answer), tls=context) as server:
                assert await ask(sender, server.url) == (200, b"to the end")
            async with Script(closing_after(answer, by_reset=True), tls=context) as server:
                with pytest.raises(Disconnected):
                    await ask(sender, server.url)

    uvloop.run(main())


async def test_an_answer_that_overtakes_its_request_is_the_answer_and_ends_the_connection():
    second = asyncio.Event()

    async def talk(number, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        if number == 2:
            second.set()
        await second.wait()  # the rest is never read

    async with Script(talk) as server, lean() as sender:
        assert await ask(sender, server.url, body=bytes(30_000_000)) == (413, b"")
        assert await ask(sender, server.url, body=b"ok") == (413, b"")
        assert server.connections == 2


async def test_a_head_without_end_is_bad_and_ends_the_connection():
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3 * MAX_HEAD_BYTES
    async with Script(answering(endless)) as server, lean() as sender:
        with pytest.raises(BadAnswer):
            await ask(sender, server.url)
        await until(lambda: not server.open)


# -- a kept connection that the vendor has closed --------------------------------------------------


def once_then_silent_close(first):
    """The first connection answers `first`, and closes on the next request; others answer for ever."""

    async def talk(number, reader, writer):
        await heard(reader)
        writer.write(OK)
        await writer.drain()
        if number == 1:
            await heard(reader)
            writer.write(first)
            await writer.drain()
            return
        await answering(OK)(number, reader, writer)

    return talk


@pytest.mark.parametrize("starts", [True, False])
async def test_a_request_that_met_a_closing_connection_is_sent_once_more(starts):
    async with Script(once_then_silent_close(b"")) as server, lean() as sender:
        for _ in range(3):
            assert await ask(sender, server.url, starts=starts) == (200, b"ok")
        assert server.connections == 2


@pytest.mark.parametrize(
    ("begun", "said"), [(b"", {"can_be_repeated": False}), (b"H", {}), (b"HTTP/1.1 100 Continue\r\n\r\n", {})]
)
async def test_not_if_it_cannot_be_repeated_or_an_answer_had_begun(begun, said):
    async with Script(once_then_silent_close(begun)) as server, lean() as sender:
        assert await ask(sender, server.url) == (200, b"ok")
        with pytest.raises(Disconnected):
            await ask(sender, server.url, **said)
        assert server.connections == 1


@pytest.mark.parametrize("starts", [True, False])
async def test_it_is_not_sent_a_third_time(starts):
    async def talk(number, reader, writer):
        await heard(reader)
        if number == 1:
            writer.write(OK)
            await heard(reader)

    async with Script(talk) as server, lean() as sender:
        assert await ask(sender, server.url, starts=starts) == (200, b"ok")
        with pytest.raises(Disconnected):
            await ask(sender, server.url, starts=starts)
        assert server.connections == 2


async def test_a_connection_that_was_closed_while_it_rested_is_not_used_even_by_what_cannot_be_repeated():
    async with Script(closing_after(OK)) as server, lean() as sender:
        for count in (1, 2, 3):
            assert await ask(sender, server.url, can_be_repeated=False) == (200, b"ok")
            await until(lambda: all(each.is_unused for each in sender._pools.values()))
            assert server.connections == count


# -- limits, ages, time-outs -----------------------------------------------------------------------


async def test_no_more_connections_than_allowed_and_the_others_wait_their_turn():
    async def talk(number, reader, writer):
        while True:
            await heard(reader)
            await asyncio.sleep(0.002)
            writer.write(OK)

    async with Script(talk) as server, lean(connections=3) as sender:
        answers = await asyncio.gather(*(ask(sender, server.url) for _ in range(60)))
        assert answers == [(200, b"ok")] * 60
        assert server.connections == 3


@pytest.mark.parametrize(("connections", "dialing"), [(2, 128), (100, 1)])
async def test_a_connection_that_ends_makes_place_for_who_waits(monkeypatch, connections, dialing):
    monkeypatch.setattr(pool, "MAX_DIALING", dialing)
    async with Script(closing_after(OK)) as server, lean(connections=connections) as sender:
        answers = await asyncio.gather(*(ask(sender, server.url) for _ in range(20)))
        assert answers == [(200, b"ok")] * 20


async def test_a_connection_that_is_lost_on_its_way_to_who_waits_is_not_used():
    async with Script(answering(OK)) as server, lean(connections=1) as sender:
        await ask(sender, server.url)
        (only,) = sender._pools.values()
        held = only.take()
        asking = asyncio.create_task(ask(sender, server.url, can_be_repeated=False))
        await until(lambda: only._waiters)
        only._freed(held)
        held.abort()
        assert await asking == (200, b"ok")
        assert server.connections == 2


async def test_whatever_a_resolver_raises_is_a_failed_connection():
    class Broken(Answering):
        async def resolve(self, host, port=0, family=0):
            raise RuntimeError("canary")

    async with lean(egress=to_loopback(resolver=Broken())) as sender:
        with pytest.raises(ConnectFailed) as failure:
            await ask(sender, "http://vendor.example/")
        assert failure.value.__context__ is None
        assert "canary" not in str(failure.value)


async def test_a_host_that_cannot_be_reached_fails_for_all_who_wait(monkeypatch, unused_tcp_port):
    async with lean(connections=2) as sender:
        asking = [ask(sender, f"http://127.0.0.1:{unused_tcp_port}/") for _ in range(20)]
        failures = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(one) for one in failures] == ["no connection to the host"] * 20


async def test_who_waits_too_long_for_a_connection_has_sent_nothing_and_holds_nobody_up():
    release = asyncio.Event()

    async def talk(number, reader, writer):
        while True:
            await heard(reader)
            await release.wait()
            writer.write(OK)

    async with Script(talk) as server, lean(connections=1) as sender:
        first = asyncio.create_task(ask(sender, server.url))
        await until(lambda: server.open)
        cancelled = [asyncio.create_task(ask(sender, server.url)) for _ in range(5)]
        with pytest.raises(ConnectFailed) as failure:
            await ask(sender, server.url, timeout_s=0.1)
        assert not failure.value.may_have_arrived
        last = asyncio.create_task(ask(sender, server.url))
        for task in cancelled:
            task.cancel()
        release.set()
        assert [await first, await last] == [(200, b"ok")] * 2
        assert server.connections == 1


async def test_a_request_that_is_given_up_closes_its_connection_and_frees_the_place():
    async def talk(number, reader, writer):
        await heard(reader)
        if number > 2:
            writer.write(OK)
        await reader.read()

    async with Script(talk) as server, lean(connections=1) as sender:
        with pytest.raises(TimedOut):
            await ask(sender, server.url, timeout_s=0.1)
        asking = asyncio.create_task(ask(sender, server.url))
        await until(lambda: server.connections == 2)
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await ask(sender, server.url) == (200, b"ok")


async def test_each_request_has_its_own_time_out_on_a_kept_connection():
    async def talk(number, reader, writer):
        while True:
            head = await heard(reader)
            if b"/slow" in head:
                await asyncio.sleep(0.3)
            writer.write(OK)

    async with Script(talk) as server, lean() as sender:
        slow = server.url.replace("/x", "/slow")
        assert await ask(sender, server.url, timeout_s=0.1) == (200, b"ok")
        assert await ask(sender, slow, timeout_s=20) == (200, b"ok")  # an earlier alarm is none of its
        assert await ask(sender, server.url, timeout_s=20) == (200, b"ok")
        assert server.connections == 1
        async with asyncio.timeout(10):
            with pytest.raises(TimedOut):  # nor does a later one keep it waiting
                await ask(sender, slow, timeout_s=0.1)
        assert await ask(sender, server.url) == (200, b"ok")


async def test_a_handshake_that_never_ends_is_no_connection():
    async def talk(number, reader, writer):
        await reader.read()

    async with Script(talk) as server, lean(connect_timeout_s=0.1) as sender:
        with pytest.raises(ConnectFailed, match="in time"):
            await ask(sender, server.url.replace("http:", "https:"))


async def test_connections_end_after_rest_and_at_their_age(monkeypatch):
    async with Script(answering(OK)) as server, lean() as sender:
        monkeypatch.setattr(pool, "KEPT_IDLE_S", 0.05)
        await ask(sender, server.url)
        await until(lambda: not server.open)
        monkeypatch.setattr(pool, "KEPT_IDLE_S", 30.0)
        monkeypatch.setattr(pool, "MAX_AGE_S", 0.0)
        for _ in range(3):
            await ask(sender, server.url)
        assert server.connections == 4


async def test_a_name_is_asked_for_once_by_all_and_again_after_its_time(monkeypatch):
    resolver = Answering(["127.0.0.1"], ["127.0.0.2"])
    monkeypatch.setattr(pool, "MAX_AGE_S", 0.0)  # each request connects
    async with Listening() as first, Listening("127.0.0.2", first.port) as second:
        url = f"http://vendor.example:{first.port}/"
        egress = to_loopback(resolver=resolver)
        egress.use_destinations({("vendor.example", first.port)})
        async with lean(egress=egress) as sender:
            await asyncio.gather(*(ask(sender, url) for _ in range(20)))
            assert resolver.asked == ["vendor.example"]
            monkeypatch.setattr(names, "DNS_CACHE_S", -1.0)
            sender._dialer.names._kept.clear()
            await ask(sender, url)
            await ask(sender, url)
            assert len(resolver.asked) == 3
        assert (first.connections, second.connections) == (20, 2)


async def test_pools_that_hold_nothing_are_forgotten(monkeypatch):
    monkeypatch.setattr("sgtm.delivery.lean_sender.MAX_UNUSED_POOLS", 10)
    async with Script(closing_after(OK)) as server:
        egress = to_loopback(resolver=Answering(["127.0.0.1"]))
        async with lean(egress=egress) as sender:
            for number in range(50):
                await ask(sender, server.url.replace("127.0.0.1", f"host-{number}.example"))
                await until(lambda: not server.open)
            assert len(sender._pools) <= 11


async def test_closing_ends_what_is_under_way_and_leaves_nothing(monkeypatch):
    async def talk(number, reader, writer):
        await reader.read()

    before = asyncio.all_tasks()
    async with Script(talk) as server:
        sender = LeanSender(Credentials({}), to_loopback(), connections=2)
        asking = [asyncio.create_task(ask(sender, server.url)) for _ in range(6)]
        await until(lambda: server.open == 2)
        await sender.close()
        failures = await asyncio.gather(*asking, return_exceptions=True)
        assert sorted(type(one).__name__ for one in failures) == ["ConnectFailed"] * 4 + ["Disconnected"] * 2
        with pytest.raises(ConnectFailed, match="closed"):
            await ask(sender, server.url)
    await until(lambda: asyncio.all_tasks() <= before)


# -- a proxy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    [
        b"HTTP/1.1 200 OK\r\n\r\nmore",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * dialing.MAX_PROXY_HEAD_BYTES,
        b"garbage\r\n\r\n",
        b"HTTP/1.1 407 Who\r\n\r\n",
        b"",
    ],
)
async def test_a_proxy_that_makes_no_plain_tunnel_is_no_connection(says):
    async def talk(number, reader, writer):
        assert (await heard(reader)).startswith(b"CONNECT vendor.example:443 HTTP/1.1\r\n")
        writer.write(says)

    async with Script(talk) as server:
        egress = to_loopback(proxy=f"http://127.0.0.1:{server.port}")
        async with lean(egress=egress) as sender:
            with pytest.raises(ConnectFailed, match="egress proxy"):
                await ask(sender, "https://vendor.example/canary")


async def test_text_that_is_none_is_refused():
    async with lean() as sender:
        with pytest.raises(Refused, match="no text"):
            await ask(sender, "http://127.0.0.1/", headers=(("X", "\ud800"),))
