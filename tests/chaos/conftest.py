import subprocess
from pathlib import Path

import pytest
from chaos.workload import SMALL_RESERVE_BYTES


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The disk that records and fails, built."""
    built = tmp_path_factory.mktemp("disk") / "disk.so"
    source = Path(__file__).with_name("disk.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", str(built), str(source), "-ldl", "-lpthread"], check=True)
    return built


@pytest.fixture(autouse=True)
def small_reserve(monkeypatch):
    """Thousands of outboxes are opened in memory: 64 MB each would take their time."""
    monkeypatch.setattr("sgtm.delivery.outbox.space._RESERVE_BYTES", SMALL_RESERVE_BYTES)
