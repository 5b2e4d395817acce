"""Ring: the latest requests of one session in one worker, bounded in number and in bytes.

A walk goes on after its answer: lanes fill in what vendors say. Nobody tells the ring; it looks, when it is
asked and at most every LOOK_S, at the entries that may still change, and counts each change. Whoever follows
a ring asks for all that changed since the count it knows (`changes`).
"""

from collections import OrderedDict
from collections.abc import Hashable

from sgtm.container.container import Container
from sgtm.messages import IncomingRequest, VendorAnswer
from sgtm.observability.walk import Walk, WalkedDelivery, WalkedTag

LOOK_S = 0.2
MOST_ANSWER_BYTES = 64 * 1024
"""Of a vendor's answer that are kept."""
CHANGES_S = 900.0
"""After which a walk is taken as it is: a vendor that is down for days is looked at elsewhere."""
QUIET_S = 30.0
"""For which a walk may go on though nothing is owed: a tag may wait for answers (20 s), then deliver."""
_FIXED_BYTES = 4 * 1024
_PART_BYTES = 1536
"""Of a tag or a delivery, beside its bodies."""
_FINAL = frozenset({"done", "dead"})


class Entry:
    """One request on its way."""

    __slots__ = (
        "began_s",
        "born",
        "container",
        "number",
        "request",
        "size_bytes",
        "state",
        "took_micros",
        "version",
        "walk",
    )

    def __init__(
        self, number: int, request: IncomingRequest, walk: Walk, container: Container, now_s: float
    ) -> None:
        self.number, self.request, self.walk, self.container = number, request, walk, container
        self.began_s = now_s
        self.took_micros = 0
        """From its receipt to its answer; 0: it has none yet."""
        self.version = self.born = self.size_bytes = 0
        """The ring's count at its latest change and at its first; what it holds."""
        self.state: Hashable = None


class Ring:
    """Entries by number, the oldest first. Times are monotonic seconds."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._changing: set[int] = set()
        self._last = self.version = self.size_bytes = 0
        self._looked_s = float("-inf")

    def __len__(self) -> int:
        """Entries that are there."""
        return len(self._entries)

    @property
    def first(self) -> int:
        """Number of the oldest entry that is there; what has a lower one is gone."""
        return next(iter(self._entries), self._last + 1)

    @property
    def last(self) -> int:
        """Number of the latest entry that there was."""
        return self._last

    def add(self, request: IncomingRequest, walk: Walk, container: Container, now_s: float) -> Entry:
        """A request begins."""
        self._last += 1
        entry = self._entries[self._last] = Entry(self._last, request, walk, container, now_s)
        self._changing.add(self._last)
        self._note(entry)
        entry.born = entry.version
        self.look(now_s)
        self._make_room()
        return entry

    def get(self, number: int) -> Entry | None:
        """The entry of this number, if it is there."""
        return self._entries.get(number)

    def changes(self, since: int, now_s: float, most: int = 1_000_000) -> list[Entry]:
        """What came or changed after the count `since`, in the order of these counts, `most` of it."""
        self.look(now_s)
        changed = [entry for entry in self._entries.values() if entry.version > since]
        return sorted(changed, key=lambda entry: entry.version)[:most]

    def look(self, now_s: float) -> None:
        """Look at what may have changed, unless that was done a moment ago."""
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        for number in list(self._changing):
            entry = self._entries[number]
            if entry.state != _state_of(entry):
                self._note(entry)
            if _is_final(entry, now_s - entry.began_s):
                self._changing.discard(number)
        self._make_room()

    def clear(self) -> None:
        """Let go of all that is there."""
        self._entries.clear()
        self._changing.clear()
        self.size_bytes = 0

    def _note(self, entry: Entry) -> None:
        self.version += 1
        entry.version, entry.state = self.version, _state_of(entry)
        _cut_answers(entry.walk)
        size_bytes = size_of(entry)
        self.size_bytes += size_bytes - entry.size_bytes
        entry.size_bytes = size_bytes

    def _make_room(self) -> None:
        while len(self._entries) > self._most or (
            self.size_bytes > self._most_bytes and len(self._entries) > 1
        ):
            number, entry = self._entries.popitem(last=False)
            self._changing.discard(number)
            self.size_bytes -= entry.size_bytes


def _tags(walk: Walk) -> list[WalkedTag]:
    return [tag for event in walk.events for tag in event.tags]


def _deliveries(walk: Walk) -> list[WalkedDelivery]:
    return [delivery for tag in _tags(walk) for delivery in tag.deliveries]


def _state_of(entry: Entry) -> Hashable:
    """Differs when the walk has gone on."""
    walk = entry.walk
    return (
        entry.took_micros,
        len(walk.warnings),
        tuple((tag.outcome, len(tag.console), len(tag.deliveries)) for tag in _tags(walk)),
        tuple((one.attempts, one.outcome and one.outcome.kind) for one in _deliveries(walk)),
    )


def _is_final(entry: Entry, age_s: float) -> bool:
    if age_s >= CHANGES_S:
        return True
    is_owed = any(one.outcome is None or one.outcome.kind not in _FINAL for one in _deliveries(entry.walk))
    return bool(entry.took_micros) and not is_owed and age_s >= QUIET_S


def size_of(entry: Entry) -> int:
    """About what the entry holds in memory. What tags see are mostly parts of the request; a transformation
    may hold another copy."""
    request, walk = entry.request, entry.walk
    came = (
        len(request.query)
        + len(request.body)
        + sum(len(name) + len(value) for name, value in request.headers)
    )
    copies = 2 + sum(len(tag.transformations) for tag in _tags(walk))
    left = sum(
        _PART_BYTES
        + len(one.request.url)
        + len(one.request.body)
        + len(one.request.item)
        + (len(one.answer.body) if one.answer is not None else 0)
        for one in _deliveries(walk)
    )
    said = len(walk.answer.body) if walk.answer is not None else 0
    said += sum(len(line) for line in walk.warnings)
    said += sum(len(line) for tag in _tags(walk) for line in (*tag.console, *tag.warnings))
    return _FIXED_BYTES + came * copies + len(_tags(walk)) * _PART_BYTES + left + said


def _cut_answers(walk: Walk) -> None:
    for one in _deliveries(walk):
        answer = one.answer
        if answer is not None and len(answer.body) > MOST_ANSWER_BYTES:
            one.answer = VendorAnswer(answer.status, answer.headers, answer.body[:MOST_ANSWER_BYTES])
