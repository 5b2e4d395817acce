"""Plain-Python twin of sgtm/_fast/vendor_http.pyx: slow on purpose, written to be read."""

import re

NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
VALUE = re.compile(r"[ -~]*")
STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9][0-9]) [ -~]*")
LENGTH = re.compile(r"0|[1-9][0-9]{0,6}")
URL = re.compile(r"([^/#?]*//[^/?#]*)/[^#]*")
MOST_HEADERS = 100
MOST_HEAD_BYTES = 32_768
MOST_BODY_BYTES = 1_048_576
NOT_PLAIN = {"transfer-encoding", "upgrade", "trailer", "te", "proxy-connection"}
SENDERS = {
    "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect",
    "keep-alive", "forwarded",
}  # fmt: skip


def read_answer(data: bytes) -> tuple[int, tuple[tuple[str, str], ...], bytes, bool] | None:
    head, end, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    status = STATUS.fullmatch(line)
    if not end or len(head + end) > MOST_HEAD_BYTES or status is None or len(lines) > MOST_HEADERS:
        return None
    headers = []
    for text in lines:
        name, colon, value = text.partition(":")
        value = value[1:] if value.startswith(" ") else value
        is_plain = NAME.fullmatch(name) and VALUE.fullmatch(value) and value == value.strip(" ")
        if not colon or not is_plain or name.lower() in NOT_PLAIN:
            return None
        headers.append((name.lower(), value))
    lengths = [value for name, value in headers if name == "content-length"]
    connections = [value.lower() for name, value in headers if name == "connection"]
    if len(connections) > 1 or not set(connections) <= {"close", "keep-alive"}:
        return None
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)):
        return None
    code = int(status[1])
    if code == 304 or (code == 204 and body) or (code != 204 and not lengths):
        return None
    if int((lengths or ["0"])[0]) != len(body) or len(body) > MOST_BODY_BYTES:
        return None
    return code, tuple(headers), body, connections != ["close"]


def authority_size(url: str) -> int:
    match = URL.fullmatch(url)
    return len(match[1]) if match and re.fullmatch("[!-~]*", url) else 0


def write_request(
    method: str, url: str, target: int, host: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> bytes | None:
    if method not in ("POST", "GET") or len(headers) > MOST_HEADERS or not host.isascii():
        return None
    if not 0 <= target < len(url) or url[target] != "/" or not url.isascii():
        return None
    if re.fullmatch("[!-~]*", url[target:]) is None:
        return None
    lines = [f"{method} {url[target:]} HTTP/1.1", f"Host: {host}"]
    for name, value in headers:
        if NAME.fullmatch(name) is None or VALUE.fullmatch(value) is None:
            return None
        if name.lower() in SENDERS or name.lower().startswith("proxy-"):
            return None
        lines.append(f"{name}: {value}")
    if not any(name.lower() == "accept" for name, _ in headers):
        lines.append("Accept: */*")
    if method == "POST" or body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
