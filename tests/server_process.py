"""The real server in a process of its own, and what the kernel says about it."""

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct
from raw_http import exchange, request

ROOT = Path(__file__).parents[1]
TOKEN = "a token of the tests, long enough"
FLAGS = {"--host": "127.0.0.1", "--port": "0", "--drain-delay-s": "0", "--log-format": "json"}


class ServerProcess(Struct):
    """A server that runs: one worker, which is the process itself."""

    port: int
    admin_port: int
    pid: int

    def memory_kb(self) -> int:
        """Resident memory."""
        return self._status("VmRSS")

    def threads(self) -> int:
        return self._status("Threads")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    async def metrics(self) -> dict[str, float]:
        """What the admin listener's /metrics says: name with labels -> value."""
        data = request("/metrics", headers={"Authorization": f"Bearer {TOKEN}", "Connection": "close"})
        lines = (await exchange(self.admin_port, data)).body.decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0])


@asynccontextmanager
async def server_process(
    folder: Path, container: str, flags: Mapping[str, str]
) -> AsyncIterator[ServerProcess]:
    """Serve this container.yaml; ended by SIGTERM, and killed where that does not end it in 30 s."""
    path = folder / "container.yaml"
    path.write_text(container)
    all_flags = {**FLAGS, "--admin-port": "0", "--data-folder": str(folder / "data"), **flags}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sgtm", "serve", str(path), *itertools.chain(*all_flags.items())),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "SGTM_ADMIN_TOKEN": TOKEN},
        stderr=asyncio.subprocess.PIPE,
    )
    reading = None
    try:
        assert process.stderr is not None
        ports = await _ports_in(process.stderr)
        reading = asyncio.ensure_future(_read_away(process.stderr))
        yield ServerProcess(*ports, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        finally:
            if reading is not None:
                await reading


async def _ports_in(stream: asyncio.StreamReader) -> tuple[int, int]:
    """Ports of the server and of its admin listener."""
    said = []
    async with asyncio.timeout(20):
        while line := await stream.readline():
            said.append(json.loads(line))
            if said[-1]["message"] == "serving":
                url, admin = (said[-1][name].rpartition(":")[2] for name in ("url", "admin"))
                return int(url), int(admin)
    raise AssertionError(f"it did not start: {said}")


async def _read_away(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass
