"""PROXY protocol. SPEC: haproxy.org/download/3.0/doc/proxy-protocol.txt, 2.1 and 2.2; reliability 5.6."""

import asyncio
import ipaddress
import json
import socket
import struct

import pytest
from conftest import Serve
from containers import client, container, echo
from doubles import eventually
from hypothesis import given
from hypothesis import strategies as st
from raw_http import RawConnection, request

from sgtm.errors import SettingsError
from sgtm.server.acceptor import require_trusted_proxies
from sgtm.server.proxy_protocol import MAX_V1_BYTES, MAX_V2_BYTES, ProxyHeader, read_proxy_header
from sgtm.settings import Settings

BOTH_WAYS = True
SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
ECHO = container([client(echo, paths=("/c",))])
CLIENT = "198.51.100.22"


def v2(command=0x21, family=0x11, body=b"", length=None):
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def tcp4(source=CLIENT, rest=b""):
    return ipaddress.ip_address(source).packed + b"\xcb\0\x71\x07" + b"\x8b\x3e\x01\xbb" + rest


def tcp6(source="2001:db8::9", rest=b""):
    return ipaddress.ip_address(source).packed + bytes(15) + b"\1" + b"\x8b\x3e\x01\xbb" + rest


TLVS = b"\x01\x00\x02h2" + b"\x20\x00\x05\x01\x00\x00\x00\x00" + b"\x04\x00\x03\0\0\0"
GOOD = {
    "v1, IPv4": (b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 443\r\n", CLIENT),
    "v1, IPv6": (b"PROXY TCP6 2001:DB8::9 2001:db8::1 35646 443\r\n", "2001:db8::9"),
    "v1, longest": (
        b"PROXY TCP6 " + b" ".join([b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] * 2) + b" 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
    "v1, unknown": (b"PROXY UNKNOWN\r\n", ""),
    "v1, unknown with more": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ""),
    "v2, IPv4": (v2(body=tcp4()), CLIENT),
    "v2, IPv6": (v2(family=0x21, body=tcp6()), "2001:db8::9"),
    "v2, TLVs": (v2(body=tcp4(rest=TLVS)), CLIENT),
    "v2, Unix socket": (v2(family=0x31, body=bytes(216)), ""),
    "v2, unspecified": (v2(family=0x00), ""),
    "v2, unspecified with TLVs": (v2(family=0x00, body=TLVS), ""),
    "v2, LOCAL": (v2(command=0x20, family=0x00), ""),
    # 2.2: "the receiver must ... discard the protocol block including the family which is ignored"
    "v2, LOCAL with an address": (v2(command=0x20, body=tcp4("1.1.1.1")), ""),
    "v2, LOCAL of a family without address": (v2(command=0x20, family=0x21), ""),
    "v2, longest": (v2(body=tcp4(rest=bytes(MAX_V2_BYTES - 28))), CLIENT),
}
BAD = {
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a1"),
    "small letters": b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "v1, no line end": b"PROXY TCP4 " + b"1" * MAX_V1_BYTES,
    "v1, line feed alone": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\nGET",
    "v1, two blanks": b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
    "v1, blank at the end": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
    "v1, a part is missing": b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
    "v1, nothing": b"PROXY \r\n",
    "v1, UDP": b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "v1, UNKNOWN glued": b"PROXY UNKNOWNX\r\n",
    "v1, families mixed": b"PROXY TCP4 ::1 2.2.2.2 1 2\r\n",
    "v1, families mixed the other way": b"PROXY TCP6 1.1.1.1 ::1 1 2\r\n",
    "v1, destination is none": b"PROXY TCP4 1.1.1.1 2.2.2 1 2\r\n",
    "v1, leading zero": b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
    "v1, zone": b"PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
    "v1, port too large": b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
    "v1, port with a zero before it": b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
    "v1, port with a sign": b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
    "v1, carriage return inside": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r \r\n",
    "v2, version 1": v2(command=0x11, body=tcp4()),
    "v2, unknown command": v2(command=0x22, body=tcp4()),
    "v2, UDP": v2(family=0x12, body=tcp4()),
    "v2, unknown family": v2(family=0x41, body=tcp4()),
    "v2, unspecified transport of IPv4": v2(family=0x10, body=tcp4()),
    "v2, address cut off": v2(body=tcp4()[:11]),
    "v2, IPv6 in the space of IPv4": v2(family=0x21, body=tcp4()),
    "v2, longer than we read": v2(length=MAX_V2_BYTES - 15),
    "v2, 64 KiB": v2(length=0xFFFF),
    "v2, signature broken at its end": SIGNATURE[:-1] + b"\r" + bytes(8),
}


@pytest.mark.parametrize(("data", "source"), GOOD.values(), ids=GOOD)
def test_a_header_is_read_and_what_follows_is_left(data, source):
    for rest in (b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\r\n", SIGNATURE):
        assert read_proxy_header(data + rest) == ProxyHeader(len(data), source)


@pytest.mark.parametrize(("data", "_"), GOOD.values(), ids=GOOD)
def test_a_header_cut_anywhere_is_not_complete(data, _):
    for end in range(len(data)):
        assert read_proxy_header(data[:end]) is None


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_anything_else_is_refused_at_the_first_byte_that_shows_it_and_ever_after(data):
    said = []
    for end in range(len(data) + 1):
        try:
            said.append(read_proxy_header(data[:end]))
        except ValueError:
            said.append("refused")
    assert said[-1] == "refused"
    first = said.index("refused")
    assert said == [None] * first + ["refused"] * (len(said) - first)


def plain_parser(data):
    """The specification, word for word and without any thought of segments: (size, source) or None."""
    if data[:12] == SIGNATURE:
        if len(data) < 16:
            return None
        version, command = data[12] >> 4, data[12] & 15
        size = 16 + int.from_bytes(data[14:16], "big")
        if version != 2 or command not in (0, 1) or size > MAX_V2_BYTES or len(data) < size:
            return None
        if command == 0:
            return size, ""
        block = data[16:size]
        if data[13] == 0:
            return size, ""
        if data[13] == 0x11 and len(block) >= 12:
            return size, socket.inet_ntop(socket.AF_INET, block[:4])
        if data[13] == 0x21 and len(block) >= 36:
            return size, socket.inet_ntop(socket.AF_INET6, block[:16])
        return (size, "") if data[13] == 0x31 and len(block) >= 216 else None
    end = data[:MAX_V1_BYTES].find(b"\r\n")
    words = data[:end].decode("latin-1").split(" ") if end >= 0 else []
    if words[:2] == ["PROXY", "UNKNOWN"] and "\n" not in " ".join(words):
        return end + 2, ""
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        return None
    family = socket.AF_INET if words[1] == "TCP4" else socket.AF_INET6
    try:
        source, _ = (socket.inet_pton(family, word) for word in words[2:4])
        ports = [int(word) for word in words[4:] if word.isascii() and word.isdecimal()]
    except OSError:
        return None
    if [str(port) for port in ports] != words[4:] or max(ports) > 65_535:
        return None
    return end + 2, socket.inet_ntop(family, source)


def _address(text):
    return str(ipaddress.ip_address(text)) if text else text


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
LINES = st.builds(
    lambda family, source, to, one, two: f"PROXY {family} {source} {to} {one} {two}\r\n".encode(),
    st.sampled_from(["TCP4", "TCP6", "UNKNOWN", "UDP4", ""]),
    ADDRESSES,
    ADDRESSES,
    st.integers(0, 70_000),
    st.sampled_from(["443", "0", "00", "", " ", "-1", "65535", "65536"]),
)
BLOCKS = st.builds(
    lambda command, family, body, more: v2(command, family, body, max(0, len(body) + more)),
    st.sampled_from([0x20, 0x21, 0x11, 0x22, 0x31]),
    st.sampled_from([0x00, 0x11, 0x12, 0x21, 0x31, 0x41]),
    st.one_of(st.just(tcp4()), st.just(tcp6()), st.binary(max_size=260)),
    st.sampled_from([0, 0, 0, -1, 1, 5_000]),
)


@given(st.one_of(LINES, BLOCKS, st.sampled_from([one for one, _ in GOOD.values()])), st.binary(max_size=40))
def test_it_reads_as_the_plain_parser_does(data, rest):
    expected = plain_parser(data + rest)
    try:
        header = read_proxy_header(data + rest)
    except ValueError:
        header = None
    found = (header.size, header.source) if header is not None else None
    if found and expected:
        found, expected = ((size, _address(source)) for size, source in (found, expected))
    assert found == expected


@given(st.sampled_from([one for one, _ in GOOD.values()]), st.integers(0), st.integers(1, 255))
def test_a_broken_byte_never_raises_anything_else(data, place, change):
    broken = bytearray(data)
    broken[place % len(data)] ^= change
    try:
        read_proxy_header(bytes(broken))
    except ValueError:
        return


# -- on sockets ----------------------------------------------------------------------------------


def closed(served, reason):
    return served.worker.counters.value("sgtm_connections_closed_total", reason)


async def serve_proxied(serve: Serve, trusted="127.0.0.1", **changes):
    return await serve(ECHO, proxy_protocol=True, trusted_proxies=(trusted,), **changes)


@pytest.mark.parametrize(("data", "source"), GOOD.values(), ids=GOOD)
async def test_the_named_source_is_the_requester(serve: Serve, data, source):
    served = await serve_proxied(serve)
    async with RawConnection(served.port) as connection:
        connection.send(data + request("/c"))  # in one segment: nothing of the request is lost
        answer = await connection.read_answer()
        assert answer.json()["remote_address"] == (source or "127.0.0.1")
        connection.send(request("/c"))  # and it stays so for the life of the connection
        assert (await connection.read_answer()).json()["remote_address"] == (source or "127.0.0.1")


@pytest.mark.parametrize("name", ["v1, IPv4", "v2, TLVs", "v2, LOCAL"])
async def test_a_header_may_come_byte_by_byte(serve: Serve, name):
    served = await serve_proxied(serve)
    data, source = GOOD[name]
    async with RawConnection(served.port) as connection:
        connection.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.send(bytes([byte]))
            await asyncio.sleep(0.001)
        connection.send(request("/c"))
        assert (await connection.read_answer()).json()["remote_address"] == (source or "127.0.0.1")


@pytest.mark.parametrize("name", ["v1, IPv4", "v2, IPv6"])
async def test_a_header_cut_at_any_byte_serves_the_same(serve: Serve, name):
    served = await serve_proxied(serve)
    data, source = GOOD[name]

    async def cut_at(place):
        async with RawConnection(served.port) as connection:
            connection.send(data[:place])
            await asyncio.sleep(0.05)
            connection.send(data[place:] + request("/c"))
            return (await connection.read_answer()).json()["remote_address"]

    found = await asyncio.gather(*(cut_at(place) for place in range(1, len(data))))
    assert set(found) == {source}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
async def test_a_trusted_peer_without_a_proper_header_is_closed_and_counted(serve: Serve, data):
    served = await serve_proxied(serve)
    async with RawConnection(served.port) as connection:
        connection.send(data)
        assert await connection.is_closed()
    await eventually(lambda: closed(served, "no proxy header") == 1)


async def test_half_a_header_and_the_end_is_no_header(serve: Serve):
    served = await serve_proxied(serve)
    async with RawConnection(served.port) as connection:
        connection.send(b"PROXY TCP4 1.1")
        connection.writer.write_eof()
        assert await connection.is_closed()
    await eventually(lambda: closed(served, "no proxy header") == 1)


async def test_a_slow_header_is_given_up(serve: Serve):
    served = await serve_proxied(serve, head_timeout_s=0.2)
    async with RawConnection(served.port) as nothing, RawConnection(served.port) as half:
        half.send(b"PROXY TC")
        assert await nothing.is_closed()
        assert await half.is_closed()
    assert closed(served, "slow proxy header") == 2


async def test_a_peer_that_is_not_trusted_is_itself_whatever_it_claims(serve: Serve):
    served = await serve_proxied(serve, trusted="10.0.0.0/8")
    async with RawConnection(served.port) as direct:
        direct.send(request("/c"))
        assert (await direct.read_answer()).json()["remote_address"] == "127.0.0.1"
    async with RawConnection(served.port) as forged:
        forged.send(GOOD["v1, IPv4"][0] + request("/c"))
        assert (await forged.read_answer()).status == 400


async def test_without_the_setting_a_header_is_a_malformed_request(serve: Serve):
    served = await serve(ECHO, trusted_proxies=("127.0.0.1",))
    async with RawConnection(served.port) as connection:
        connection.send(GOOD["v1, IPv4"][0] + request("/c"))
        assert (await connection.read_answer()).status == 400


def test_it_needs_somebody_who_is_trusted():
    with pytest.raises(SettingsError, match="--trusted-proxy"):
        require_trusted_proxies(Settings(proxy_protocol=True))


async def test_the_source_is_judged_as_a_peer_is(serve: Serve):
    """A balancer in front of a proxy of ours: the proxy's X-Forwarded-For is believed, a browser's is not."""
    served = await serve(ECHO, proxy_protocol=True, trusted_proxies=("127.0.0.1", "10.0.0.0/8"))
    for source, address in (("10.0.0.5", "203.0.113.9"), (CLIENT, CLIENT)):
        async with RawConnection(served.port) as connection:
            connection.send(v2(body=tcp4(source)) + request("/c", headers={"X-Forwarded-For": "203.0.113.9"}))
            assert (await connection.read_answer()).json()["remote_address"] == address


async def test_connections_are_counted_by_the_source(serve: Serve):
    served = await serve_proxied(serve, connections_per_address=1)
    header = v2(body=tcp4())
    async with RawConnection(served.port) as one, RawConnection(served.port) as two:
        one.send(header + request("/c"))
        assert (await one.read_answer()).status == 200
        two.send(header + request("/c"))
        assert await two.is_closed()
        async with RawConnection(served.port) as other:
            other.send(v2(body=tcp4("198.51.100.23")) + request("/c"))
            assert (await other.read_answer()).status == 200
    assert closed(served, "address full") == 1


async def test_connections_that_wait_for_their_header_fill_a_worker_too(serve: Serve):
    served = await serve_proxied(serve, connections=3)
    waiting = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
    await asyncio.sleep(0.1)
    async with RawConnection(served.port) as late:
        assert await late.is_closed()
    assert closed(served, "worker full") == 1
    for _, writer in waiting:
        writer.close()


async def test_a_drain_serves_what_waits_and_gives_up_what_says_nothing(serve: Serve):
    served = await serve_proxied(serve)
    async with RawConnection(served.port) as silent, RawConnection(served.port) as speaking:
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(served.worker.drain(0))
        speaking.send(v2(body=tcp4()) + request("/c"))
        answer = await speaking.read_answer()
        assert (answer.status, json.loads(answer.body)["remote_address"]) == (200, CLIENT)
        assert await silent.is_closed()
        await draining
