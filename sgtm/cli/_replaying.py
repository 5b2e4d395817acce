"""Drives a replay: items go to the running server in batches, until each has come to an end.

The server runs an item once and remembers it; we ask again until we know, and tell whoever wants to write it
down. So nothing is sent twice when this end is interrupted, or an answer is lost.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from sgtm.cli import _admin
from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.container.versions import Versions
from sgtm.delivery.letter import now_micros
from sgtm.dry_run import dry_run_again
from sgtm.errors import SettingsError
from sgtm.hit import Again
from sgtm.messages import Record
from sgtm.observability.walk import Walk, WalkedTag
from sgtm.server.replaying import Asked, Item, Replayed
from sgtm.settings import Settings

WINDOW = 500
"""Items that may be under way."""
BATCH = 100
BATCH_BYTES = 2_097_152
BUSY_S = 0.5
LONGEST_BUSY_S = 8.0
SAY_S = 10.0
_BAR = 30
_MICROS = 1_000_000

OnEnd = Callable[[Item, Replayed], None]


class Job(Struct, kw_only=True):
    """What is replayed, and how."""

    replay: str
    items: Iterable[Item]
    count: int
    tags: Sequence[str] = ()
    where: Sequence[tuple[str, str]] = ()
    uses_recorded_version: bool = False
    rate: float = 50.0


class Bar:
    """Progress on a terminal; one line every ten seconds elsewhere."""

    def __init__(self, count: int) -> None:
        self._count, self._began = count, time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._said_at = self._began if not self._is_terminal else 0.0

    def show(self, done: int, note: str = "") -> None:
        """So many are done."""
        now = time.monotonic()
        if now - self._said_at < (0.1 if self._is_terminal else SAY_S) and done < self._count:
            return
        self._said_at = now
        rate = done / max(now - self._began, 0.001)
        filled = _BAR * min(done, self._count) // max(self._count, 1)
        line = f"[{'#' * filled}{'-' * (_BAR - filled)}] {done} of {self._count}, {rate:.0f}/s {note}"
        print(f"\r{line:<78}" if self._is_terminal else line, end="", file=sys.stderr, flush=True)
        if not self._is_terminal or done >= self._count:
            print(file=sys.stderr)


def replay(chosen: Settings, job: Job, on_end: OnEnd) -> Counter[str]:
    """How many came to which end. Raises SgtmError, KeyboardInterrupt."""
    ends: Counter[str] = Counter()
    under_way: dict[str, Item] = {}
    wait_s = BUSY_S
    items, begun, began, bar = iter(job.items), 0, time.monotonic(), Bar(job.count)
    while True:
        allowed = int(job.rate * (time.monotonic() - began)) + 1 - begun if job.rate else WINDOW
        for item in islice(items, max(min(WINDOW - len(under_way), allowed), 0)):
            under_way[item.key] = item
            begun += 1
        if not under_way:
            if allowed > 0:
                break
            time.sleep(min(1 / job.rate, BUSY_S))
            continue
        before = sum(ends.values())
        note = _ask(chosen, job, under_way, ends, on_end)
        done = sum(ends.values())
        bar.show(done, note)
        if note:  # a destination is shut, a worker is being replaced: ask less and less often
            wait_s = BUSY_S if done > before else min(wait_s * 2, LONGEST_BUSY_S)
            time.sleep(wait_s)
    return ends


def _ask(chosen: Settings, job: Job, under_way: dict[str, Item], ends: Counter[str], on_end: OnEnd) -> str:
    """One round; why it does not go on, or ""."""
    note = ""
    for batch in _batches(under_way.values()):
        asked = Asked(job.replay, batch, list(job.tags), list(job.where), job.uses_recorded_version)
        answer = _admin.ask(chosen, "POST", "/replay", asked)
        if answer.status != 200:
            raise SettingsError(f"status {answer.status}", where="the server", mend="its log says more")
        answers = msgspec.convert(answer.body["items"], list[Replayed])
        for one in answers:
            if one.state in ("busy", "under way"):
                note = one.reason or note
                continue
            ends[one.state] += 1
            on_end(under_way.pop(one.key), one)
        if len(answers) < len(batch):
            note = note or "a worker does not answer"
    return note


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in list(items):
        if batch and (len(batch) >= BATCH or size + len(item.record) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.record)
    if batch:
        yield batch


# -- dry ------------------------------------------------------------------------------------------


def container_for(chosen: Settings, path: str) -> Container:
    """The container of that file, or the one that was served last. Raises SgtmError."""
    if path:
        return load_container(path)
    kept = Versions(chosen.data_folder).all()
    if not kept:
        raise SettingsError(
            "no container was served from here", where=str(chosen.data_folder), mend="give --container FILE"
        )
    return load_container(kept[0].path)


def what_changed(container: Container) -> list[str]:
    """What a replay reads outside of the records, so that it may come out otherwise than the first time."""
    rules = container.context
    if rules is None:
        return []
    lines = [
        f"events of {', '.join(rules.server_clients)} inherit what is known of their browsers now: that may "
        "have changed since, or be over"
    ]
    if rules.holds:
        lines.append(
            "of events of two halves the one runs again that was sent, with what the other left, for as long "
            "as that is kept; later each goes alone"
        )
    return lines


def dry(container: Container, records: Iterable[tuple[Record, Again]], count: int) -> list[str]:
    """What would be sent, by tag, in lines."""
    tags: dict[str, Counter[str]] = {}
    unclaimed, bar, now = 0, Bar(count), now_micros()
    for number, (record, again) in enumerate(records, 1):
        walk = dry_run_again(container, record, again, now)
        unclaimed += not walk.claimed_by
        for tag in _tags_of(walk):
            if again.only is None or tag.name in again.only:
                _note(tags.setdefault(tag.name, Counter()), tag)
        bar.show(number)
    lines = [f"{unclaimed} records would be claimed by no client"] if unclaimed else []
    if container.context is not None:
        lines.append("a dry run looks nothing up: events inherit nothing, and no half finds the other")
    for name, counts in sorted(tags.items()):
        said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        lines.append(f"tag {name!r}: {said}")
    return lines or ["nothing would be sent"]


def _tags_of(walk: Walk) -> Iterator[WalkedTag]:
    return (tag for event in walk.events for tag in event.tags)


def _note(counts: Counter[str], tag: WalkedTag) -> None:
    for delivery in tag.deliveries:
        is_late = delivery.outcome is not None and delivery.outcome.kind == "dead"
        counts["too old" if is_late else "would be sent"] += 1
    if not tag.deliveries:
        counts[tag.outcome] += 1
