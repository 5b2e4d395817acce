"""SPEC: reliability 3, rules 1 to 5 and 9; findings 16 and 17; requirements R183, R360.

Everything goes through the real sender to real sockets on loopback; only the name server is a stand-in."""

import asyncio
import logging
import re
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver
from certificates import Authority, pem, write_pair
from delivery import deliveries
from delivery.deliveries import literal, to_loopback, until

import sgtm
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.errors import AddressRefused, ConnectFailed, CredentialRefused, Refused, SendError
from sgtm.delivery.judge import judge_error
from sgtm.demo.vendor import Fault
from sgtm.errors import SettingsError
from sgtm.messages import ClientCredentials, CredentialUse, OutgoingRequest
from sgtm.observability.metrics import Counters

pytestmark = pytest.mark.usefixtures("each_sender")


class Answering(AbstractResolver):
    """A name server that gives each answer once, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {"hostname": host, "host": one, "port": port, "family": family, "proto": 0, "flags": 0}
            for one in answer
        ]

    async def close(self):
        pass


class Listening:
    """A server that counts connections and notes what it is sent."""

    def __init__(self, host="127.0.0.1", port=0):
        self._at, self.connections, self.heard = (host, port), 0, b""
        self._talking = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self.serve, *self._at)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self.ended()

    async def ended(self):
        """Until every connection is closed; clients have closed theirs."""
        await until(lambda: not self._talking)

    async def serve(self, reader, writer):
        self._talking += 1
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._talking -= 1

    async def _talk(self, reader, writer):
        self.connections += 1
        while chunk := await reader.read(65_536):
            self.heard += chunk
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()


async def send(egress, *urls, credential=None, secrets=None):
    async with deliveries.new_sender(Credentials(secrets or {}), egress) as sender:
        for url in urls:
            answer = await sender.send(OutgoingRequest("POST", url, credential=credential), 2)
    return answer.status


class Obliging(Answering):
    """Takes every old spelling, as the look-up of the C library does (finding 17)."""

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        with suppress(OSError):
            host = socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        self.answers = [[info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]]
        return await super().resolve(host, port, family)


SPELLINGS = """
127.0.0.1 127.1 127.0.1 127.0.0.1. 127.1. 127.000.000.001 2130706433 2130706433. 017700000001 0177.0.0.1
0177.0.0.01 0177.1 0x7f.1 0x7F.0x0.0x0.0x1 0x7f000001 0x7f.0.0.1 0X7F000001 0x7f.1. 00000177.1 127.0x1
127.0.0.0x1 0177.0x0.1 0 0.0.0.0 00 0x0 0.0 127.2.3.4 127.255.255.254 localhost LOCALHOST localhost.
[::1] [0:0:0:0:0:0:0:1] [0000::0001] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::] [::0.0.0.0]
[64:ff9b::7f00:1] [2002:7f00:1::] [::ffff:0:127.0.0.1] ①②⑦.0.0.1 127。0。0。1 127%2e0%2e0%2e1 １２７.0.0.1
[::1%25lo] [fe80::1%25lo] x@127.0.0.1 [127.0.0.1]
127.0.00.1 127.0.1. 0x7f.0x1 0177.0.1 0x7f.0.1 0x7f000001. 0X7f.1 0x000000007f.1 0177.1. 127.0.0.01
127.0.0.1.. .127.0.0.1 [0::1] [::0:1] [::FFFF:127.0.0.1] [0:0:0:0:0:ffff:7f00:1] [::ffff:127.1]
[::127.0.0.2] [::7f00:1] [64:FF9B::127.0.0.1] [64:ff9b:1::7f00:1] localhost.localdomain 1২7.0.0.1
127.0.0.1%00 127.0.0.1%0d%0a 127.0.0.1#x 127.0.0.1\\x
""".split()  # noqa: SIM905  # a list of these would be four times as long


@pytest.mark.parametrize("resolver", [None, Obliging()], ids=["usual", "obliging"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_this_machine_reaches_it(spelling, resolver):
    async with Listening() as server:
        with pytest.raises(SendError) as failure:
            await send(Egress(resolver=resolver), f"http://{spelling}:{server.port}/")
        assert server.connections == 0
    assert not failure.value.may_have_arrived


def test_there_are_spellings_enough():
    assert len(SPELLINGS) == len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "0x7f.1", "0177.0.0.0x1"])
async def test_what_the_operator_allows_is_reached(host):
    # reliability 3.1: may be private if egress.allow names host or CIDR
    async with Listening("0.0.0.0") as server:
        assert await send(to_loopback(resolver=Obliging()), f"http://{host}:{server.port}/") == 204
        assert server.connections == 1


@pytest.mark.parametrize(
    ("allowed", "host", "address", "rule"),
    [
        ((), "a.example", "8.8.8.8", ""),
        (("10.0.0.0/8",), "10.1.2.3", "10.1.2.3", ""),
        (("10.0.0.0/8",), "db.internal", "10.1.2.3", ""),
        (("10.0.0.0/8",), "db.internal", "192.168.0.1", "private"),
        (("db.internal",), "db.internal", "10.1.2.3", ""),
        (("db.internal",), "db.internal", "fd00::1", ""),
        (("db.internal",), "other.internal", "10.1.2.3", "private"),
        (("db.internal",), "x.db.internal", "10.1.2.3", "private"),
        (("*.internal",), "a.b.internal", "10.1.2.3", ""),
        (("*.internal",), "internal", "10.1.2.3", "private"),
        (("*.internal",), "notinternal", "10.1.2.3", "private"),
        # both faces of an address have to be allowed
        (("64:ff9b::/96",), "a.example", "64:ff9b::808:808", ""),
        (("64:ff9b::/96",), "a.example", "64:ff9b::a00:1", "private"),
        (("64:ff9b::/96", "10.0.0.0/8"), "a.example", "64:ff9b::a00:1", ""),
        (("127.0.0.0/8",), "a.example", "::ffff:127.0.0.1", "IPv4 in IPv6"),
        # nothing allows these
        (("0.0.0.0/0", "::/0"), "a.example", "169.254.169.254", "cloud metadata"),
        (("0.0.0.0/0", "::/0"), "a.example", "64:ff9b::a9fe:a9fe", "cloud metadata"),
        (("0.0.0.0/0", "::/0"), "a.example", "::ffff:169.254.169.254", "cloud metadata"),
        (("0.0.0.0/0", "::/0"), "a.example", "2002:6464:64c8::1", "cloud metadata"),
        (("a.example",), "a.example", "fd00:ec2::254", "cloud metadata"),
        (("a.example",), "a.example", "168.63.129.16", "cloud metadata"),
        (("a.example",), "a.example", "0.0.0.0", "unspecified"),
        (("a.example",), "a.example", "224.0.0.1", "multicast"),
        (("a.example",), "a.example", "255.255.255.255", "broadcast"),
        (("a.example",), "a.example", "fe80::1%eth0", "scope id or no address"),
        (("a.example",), "a.example", "localhost", "scope id or no address"),
    ],
)
def test_the_verdict_on_an_address(allowed, host, address, rule):
    denied = Egress(allowed).judge(host, address, 443)
    assert (denied.rule if denied else "") == rule


@pytest.mark.parametrize(
    ("host", "address", "port", "rule"),
    [
        ("a.example", "8.8.8.8", 80, ""),
        ("a.example", "8.8.8.8", 443, ""),
        ("a.example", "8.8.8.8", 25, "port"),
        ("a.example", "8.8.8.8", 8443, "port"),
        ("named.example", "8.8.8.8", 8443, ""),
        ("named.example", "8.8.8.8", 8444, "port"),
        ("named.example", "10.0.0.1", 8443, "private"),  # a port that is named makes nothing public
        ("mine.example", "8.8.8.8", 9000, ""),
    ],
)
def test_ports_are_80_and_443_and_those_that_are_named(host, address, port, rule):
    # reliability 3, rule 5
    egress = Egress(["mine.example"], destinations={("named.example", 8443)})
    denied = egress.judge(host, address, port)
    assert (denied.rule if denied else "") == rule


async def test_a_name_server_that_changes_its_answer_finds_no_gap_between_check_and_connect():
    # rule 3. The name leads to what is allowed the first time, and elsewhere ever after.
    names = Answering(["127.0.0.1"], ["127.0.0.2"])
    async with Listening() as good, Listening("127.0.0.2", good.port) as evil:
        url = f"http://rebinding.example:{good.port}/"
        assert await send(Egress(["127.0.0.1"], resolver=names), url, url) == 204
        assert names.asked == ["rebinding.example"]
        with pytest.raises(AddressRefused):
            await send(Egress(["127.0.0.1"], resolver=names), url)
        assert (good.connections, evil.connections) == (1, 0)


async def test_each_of_several_addresses_is_judged():
    names = Answering(["127.0.0.2", "127.0.0.3", "127.0.0.1"])
    async with Listening() as good, Listening("127.0.0.2", good.port) as evil:
        egress = Egress(["127.0.0.1"], resolver=names)
        assert await send(egress, f"http://several.example:{good.port}/") == 204
        assert (good.connections, evil.connections) == (1, 0)


@pytest.mark.parametrize("answer", ["localhost", "fe80::1%lo", "::1%1", "127.1", "0x7f000001"])
async def test_an_answer_that_is_no_plain_address_is_not_looked_up_again(answer):
    async with Listening() as server:
        with pytest.raises(AddressRefused, match="no address"):
            await send(to_loopback(resolver=Answering([answer])), f"http://odd.example:{server.port}/")
        assert server.connections == 0


async def test_a_connection_is_never_used_for_another_name():
    # rule 3: the pool's key has the name, also where both names lead to one address
    async with Listening() as server:
        egress = to_loopback(resolver=Answering(["127.0.0.1"]))
        urls = [f"http://{name}.example:{server.port}/" for name in ("one", "two", "one", "two")]
        assert await send(egress, *urls) == 204
        assert server.connections == 2
        hosts = re.findall(rb"Host: (\w+)", server.heard)
        assert hosts == [b"one", b"two", b"one", b"two"]


async def test_a_kept_connection_does_not_make_the_same_address_good_for_others():
    async with Listening() as server:
        egress = Egress(["mine.example"], resolver=Answering(["127.0.0.1"]))
        mine, other = (f"http://{name}.example:{server.port}/" for name in ("mine", "other"))
        with pytest.raises(AddressRefused):
            await send(egress, mine, other)
        assert server.connections == 1


class Connecting(Listening):
    """A proxy that takes CONNECT and absolute addresses, and notes whom it was asked for."""

    def __init__(self, status=200):
        super().__init__()
        self.status, self.asked, self.sources = status, [], []

    async def _talk(self, reader, writer):
        self.sources.append(writer.get_extra_info("peername")[0])
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split(" HTTP/")[0])
        if not head.startswith("CONNECT"):
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif self.status != 200:
            writer.write(f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            port = int(head.split()[1].rpartition(":")[2])
            there, out = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.wait(
                [asyncio.ensure_future(_pump(reader, out)), asyncio.ensure_future(_pump(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            out.close()
        writer.close()


async def _pump(reader, writer):
    while chunk := await reader.read(65_536):
        writer.write(chunk)


def through(proxy, **kwargs):
    return Egress(proxy=f"http://127.0.0.1:{proxy.port}", resolver=Answering(["8.8.8.8"]), **kwargs)


async def test_everything_goes_through_the_proxy_and_no_name_is_looked_up_here():
    # R216
    async with Connecting() as proxy:
        egress = through(proxy)
        assert await send(egress, "http://vendor.example/x?y=1") == 204
        assert proxy.asked == ["POST http://vendor.example/x?y=1"]
        assert egress._resolver.asked == []


async def test_tls_to_the_vendor_is_verified_through_the_proxy(tmp_path):
    root = Authority()
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pair(tmp_path, "vendor", root.issue("vendor.example")))
    vendor = Listening()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with Connecting() as proxy:
        egress = through(proxy, destinations={("vendor.example", port), ("other.example", port)})
        async with deliveries.new_sender(
            Credentials({}), egress, ca_file=str(tmp_path / "root.pem")
        ) as sender:
            answer = await sender.send(OutgoingRequest("POST", f"https://vendor.example:{port}/"), 5)
            assert answer.status == 204
            with pytest.raises(ConnectFailed, match="certificate"):
                await sender.send(OutgoingRequest("POST", f"https://other.example:{port}/"), 5)
    assert proxy.asked == [f"CONNECT vendor.example:{port}", f"CONNECT other.example:{port}"]
    server.close()
    await vendor.ended()


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_refuses_is_no_answer_of_the_vendor(status):
    async with Connecting(status) as proxy:
        with pytest.raises(ConnectFailed, match="egress proxy") as failure:
            await send(through(proxy), "https://vendor.example/canary")
        assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://127.0.0.1/", "loopback"),
        ("https://10.0.0.1/", "private"),
        ("https://[::ffff:10.0.0.1]/", "IPv4 in IPv6"),
        ("https://169.254.169.254/", "cloud metadata"),
        ("https://metadata.google.internal/", "cloud metadata"),
        ("https://vendor.example:25/", "port"),
        ("https://8.8.8.8:25/", "port"),
    ],
)
async def test_what_is_written_out_is_judged_before_the_proxy_is_asked(url, rule):
    counters = Counters()
    async with Connecting() as proxy:
        with pytest.raises(Refused) as refused:
            await send(through(proxy, counters=counters), url)
        assert not refused.value.is_transient
        assert proxy.connections == 0
        assert not proxy.asked
    assert counters.value("sgtm_egress_refused_total", rule) == 1


async def test_airgapped_holds_through_a_proxy():
    async with Connecting() as proxy:
        egress = through(proxy, is_airgapped=True, destinations={("vendor.example", 80)})
        assert await send(egress, "http://vendor.example/") == 204
        with pytest.raises(Refused, match="airgapped"):
            await send(egress, "http://other.example/")


async def test_everything_is_sent_from_the_source_address():
    # R216: static egress
    async with Connecting() as server:
        egress = Egress(["127.0.0.0/8"], sources=["127.0.0.9"])
        assert await send(egress, f"http://127.0.0.1:{server.port}/") == 204
        assert server.sources == ["127.0.0.9"]


async def test_without_a_source_address_of_its_kind_nothing_is_connected():
    async with Listening() as server:
        egress = Egress(["a.example"], sources=["::1"], resolver=Answering(["127.0.0.1"]))
        with pytest.raises(ConnectFailed):
            await send(egress, f"http://a.example:{server.port}/")
        assert server.connections == 0


def test_a_source_address_is_one_of_this_machine_and_one_of_a_kind():
    with pytest.raises(SettingsError, match="no address of this machine"):
        Egress(sources=["192.0.2.1"])
    with pytest.raises(SettingsError, match="second one of IPv4"):
        Egress(sources=["127.0.0.1", "127.0.0.2"])


def own(host, allow="0.0.0.0/0"):
    return Egress([allow, "::/0"], listener=(host, 8080))


@pytest.mark.parametrize(
    ("listener", "address", "port", "rule"),
    [
        ("127.0.0.1", "127.0.0.1", 8080, "own listener"),
        ("127.0.0.1", "127.0.0.1", 8081, ""),
        ("127.0.0.1", "127.0.0.2", 8080, ""),
        ("0.0.0.0", "127.0.0.1", 8080, "own listener"),
        ("0.0.0.0", "127.0.0.2", 8080, "own listener"),
        ("0.0.0.0", "10.255.255.1", 8080, ""),
        ("::", "::1", 8080, "own listener"),
        ("::", "::ffff:127.0.0.1", 8080, "own listener"),
    ],
)
def test_the_own_listener_is_no_destination(listener, address, port, rule):
    denied = own(listener).judge("a.example", address, port)
    assert (denied.rule if denied else "") == rule


async def test_airgapped_nothing_is_even_looked_up_but_what_is_listed():
    # R183, R360
    names = Answering(["127.0.0.1"])
    async with Listening() as server:
        port = server.port
        egress = Egress(
            ["127.0.0.1", "mine.example"],
            destinations={("vendor.example", port)},
            is_airgapped=True,
            resolver=names,
        )
        for host in ("vendor.example", "mine.example", "127.0.0.1"):
            assert await send(egress, f"http://{host}:{port}/") == 204
        for other in (f"other.example:{port}", "vendor.example", "8.8.8.8", "127.0.0.2"):
            with pytest.raises(Refused, match="airgapped") as refused:
                await send(egress, f"http://{other}/")
            assert not refused.value.is_transient
        assert names.asked == ["vendor.example", "mine.example"]
        assert server.connections == 3


async def test_airgapped_a_destination_of_the_container_may_still_not_be_private_unsaid():
    egress = Egress(
        destinations={("vendor.example", 80)}, is_airgapped=True, resolver=Answering(["192.168.0.1"])
    )
    with pytest.raises(AddressRefused, match=r"--egress-allow 192\.168\.0\.0/16"):
        await send(egress, "http://vendor.example/")


@pytest.mark.parametrize("name", ["metadata.google.internal", "METADATA.google.internal.", "metadata.goog"])
async def test_a_name_of_a_metadata_service_is_not_looked_up(name):
    names = Answering(["127.0.0.1"])
    with pytest.raises(Refused, match="no setting allows it"):
        await send(Egress(["*.google.internal", "metadata.goog"], resolver=names), f"http://{name}/")
    assert not names.asked


async def test_an_address_that_is_written_out_is_dead_and_a_name_is_tried_again():
    async with Listening() as server:
        for host, kind in (("127.0.0.1", "dead"), ("localhost", "retry")):
            with pytest.raises(Refused) as refused:
                await send(Egress(), f"http://{host}:{server.port}/")
            outcome = judge_error(refused.value, OutgoingRequest("POST", ""))
            assert outcome.kind == kind
            assert (
                "--egress-allow 127.0.0.0/8" in outcome.reason or "--egress-allow ::1/128" in outcome.reason
            )


async def test_a_refusal_is_counted_and_said_without_the_url(caplog):
    counters = Counters()
    egress = Egress(counters=counters, resolver=Answering(["10.0.0.1"]))
    with caplog.at_level(logging.WARNING, "sgtm.delivery"):
        for _ in range(3):
            with pytest.raises(AddressRefused) as refused:
                await send(egress, "http://shop.example/canary?canary=1")
    assert counters.value("sgtm_egress_refused_total", "private") == 3
    (line,) = caplog.records  # the same line once a minute
    assert (line.host, line.port, line.rule) == ("shop.example", 80, "private")
    assert "--egress-allow 10.0.0.0/8" in line.mend
    assert "canary" not in str(line.__dict__)
    assert "shop.example" not in str(refused.value)
    assert refused.value.__context__ is None


async def test_the_token_endpoint_is_behind_the_same_door():
    async with Listening() as server:
        made_by = ClientCredentials(f"http://127.0.0.1:{server.port}/token", "client", "SECRET")
        use = CredentialUse("SECRET", "header", "Authorization", "Bearer ", made_by)
        with pytest.raises(CredentialRefused, match="loopback"):
            await send(Egress(), "https://vendor.example/", credential=use, secrets=literal(SECRET="s"))
        assert server.connections == 0


async def test_a_redirect_to_a_private_address_is_an_answer_like_any_other(vendor):
    async with Listening("127.0.0.2") as server:
        vendor.fail("/moved", Fault(status=302, headers=(("Location", f"http://127.0.0.2:{server.port}/"),)))
        assert await send(to_loopback(), vendor.url + "/moved") == 302
        assert server.connections == 0


async def test_a_connection_that_belongs_to_no_request_is_not_opened():
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 443))
    with pytest.raises(LookupError):
        Egress().open_socket(address)


def test_nothing_else_of_the_product_opens_connections():
    makes = re.compile(
        r"TCPConnector\(|ClientSession\(|open_connection\(|create_connection\(|urlopen|http\.client|sock_connect\("
    )
    root = Path(sgtm.__file__).parent
    found = {
        str(path.relative_to(root)): set(makes.findall(path.read_text()))
        for path in root.rglob("*.py")
        if "demo" not in path.parts and makes.search(path.read_text())
    }
    assert found == {
        "cli/_admin.py": {"http.client"},  # an operator's command, to the admin listener
        "cli/_posting.py": {"http.client"},  # the same, with a sample to a server of his
        "cli/_load.py": {"ClientSession(", "TCPConnector("},  # the same, with a load
        "delivery/egress.py": {"TCPConnector("},
        "delivery/outbox/nats_connection.py": {
            "ClientSession("
        },  # the broker of the settings, its monitoring
        "delivery/dialing.py": {"create_connection("},  # on a socket that the door opened
        "delivery/pooled_sender.py": {"ClientSession("},
        "server/script_upstream.py": {"ClientSession("},  # on a connector of the door's
    }
