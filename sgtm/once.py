"""Once: an event that a tag declares to be the same as an earlier one is not sent again, and one that
its sender delivers a second time does not run again.

The mark is made before the sending, and only when the record is committed: from then on the outbox keeps it
until the tag owes nothing, so whoever crashes between mark and sending runs the same record again, and it
passes. Had it been made when the sending was settled, two copies that come together would both go out. What
is given up lets its key go, so that a later copy has its chance (SPEC: requirements R192, R306).
"""

import hashlib
from collections.abc import Awaitable
from typing import Protocol

import msgspec

from sgtm.container.container import ContainerTag
from sgtm.delivery.outbox import OutboxFull
from sgtm.delivery.taken_keys import Take
from sgtm.event import Event, undefined
from sgtm.hit import Hit, OnSettled
from sgtm.messages import Outcome

NOT_KEPT = "its record was not kept"


class Keys(Protocol):
    """Who remembers keys."""

    def take(self, take: Take) -> Awaitable[bool]:
        """Whether the key is this record's now. Never raises."""

    def release(self, take: Take) -> None:
        """The next one may have the key."""


class Claim:
    """A key that a record has taken for a tag, until it is known what became of it."""

    def __init__(self, keys: Keys, take: Take) -> None:
        self._keys, self._take = keys, take
        self._open, self._is_kept = 1, False

    def owe(self, settle: OnSettled) -> OnSettled:
        """Wraps `on_settled` of one request."""
        self._open += 1

        def settled(outcome: Outcome) -> None:
            settle(outcome)
            self.ended(is_kept=outcome.kind not in ("dead", "refused"))

        return settled

    def ended(self, *, is_kept: bool) -> None:
        """A request is settled, or all have been handed over."""
        self._open -= 1
        self._is_kept = self._is_kept or is_kept
        if not self._open and not self._is_kept:
            self._keys.release(self._take)


async def unseen(keys: Keys, hit: Hit) -> frozenset[int] | None:
    """Which events of a hit no other record has brought before (`Claimed.once_keys`), by their index: they
    are this one's from now on. None: the record was not kept, and its sender is told so."""
    if not await _is_kept(hit):
        return None
    window_micros = int(hit.claimed.once_s * 1_000_000)
    found = set()
    for index, key in enumerate(hit.claimed.once_keys):
        digest = _digest(f"{hit.client.name}\0{key}".encode("utf-8", "surrogatepass"))
        is_first_here = hit.keys.setdefault(digest, index) == index
        if is_first_here and await keys.take(_take(hit, digest, window_micros)):
            found.add(index)
    return frozenset(found)


async def claim(keys: Keys, hit: Hit, tag: ContainerTag, event: Event) -> "Claim | str | None":
    """The claim with which the tag may send for this event; None: it needs none; or why it may not."""
    key = key_of(tag, event)
    if key is None or tag.deduplication is None:
        return None
    if hit.keys.setdefault(key, event.index) != event.index:
        return "an event of the same hit has the same key"
    if not await _is_kept(hit):
        return NOT_KEPT
    take = _take(hit, key, tag.deduplication.window_micros)
    return Claim(keys, take) if await keys.take(take) else "the same event went out before"


async def _is_kept(hit: Hit) -> bool:
    if hit.commit is not None:
        try:
            await hit.commit
        except OutboxFull:
            return False
    return True


def _take(hit: Hit, key: bytes, window_micros: int) -> Take:
    at = hit.request.received_micros
    return Take(key, b"%d.%d" % (at, hit.request.seed), at, at + window_micros)


def key_of(tag: ContainerTag, event: Event) -> bytes | None:
    """What must not go out twice, as a digest; None: nothing to tell it by, or the event is excepted."""
    rule = tag.deduplication
    if rule is None or event.name in rule.except_events:
        return None
    values = [event.get(key_path) for key_path in rule.key_paths]
    if any(value is undefined or value is None or value == "" for value in values):
        return None
    name = event.name if rule.counts_name else None
    try:
        said = msgspec.json.encode([tag.name, name, values])
    except (TypeError, ValueError):
        return None
    return _digest(said)


def _digest(said: bytes) -> bytes:
    return hashlib.blake2b(said, digest_size=16).digest()
