"""Our own TLS: by site, renewed without a restart. SPEC: requirements R12, R15, R215."""

import asyncio
import contextlib
import datetime
import logging
import os
import ssl
import time

import pytest
from certificates import CLIENT, DAY, Authority, key_pem, new_key, pem, write_pair
from conftest import Serve
from containers import client, container, echo
from doubles import eventually
from raw_http import RawConnection, request

from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.server.certificates import Certificates, load
from sgtm.settings import Settings

ECHO = container([client(echo, paths=("/c",))])
AUTHORITY = Authority()


def trusting(*authorities, **changes):
    context = ssl.create_default_context()
    context.load_verify_locations(
        cadata="".join(pem(one.certificate).decode() for one in authorities or [AUTHORITY])
    )
    for name, value in changes.items():
        setattr(context, name, value)
    return context


async def connect(port, host, context=None):
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=context or trusting(), server_hostname=host or "x.example"
    )


async def ask_over_tls(port, host, context=None, head=b""):
    """(answer as the echo saw it, certificate) over a connection of its own."""
    reader, writer = await connect(port, host, context)
    try:
        return await exchange_over(reader, writer), writer.get_extra_info("ssl_object").getpeercert()
    finally:
        writer.close()


async def exchange_over(reader, writer):
    connection = RawConnection(0)
    connection.reader, connection.writer = reader, writer
    connection.send(request("/c"))
    return await connection.read_answer()


def serial(certificate):
    return certificate["serialNumber"]


@pytest.fixture
def pairs(tmp_path):
    """Two sites: their files."""
    return [
        write_pair(tmp_path, "a", AUTHORITY.issue("shop-a.example", "*.shop-a.example")),
        write_pair(tmp_path, "b", AUTHORITY.issue("shop-b.example")),
    ]


async def serve_tls(serve: Serve, pairs, **changes):
    certificates, keys = zip(*pairs, strict=True)
    return await serve(ECHO, tls_certificates=certificates, tls_keys=keys, **changes)


async def test_each_site_gets_its_own_certificate(serve: Serve, pairs):
    served = await serve_tls(serve, pairs)
    assert served.url.startswith("https://")
    for host in ("shop-a.example", "SST.shop-a.example", "shop-b.example"):
        answer, certificate = await ask_over_tls(served.port, host)
        assert answer.status == 200
        assert answer.json()["scheme"] == "https"  # R15: what cookies and links go by
        names = [name for _, name in certificate["subjectAltName"]]
        assert names[0] in host.lower()


@pytest.mark.parametrize("host", ["other.example", "a.b.shop-a.example", None])
async def test_who_asks_for_another_name_or_none_gets_the_first(serve: Serve, pairs, host):
    served = await serve_tls(serve, pairs)
    context = trusting(check_hostname=False)
    if host is None:  # an address is no name to ask for
        host = "127.0.0.1"
    _, certificate = await ask_over_tls(served.port, host, context)
    assert ("DNS", "shop-a.example") in certificate["subjectAltName"]


async def test_of_two_certificates_for_a_name_the_first_is_served(serve: Serve, pairs, tmp_path):
    later = write_pair(tmp_path, "c", AUTHORITY.issue("shop-b.example", "only-here.example"))
    served = await serve_tls(serve, [*pairs, later])
    _, certificate = await ask_over_tls(served.port, "shop-b.example")
    assert certificate["subjectAltName"] == (("DNS", "shop-b.example"),)
    await ask_over_tls(served.port, "only-here.example")


async def test_a_wildcard_stands_for_one_label(serve: Serve, pairs, tmp_path):
    wide = write_pair(tmp_path, "w", AUTHORITY.issue("*.shop-w.example"))
    served = await serve_tls(serve, [*pairs, wide])
    await ask_over_tls(served.port, "SST.shop-w.example")
    for host in ("shop-w.example", "a.sst.shop-w.example"):
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask_over_tls(served.port, host)


async def test_a_chain_is_sent_whole(serve: Serve, tmp_path):
    between = Authority("Between", AUTHORITY)
    served = await serve_tls(serve, [write_pair(tmp_path, "c", between.issue("shop-c.example"))])
    assert (await ask_over_tls(served.port, "shop-c.example"))[0].status == 200


async def test_certificate_and_key_may_stand_in_one_file(serve: Serve, tmp_path):
    path = tmp_path / "both.pem"
    path.touch(0o600)
    path.write_bytes(b"".join(AUTHORITY.issue("shop-a.example")))
    served = await serve(ECHO, tls_certificates=(str(path),))
    assert (await ask_over_tls(served.port, "shop-a.example"))[0].status == 200


# -- what is spoken ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_with_good_ciphers(serve: Serve, pairs, version):
    served = await serve_tls(serve, pairs)
    context = trusting(minimum_version=version, maximum_version=version)
    context.set_alpn_protocols(["h2", "http/1.1"])
    reader, writer = await connect(served.port, "shop-a.example", context)
    spoken = writer.get_extra_info("ssl_object")
    assert spoken.selected_alpn_protocol() == "http/1.1"
    assert "GCM" in spoken.cipher()[0] or "CHACHA20" in spoken.cipher()[0]
    assert (await exchange_over(reader, writer)).status == 200
    writer.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),  # no forward secrecy
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AES:!AESGCM:!AESCCM"),  # CBC
        (ssl.TLSVersion.TLSv1_2, "AECDH:ADH:@SECLEVEL=0"),  # nobody proves who he is
    ],
)
async def test_older_tls_and_weak_ciphers_are_refused(serve: Serve, pairs, version, ciphers):
    served = await serve_tls(serve, pairs)
    context = trusting()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await ask_over_tls(served.port, "shop-a.example", context)
    assert (await ask_over_tls(served.port, "shop-a.example"))[0].status == 200


async def test_plain_http_on_a_tls_port_and_a_silent_peer_are_closed(serve: Serve, pairs):
    served = await serve_tls(serve, pairs, tls_handshake_timeout_s=0.3)
    async with RawConnection(served.port) as plain, RawConnection(served.port) as silent:
        plain.send(request("/c"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await plain.read_answer()
        assert await silent.is_closed()
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 0


async def test_the_proxy_header_comes_before_tls(serve: Serve, pairs):
    served = await serve_tls(serve, pairs, proxy_protocol=True, trusted_proxies=("127.0.0.1",))
    header = b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 443\r\n"
    to_server, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting().wrap_bio(from_server, to_server, server_hostname="shop-b.example")
    async with RawConnection(served.port) as connection:

        async def turn(step):
            """Take a step of TLS, carrying what it wants to say and to hear."""
            nonlocal header
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    connection.send(header + to_server.read())  # header and hello in one segment
                    header = b""
                    from_server.write(await connection.reader.read(65_536))

        await turn(tls.do_handshake)
        tls.write(request("/c"))
        assert b'"remote_address":"198.51.100.22"' in (await turn(lambda: tls.read(65_536)))
    async with RawConnection(served.port) as without:
        without.send(b"\x16\x03\x01\x00\xa5\x01")
        assert await without.is_closed()


# -- renewal -------------------------------------------------------------------------------------


async def test_a_new_pair_is_served_without_a_restart_and_old_connections_live_on(
    serve: Serve, pairs, tmp_path
):
    served = await serve_tls(serve, pairs)
    reader, writer = await connect(served.port, "shop-a.example")
    before = (await ask_over_tls(served.port, "shop-a.example"))[1]
    other = (await ask_over_tls(served.port, "shop-b.example"))[1]
    write_pair(tmp_path, "a", AUTHORITY.issue("shop-a.example", "new.example"))
    assert served.worker.certificates.reload()
    after = (await ask_over_tls(served.port, "shop-a.example"))[1]
    assert serial(after) != serial(before)
    assert serial((await ask_over_tls(served.port, "new.example"))[1]) == serial(after)
    assert serial((await ask_over_tls(served.port, "shop-b.example"))[1]) == serial(other)
    assert (await exchange_over(reader, writer)).status == 200
    writer.close()


async def test_files_are_watched(pairs, tmp_path):
    certificates = Certificates(pairs)
    watching = asyncio.ensure_future(certificates.watch(0.02))
    old = certificates.expires_s
    write_pair(tmp_path, "b", AUTHORITY.issue("shop-b.example", ends=20 * DAY))
    await eventually(lambda: certificates.expires_s < old - 30 * 86_400)
    watching.cancel()


async def test_an_error_of_our_own_does_not_end_the_watching(pairs, tmp_path, monkeypatch, caplog):
    certificates = Certificates(pairs)
    reload, errors = certificates.reload, iter([KeyError("notAfter")])

    def reload_after_an_error():
        for error in errors:
            raise error
        return reload()

    monkeypatch.setattr(certificates, "reload", reload_after_an_error)
    watching = asyncio.ensure_future(certificates.watch(0.02))
    old = certificates.expires_s
    write_pair(tmp_path, "b", AUTHORITY.issue("shop-b.example", ends=20 * DAY))
    await eventually(lambda: certificates.expires_s < old - 30 * 86_400)
    assert "certificates cannot be looked at" in caplog.messages
    watching.cancel()


async def test_a_link_that_is_pointed_elsewhere_is_noticed(pairs, tmp_path):
    """As Kubernetes and certbot change secrets: nothing is written, a link moves."""
    newer = write_pair(tmp_path, "newer", AUTHORITY.issue("shop-a.example", ends=10 * DAY))
    links = tmp_path / "live.pem", tmp_path / "live.key"
    for link, target in zip(links, pairs[0], strict=True):
        link.symlink_to(target)
    certificates = Certificates([(str(links[0]), str(links[1]))])
    for link, target in zip(links, newer, strict=True):
        link.unlink()
        link.symlink_to(target)
    assert certificates.reload()
    assert certificates.expires_s < time.time() + 11 * 86_400


def broken_files():
    chain, key = AUTHORITY.issue("shop-a.example")
    yield "empty", (b"", b"")
    yield "no PEM", (b"certificate", key)
    yield "cut off", (chain[: len(chain) // 2], key)
    yield "key of another", (chain, key_pem(new_key()))
    yield "key with a password", (chain, key_pem(new_key(), b"secret"))
    yield "no key", (chain, b"")
    yield "expired", AUTHORITY.issue("shop-a.example", begins=-9 * DAY, ends=-DAY)
    yield "for clients", AUTHORITY.issue("shop-a.example", purpose=CLIENT)
    yield "weak key", AUTHORITY.issue("shop-a.example", rsa_bits=1024)


@pytest.mark.parametrize(
    "pair", [pair for _, pair in broken_files()], ids=[name for name, _ in broken_files()]
)
async def test_a_broken_new_pair_is_refused_and_the_old_one_stays(
    serve: Serve, pairs, tmp_path, caplog, pair
):
    served = await serve_tls(serve, pairs)
    certificates = served.worker.certificates
    before = (await ask_over_tls(served.port, "shop-a.example"))[1]
    write_pair(tmp_path, "a", pair)
    with caplog.at_level(logging.ERROR, "sgtm.server"):
        assert not any(certificates.reload() for _ in range(3))
    assert serial((await ask_over_tls(served.port, "shop-a.example"))[1]) == serial(before)
    (line,) = [one for one in caplog.records if "refused" in one.message]  # said once
    assert "a.pem" in line.reason
    assert served.worker.counters.value("sgtm_certificates_read_total", "refused") == 1
    # and the next one is taken
    write_pair(tmp_path, "a", AUTHORITY.issue("shop-a.example"))
    assert certificates.reload()
    assert serial((await ask_over_tls(served.port, "shop-a.example"))[1]) != serial(before)


async def test_files_that_have_gone_change_nothing(serve: Serve, pairs):
    served = await serve_tls(serve, pairs)
    for path in pairs[0]:
        os.unlink(path)
    assert not served.worker.certificates.reload()
    assert (await ask_over_tls(served.port, "shop-a.example"))[0].status == 200


async def test_a_broken_pair_does_not_hold_up_the_others(serve: Serve, pairs, tmp_path):
    served = await serve_tls(serve, pairs)
    before = (await ask_over_tls(served.port, "shop-b.example"))[1]
    write_pair(tmp_path, "a", (b"", b""))
    write_pair(tmp_path, "b", AUTHORITY.issue("shop-b.example"))
    assert not served.worker.certificates.reload()
    assert serial((await ask_over_tls(served.port, "shop-b.example"))[1]) != serial(before)


async def test_renewal_under_load_fails_no_request(serve: Serve, pairs, tmp_path):
    served = await serve_tls(serve, pairs)
    context, seen, is_done = trusting(), set(), False

    async def load_it():
        count = 0
        while not is_done:
            answer, certificate = await ask_over_tls(served.port, "shop-a.example", context)
            assert answer.status == 200
            seen.add(serial(certificate))
            count += 1
        return count

    async def keep_one():
        reader, writer = await connect(served.port, "shop-a.example", context)
        count = 0
        while not is_done:
            assert (await exchange_over(reader, writer)).status == 200
            count += 1
            await asyncio.sleep(0)
        writer.close()
        return count

    running = [asyncio.ensure_future(one()) for one in (load_it, load_it, load_it, keep_one)]
    for number in range(6):
        write_pair(tmp_path, "a", AUTHORITY.issue("shop-a.example") if number % 2 else (b"broken", b""))
        served.worker.certificates.reload()
        await asyncio.sleep(0.05)
    is_done = True
    counts = await asyncio.gather(*running)
    assert min(counts) > 0
    assert len(seen) >= 3


# -- what is said --------------------------------------------------------------------------------


def test_when_the_first_of_them_ends_is_known(pairs, tmp_path, caplog):
    soon = write_pair(tmp_path, "soon", AUTHORITY.issue("c.example", ends=5 * DAY))
    with caplog.at_level(logging.WARNING, "sgtm.server"):
        certificates = Certificates([*pairs, soon])
    expected = datetime.datetime.now(datetime.UTC).timestamp() + 5 * 86_400
    assert abs(certificates.expires_s - expected) < 60
    (line,) = caplog.records  # reliability 6: certificate < 14 d
    assert (line.names, round(line.expires_in_days)) == (["c.example"], 5)


async def test_operators_see_when_it_ends(serve: Serve, pairs):
    name = "sgtm_certificate_expiry_timestamp_seconds"
    served = await serve_tls(serve, pairs)
    assert served.worker.gauges()[name] == served.worker.certificates.expires_s
    plain = await serve(ECHO)
    assert name not in plain.worker.gauges()


def test_a_key_that_others_can_read_is_warned_of(pairs, caplog):
    os.chmod(pairs[0][1], 0o644)
    with caplog.at_level(logging.WARNING, "sgtm.server"):
        load(*pairs[0])
        load(*pairs[1])
    (line,) = caplog.records
    assert line.key == pairs[0][1]


@pytest.mark.parametrize("pair", [pair for name, pair in broken_files() if name != "expired"])
def test_at_the_start_a_broken_pair_is_an_error_that_names_the_file(tmp_path, pair):
    with pytest.raises(SettingsError) as caught:
        Certificates([write_pair(tmp_path, "x", pair)])
    assert "x.pem" in caught.value.where
    assert caught.value.mend
    assert "secret" not in str(caught.value)


def test_at_the_start_an_expired_certificate_is_better_than_none(tmp_path, caplog):
    pair = write_pair(tmp_path, "x", AUTHORITY.issue("a.example", begins=-9 * DAY, ends=-DAY))
    with caplog.at_level(logging.WARNING, "sgtm.server"):
        assert Certificates([pair]).expires_s < time.time()
    assert caplog.records[0].expires_in_days < 0


def test_missing_files_and_pairs_that_do_not_match_are_mistakes_in_the_settings(pairs):
    (one, key), (two, _) = pairs
    with pytest.raises(SettingsError, match="No such file"):
        Certificates.of(Settings(tls_certificates=("/nowhere.pem",), tls_keys=(key,)))
    with pytest.raises(SettingsError, match="2 certificates and 1 keys"):
        Certificates.of(Settings(tls_certificates=(one, two), tls_keys=(key,)))
    with pytest.raises(SettingsError, match="0 certificates and 1 keys"):
        Certificates.of(Settings(tls_keys=(key,)))
    assert Certificates.of(Settings()) is None


def test_what_is_read_is_counted(pairs):
    counters = Counters()
    Certificates(pairs, counters)
    assert counters.value("sgtm_certificates_read_total", "loaded") == 2


# -- limits of beginnings: SPEC reliability 2.4 (TLS handshake 10 s, close) ---------------------------


def closed(served, reason):
    return served.worker.counters.value("sgtm_connections_closed_total", reason)


async def test_a_handshake_that_takes_too_long_is_ended(serve: Serve, pairs):
    served = await serve_tls(serve, pairs, tls_handshake_timeout_s=0.2, head_timeout_s=60)
    async with RawConnection(served.port) as silent, RawConnection(served.port) as dripping:
        for byte in b"\x16\x03\x01\x00":
            dripping.send(bytes([byte]))
            await asyncio.sleep(0.1)
        assert await silent.is_closed()
        assert await dripping.is_closed()
    await eventually(lambda: closed(served, "slow handshake") == 2)
    assert (await ask_over_tls(served.port, "shop-a.example"))[0].status == 200


async def test_a_handshake_that_fails_is_counted(serve: Serve, pairs):
    served = await serve_tls(serve, pairs)
    async with RawConnection(served.port) as plain:
        plain.send(request("/c"))
    await eventually(lambda: closed(served, "failed handshake") == 1)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"connection_beginnings": 3, "connections_per_address": 0}, "beginnings full"),
        ({"connections_per_address": 3}, "address full"),
    ],
)
async def test_handshakes_under_way_are_bounded(serve: Serve, pairs, limits, reason):
    served = await serve_tls(serve, pairs, **limits)
    async with contextlib.AsyncExitStack() as stack:
        begun = [await stack.enter_async_context(RawConnection(served.port)) for _ in range(3)]
        async with RawConnection(served.port) as late:
            assert await late.is_closed()
        assert closed(served, reason) == 1
        for one in begun:
            one.writer.close()
        await eventually(lambda: closed(served, "failed handshake") == 3)
        assert (await ask_over_tls(served.port, "shop-a.example"))[0].status == 200


async def test_a_client_hello_cut_anywhere_and_never_finished_is_ended(serve: Serve, pairs):
    served = await serve_tls(serve, pairs, tls_handshake_timeout_s=0.3, connections_per_address=0)
    hello = ssl.MemoryBIO()
    tls = trusting().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="shop-a.example")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    data = hello.read()
    async with contextlib.AsyncExitStack() as stack:
        for cut in range(len(data)):
            connection = await stack.enter_async_context(RawConnection(served.port))
            connection.send(data[:cut])
        await eventually(lambda: closed(served, "slow handshake") == len(data))
    assert (await ask_over_tls(served.port, "shop-a.example"))[0].status == 200
