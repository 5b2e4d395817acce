"""Run archived records again, all tags or one, also one that was added later.

Reads the archive (`sgtm serve --archive 7d`) of all workers on this machine and has the running server
run the records, through the container that serves now, its lanes and its limits. Event ids and times are
those of the first time; what a vendor takes no more at this age is passed over and counted. Says first how
many records there are and what vendors do with late events.

Safe to run twice: what was sent is written down in the data folder, so the same command goes on where it was.
`--again` forgets that. Times are ISO 8601, in UTC unless they say otherwise.

  sgtm replay --from 2025-11-24 --to 2025-11-25T12:00 --tag Meta --dry-run
  sgtm replay --from 2025-11-24T08:00 --to 2025-11-24T09:00 --tag Meta --where event_name=purchase --yes
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

from sgtm.cli import _admin
from sgtm.cli._letters import letters_of
from sgtm.cli._replay_ledger import ReplayLedger
from sgtm.cli._replaying import Job, container_for, dry, replay, what_changed
from sgtm.delivery.archive.reading import Reading
from sgtm.delivery.letter import record_key
from sgtm.delivery.outbox.records import write_record
from sgtm.errors import SettingsError, SgtmError
from sgtm.hit import Again
from sgtm.messages import Record
from sgtm.server.replaying import Item, Replayed
from sgtm.settings import Settings


class Span(Struct, frozen=True):
    """What is asked for."""

    from_micros: int
    to_micros: int
    tag: str
    where: tuple[tuple[str, str], ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--from", required=True, dest="from_", metavar="TIME", help="received at or after")
    parser.add_argument("--to", required=True, metavar="TIME", help="and before")
    parser.add_argument("--tag", default="", metavar="NAME", help="run this tag only")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEYPATH=VALUE",
        help="only events with this value, for example event_name=purchase; may be repeated",
    )
    parser.add_argument(
        "--letters", action="store_true", help="dead letters too, of records that are not archived"
    )
    parser.add_argument("--dry-run", action="store_true", help="send nothing, say what would be sent")
    parser.add_argument(
        "--container", default="", metavar="FILE", help="of a dry run; default: what was served last"
    )
    parser.add_argument(
        "--recorded-version",
        action="store_true",
        help="each record through the container it came in under, where that is kept",
    )
    parser.add_argument("--rate", type=float, default=50.0, metavar="N", help="records a second (50)")
    parser.add_argument("--id", default="", metavar="NAME", help="of this replay; default: made of the above")
    parser.add_argument("--again", action="store_true", help="send again what this replay has sent")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay; 1 where something died again."""
    chosen = _admin.settings_of(arguments)
    span = _span(arguments)
    count = _say_what(chosen, span)
    if arguments.dry_run:
        container = container_for(chosen, arguments.container)
        print("\n".join(dry(container, _again(chosen, span), count)))
        return 0
    tags = _tags(chosen)
    if span.tag and span.tag not in tags:
        known = ", ".join(tags) or "none"
        raise SettingsError(f"there is no tag {span.tag!r}", where="--tag", mend=f"the server has: {known}")
    for name, late in tags.items():
        if late and span.tag in ("", name):
            print(f"tag {name!r}: {late}")
    for line in _changed(chosen):
        print(line)
    ledger = ReplayLedger(chosen.data_folder, arguments.id or _name(span), anew=arguments.again)
    try:
        return _replay(chosen, span, ledger, count, arguments)
    finally:
        ledger.close()


def _changed(chosen: Settings) -> list[str]:
    """What will not be as it was, as far as the container that was served last can be read here."""
    try:
        return what_changed(container_for(chosen, ""))
    except SgtmError:
        return []


def _replay(
    chosen: Settings, span: Span, ledger: ReplayLedger, count: int, arguments: argparse.Namespace
) -> int:
    if ledger.ended:
        print(f"{len(ledger.ended)} records were sent before, and are not sent again")
    letters = list(_letters(chosen, span, ledger)) if arguments.letters else []
    if letters:
        print(f"{len(letters)} dead letters")
    if not arguments.yes and not _confirmed():
        return 2
    job = Job(
        replay=f"{ledger.path.stem}/{ledger.token}",
        items=_items(chosen, span, ledger, letters),
        count=max(count - len(ledger.ended), 0) + len(letters),
        tags=[span.tag] if span.tag else [],
        where=span.where,
        uses_recorded_version=arguments.recorded_version,
        rate=arguments.rate,
    )
    reasons: dict[str, int] = {}

    def on_end(item: Item, end: Replayed) -> None:
        ledger.note(item.key, end.state)
        if end.state not in ("sent", "too old") and end.reason:
            reasons[f"{end.state}: {end.reason}"] = reasons.get(f"{end.state}: {end.reason}", 0) + 1

    try:
        ends = replay(chosen, job, on_end)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on here", file=sys.stderr)
        raise
    print(", ".join(f"{number} {state}" for state, number in sorted(ends.items())) or "nothing to do")
    for reason, number in sorted(reasons.items(), key=lambda pair: -pair[1])[:10]:
        print(f"  {number} {reason}")
    return 1 if ends["dead"] or ends["unknown"] else 0


# -- what is asked for ----------------------------------------------------------------------------


def _span(arguments: argparse.Namespace) -> Span:
    where = []
    for text in arguments.where:
        key_path, equals, value = text.partition("=")
        if not equals or not key_path:
            raise SettingsError(f"{text!r} is no KEYPATH=VALUE", where="--where", mend="event_name=purchase")
        where.append((key_path, value))
    span = Span(
        _micros(arguments.from_, "--from"), _micros(arguments.to, "--to"), arguments.tag, tuple(where)
    )
    if span.from_micros >= span.to_micros:
        raise SettingsError("is not before --to", where="--from", mend="the end of the time is excluded")
    return span


def _micros(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        mend = "write 2025-11-24 or 2025-11-24T08:30+01:00"
        raise SettingsError(f"{text!r} is no time", where=where, mend=mend) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _name(span: Span) -> str:
    return hashlib.blake2b(repr(span).encode(), digest_size=8).hexdigest()


def _say_what(chosen: Settings, span: Span) -> int:
    """Print and return how many records there are."""
    reading = Reading(chosen.data_folder, span.from_micros, span.to_micros)
    count, first, last = 0, span.to_micros, span.from_micros
    for record in _once(reading.records()):
        count += 1
        first = min(first, record.request.received_micros)
        last = max(last, record.request.received_micros)
    told = f", received from {_moment(first)} to {_moment(last)}" if count else ""
    print(f"{count} records in {reading.segments} files of the archive{told}")
    if reading.damaged:
        print(f"{reading.damaged} parts of it are damaged and passed over")
    if not count and not reading.segments:
        print(f"there is no archive of this time in {chosen.data_folder}: is `--archive` set?")
    return count


def _moment(micros: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(micros / 1e6))


def _once(records: Iterator[Record]) -> Iterator[Record]:
    """A record that was archived twice comes once."""
    seen: set[int] = set()
    for record in records:
        named = hash((record.request.received_micros, record.request.seed))
        if named not in seen:
            seen.add(named)
            yield record


def _records(chosen: Settings, span: Span) -> Iterator[Record]:
    return _once(Reading(chosen.data_folder, span.from_micros, span.to_micros).records())


def _again(chosen: Settings, span: Span) -> Iterator[tuple[Record, Again]]:
    only = frozenset({span.tag}) if span.tag else None
    return ((record, Again(0, only=only, where=span.where)) for record in _records(chosen, span))


def _items(chosen: Settings, span: Span, ledger: ReplayLedger, letters: list[Item]) -> Iterator[Item]:
    yield from letters
    for record in _records(chosen, span):
        key = record_key(record)
        if key not in ledger.ended:
            group = bytearray()
            write_record(record, group)
            yield Item(key, bytes(group))


def _letters(chosen: Settings, span: Span, ledger: ReplayLedger) -> Iterator[Item]:
    archived = {record_key(record) for record in _records(chosen, span)}
    for page in letters_of(chosen).pages(reveal=False):
        for one in page:
            is_meant = span.from_micros <= one.received_micros < span.to_micros and span.tag in ("", one.tag)
            if is_meant and one.key not in archived and f"letter-{one.id}" not in ledger.ended:
                yield Item(f"letter-{one.id}", slot=one.slot, letter=one.id, number=one.number)


def _tags(chosen: Settings) -> dict[str, str]:
    answer = _admin.ask(chosen, "GET", "/replay")
    return answer.body if isinstance(answer.body, dict) else {}


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise SettingsError("nobody is there to be asked", where="replay", mend="give --yes")
    return input("send them? [y/N] ").strip().lower() in ("y", "yes")
