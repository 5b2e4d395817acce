"""A client that sends exactly the bytes it is given, and reads answers as strictly as they must be."""

import asyncio
import json
from typing import Any

from msgspec import Struct


class RawAnswer(Struct):
    """One answer as it was on the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection; `async with RawConnection(port) as connection`."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "RawConnection":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read_answer(self, *, is_head: bool = False) -> RawAnswer:
        """The next answer; raises IncompleteReadError where the connection ends before it."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head[:-4].split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        answer = RawAnswer(int(status), headers, b"")
        assert len(answer.all("Content-Length")) <= 1
        assert answer.header("Transfer-Encoding") is None
        if not is_head and answer.header("Content-Length") is not None:
            answer.body = await self.reader.readexactly(int(answer.header("Content-Length") or 0))
        return answer

    async def is_closed(self, within_s: float = 5.0) -> bool:
        """Whether the server ends the connection, without another byte."""
        try:
            async with asyncio.timeout(within_s):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def request(
    target: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    """A well-formed request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: shop.example"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def ask(
    port: int, target: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> RawAnswer:
    """One request over a connection of its own."""
    return await exchange(port, request(target, method=method, headers=headers, body=body), method == "HEAD")


async def exchange(port: int, data: bytes, is_head: bool = False) -> RawAnswer:
    """Send these bytes over a connection of their own; the first answer."""
    async with RawConnection(port) as connection:
        connection.send(data)
        async with asyncio.timeout(10):
            return await connection.read_answer(is_head=is_head)
