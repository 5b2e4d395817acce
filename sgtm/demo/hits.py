"""Recorded hits: one `.http` file each, as the browser (or the backend) sent it.

The first line is a comment that says what it is, then come the request line, the headers, an empty
line and the body, as in RFC 9112 but with plain line ends.
"""

from pathlib import Path

from msgspec import Struct


class RecordedHit(Struct, frozen=True):
    """One request as it was recorded."""

    name: str
    note: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def wire(self) -> bytes:
        """The request as bytes, to be sent over one connection that closes afterwards."""
        head = [f"{self.method} {self.target} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in self.headers]
        head += ["Connection: close"]
        if self.body:
            head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(head).encode() + b"\r\n\r\n" + self.body


def read_hit(path: Path) -> RecordedHit:
    """Read one `.http` file."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    note, request_line, *headers = head.decode().splitlines()
    method, target, _ = request_line.split(" ")
    pairs = (line.partition(": ")[::2] for line in headers)
    return RecordedHit(path.stem, note.removeprefix("# "), method, target, tuple(pairs), body)


def read_hits(folder: Path) -> list[RecordedHit]:
    """All hits of a folder, in the order of their file names."""
    return [read_hit(path) for path in sorted(folder.glob("*.http"))]
