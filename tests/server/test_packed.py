"""Packed request bodies: SPEC reliability 2.4 (decompressed body, ratio), 2.2 class 9 (bombs)."""

import asyncio
import gzip
import random
import time
import zlib

import brotli
import pytest
from conftest import Serve, Served
from containers import client, container, echo
from raw_http import RawConnection, ask, request

from sgtm.server.packed import Bomb, Damaged, unpack

ECHO = container([client(echo, paths=("/g/collect", "/hook"))])
TEXT = b'{"event_name":"purchase","value":10}'


def _raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


PACK = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "deflate ": _raw_deflate,
    "br": brotli.compress,
}


async def post(served: Served, body: bytes, encoding: str, path: str = "/hook"):
    return await ask(served.port, path, method="POST", body=body, headers={"Content-Encoding": encoding})


def refused(served: Served, reason: str) -> int:
    return served.worker.counters.value("sgtm_requests_refused_total", reason)


@pytest.mark.parametrize("encoding", PACK)
async def test_a_packed_body_arrives_unpacked(encoding: str, serve: Serve) -> None:
    served = await serve(ECHO)
    seen = (await post(served, PACK[encoding](TEXT), encoding)).json()
    assert seen["body"].encode() == TEXT
    assert "content-encoding" not in [name for name, _ in seen["headers"]]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize(
    ("size", "reason"),
    [(4 * 1024**2 + 1, "large unpacked body"), (1024**2, "body packed too tightly")],
    ids=["size", "ratio"],
)
async def test_a_bomb_is_refused_and_closed(size: int, reason: str, encoding: str, serve: Serve) -> None:
    served = await serve(ECHO)
    chance = random.Random(1)
    # what is too large is packed loosely, what is packed too tightly is small enough
    noise = b"".join(b"%08x" % chance.getrandbits(32) * 8 for _ in range(size // 64 + 1))
    body = noise[:size] if reason == "large unpacked body" else bytes(size)
    async with RawConnection(served.port) as connection:
        connection.send(
            request("/hook", method="POST", body=PACK[encoding](body), headers={"Content-Encoding": encoding})
        )
        answer = await connection.read_answer()
        assert await connection.is_closed()
    assert (answer.status, answer.body) == (413, f"{reason}\n".encode())
    assert refused(served, reason) == 1


async def test_hits_of_browsers_unpack_to_no_more_than_their_bodies_may_have(serve: Serve) -> None:
    served = await serve(ECHO, collect_body_bytes=1000)
    assert (await post(served, gzip.compress(b"a" * 1000), "gzip", "/g/collect")).status == 200
    assert (await post(served, gzip.compress(b"a" * 1001), "gzip", "/g/collect")).status == 413
    assert (await post(served, gzip.compress(b"a" * 1001), "gzip")).status == 200


async def test_an_unknown_encoding_is_refused_and_told_which_are_known(serve: Serve) -> None:
    served = await serve(ECHO)
    for encoding in ("zstd", "gzip, br", "gzip, gzip", "exi\xff"):
        answer = await post(served, TEXT, encoding)
        assert (answer.status, answer.body) == (415, b"unknown content encoding\n")
        assert answer.header("Accept-Encoding") == "gzip, deflate, br"
    assert refused(served, "unknown content encoding") == 4


async def test_two_headers_count_as_two_packings(serve: Serve) -> None:
    served = await serve(ECHO)
    head = b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\n"
    async with RawConnection(served.port) as connection:
        connection.send(head + b"Content-Length: 1\r\n\r\na")
        assert (await connection.read_answer()).status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_packing_cut_anywhere_is_damaged(encoding: str, serve: Serve) -> None:
    served = await serve(ECHO)
    packed = PACK[encoding](TEXT)
    for cut in range(2, len(packed)):
        assert (cut, (await post(served, packed[:cut], encoding)).status) == (cut, 400)
    assert refused(served, "damaged packed body") == len(packed) - 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_limit_holds_wherever_the_request_is_cut(encoding: str, serve: Serve) -> None:
    # SPEC: reliability 0.15
    served = await serve(ECHO, unpacked_bytes=100, connections_per_address=0)
    packed = PACK[encoding](b"a" * 101)
    data = request("/hook", method="POST", body=packed, headers={"Content-Encoding": encoding})
    for cut in range(1, len(data)):
        async with RawConnection(served.port) as connection:
            connection.send(data[:cut])
            await asyncio.sleep(0.001)
            connection.send(data[cut:])
            answer = await connection.read_answer()
        assert (cut, answer.status, answer.body) == (cut, 413, b"large unpacked body\n")
    assert refused(served, "large unpacked body") == len(data) - 1


async def test_a_body_that_says_identity_or_nothing_is_left_alone(serve: Serve) -> None:
    served = await serve(ECHO)
    for encoding in ("identity", ""):
        assert (await post(served, TEXT, encoding)).json()["body"].encode() == TEXT


async def test_a_label_of_gzip_on_what_is_none_is_ignored(serve: Serve) -> None:
    # SPEC: ga4-protocol 11.2
    assert (await post(await serve(ECHO), TEXT, "gzip")).json()["body"].encode() == TEXT


def test_what_goes_on_after_its_end_is_damaged() -> None:
    for encoding in ("gzip", "deflate", "br"):
        with pytest.raises(Damaged):
            unpack(PACK[encoding](TEXT) + b"smuggled", encoding, 10_000, 100)


def test_a_bomb_costs_no_more_than_its_limit() -> None:
    bomb = brotli.compress(bytes(1024**3 // 4))
    assert len(bomb) < 1000
    started = time.process_time()
    with pytest.raises(Bomb):
        unpack(bomb, "br", 4 * 1024**2, 100_000)
    with pytest.raises(Bomb):
        unpack(gzip.compress(bytes(64 * 1024**2)), "gzip", 4 * 1024**2, 100)
    assert time.process_time() - started < 2


def test_a_small_body_may_be_as_repetitive_as_it_likes() -> None:
    assert len(unpack(gzip.compress(bytes(65_536)), "gzip", 10**6, 2)) == 65_536
    with pytest.raises(Bomb):
        unpack(gzip.compress(bytes(65_537)), "gzip", 10**6, 2)
