"""Dead letters on the broker: a stream of their own, `<stream>-dead`, one subject for each letter.

    <stream>.dead.<kind>.<id>      message = length of head u32, head, group of one record (`records.py`)

One message a subject, so a letter takes the place of one with the same id; the oldest fall out where the
stream is full or they are too old. All run in the broker's thread.
"""

import struct
from base64 import b64decode
from collections.abc import Collection
from typing import Any

import msgspec

from sgtm.delivery.letter import KeptLetter, Letter, decode_letter, encode_head
from sgtm.delivery.outbox.nats_connection import Connection, NoStream
from sgtm.delivery.outbox.records import read_record, split_group, write_record

PAGE_BYTES = 4_194_304
_LENGTH = struct.Struct("<I")


def dead_stream_of(stream: str) -> str:
    """The stream of letters."""
    return f"{stream}-dead"


def dead_subjects_of(stream: str) -> str:
    """All of its subjects."""
    return f"{stream}.dead.>"


def subject_of_letter(stream: str, letter: Letter) -> str:
    """Its own subject."""
    return f"{stream}.dead.{letter.kind}.{letter.id}"


def write_letter(letter: Letter) -> bytes:
    """The message of a letter."""
    head, group = encode_head(letter), bytearray()
    write_record(letter.record, group)
    return _LENGTH.pack(len(head)) + head + group


def read_letter(message: bytes) -> Letter | None:
    """The letter; None where it is none that this release knows."""
    if len(message) < _LENGTH.size:
        return None
    begin = _LENGTH.size + _LENGTH.unpack_from(message)[0]
    payload = next(split_group(message[begin:]), None)
    record = read_record(payload) if payload is not None else None
    if record is None:
        return None
    try:
        return decode_letter(message[_LENGTH.size : begin], record)
    except msgspec.DecodeError:
        return None


async def page(connection: Connection, after: int, count: int) -> list[KeptLetter]:
    """See Outbox.letters; a number is the message's place in the stream. Raises NoAnswer,
    OutboxUnavailable."""
    found: list[KeptLetter] = []
    size = 0
    stream = connection.stream
    while len(found) < count and size < PAGE_BYTES:
        body = {"seq": after + 1, "next_by_subj": dead_subjects_of(stream)}
        try:
            answer = await connection.ask(f"STREAM.MSG.GET.{dead_stream_of(stream)}", body)
        except NoStream:  # no more of them
            break
        message: dict[str, Any] = answer["message"]
        after, data = message["seq"], b64decode(message.get("data", ""))
        letter = read_letter(data)
        if letter is not None:
            found.append(KeptLetter(after, letter))
            size += len(data)
    return found


async def forget(connection: Connection, ids: Collection[str]) -> int:
    """See Outbox. Raises NoAnswer, OutboxUnavailable."""
    purged = 0
    stream = connection.stream
    for one in ids:
        body = {"filter": f"{stream}.dead.*.{one}"}
        purged += (await connection.ask(f"STREAM.PURGE.{dead_stream_of(stream)}", body))["purged"]
    return purged
