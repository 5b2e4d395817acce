"""Servers and load in processes of their own, for tests of what only processes can show."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from doubles import eventually
from raw_http import RawAnswer, ask

ROOT = Path(__file__).parent.parent

CONTAINER = """
sgtm: 1
name: {name}
consent: {{unset: granted, gate: declared}}
clients:
  - {{name: Shop, type: json, parameters: {{paths: [/data]}}}}
"""
TWO_VENDORS = """
sgtm: 1
name: two
consent: {unset: granted, gate: declared}
clients:
  - {name: Shop, type: json, parameters: {paths: [/data]}}
triggers: [{name: Every, type: all_events}]
tags:
  - {name: A, type: http_request, firing_triggers: [Every], parameters: {url: "VENDOR/a"}}
  - {name: B, type: http_request, firing_triggers: [Every], parameters: {url: "VENDOR/b"}}
"""
"""VENDOR stands for the vendor's address."""
BROKEN = "sgtm: 1\nclients: [{name: A, type: no_such_client}]\n"


class Server:
    """`sgtm serve`; its log is read all the time, line by line."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder, self.process = folder, process
        self.lines: list[dict[str, Any]] = []
        self.port = self.admin_port = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, folder: Path, *arguments: str, container: str = "", environment: Mapping[str, str] | None = None
    ) -> "Server":
        """Wait until it serves."""
        path = folder / "container.yaml"
        path.write_text(container or CONTAINER.format(name="first"))
        flags = ("--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--log-format", "json")
        flags += ("--data-folder", str(folder / "data"), "--drain-delay-s", "0.5", "--drain-timeout-s", "2")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sgtm", "serve", str(path), *flags, *arguments),
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stderr=asyncio.subprocess.PIPE,
        )
        server = cls(folder, process)
        line = await server.said("serving")
        server.port = int(line["url"].rpartition(":")[2])
        server.admin_port = int(line["admin"].rpartition(":")[2])
        return server

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(json.loads(line))

    async def said(self, message: str, times: int = 1) -> dict[str, Any]:
        """The line with this message, when it was said so often."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines if line["message"] == message]

        await eventually(lambda: len(found()) >= times or self.process.returncode is not None, 30)
        assert len(found()) >= times, f"no line {message!r} among {self.lines}"
        return found()[times - 1]

    def write_container(self, text: str) -> None:
        """Put another container in the place of the one that serves, in one step."""
        draft = self.folder / "draft.yaml"
        draft.write_text(text)
        draft.rename(self.folder / "container.yaml")

    async def admin(self, method: str, path: str, body: bytes = b"", token: str | None = None) -> RawAnswer:
        """Ask the admin listener."""
        if token is None:
            token = (self.folder / "data" / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return await ask(self.admin_port, path, method=method, headers=headers, body=body)

    async def workers(self) -> list[dict[str, Any]]:
        """What /health says of each worker."""
        workers: list[dict[str, Any]] = (await self.admin("GET", "/health")).json()["workers"]
        return workers

    async def pids(self) -> list[int]:
        return [worker.get("pid", 0) for worker in await self.workers()]

    async def metric(self, series: str) -> float:
        """The value of one series, written as in the text."""
        text = (await self.admin("GET", "/metrics")).body.decode()
        return next(
            float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series + " ")
        )

    async def is_ready_with(self, other_than: int) -> bool:
        """Whether all workers are ready, and none has this pid."""
        answer = await self.admin("GET", "/health")
        return answer.status == 200 and other_than not in [one["pid"] for one in answer.json()["workers"]]

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def finish(self) -> int:
        """The exit status."""
        async with asyncio.timeout(30):
            await self._reading
            return await self.process.wait()

    async def kill(self) -> None:
        """The end, if it has not come. Its workers notice."""
        if self.process.returncode is None:
            self.process.kill()
        await self.finish()


class LoadProcess:
    """Requesters in another process; `async with`, then `answers` and `failures` are known."""

    def __init__(self, port: int, *, fresh: int = 4, kept: int = 4) -> None:
        self._arguments = (str(port), str(fresh), str(kept))
        self.answers = 0
        self.failures: list[str] = []

    async def __aenter__(self) -> "LoadProcess":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "tests" / "load_client.py"), *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        async with asyncio.timeout(30):
            out, _errors = await self._process.communicate(b"")
        seen = json.loads(out)
        self.answers, self.failures = seen["answers"], seen["failures"]


def is_alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
    """Wait until what has to be asked for holds."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(0.05)
