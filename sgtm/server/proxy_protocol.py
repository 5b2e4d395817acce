"""PROXY protocol, versions 1 and 2: who connected to the balancer in front of us.

Pure: bytes to a header. SPEC: haproxy.org/download/3.0/doc/proxy-protocol.txt, 2.1 and 2.2. Strict:
a header is exactly what the text says, or the connection is not ours to serve.

    PROXY TCP4 198.51.100.22 203.0.113.7 35646 443\\r\\n
    \\r\\n\\r\\n\\0\\r\\nQUIT\\n | version, command | family | length | addresses | TLVs, skipped
"""

import re
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

MAX_V1_BYTES = 107
"""With its line end (2.1)."""
MAX_V2_BYTES = 4096
"""A header with the usual TLVs has less than 536 bytes (2.2); one with a certificate in it may have more."""

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD = 16
_PORT = rb"(?:0|[1-9][0-9]{0,4})"
_V1 = re.compile(rb"PROXY (TCP4|TCP6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (" + _PORT + rb") (" + _PORT + rb")")
_PLAIN, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_SIZES = {_PLAIN: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class ProxyHeader(Struct, frozen=True):
    """A whole header at the begin of a connection."""

    size: int
    """Bytes that it takes."""
    source: str
    """Address of who connected to the balancer; "" where that is the balancer itself (LOCAL) or it
    cannot say (UNKNOWN, a Unix socket)."""


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header at the begin of `data`; None while it is not complete, and then all of `data` belongs to
    it. Raises ValueError where no header begins so."""
    if data.startswith(_SIGNATURE[: len(data)]):
        return _read_v2(data) if len(data) >= _V2_HEAD else None
    if data[:6] == b"PROXY "[: len(data)]:
        return _read_v1(data)
    raise ValueError("no header")


def _read_v1(data: bytes) -> ProxyHeader | None:
    line, end, _ = data[:MAX_V1_BYTES].partition(b"\r\n")
    if b"\n" in line:
        raise ValueError("a line feed without a carriage return")
    if not end:
        if len(data) >= MAX_V1_BYTES:
            raise ValueError("too long")
        return None
    size = len(line) + 2
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(size, "")
    match = _V1.fullmatch(line)
    if match is None or max(int(match[4]), int(match[5])) > 65_535:
        raise ValueError("not as the protocol has it")
    read = IPv4Address if match[1] == b"TCP4" else IPv6Address
    source, _ = (str(read(match[part].decode())) for part in (2, 3))
    return ProxyHeader(size, source)


def _read_v2(data: bytes) -> ProxyHeader | None:
    version, command = divmod(data[12], 16)
    if version != 2 or command > 1:
        raise ValueError("another version or command")
    size = _V2_HEAD + int.from_bytes(data[14:16], "big")
    if size > MAX_V2_BYTES:
        raise ValueError("too long")
    family = data[13]
    if command == 1 and size - _V2_HEAD < _SIZES.get(family, size):
        raise ValueError("no TCP, or its addresses are cut off")
    if len(data) < size:
        return None
    source = ""
    if command == 1 and family == _TCP4:
        source = str(IPv4Address(data[16:20]))
    elif command == 1 and family == _TCP6:
        source = str(IPv6Address(data[16:32]))
    return ProxyHeader(size, source)
