"""The examples of docs/deployment.md for real: Debian's nginx and Caddy, each with the file that people copy,
before a real server on loopback. Only addresses, ports and certificates are put in their place."""

import asyncio
import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
from conftest import Serve, Served
from msgspec import Struct
from raw_http import RawAnswer, RawConnection, request
from script_origin import SCRIPT, ScriptOrigin

from sgtm.demo.vendor import Vendor
from sgtm.messages import IncomingRequest
from sgtm.server.proxy import TrustedProxies
from sgtm.settings_sources import load

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/deploy"
TLS = ROOT / "tests/delivery/tls"
CONTAINER = """
sgtm: 1
consent: {{unset: granted, gate: declared}}
clients:
- {{name: GA4, type: ga4, priority: 1}}
- {{name: Web, type: web_container, parameters: {{allowed_container_ids: [GTM-ABC123]}}}}
tags:
- {{name: GA4, type: ga4, firing_triggers: [All Events], parameters: {{endpoint: "{url}/g/collect"}}}}
"""
HIT = "/g/collect?v=2&tid=G-ABC123&cid=555.1700000000&en=page_view"
HOST = "sst.shop.example"
VISITOR = "127.0.0.9"
"""Another address than the proxy's own, which is the only one that is trusted."""


class Front(Struct):
    """A proxy that runs, sgtm behind it, and every request that sgtm got."""

    port: int
    tls: ssl.SSLContext | None
    served: Served
    vendor: Vendor
    seen: list[IncomingRequest]
    folder: Path

    async def connect(self) -> RawConnection:
        connection = RawConnection(self.port)
        connection.reader, connection.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, local_addr=(VISITOR, 0)
        )
        return connection

    async def ask(self, target: str, **more: Any) -> RawAnswer:
        connection = await self.connect()
        connection.send(request(target, **more).replace(b"Host: shop.example", f"Host: {HOST}".encode()))
        try:
            async with asyncio.timeout(10):
                return await connection.read_answer()
        finally:
            connection.writer.close()


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    assert found is not None, f"there is no {name}: apt-get install {name}"
    return found


def nginx(folder: Path, port: int, upstream: int) -> tuple[list[str], bool]:
    """Command, and whether it speaks TLS."""
    site = (EXAMPLES / "nginx.conf").read_text()
    for old, new in {
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{upstream};",
        "    listen 443 ssl http2;": f"    listen 127.0.0.1:{port} ssl http2;",
        "    listen [::]:443 ssl http2;\n": "",
        "/etc/letsencrypt/live/sst.shop.example/fullchain.pem": str(TLS / "good.pem"),
        "/etc/letsencrypt/live/sst.shop.example/privkey.pem": str(TLS / "good.pem"),
        "/var/log/nginx/sgtm.log": str(folder / "site.log"),
    }.items():
        assert site.count(old) == 1, old
        site = site.replace(old, new)
    (folder / "site.conf").write_text(site)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ {temporary} access_log {folder}/access.log; include {folder}/site.conf; }}"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return [
        program,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "error.log"),
    ], True


def caddy(folder: Path, port: int, upstream: int) -> tuple[list[str], bool]:
    """The same; without TLS, since Caddy would want to get a certificate."""
    site = (EXAMPLES / "Caddyfile").read_text()
    site, count = re.subn(r"(?m)^sst\.shop\.example \{$", f"http://{HOST}:{port} {{\n\tbind 127.0.0.1", site)
    assert (count, site.count("127.0.0.1:8080 {")) == (1, 1)
    site = site.replace("127.0.0.1:8080 {", f"127.0.0.1:{upstream} {{")
    site = site.replace("\n{\n", "\n{\n\tadmin off\n", 1)
    (folder / "Caddyfile").write_text(site)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")], False


@contextlib.asynccontextmanager
async def running(command: list[str], port: int, folder: Path) -> AsyncIterator[None]:
    with (folder / "stderr.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stderr=log, stdout=log, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        )
    try:
        async with asyncio.timeout(20):
            while True:
                assert process.returncode is None, (folder / "stderr.log").read_text()
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
async def front(
    request: pytest.FixtureRequest, serve: Serve, vendor: Vendor, tmp_path: Path
) -> AsyncIterator[Front]:
    make: Callable[[Path, int, int], tuple[list[str], bool]] = request.param
    seen: list[IncomingRequest] = []
    async with ScriptOrigin() as origin:
        served = await serve(
            CONTAINER.format(url=vendor.url),
            trusted_proxies=("127.0.0.1",),
            script_upstream=origin.url,
            new_walk=lambda incoming: seen.append(incoming),
        )
        # only now: whoever else asks for any free port must not be given this one meanwhile
        port = free_port()
        command, has_tls = make(tmp_path, port, served.port)
        tls = ssl.create_default_context(cafile=str(TLS / "authority.pem")) if has_tls else None
        async with running(command, port, tmp_path):
            yield Front(port, tls, served, vendor, seen, tmp_path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def test_hits_arrive_with_the_visitors_address_and_nothing_that_he_made_up(front: Front) -> None:
    # R204, X21: the proxy sets the address; what the visitor writes into its headers is not believed
    forged = {
        "X-Forwarded-For": "203.0.113.66, 127.0.0.1",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=203.0.113.67;host=evil.example",
        "CF-Connecting-IP": "203.0.113.68",
    }
    assert (await front.ask(HIT, headers=forged)).status == 204
    (incoming,) = front.seen
    assert (incoming.remote_address, incoming.is_peer_trusted) == (VISITOR, True)
    assert (incoming.host, incoming.scheme) == (HOST, "https" if front.tls else "http")
    for name in (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"):
        values = [value for key, value in incoming.headers if key == name]
        assert len(values) == 1, name
        assert not re.search(rb"evil|203\.0\.113|gopher", values[0]), name
    assert not any(name == b"forwarded" and value for name, value in incoming.headers)
    (received,) = await front.vendor.wait_for(1, "/g/collect")
    assert "en=page_view" in received.query + received.body.decode()


async def test_one_connection_to_us_carries_many_hits(front: Front) -> None:
    before = connections_to(front.served.port)  # of others that had this port a minute ago
    connection = await front.connect()
    for _ in range(40):
        connection.send(request(HIT).replace(b"Host: shop.example", f"Host: {HOST}".encode()))
        assert (await connection.read_answer()).status == 204
    connection.writer.close()
    assert len(front.seen) == 40
    assert 1 <= connections_to(front.served.port) - before <= 2


def connections_to(port: int) -> int:
    """Connections that were made to a port and are not forgotten yet, closed ones too: whoever closes
    first, here the proxy, remembers them for a minute."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[2].rpartition(":")[2], 16) == port for row in rows)


async def test_a_large_batch_and_a_long_url_pass(front: Front) -> None:
    lines = [f"en=view_item&ep.text={'x' * 980}&epn.value={number}" for number in range(100)]
    answer = await front.ask(
        "/g/collect?v=2&tid=G-ABC123&cid=555.1700000000",
        method="POST",
        body="\r\n".join(lines).encode(),
        headers={"Content-Type": "text/plain"},
    )
    assert answer.status == 204
    assert len(front.seen[0].body) == sum(map(len, lines)) + 2 * 99 > 100_000
    await front.vendor.wait_for(1, "/g/collect")
    assert (await front.ask(f"{HIT}&ep.text={'x' * 14_000}")).status == 204


async def test_a_script_is_served_compressed_and_may_be_kept(front: Front) -> None:
    answer = await front.ask("/gtm.js?id=GTM-ABC123", headers={"Accept-Encoding": "gzip, br"})
    assert (answer.status, answer.header("Content-Encoding")) == (200, "br")
    assert brotli.decompress(answer.body) == SCRIPT
    assert answer.header("Cache-Control") == "public, max-age=900, stale-while-revalidate=60"
    assert answer.header("Vary") == "Accept-Encoding"


async def test_a_hit_that_finds_nobody_is_answered_and_stands_in_no_log_of_the_proxy(front: Front) -> None:
    assert (await front.ask(f"{HIT}&uid=canary")).status == 204
    await front.served.worker.drain(0)
    assert (await front.ask(f"{HIT}&uid=canary")).status in (502, 503)
    logs = [file for file in front.folder.glob("*.log") if b"canary" in file.read_bytes()]
    assert logs == []


NETWORKS = {"v4": "172.64.0.0/13\n162.158.0.0/15", "v6": "2606:4700::/32"}
"""As Cloudflare publishes them: no line break at the end."""


def run_cloudflare(folder: Path, curl: str) -> subprocess.CompletedProcess[str]:
    """Run the example with a stand-in for curl, and one for sgtm that says what it was given."""
    for name, script in {"curl": curl, "sgtm": 'echo "$*"; env | grep ^SGTM_'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    command = [str(EXAMPLES / "cloudflare.sh"), "container.yaml"]
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=path, timeout=20, check=False)


def test_behind_cloudflare_its_header_is_believed_from_its_networks_only(tmp_path: Path) -> None:
    # R204 (header presets)
    curl = "".join(
        f'case "$*" in *ips-{kind}) printf "{text}\\n";; esac\n' for kind, text in NETWORKS.items()
    )
    done = run_cloudflare(tmp_path, curl)
    words, *lines = done.stdout.splitlines()
    assert words == "serve container.yaml"
    settings = load({}, dict(line.split("=", 1) for line in lines))
    assert len(settings.trusted_proxies) == 3
    proxies = TrustedProxies(settings.trusted_proxies, settings.forwarded_header)
    headers = ((b"cf-connecting-ip", b"198.51.100.7"), (b"x-forwarded-for", b"203.0.113.66"))
    for edge in ("172.64.0.1", "162.158.0.1", "2606:4700::1"):
        assert proxies.requester(edge, headers, "https").remote_address == "198.51.100.7"
    assert proxies.requester("192.0.2.1", headers, "https").remote_address == "192.0.2.1"


def test_without_cloudflares_networks_nothing_is_started(tmp_path: Path) -> None:
    done = run_cloudflare(tmp_path, "exit 22")
    assert (done.returncode, done.stdout) == (22, "")
