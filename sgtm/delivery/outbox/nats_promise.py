"""Promise: what a broker, set up as it is, can be trusted with.

JetStream acknowledges before it syncs unless it is told otherwise, and a server before 2.10 cannot be told
(SPEC: reliability 0.1, 0.2, 1.2, 1.3). So the engine looks, and says in words what it found.
"""

import re
from typing import Literal

from msgspec import Struct

FIRST_VERSION = (2, 10)
"""The first that knows `sync_interval: always`."""
REPLICAS = 3
LONGEST_SYNC_S = 10.0
"""Of replicas that sync by the clock, where the power of all of them can hardly fail at once."""


class Facts(Struct, frozen=True):
    """What is known of the broker and the stream."""

    version: str
    sync_s: float | None = None
    """Seconds between syncs, the longest of all servers; 0.0: always; None: nobody says."""
    replicas: int = 1
    storage: Literal["file", "memory"] = "file"
    discard: Literal["old", "new"] = "new"
    max_bytes: int = -1
    persist_mode: str = ""
    retention: str = "workqueue"
    max_payload: int = 1_048_576
    max_message: int = -1


class Promise(Struct, frozen=True):
    """What the broker is good for: see OutboxState.durability."""

    durability: int
    weak: tuple[str, ...] = ()
    """Each thing that makes it less than it could be, and how to mend it."""
    is_known: bool = True

    def __str__(self) -> str:
        """For the log."""
        if not self.is_known:
            return "nats: the broker cannot be reached; nothing is taken until it can"
        return {
            0: "nats: acknowledged records can be thrown away",
            1: "nats: survives kill -9, a power cut may lose what was acknowledged last",
            2: "nats: survives kill -9 and a power cut",
            3: "nats: survives kill -9, a power cut and a lost disk",
        }[self.durability]


def judge(facts: Facts) -> Promise:
    """What follows from the facts."""
    weak: list[str] = []
    durability = _of_syncs(facts, weak)
    if facts.storage == "memory":
        weak.append("the stream is in the broker's memory: gone with the broker; use file storage")
        durability = min(durability, 1)
    if facts.persist_mode == "async":
        weak.append("persist_mode async acknowledges before anything is written; leave it off")
        durability = min(durability, 1)
    if facts.discard == "old":
        weak.append("a full stream throws acknowledged records away; set discard to new")
        durability = 0
    if facts.retention == "interest":
        weak.append("retention interest drops what nobody asks for at the moment; use workqueue")
        durability = 0
    if facts.max_bytes <= 0:
        weak.append("no max_bytes: a full disk stops the broker until it is started again; set max_bytes")
    return Promise(durability, tuple(weak))


def _of_syncs(facts: Facts, weak: list[str]) -> int:
    is_replicated = facts.replicas >= REPLICAS
    if version_of(facts.version) < FIRST_VERSION:
        weak.append(f"server {facts.version} cannot sync before it acknowledges; use 2.10 or later")
        return 1
    if facts.sync_s is None:
        weak.append("nobody says when the broker syncs: give --nats-monitoring-url (its http port, /varz)")
        return 1
    if facts.sync_s == 0.0:
        return 3 if is_replicated else 2
    if is_replicated and facts.sync_s <= LONGEST_SYNC_S:
        weak.append(f"servers that lose power together lose up to {facts.sync_s:g} s of what is acknowledged")
        return 2
    weak.append(
        f"a power cut loses up to {facts.sync_s:g} s of what is acknowledged; set `sync_interval: always`"
    )
    return 1


def version_of(text: str) -> tuple[int, ...]:
    """`2.10.3-beta` -> (2, 10, 3)."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else (0,)
