"""Rows: what stands under one key, and what a new hit makes of it. Pure: both engines use it.

Each value has its own time: a click id lives as long as the rules say since it was last seen, however often
its visitor comes back.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sgtm.consent import CONSENT_TYPES

MAX_BESIDE = 32
"""Other keys that a row remembers, the latest: they are erased with it."""
MAX_ROW_BYTES = 16_384


class Kept(Struct, frozen=True, array_like=True):
    """A value, and when it was seen (Unix time in microseconds)."""

    value: Any
    at: int


class Row(Struct, frozen=True, array_like=True):
    """What is known under a key."""

    values: dict[str, Kept] = {}
    """By key of event data."""
    consent: dict[str, bool] = {}
    """What the browser said, by type; what it did not say is missing."""
    at: int = 0
    """When the latest hit came."""
    beside: tuple[bytes, ...] = ()
    """Other keys of the same hits."""
    until: int = 0


class Snapshot(Struct, frozen=True):
    """What one hit tells."""

    keys: tuple[bytes, ...]
    """All of its keys."""
    values: dict[str, Kept]
    denied: frozenset[str]
    """Keys of event data that consent was refused for: what is known of them goes."""
    consent: dict[str, bool]
    at: int
    ttl: int
    client: bytes | None = None
    """Key of the client id: what its row knows is told on under the others."""
    needs: Mapping[str, tuple[str, ...]] = {}
    """Which consent each key of event data needs."""

    def refused_by(self, consent: dict[str, bool]) -> frozenset[str]:
        """Keys of event data that this consent refuses."""
        if consent is self.consent or False not in consent.values():
            return self.denied
        return self.denied.union(
            name for name, needs in self.needs.items() if any(consent.get(need) is False for need in needs)
        )


def row_after(row: Row | None, client: Row | None, snapshot: Snapshot, key: bytes) -> Row:
    """The row of `key` after this hit: of each value the newest that is known under the key, under the
    hit's client id (`client`), or from the hit, and of consent what was said last of each type: who says
    nothing takes nothing back. A hit that comes late changes nothing that is newer."""
    at, oldest, denied = snapshot.at, snapshot.at - snapshot.ttl, snapshot.denied
    consent = _consent_after(row, client, snapshot)
    refused = snapshot.refused_by(consent)
    values = dict(client.values) if client is not None else {}
    # PERF: the row of a client id is both
    for known in (row.values if row is not None and row is not client else {}, snapshot.values):
        for name, kept in known.items():
            there = values.get(name)
            if there is None or there.at <= kept.at:
                values[name] = kept
    for name in [
        name
        for name, kept in values.items()
        if kept.at <= oldest or (name in refused and (kept.at <= at or name not in denied))
    ]:
        del values[name]
    latest = at if row is None or row.at <= at else row.at
    return Row(
        values=values,
        consent=consent,
        at=latest,
        beside=_beside(row, snapshot.keys, key),
        until=latest + snapshot.ttl,
    )


def _consent_after(row: Row | None, client: Row | None, snapshot: Snapshot) -> dict[str, bool]:
    said = [(known.at, known.consent) for known in (client, row) if known is not None]
    said.append((snapshot.at, snapshot.consent))
    said.sort(key=lambda one: one[0])
    latest = said[-1][1]
    if len(latest) == len(CONSENT_TYPES):  # PERF: as nearly all hits of a site that asks
        return latest
    return {name: value for _, consent in said for name, value in consent.items()}


def _beside(row: Row | None, keys: tuple[bytes, ...], key: bytes) -> tuple[bytes, ...]:
    known = row.beside if row is not None else ()
    new = [one for one in keys if one != key]
    if all(one in known for one in new):
        return known
    return (*(one for one in known if one not in new), *new)[-MAX_BESIDE:]


def withdrawn(rows: Iterable[Row | None], snapshot: Snapshot) -> Sequence[bytes]:
    """Keys beside those of the hit (`rows` stand under them) that its refusal concerns too."""
    if not snapshot.denied:
        return ()
    beside = dict.fromkeys(key for row in rows if row is not None for key in row.beside)
    return [key for key in beside if key not in snapshot.keys]


def without(row: Row, snapshot: Snapshot) -> Row:
    """A row beside the hit's own after consent was withdrawn: what the hit was refused goes here too."""
    at = snapshot.at
    values = {name: kept for name, kept in row.values.items() if name not in snapshot.denied or kept.at > at}
    refused = {name: False for name, is_granted in snapshot.consent.items() if not is_granted}
    return replace(row, values=values, consent={**row.consent, **refused} if row.at <= at else row.consent)


def live_values(row: Row, now: int, ttl: int) -> dict[str, Any]:
    """Values that are not too old yet."""
    return {name: kept.value for name, kept in row.values.items() if kept.at > now - ttl}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Row)


def write_row(row: Row) -> bytes:
    """The bytes of a row. Raises what msgspec raises for values that are no plain data."""
    return _encoder.encode(row)


def read_row(content: bytes) -> Row | None:
    """The row of these bytes; None where they are damaged, or of another release."""
    try:
        return _decoder.decode(content)
    except msgspec.DecodeError:
        return None
