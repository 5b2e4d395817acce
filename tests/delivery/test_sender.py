import asyncio
import gc
import ssl
from pathlib import Path

import pytest
import uvloop
from delivery import deliveries
from delivery.deliveries import TOKEN, literal, to_loopback, until

from sgtm.delivery.credentials import Credentials
from sgtm.delivery.errors import (
    BadAnswer,
    ConnectFailed,
    CredentialMissing,
    Disconnected,
    Refused,
    SendError,
    TimedOut,
)
from sgtm.delivery.http_sender import MAX_KEPT_BYTES
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import CredentialUse, OutgoingRequest

pytestmark = pytest.mark.usefixtures("each_sender")

# SPEC: reliability 1.4 fault 11 (vendor faults), 3 rules 4, 6, 7, 8, 9.
TLS = Path(__file__).parent / "tls"


def post(url, **said):
    return OutgoingRequest("POST", url, **said)


@pytest.fixture
async def sender():
    async with deliveries.new_sender(
        Credentials(literal(META_TOKEN="canary-token", API="canary&secret")),
        to_loopback(),
        connect_timeout_s=20.0,
    ) as running:
        yield running


class RawVendor:
    """A server that says exactly these bytes to each request, and keeps what it was sent."""

    def __init__(self, answer):
        self.answer, self.heard, self.connections = answer, b"", 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, reader, writer):
        self.connections += 1
        try:
            while chunk := await reader.read(65_536):
                self.heard += chunk
                writer.write(self.answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_exactly_what_was_asked_goes_to_the_socket(sender):
    async with RawVendor(OK) as vendor:
        use = CredentialUse("API", "query", "api_secret")
        headers = (("Content-Type", "text/plain"), ("User-Agent", "Browser/1"))
        answer = await sender.send(
            post(vendor.url + "/c?dt=a%2Fb+c", headers=headers, body=b"hi", credential=use), 2
        )
        head, _, body = vendor.heard.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /c?dt=a%2Fb+c&api_secret=canary%26secret HTTP/1.1"
        assert sorted(lines[1:]) == sorted(
            [
                f"Host: {vendor.url.removeprefix('http://')}",
                "Content-Type: text/plain",
                "User-Agent: Browser/1",
                "Accept: */*",
                "Content-Length: 2",
            ]
        )
        assert body == b"hi"
        assert (answer.status, answer.body, answer.header("content-length")) == (200, b"ok", "2")


async def test_the_secret_stands_in_the_header_and_the_connection_is_kept(sender, vendor):
    for _ in range(3):
        await sender.send(post(vendor.url + "/x", credential=TOKEN), 2)
    assert [received.header("authorization") for received in vendor.received] == ["Bearer canary-token"] * 3


async def test_connections_are_reused_and_cookies_are_not_kept(sender):
    async with RawVendor(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n") as vendor:
        for _ in range(5):
            assert (await sender.send(post(vendor.url), 2)).status == 204
        assert vendor.connections == 1
        assert b"ookie" not in vendor.heard


async def test_redirects_are_answers_and_not_followed(sender, vendor):
    vendor.fail("/from", Fault(status=302, headers=(("Location", vendor.url + "/to"),)))
    assert (await sender.send(post(vendor.url + "/from"), 2)).status == 302
    assert [received.path for received in vendor.received] == ["/from"]


async def test_informational_answers_are_passed_over(sender):
    async with RawVendor(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK) as vendor:
        assert (await sender.send(post(vendor.url), 2)).body == b"ok"


async def test_what_was_not_asked_to_be_compressed_is_not_unpacked(sender, vendor):
    bomb = b"\x1f\x8b not really gzip"
    vendor.fail("/", Fault(status=200, headers=(("Content-Encoding", "gzip"),), body=bomb))
    assert (await sender.send(post(vendor.url + "/"), 2)).body == bomb


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(latency_ms=30_000), TimedOut),
        (Fault(breaks="before answering"), TimedOut),
        (Fault(breaks="after headers"), TimedOut),
        (Fault(breaks="half body"), Disconnected),
        (Fault(breaks="reset"), Disconnected),
    ],
)
async def test_a_vendor_that_breaks_off_raises_its_error(sender, vendor, fault, error):
    vendor.fail("/x", fault)
    with pytest.raises(error) as failure:
        await sender.send(post(vendor.url + "/x"), 0.3)
    assert failure.value.may_have_arrived
    assert failure.value.is_transient
    vendor.fail("/x", None)
    assert (await sender.send(post(vendor.url + "/x"), 2)).status == 204, "the pool is well afterwards"


@pytest.mark.parametrize(
    "answer",
    [
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_with_two_meanings_or_none_is_a_bad_answer(sender, answer):
    async with RawVendor(answer) as vendor:
        with pytest.raises(BadAnswer) as failure:
            await sender.send(post(vendor.url), 2)
        assert failure.value.may_have_arrived


async def test_a_connection_that_was_closed_after_its_last_use_is_a_disconnect_and_then_heals(sender, vendor):
    vendor.fail("/x", Fault(breaks="close after", times=1))
    assert (await sender.send(post(vendor.url + "/x"), 2)).status == 204
    with pytest.raises(Disconnected):
        await sender.send(post(vendor.url + "/x", can_be_repeated=False), 2)
    assert (await sender.send(post(vendor.url + "/x"), 2)).status == 204


async def test_no_more_than_a_megabyte_is_kept_and_a_body_without_end_is_cut_off(sender, vendor):
    vendor.fail("/big", Fault(status=200, body=bytes(2 * MAX_KEPT_BYTES)))
    assert len((await sender.send(post(vendor.url + "/big"), 5)).body) == MAX_KEPT_BYTES
    vendor.fail("/bomb", Fault(breaks="chunk bomb"))
    answer = await sender.send(post(vendor.url + "/bomb"), 5)
    assert (answer.status, len(answer.body)) == (200, MAX_KEPT_BYTES)


async def test_nobody_listening_and_unknown_names_are_failed_connections(sender, unused_tcp_port):
    for url in (f"http://127.0.0.1:{unused_tcp_port}/", "http://no-such-host.invalid/"):
        with pytest.raises(ConnectFailed) as failure:
            await sender.send(post(url), 2)
        assert not failure.value.may_have_arrived
        assert failure.value.is_transient


async def test_what_breaks_our_own_rules_never_leaves(sender, vendor):
    with pytest.raises(Refused) as refused:
        await sender.send(post(vendor.url, headers=(("Host", "x"),)), 2)
    assert not refused.value.is_transient
    with pytest.raises(CredentialMissing):
        await sender.send(post(vendor.url, credential=CredentialUse("UNSET", "header", "Authorization")), 2)
    assert not vendor.received


def vendor_with(certificate, **limits):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{certificate}.pem")
    for name, value in limits.items():
        setattr(context, name, value)
    return Vendor(tls=context)


async def tls_status(vendor, ca_file=TLS / "authority.pem"):
    async with (
        vendor,
        deliveries.new_sender(Credentials({}), to_loopback(), ca_file=ca_file and str(ca_file)) as sender,
    ):
        return (await sender.send(post(vendor.url + "/x"), 2)).status


async def test_a_certificate_of_a_known_authority_is_accepted():
    assert await tls_status(vendor_with("good")) == 204


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("vendor", "ca_file"),
    [
        (lambda: vendor_with("good"), None),
        (lambda: vendor_with("other-host"), TLS / "authority.pem"),
        (lambda: vendor_with("expired"), TLS / "authority.pem"),
        (lambda: vendor_with("good", maximum_version=ssl.TLSVersion.TLSv1_1), TLS / "authority.pem"),
    ],
    ids=["unknown authority", "other host", "expired", "TLS 1.1"],
)
async def test_other_certificates_and_old_tls_are_not(vendor, ca_file):
    with pytest.raises(ConnectFailed):
        await tls_status(vendor(), ca_file)


async def test_no_error_text_and_no_exception_behind_it_knows_url_body_or_secret(sender, vendor):
    faults = [Fault(breaks="reset"), Fault(breaks="half body"), Fault(breaks="before answering")]
    use = CredentialUse("API", "query", "api_secret")
    request = post(vendor.url + "/canary-path?canary=query", body=b"canary-body", credential=use)
    urls = [(request, fault) for fault in faults]
    urls += [(post("http://10.0.0.1/canary", credential=use), None)]
    urls += [(post("http://metadata.google.internal/canary", credential=use), None)]
    urls += [(post("http://canary-host.invalid/", credential=use), None), (post("canary:url"), None)]
    urls += [
        (post(vendor.url, headers=(("X", "canary\n"),)), None),
        (post(vendor.url, headers=(("canary ", "x"),)), None),
    ]
    for request, fault in urls:
        vendor.fail("/canary", fault)
        with pytest.raises(SendError) as failure:
            await sender.send(request, 0.2)
        error = failure.value
        assert error.__context__ is None
        assert error.__cause__ is None
        assert "canary" not in f"{error} {error!r} {error.args}"


async def test_after_close_nothing_is_left_open(vendor):
    before = asyncio.all_tasks()
    sender = deliveries.new_sender(Credentials({}), to_loopback())
    await asyncio.gather(*(sender.send(post(vendor.url + "/x"), 2) for _ in range(50)))
    await sender.close()
    gc.collect()  # an open transport would warn now, and warnings are errors
    await until(lambda: asyncio.all_tasks() <= before)
    with pytest.raises(ConnectFailed):
        await sender.send(post(vendor.url), 2)


async def test_a_thousand_requests_are_under_way_at_once(sender, vendor):
    vendor.fail("/slow", Fault(breaks="before answering"))
    sends = [asyncio.create_task(sender.send(post(vendor.url + "/slow"), 20)) for _ in range(1_000)]
    await until(lambda: vendor.under_way == 1_000)
    for task in sends:
        task.cancel()
    await asyncio.gather(*sends, return_exceptions=True)


def test_all_that_holds_on_uvloop_too():
    async def main():
        async with Vendor() as vendor, deliveries.new_sender(Credentials({}), to_loopback()) as sender:
            assert (await sender.send(post(vendor.url + "/x"), 2)).status == 204
            for fault, error in [
                (Fault(breaks="reset"), Disconnected),
                (Fault(breaks="half body"), Disconnected),
                (Fault(breaks="after headers"), TimedOut),
            ]:
                vendor.fail("/x", fault)
                with pytest.raises(error):
                    await sender.send(post(vendor.url + "/x"), 0.3)
            with pytest.raises(ConnectFailed):
                await sender.send(post("http://127.0.0.1:9/"), 2)

    uvloop.run(main())
