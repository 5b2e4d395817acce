"""Trace: what is told of one request that was chosen, while it goes its way: as log lines, as spans, or both.

    Tracers.begin -> Trace -> .tag(...) -> TagTrace -> .built(...), .tried(...) for each try at a vendor
                           `-> .answered(...)

Chosen by the request's own chance, so that log lines and spans are of the same requests, and a record that is
run again is told of if its request was. Whoever tells has made names harmless: nothing here sees an event.
SPEC: requirements R227, R228, R231; reliability 6 (logs).
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from sgtm.messages import IncomingRequest

ALL = 1 << 64
"""One more than the largest seed."""


class Answered(Struct, frozen=True):
    """How the request ended for whoever sent it; a record that is run again is answered to nobody."""

    method: str
    path: str
    """Empty where no client names it: it may hold anything."""
    client: str
    events: Sequence[str]
    """Their names."""
    status: int
    took_s: float


class Try(Struct, frozen=True):
    """One try at a vendor."""

    destination: str
    number: int
    """1 is the first one."""
    begun_micros: int
    took_micros: int
    outcome: str
    status: int = 0
    """Of the answer; 0: there was none."""
    error: str = ""
    """Class of what went wrong."""


class TagTrace(Protocol):
    """One tag for one event."""

    def built(self, requests: int, failure: str = "") -> None:
        """It has built so many requests, or why none."""

    def tried(self, tried: Try) -> None:
        """One of them was sent, or could not be."""


class Trace(Protocol):
    """One request."""

    def tag(self, name: str, event: str) -> TagTrace:
        """A tag begins to build for the event of this name."""

    def answered(self, answered: Answered) -> None:
        """The answer leaves; tags may go on."""


class Tracer(Protocol):
    """Whoever tells of requests, and chooses of which."""

    def begin(self, request: IncomingRequest, *, is_again: bool = False) -> Trace | None:
        """The trace of a request that is chosen."""


class Tracers:
    """All that a worker has."""

    def __init__(self, *tracers: Tracer) -> None:
        self._tracers = tracers

    def begin(self, request: IncomingRequest, *, is_again: bool = False) -> Trace | None:
        """See Tracer."""
        chosen: Trace | None = None
        for tracer in self._tracers:
            trace = tracer.begin(request, is_again=is_again)
            if trace is not None:
                chosen = trace if chosen is None else _Both(chosen, trace)
        return chosen


class _Both:
    def __init__(self, one: Trace, other: Trace) -> None:
        self._one, self._other = one, other

    def tag(self, name: str, event: str) -> TagTrace:
        return _BothOfTag(self._one.tag(name, event), self._other.tag(name, event))

    def answered(self, answered: Answered) -> None:
        self._one.answered(answered)
        self._other.answered(answered)


class _BothOfTag:
    def __init__(self, one: TagTrace, other: TagTrace) -> None:
        self._one, self._other = one, other

    def built(self, requests: int, failure: str = "") -> None:
        self._one.built(requests, failure)
        self._other.built(requests, failure)

    def tried(self, tried: Try) -> None:
        self._one.tried(tried)
        self._other.tried(tried)


def request_id(request: IncomingRequest) -> str:
    """Names a request in logs and traces; tells nothing of its chance, from which visitors' ids are made."""
    return request.chance(f"request id {request.received_micros}", 8).hex()
