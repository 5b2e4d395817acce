"""What workers are asked about previews, and what they answer: see questions.py and previewing.py.

A request of a preview is called SLOT-EPOCH-NUMBER: the worker process that saw it, and its place there.
"""

import re
from typing import Literal

from msgspec import Struct

from sgtm.messages import IncomingRequest
from sgtm.preview.sessions import Session
from sgtm.preview.view import Source, Summary

_REQUEST_ID = re.compile(r"([0-9]{1,4})-([0-9a-f]{8})-([0-9]{1,15})")


class Draft(Struct):
    """A container as it stands in its file, read by whoever opens the session."""

    path: str
    content: bytes


class Opening(Struct):
    """A session that begins."""

    session: Session
    draft: Draft | None = None
    """What it runs instead of the published container."""


class Cursor(Struct, frozen=True):
    """What somebody who follows a ring has seen of one worker's."""

    epoch: str = ""
    """Of the worker process; another one knows nothing of it."""
    version: int = 0
    first: int = 1
    """Number of the oldest request that was there,"""
    last: int = 0
    """and of the latest."""


class Followed(Struct):
    """Asks what happened in a session since."""

    id: str
    cursors: dict[int, Cursor] = {}
    """By slot."""


class Changes(Struct):
    """What happened."""

    cursor: Cursor
    came: list[Summary] = []
    """Requests that the asker has not heard of."""
    went_on: list[Summary] = []
    """Requests that he has."""
    has_more: bool = False
    """Ask again with this cursor: it was too much for once."""


class Wanted(Struct):
    """Asks for one request, in one of its forms."""

    id: str
    request: str
    part: Literal["view", "test", "request"]


class About(Struct):
    """What a worker serves."""

    id: str = ""
    version: str = ""
    clients: int = 0
    tags: int = 0


class PreviewedRequest(Struct):
    """A request that was looked at, so that it can be run again elsewhere."""

    request: IncomingRequest
    source: Source


def read_request_id(text: str) -> tuple[int, str, int] | None:
    """(slot, epoch, number) of a request's id, or None."""
    found = _REQUEST_ID.fullmatch(text)
    return (int(found[1]), found[2], int(found[3])) if found is not None else None


def request_ids(slot: int, cursor: Cursor, first: int, last: int) -> list[str]:
    """Ids of the requests with these numbers, both included."""
    return [f"{slot}-{cursor.epoch}-{number}" for number in range(first, last + 1)]
