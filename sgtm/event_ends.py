"""What the tags of a hit's events have come to, for templates that want to hear of it (`addEventCallback`).

SPEC: sandbox-api 1.3, google-runtime 4.9: id, status and time of each tag that ran; who was held back is not
among them.
"""

import time
from typing import Any, Literal

Status = Literal["success", "failure", "exception"]


class EventEnds:
    """Of one hit."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._tags: dict[int, dict[str, dict[str, Any]]] = {}
        self.listeners: list[Any] = []
        """Who is to hear when nothing runs any more, as whoever fires tags needs it."""

    def event_begins(self, index: int) -> None:
        """The tags of this event are about to fire."""
        self._began[index] = time.monotonic()

    def tag_ended(self, index: int, tag: str, status: Status) -> None:
        """A tag of this event has come to its end."""
        now = time.monotonic()
        took_ms = round((now - self._began.get(index, now)) * 1000)
        self._tags.setdefault(index, {})[tag] = {"id": tag, "status": status, "executionTime": took_ms}

    def tags_of(self, index: int) -> list[dict[str, Any]]:
        """What a listener is told of an event."""
        return list(self._tags.get(index, {}).values())
