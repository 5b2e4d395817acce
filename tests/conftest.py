"""What all tests share: loopback only, Hypothesis profiles, golden files, real servers."""

import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest
import yaml
from broker import BrokerProcess

from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.demo.vendor import Vendor
from sgtm.messages import IncomingRequest
from sgtm.observability.walk import Walk
from sgtm.server.listening import bind
from sgtm.server.worker import Worker
from sgtm.settings import Settings

# -- Hypothesis: the same 200 examples everywhere, or many new ones at night --------------------

hypothesis.settings.register_profile("ci", max_examples=200, derandomize=True, deadline=None)
hypothesis.settings.register_profile("nightly", max_examples=20_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# -- golden files -------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite expectations; read every line of the diff"
    )


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("SGTM_OUTBOX", "memory")  # of servers in other processes; see also `serve`
    if config.getoption("--update-golden") and os.environ.get("CI", "").lower() in ("1", "true"):
        raise pytest.UsageError("--update-golden is for a person who reads the diff, not for CI")
    _stay_on_loopback()


# -- the network of a machine that has only loopback ------------------------------------------

_getaddrinfo = socket.getaddrinfo
_LOCAL_NAMES = ("localhost", "", None)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _loopback_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    """Numbers and `localhost` resolve; no other name exists."""
    name = host.decode() if isinstance(host, bytes) else host
    if name not in _LOCAL_NAMES:
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "tests know no names but localhost") from None
    return _getaddrinfo(host, *args, **kwargs)


class _LoopbackSocket(socket.socket):
    """A socket that reaches nothing but this machine."""

    __slots__ = ()

    def connect(self, address: Any, /) -> None:
        self._check(address)
        super().connect(address)

    def connect_ex(self, address: Any, /) -> int:
        self._check(address)
        return super().connect_ex(address)

    def _check(self, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise OSError(errno.ENETUNREACH, f"tests connect to loopback only, not to {address[0]}")


def _stay_on_loopback() -> None:
    socket.getaddrinfo = _loopback_getaddrinfo
    socket.socket = _LoopbackSocket  # type: ignore[misc]


# -- real servers in this process ---------------------------------------------------------------


class Served(NamedTuple):
    """A worker that listens, and where."""

    worker: Worker
    url: str
    port: int


Serve = Callable[..., Awaitable[Served]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In a module with `BOTH_WAYS = True` servers run with the edge, and once more without it."""
    if "edge" in metafunc.fixturenames and getattr(metafunc.module, "BOTH_WAYS", False):
        metafunc.parametrize("edge", ["on", "off"])


@pytest.fixture
def edge() -> str:
    """Setting of the servers that `serve` starts."""
    return Settings().edge


@asynccontextmanager
async def serving(tmp_path: Path, edge: str) -> AsyncIterator[Serve]:
    """Start workers: `await serve(container, port=.., ...)`. `container` is a Container, or what
    stands in a container.yaml, as text or data; the keywords are Settings."""
    workers: list[Worker] = []

    async def start(
        container: Container | Mapping[str, Any] | str,
        *,
        new_walk: Callable[[IncomingRequest], Walk | None] | None = None,
        **changes: Any,
    ) -> Served:
        if not isinstance(container, Container):
            text = container if isinstance(container, str) else yaml.safe_dump(container, sort_keys=False)
            path = tmp_path / f"container-{len(workers)}.yaml"
            path.write_text(text)
            container = load_container(path)
        local = {
            "outbox": "memory",
            "edge": edge,
            "host": "127.0.0.1",
            "port": 0,
            "egress_allow": ("127.0.0.0/8", "::1"),
        }
        settings = Settings(**{**local, "drain_timeout_s": 2.0, **changes})
        worker = Worker(container, settings, bind(settings), new_walk=new_walk)
        workers.append(worker)
        await worker.start()
        return Served(worker, worker.url, int(worker.url.rpartition(":")[2]))

    try:
        yield start
    finally:
        for worker in workers:
            await worker.drain(0)


@pytest.fixture
async def serve(tmp_path: Path, edge: str) -> AsyncIterator[Serve]:
    """See `serving`."""
    async with serving(tmp_path, edge) as start:
        yield start


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A stand-in for the vendors on loopback."""
    async with Vendor() as running:
        yield running


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[BrokerProcess]:
    """A broker of its own, set up as `sgtm outbox init` does."""
    running = BrokerProcess(tmp_path / "broker").start()
    await running.init()
    yield running
    running.kill()
