"""Dead letters as they are asked for: what a worker tells of its own, and what of that is shown.

A view holds names, reasons and numbers. What may be personal data (the request, the vendor's answer) is in it
only where somebody has asked for just that.
"""

from collections.abc import Sequence

from msgspec import Struct

from sgtm.delivery.letter import KeptLetter, record_key
from sgtm.delivery.outbox import Outbox
from sgtm.delivery.outbox.records import write_record

PAGE = 200
MAX_SHOWN_BYTES = 16_384
"""Of a body."""


class LettersAsked(Struct):
    """One page of one slot's letters: those whose number is above `after`."""

    slot: int
    after: int = 0
    count: int = PAGE
    reveal: bool = False


class LettersNamed(Struct):
    """Letters of one slot, by id."""

    slot: int
    ids: list[str] = []


class Revealed(Struct):
    """What may hold personal data."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: str
    remote_address: str
    answer: str
    record: bytes
    """To be run again: a group of one, see records.py."""


class LetterView(Struct, kw_only=True):
    """One letter, as an operator sees it."""

    id: str
    slot: int
    number: int
    kind: str
    tag: str
    reason: str
    at_micros: int
    received_micros: int
    event_name: str
    event_index: int | None
    keys: tuple[str, ...]
    destination: str
    attempts: int
    status: int
    container_version: str
    record_version: str
    key: str
    """Of its record."""
    settled: tuple[str, ...] = ()
    revealed: Revealed | None = None


def view_of(kept: KeptLetter, slot: int, *, reveal: bool) -> LetterView:
    """What is shown of a letter."""
    letter = kept.letter
    return LetterView(
        id=letter.id,
        slot=slot,
        number=kept.number,
        kind=letter.kind,
        tag=letter.tag,
        reason=letter.reason,
        at_micros=letter.at_micros,
        received_micros=letter.record.request.received_micros,
        event_name=letter.event_name,
        event_index=letter.event_index,
        keys=letter.keys,
        destination=letter.destination,
        attempts=letter.attempts,
        status=letter.status,
        container_version=letter.container_version,
        record_version=letter.record.container_version,
        key=record_key(letter.record),
        settled=letter.settled,
        revealed=_revealed(kept) if reveal else None,
    )


def _revealed(kept: KeptLetter) -> Revealed:
    request = kept.letter.record.request
    group = bytearray()
    write_record(kept.letter.record, group)
    return Revealed(
        request.method,
        _text(request.path.encode("utf-8", "surrogateescape")),
        _text(request.query),
        [(_text(name), _text(value)) for name, value in request.headers],
        _text(request.body[:MAX_SHOWN_BYTES]),
        request.remote_address,
        kept.letter.answer,
        bytes(group),
    )


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def views_of(page: Sequence[KeptLetter], slot: int, *, reveal: bool) -> list[LetterView]:
    """What is shown of a page."""
    return [view_of(kept, slot, reveal=reveal) for kept in page]


async def letters_of(outbox: Outbox, slot: int, asked: LettersAsked) -> list[LetterView]:
    """The page, where it is this slot that was asked. Raises OutboxUnavailable."""
    if asked.slot != slot:
        return []
    page = await outbox.letters(asked.after, min(asked.count, PAGE))
    return views_of(page, slot, reveal=asked.reveal)


async def purge(outbox: Outbox, slot: int, named: LettersNamed) -> int:
    """Forget them, where it is this slot that was asked; how many. Raises OutboxUnavailable."""
    return await outbox.forget(named.ids) if named.slot == slot else 0
