"""Records as bytes: what stands in the rows of an engine that writes.

    group of records = (length u32, crc32 u32, version u8, msgpack) one after the other

Little endian. Length and CRC are those of version and msgpack. The msgpack is an array, so that a
record costs few bytes more than the request; another version byte announces another array.
A damaged record costs itself: as long as its length is right the next one is found, and each one is
believed only if its CRC is right (SPEC: reliability 1.3, row).
"""

import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import msgspec

from sgtm.messages import IncomingRequest, Record

VERSION = 1
RAW_VERSION = 2
"""The same with texts as bytes: a request line may hold bytes that are no UTF-8."""
_HEAD = struct.Struct("<II")
_TEXTS = (0, 1, 6, 8, 9)
"""Positions of texts that may hold bytes which are none."""

_Fields = tuple[
    str,  # method
    str,  # path
    bytes,  # query
    tuple[tuple[bytes, bytes], ...],  # headers
    bytes,  # body
    str,  # remote_address
    str,  # container_version
    bool,  # is_peer_trusted
    str,  # scheme
    str,  # host
    int,  # received_micros
    int,  # seed
    str | None,  # verdict
    str,  # path_prefix
]
_encode_into = msgspec.msgpack.Encoder().encode_into
_RawFields = tuple[
    bytes,
    bytes,
    bytes,
    tuple[tuple[bytes, bytes], ...],
    bytes,
    str,
    bytes,
    bool,
    bytes,
    bytes,
    int,
    int,
    str | None,
    str,
]
_decode = msgspec.msgpack.Decoder(_Fields).decode
_decode_raw = msgspec.msgpack.Decoder(_RawFields).decode


def write_record(record: Record, group: bytearray) -> None:
    """Append a record to a group."""
    request = record.request
    fields = (
        request.method,
        request.path,
        request.query,
        request.headers,
        request.body,
        request.remote_address,
        record.container_version,
        request.is_peer_trusted,
        request.scheme,
        request.host,
        request.received_micros,
        request.seed,
        request.verdict,
        request.path_prefix,
    )
    begin = len(group)
    group += b"\0\0\0\0\0\0\0\0\1"
    try:
        _encode_into(fields, group, -1)
    except UnicodeEncodeError:
        del group[begin + 9 :]
        group[begin + 8] = RAW_VERSION
        _encode_into(_as_bytes(fields), group, -1)
    with memoryview(group) as view:
        checksum = crc32(view[begin + 8 :])
    _HEAD.pack_into(group, begin, len(group) - begin - 8, checksum)


def split_group(group: bytes) -> Iterator[bytes | None]:
    """The payload of each record of a group, None in place of a damaged one. Ends where a length
    leads out of the group: what follows cannot be found."""
    position = 0
    while position + _HEAD.size <= len(group):
        length, checksum = _HEAD.unpack_from(group, position)
        begin = position + _HEAD.size
        position = begin + length
        if not length or position > len(group):
            return
        payload = group[begin:position]
        yield payload if crc32(payload) == checksum else None


def join_group(payloads: list[bytes]) -> bytearray:
    """A group of such payloads; the opposite of `split_group`."""
    group = bytearray()
    for payload in payloads:
        group += _HEAD.pack(len(payload), crc32(payload))
        group += payload
    return group


def read_record(payload: bytes) -> Record | None:
    """The record, or None if it is of a version that this release does not know."""
    try:
        if payload[0] == VERSION:
            fields: list[Any] = list(_decode(memoryview(payload)[1:]))
        elif payload[0] == RAW_VERSION:
            fields = list(_decode_raw(memoryview(payload)[1:]))
            for position in _TEXTS:
                fields[position] = fields[position].decode("utf-8", "surrogateescape")
        else:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    container_version = fields.pop(6)
    return Record(IncomingRequest(*fields), container_version)


def _as_bytes(fields: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same with texts that UTF-8 cannot hold (raw bytes of a request line) as these bytes."""
    return tuple(
        value.encode("utf-8", "surrogateescape") if position in _TEXTS else value
        for position, value in enumerate(fields)
    )
