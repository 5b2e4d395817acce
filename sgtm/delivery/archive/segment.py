"""Segment: one file of archived records, written from front to back, readable with any byte damaged.

    file  = "SGTMARC1", then frames
    frame = magic (4 bytes), length u32, crc32 u32, first u64, last u64, zlib of a group of records

Little endian. Length is that of the zlib part, the CRC that of all behind it; first and last are when the
oldest and the newest record of the group were received. A group holds a CRC per record (`records.py`), so of
a damaged frame the records before the damage are still read; the next frame is found by its magic.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from msgspec import Struct

from sgtm.delivery.outbox.records import read_record, split_group
from sgtm.messages import Record

HEADER = b"SGTMARC1"
MAGIC = b"\xa5\x9eSG"
MAX_GROUP_BYTES = 268_435_456
"""Of a group, unpacked: no file makes a reader take more."""
_HEAD = struct.Struct("<4sIIQQ")
_CHECKED_FROM = 12
_LEVEL = 3
_STEP_BYTES = _SEARCH_BYTES = 1_048_576
_CAREFUL_BYTES = 64


class Found(Struct, frozen=True):
    """What a reader gets of one frame."""

    records: list[Record]
    damaged: int
    """Records, or where nobody can say how many, frames that could not be read."""


def frame_of(group: bytes | bytearray, first_micros: int, last_micros: int) -> bytes:
    """A group of records as it is written."""
    packed = zlib.compress(group, _LEVEL)
    head = _HEAD.pack(MAGIC, len(packed), 0, first_micros, last_micros)
    checksum = zlib.crc32(packed, zlib.crc32(head[_CHECKED_FROM:]))
    return _HEAD.pack(MAGIC, len(packed), checksum, first_micros, last_micros) + packed


def read_segment(file: BinaryIO, from_micros: int, to_micros: int) -> Iterator[Found]:
    """What was received in this time (its end excluded), frame by frame. Ends where a frame is not
    complete: it is being written, or its writer died on the way. Raises OSError."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size and position:
            return
        magic, length, checksum, first, last = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
        if magic != MAGIC:
            if position:
                yield Found([], 1)
            found = _find_magic(file, position)
            if found is None:
                return
            position = found
            continue
        packed = file.read(length)
        is_whole = zlib.crc32(packed, zlib.crc32(head[_CHECKED_FROM:])) == checksum
        if is_whole and not (first < to_micros and last >= from_micros):
            position += _HEAD.size + length
            continue
        if is_whole or _find_magic(file, position + 1) is not None or len(packed) == length:
            yield _unpacked(packed, from_micros, to_micros, is_whole=is_whole)
        if is_whole:
            position += _HEAD.size + length
            continue
        following = _find_magic(file, position + 1)  # its length is not to be believed either
        if following is None:
            return
        position = following


def _unpacked(packed: bytes, from_micros: int, to_micros: int, *, is_whole: bool) -> Found:
    unpacker = zlib.decompressobj()
    group = bytearray()
    try:
        # in small steps, so that what stands before the damage is there when it is met
        step = _STEP_BYTES if is_whole else _CAREFUL_BYTES
        for begin in range(0, len(packed), step):
            group += unpacker.decompress(packed[begin : begin + step], MAX_GROUP_BYTES)
            if len(group) > MAX_GROUP_BYTES:
                break
    except zlib.error:
        is_whole = False
    records: list[Record] = []
    damaged = 0 if is_whole else 1
    for payload in split_group(bytes(group)):
        record = read_record(payload) if payload is not None else None
        if record is None:
            damaged += is_whole
        elif from_micros <= record.request.received_micros < to_micros:
            records.append(record)
    return Found(records, damaged)


def _find_magic(file: BinaryIO, position: int) -> int | None:
    """Where the next frame begins, at or behind `position`."""
    file.seek(position)
    kept = b""
    while piece := file.read(_SEARCH_BYTES):
        found = (kept + piece).find(MAGIC)
        if found >= 0:
            return position - len(kept) + found
        position += len(piece)
        kept = (kept + piece)[-len(MAGIC) + 1 :]
    return None
