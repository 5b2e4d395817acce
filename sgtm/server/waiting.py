"""What a worker still has to do for somebody's id: records that are not finished and that hold a text."""

import asyncio

from msgspec import Struct

from sgtm.delivery.outbox import Outbox
from sgtm.delivery.outbox.records import write_record
from sgtm.messages import IncomingRequest

MOST = 200
"""Records in one answer."""
_AT_ONCE = 200
"""Records that are looked at before others have their turn."""


class WaitingAsked(Struct):
    """Texts as they may stand in a request; one of them is enough."""

    texts: list[bytes] = []


class WaitingFound(Struct):
    """The records, each a group of one (see records.py); `more`: there are others."""

    records: list[bytes] = []
    more: bool = False


def holds(request: IncomingRequest, texts: list[bytes]) -> bool:
    """Whether one of the texts stands in the request as it came."""
    parts = (request.query, request.body, *(value for _, value in request.headers))
    return any(text in part for text in texts for part in parts)


async def find_waiting(outbox: Outbox, asked: WaitingAsked) -> WaitingFound:
    """Those of an outbox. Raises OutboxUnavailable."""
    found, looked_at = WaitingFound(), 0
    async for one in outbox.unfinished():
        looked_at += 1
        if not looked_at % _AT_ONCE:
            await asyncio.sleep(0)
        if holds(one.record.request, asked.texts):
            if len(found.records) >= MOST:
                found.more = True
                break
            group = bytearray()
            write_record(one.record, group)
            found.records.append(bytes(group))
    return found
