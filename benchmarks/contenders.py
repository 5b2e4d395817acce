"""Contenders: servers that take part in a benchmark, and what was measured of them.

    with started_sgtm("sgtm", container, vendor) as contender: ...

A server runs on the first core, CPU is that of its whole family of processes. `OTHER_CORES` are for the
load and for the vendors.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field

from benchmarks.hits import wire_of
from benchmarks.stand_in import StartedStandIn
from tests.npm_packages import node_modules

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORES = _CORES[0], set(_CORES[1:] or _CORES)

CONTAINER = """\
sgtm: 1
name: benchmark
consent: {unset: denied, gate: all}
clients:
- {name: GA4, type: ga4}
"""
TAGS = """\
tags:
- name: GA4
  type: ga4
  firing_triggers: [All Events]
  parameters: {endpoint: "VENDOR"}
- name: Meta
  type: meta_conversions
  firing_triggers: [All Events]
  parameters: {endpoint: "VENDOR", pixel_id: "1234567890", access_token: "${META_ACCESS_TOKEN}"}
"""
SECRETS = {"META_ACCESS_TOKEN": "a-token-for-the-stand-in"}
UNBATCHED = TAGS.rstrip() + "\n  delivery: {max_batch: 1}\n"
AWAITED = CONTAINER.replace("type: ga4}", "type: ga4, parameters: {waits_for_tags: true}}")
NGINX = """\
daemon off; master_process off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder};
  proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


class Contender(Struct):
    """A server that takes part, and what was measured."""

    name: str
    url: str
    process: int | None = None
    vendor: StartedStandIn | None = None
    """Who gets two requests for each hit; None: nobody."""
    wire: Callable[[bytes], bytes] = wire_of
    """The request that brings it a hit, from the hit's query."""
    status: bytes = b"204"
    """Of a right answer."""
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    hits: int = 0
    wrong: int = 0
    """Answers that were not right, and requests to vendors that were lost or doubled."""

    def forget(self) -> None:
        """The warm-up does not count."""
        self.rates, self.cpu_us, self.latencies_ms, self.hits = [], [], [], 0

    def cpu_s(self) -> float:
        """CPU seconds (user and system) of its processes so far; 0.0 where they are not known."""
        return 0.0 if self.process is None else sum(map(_cpu_s, family(self.process)))

    def memory_mb(self) -> float:
        """Resident memory of its processes; 0.0 where they are not known."""
        return 0.0 if self.process is None else sum(map(_memory_mb, family(self.process)))


def family(process: int) -> Iterator[int]:
    """A process and all that come from it."""
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024 if "VmRSS:" in status else 0.0


# -- how they are started ------------------------------------------------------------------------


@contextmanager
def started(
    name: str,
    *command: str,
    vendor: StartedStandIn | None = None,
    url: str | None = None,
    core: int | None = SERVER_CORE,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Contender]:
    """A server process on one core (None: wherever it likes) that says its address in its first lines,
    unless it is known. It trusts who vouches for its vendor."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **SECRETS, **_trust_in(vendor), **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        emptied = threading.Thread(target=process.stderr.read, daemon=True)
        try:
            os.sched_setaffinity(process.pid, set(_CORES) if core is None else {core})
            url = url or _read_url(process)
            emptied.start()  # the pipe never fills
            yield Contender(name, url, process.pid, vendor)
        finally:
            _end(process)
            if emptied.ident is not None:
                emptied.join(10)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _trust_in(vendor: StartedStandIn | None) -> dict[str, str]:
    """What makes OpenSSL (ours and the other servers in Python) and Node trust the authority of a vendor over
    TLS. Nobody skips the verification."""
    file = vendor.ca_file if vendor else None
    return {} if file is None else {"SSL_CERT_FILE": file, "NODE_EXTRA_CA_CERTS": file}


def _read_url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        at = line.find("http://127.0.0.1:")
        if at >= 0:
            return line[at:].split('"')[0].split()[0]
    raise SystemExit(f"{process.args!r} did not start")


@contextmanager
def started_sgtm(
    name: str,
    container: str,
    vendor: StartedStandIn | None = None,
    more: Sequence[str] = ("--outbox", "memory"),
    core: int | None = SERVER_CORE,
    data_folder: Path | None = None,
) -> Iterator[Contender]:
    """Our server, as `sgtm serve` runs it. With a `data_folder` of its caller's it has an admin listener,
    whose address and token stand there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "container.yaml")
        path.write_text(container)
        flags = ["--host", "127.0.0.1", "--port", "0", "--drain-delay-s", "0", "--log-format", "json"]
        flags += ["--connections-per-address", "0"]
        flags += ["--no-admin"] if data_folder is None else ["--admin-port", "0"]
        flags += ["--egress-allow", "127.0.0.1"]  # the stand-in
        if "--data-folder" not in more:
            flags += ["--data-folder", str(data_folder or Path(folder, "data"))]
        command = (sys.executable, "-m", "sgtm", "serve", str(path), *flags, *more)
        with started(name, *command, vendor=vendor, core=core) as contender:
            yield contender


@contextmanager
def started_yardstick(name: str, kind: str, vendor: StartedStandIn | None = None) -> Iterator[Contender]:
    """A server of `yardsticks.py`."""
    asked = [kind] if vendor is None else [kind, vendor.url]
    with started(name, sys.executable, "-m", "benchmarks.yardsticks", *asked, vendor=vendor) as contender:
        yield contender


@contextmanager
def started_node(name: str, kind: str, vendor: StartedStandIn | None = None) -> Iterator[Contender]:
    """A server of `peers/server.mjs`; its packages are fetched once."""
    node_modules(PEERS)
    command = [shutil.which("node") or "node", str(PEERS / "server.mjs"), kind]
    command += [] if vendor is None else [vendor.url]
    with started(name, *command, vendor=vendor, environment={"NODE_ENV": "production"}) as contender:
        yield contender


@contextmanager
def started_nginx(name: str) -> Iterator[Contender]:
    """nginx that returns 204, one worker."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nginx.conf")
        path.write_text(NGINX.format(folder=folder, port=port))
        with started(name, program, "-c", str(path), url=f"http://127.0.0.1:{port}") as contender:
            wait_for(port)
            yield contender


def free_port() -> int:
    """A port that nobody listens on, for servers that must be told one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    """Until somebody listens there, for a while."""
    for _ in range(1_000):
        with socket.socket() as probe:
            probe.settimeout(0.05)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nobody listens on port {port}")
