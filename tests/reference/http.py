"""Plain-Python twin of sgtm/_fast/http.pyx: slow on purpose, written to be read."""

import re
from typing import NamedTuple

WAIT = 0
LEND = 1

NAME_BYTES = 64
MOST_HEADERS = 1000

NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")
VALUE = re.compile(rb"[ -~]*")
TARGET = re.compile(rb"[!-~]*")
HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]+")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,6}")
NOT_PLAIN = {
    b"transfer-encoding", b"upgrade", b"expect", b"content-encoding", b"trailer", b"te", b"http2-settings",
    b"sec-websocket-key", b"sec-websocket-key1", b"sec-websocket-version", b"proxy-connection",
}  # fmt: skip
ONCE = {
    b"host", b"content-length", b"connection", b"content-location", b"content-range", b"content-type",
    b"etag", b"max-forwards", b"server", b"user-agent",
}  # fmt: skip
FRAMING = {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"}


class PlainRequest(NamedTuple):
    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    host: bytes
    head_bytes: int
    body_bytes: int
    target_bytes: int
    closes: bool


def scan_head(data: bytes, start: int, bounds: tuple[int, int, int, int]) -> PlainRequest | int:
    if not 0 <= start <= len(data):
        return LEND
    most_target, most_header, most_headers, most_count = bounds
    data = data[start:]
    method = next((name for name in ("GET", "POST") if _begins(data, f"{name} /".encode())), None)
    if method is None:
        return LEND
    if len(data) < len(method) + 2:
        return WAIT
    target = _match(TARGET, data, len(method) + 1)
    if len(target) > most_target or b"#" in target:
        return LEND
    at = len(method) + 1 + len(target)
    if at == len(data):
        return WAIT
    if not _begins(data[at:], b" HTTP/1.1\r\n"):
        return LEND
    at += len(b" HTTP/1.1\r\n")
    headers: list[tuple[bytes, bytes]] = []
    while not data[at:].startswith(b"\r\n"):
        rest = data[at:]
        if _begins(rest, b"\r\n"):
            return WAIT
        name = _match(NAME, rest, 0)[:NAME_BYTES]
        if len(name) == len(rest):
            return WAIT
        if not name or rest[len(name) : len(name) + 1] != b":" or name.lower() in NOT_PLAIN:
            return LEND
        value = _match(VALUE, rest, len(name) + 1)
        end = len(name) + 1 + len(value)
        headers.append((name.lower(), value.removeprefix(b" ")))
        sizes = [len(name) + len(value) for name, value in headers]
        if sizes[-1] > most_header or sum(sizes) > most_headers or len(sizes) > min(most_count, MOST_HEADERS):
            return LEND
        if rest[end:] in (b"", b"\r"):
            return WAIT
        value = headers[-1][1]
        if rest[end : end + 2] != b"\r\n" or value != value.strip(b" "):
            return LEND
        if not _is_plain(headers, method):
            return LEND
        at += end + 2
    fields = dict(headers)
    length = int(fields.get(b"content-length", b"0"))
    if b"host" not in fields or (length and method == "GET"):
        return LEND
    path, _, query = target.partition(b"?")
    closes = fields.get(b"connection", b"").lower() == b"close"
    return PlainRequest(
        method, path.decode(), query, tuple(headers), fields[b"host"], at + 2, length, len(target), closes
    )


def _begins(data: bytes, text: bytes) -> bool:
    """Whether data begins as text does, as far as data goes."""
    return data[: len(text)] == text[: len(data)]


def _match(pattern: re.Pattern[bytes], data: bytes, at: int) -> bytes:
    found = pattern.match(data, at)
    return found[0] if found else b""


def _is_plain(headers: list[tuple[bytes, bytes]], method: str) -> bool:
    """Whether the last header may stand where it stands."""
    name, value = headers[-1]
    if name in ONCE and [key for key, _ in headers].count(name) > 1:
        return False
    if name == b"host":
        return HOST.fullmatch(value) is not None
    if name == b"content-length":
        return LENGTH.fullmatch(value) is not None
    return name != b"connection" or value.lower() in (b"close", b"keep-alive")


def write_answer(
    status_line: str, headers: tuple[tuple[str, str], ...], date: str, body: bytes | None, connection: str
) -> bytes | None:
    lines = [status_line]
    for name, value in headers:
        if name.lower() in FRAMING:
            continue
        if any((ord(letter) < 32 and letter != "\t") or ord(letter) == 127 for letter in name + value):
            return None
        lines.append(f"{name}: {value}")
    lines.append(f"Date: {date}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if connection:
        lines.append(f"Connection: {connection}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "ignore") + (body or b"")
