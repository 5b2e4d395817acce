"""Finding: every record that an id belongs to, what its tags did, and what vendors answered.

    archive, outbox, dead letters -> records that hold the text -> run once more, dry -> events with the id
                                                                                     -> tries of the journal

An id belongs to an event if one of its values is the id, whole, or if a request that a tag makes of it holds
the id: event ids that the server makes stand nowhere else. SPEC: requirements R350.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
from msgspec import Struct

from sgtm.cli import _admin
from sgtm.cli._letters import letters_of
from sgtm.cli._replaying import Bar, container_for
from sgtm.container.container import Container
from sgtm.container.versions import Versions
from sgtm.delivery.archive.reading import Reading
from sgtm.delivery.journal import GIVEN_UP, Noted, read_tries
from sgtm.delivery.letter import now_micros, record_key
from sgtm.delivery.outbox.records import read_record, split_group
from sgtm.dry_run import dry_run_again
from sgtm.errors import SgtmError
from sgtm.hit import Again
from sgtm.javascript import text_of
from sgtm.messages import OutgoingRequest, Record
from sgtm.observability.walk import Walk, WalkedEvent, WalkedTag
from sgtm.server.letters import LetterView
from sgtm.server.waiting import WaitingAsked, holds
from sgtm.settings import Settings

MOST_LEVELS = 20
_FOREVER = 2**62


class FoundTry(Struct):
    """One attempt."""

    at_micros: int
    destination: str
    attempt: int
    status: int
    outcome: str
    reason: str


class FoundTag(Struct):
    """One tag: what it makes of the event, and what came of that."""

    name: str
    outcome: str
    """See WalkedTag.outcome, by the container that was asked."""
    reason: str
    state: str
    """delivered, waiting, given up, unknown; empty: it owes nothing."""
    tries: list[FoundTry] = []
    letters: list[str] = []
    """Ids of its dead letters."""


class FoundEvent(Struct):
    """One event that the id belongs to."""

    index: int
    name: str
    found_in: list[str]
    """Key paths of event data, and tags whose requests hold it."""
    tags: list[FoundTag]


class Found(Struct):
    """One request."""

    at_micros: int
    method: str
    path: str
    client: str
    place: str
    """archive, outbox or dead letter: where the record was read."""
    container_version: str
    """That it came in under."""
    uses_version: str
    """That it was run through now."""
    events: list[FoundEvent]


class Search:
    """One search; afterwards it says what it met."""

    def __init__(self, chosen: Settings, sought: str, container: str = "") -> None:
        self._chosen, self._sought, self._container = chosen, sought, container
        self._texts = texts_of(sought)
        self._containers: dict[str, Container] = {}
        self._letters: dict[str, list[LetterView]] = {}
        self.looked_at = 0
        self.notes: list[str] = []

    def run(self, *, is_deep: bool, bar: Bar | None = None) -> list[Found]:
        """Everything that the id belongs to, oldest first. Raises SgtmError."""
        candidates: dict[str, tuple[Record, str]] = {}
        for record, place in self._records(bar):
            self.looked_at += 1
            if is_deep or holds(record.request, self._texts):
                candidates.setdefault(record_key(record), (record, place))
        found = []
        for record, place in candidates.values():
            one = self._look(record, place)
            if one is not None:
                found.append((record, one))
        self._add_tries(found)
        return [one for _, one in sorted(found, key=lambda pair: pair[1].at_micros)]

    # -- where records are -----------------------------------------------------------------------

    def _records(self, bar: Bar | None) -> Iterator[tuple[Record, str]]:
        yield from ((record, "outbox") for record in self._waiting())
        reading = Reading(self._chosen.data_folder, 0, _FOREVER)
        for record in reading.records():
            if bar is not None and not self.looked_at % 1_000:
                bar.show(self.looked_at)
            yield record, "archive"
        if not reading.segments:
            self.notes.append("nothing is archived here (sgtm serve --archive 7d archives what is delivered)")
        if reading.damaged:
            self.notes.append(f"{reading.damaged} damaged parts of the archive were passed over")
        yield from ((record, "dead letter") for record in self._dead())

    def _waiting(self) -> Iterator[Record]:
        try:
            answer = _admin.ask(self._chosen, "POST", "/waiting", WaitingAsked(self._texts))
        except SgtmError:
            self.notes.append("no server runs here: what waits in its outbox is not looked at")
            return
        body: Mapping[str, Any] = answer.body if isinstance(answer.body, dict) else {}
        if body.get("missing") or body.get("more"):
            self.notes.append("not all that waits could be looked at")
        for group in msgspec.convert(body.get("records", []), list[bytes]):
            yield from _records_of(group)

    def _dead(self) -> Iterator[Record]:
        try:
            for page in letters_of(self._chosen).pages(reveal=True):
                for view in page:
                    self._letters.setdefault(view.key, []).append(view)
                    if view.revealed is not None:
                        yield from _records_of(view.revealed.record)
        except SgtmError as error:
            self.notes.append(f"dead letters are not looked at: {error.what}")

    # -- one record ------------------------------------------------------------------------------

    def _look(self, record: Record, place: str) -> Found | None:
        container = self._container_of(record.container_version)
        walk = dry_run_again(container, record, Again(0), now_micros())
        events = []
        for index, event in enumerate(walk.events):
            places = [*places_of(event.data, self._sought), *self._tags_that_send_it(event)]
            if places:
                tags = [self._tag(record, index, tag) for tag in event.tags if tag.outcome != "not triggered"]
                events.append(FoundEvent(index, event.name, places, tags))
        return self._found(record, place, container, walk, events) if events else None

    def _found(
        self, record: Record, place: str, container: Container, walk: Walk, events: list[FoundEvent]
    ) -> Found:
        request = record.request
        return Found(
            request.received_micros,
            request.method,
            request.path,
            walk.claimed_by,
            place,
            record.container_version,
            container.version,
            events,
        )

    def _tags_that_send_it(self, event: WalkedEvent) -> Iterator[str]:
        for tag in event.tags:
            if any(_sends(delivery.request, self._texts) for delivery in tag.deliveries):
                yield f"the request of tag {tag.name!r}"

    def _tag(self, record: Record, index: int, tag: WalkedTag) -> FoundTag:
        letters = [
            letter.id
            for letter in self._letters.get(record_key(record), ())
            if letter.tag == tag.name and letter.event_index in (None, index)
        ]
        return FoundTag(tag.name, tag.outcome, tag.reason, "", letters=letters)

    def _container_of(self, version: str) -> Container:
        """The one that the record came in under, where it is kept; else the one that is asked for."""
        known = self._containers.get(version)
        if known is None:
            kept = [] if self._container else Versions(self._chosen.data_folder).all()
            paths = [str(one.path) for one in kept if one.version == version]
            known = container_for(self._chosen, next(iter(paths), self._container))
            self._containers[version] = known
        return known

    # -- what came of it -------------------------------------------------------------------------

    def _add_tries(self, found: list[tuple[Record, Found]]) -> None:
        by_record: dict[tuple[int, int], list[Noted]] = {}
        named = {(record.request.received_micros, record.request.seed): record for record, _ in found}
        for entry in read_tries(self._chosen.data_folder, named):
            by_record.setdefault(entry.record, []).append(entry)
        for record, one in found:
            request = record.request
            tries = by_record.get((request.received_micros, request.seed), [])
            for event in one.events:
                for tag in event.tags:
                    _add(tag, event.index, tries, is_waiting=one.place == "outbox")


def _add(tag: FoundTag, index: int, tries: list[Noted], *, is_waiting: bool) -> None:
    """The tries of one tag for one event, and what they come to."""
    its = sorted(
        (one for one in tries if one.tag == tag.name and one.event_index == index),
        key=lambda one: (one.destination, one.at_micros, one.outcome == GIVEN_UP),
    )
    tag.tries = [
        FoundTry(one.at_micros, one.destination, one.attempt, one.status, one.outcome, one.reason)
        for one in its
    ]
    last = {one.destination: one.outcome for one in its}
    if GIVEN_UP in last.values() or tag.letters:
        tag.state = "given up"
    elif last and all(outcome == "done" for outcome in last.values()):
        tag.state = "delivered"
    elif is_waiting:
        tag.state = "waiting"
    elif tag.outcome == "fired":
        tag.state = "unknown"


def texts_of(sought: str) -> list[bytes]:
    """How an id may stand in a request: as it is, escaped as a query, a form or a cookie, as JSON."""
    forms = (sought, quote(sought, safe=""), quote(sought), quote_plus(sought), json.dumps(sought)[1:-1])
    return [*dict.fromkeys(form.encode("utf-8", "surrogateescape") for form in forms)]


def places_of(value: Any, sought: str, path: str = "", level: int = 0) -> Iterator[str]:
    """Key paths whose value, as text, is the id."""
    if level > MOST_LEVELS:
        return
    if isinstance(value, dict):
        for key, member in value.items():
            yield from places_of(member, sought, f"{path}.{key}" if path else str(key), level + 1)
    elif isinstance(value, (list, tuple)):
        for index, member in enumerate(value):
            yield from places_of(member, sought, f"{path}.{index}", level + 1)
    elif value is not None and text_of(value) == sought:
        yield path


def _sends(request: OutgoingRequest, texts: list[bytes]) -> bool:
    parts = (request.url.encode("utf-8", "replace"), request.body, request.item)
    return any(text in part for text in texts for part in parts)


def _records_of(group: bytes) -> Iterator[Record]:
    for payload in split_group(group):
        record = read_record(payload) if payload is not None else None
        if record is not None:
            yield record
