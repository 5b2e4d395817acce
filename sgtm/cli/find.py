"""Find everything that happened to an event id, order id or client id.

Looks through the archive (`sgtm serve --archive 7d`), what waits in the outbox of a running server and the
dead letters, and tells for each request that the id belongs to: when it came, which client claimed it, what
each tag did, each attempt to deliver it with the vendor's answer in short, and how it stands now. Nothing of
the event is shown but where the id was found.

An id of `-` is read from standard input. Event ids that the server makes itself stand in no request: `--deep`
runs every archived record once more to find them, which takes a while.

  sgtm find T-10042
  sgtm find 1307714608.1760043792 --json
"""

import argparse
import sys
import time
from collections.abc import Iterator

import msgspec

from sgtm.cli import _admin
from sgtm.cli._finding import Found, FoundEvent, FoundTag, FoundTry, Search
from sgtm.cli._replaying import Bar
from sgtm.errors import SettingsError
from sgtm.observability.show import inert

MAX_ID = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("id", metavar="ID", help="as it stands in the event; - reads it from standard input")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--deep", action="store_true", help="ids that the server makes, too; slow")
    parser.add_argument(
        "--container",
        default="",
        metavar="FILE",
        help="run records through this one; default: the version that each came in under",
    )
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find it; 1 where it is nowhere."""
    sought = sys.stdin.read().strip() if arguments.id == "-" else arguments.id
    if not 0 < len(sought) <= MAX_ID:
        raise SettingsError(f"has {len(sought)} characters", where="ID", mend=f"1 to {MAX_ID} are possible")
    search = Search(_admin.settings_of(arguments), sought, arguments.container)
    bar = Bar(0) if sys.stderr.isatty() and not arguments.json else None
    found = search.run(is_deep=arguments.deep, bar=bar)
    if arguments.json:
        print(msgspec.json.encode({"found": found, "notes": search.notes}).decode())
    else:
        if bar is not None:
            print(file=sys.stderr)
        print("\n".join(inert(line) for line in _lines(found, search)))
    return 0 if found else 1


def _lines(found: list[Found], search: Search) -> Iterator[str]:
    for one in found:
        yield from _found(one)
        yield ""
    for note in search.notes:
        yield f"note: {note}"
    if not found:
        yield f"not found in {search.looked_at:,} records; --deep finds ids that the server made itself"


def _found(one: Found) -> Iterator[str]:
    yield f"{_moment(one.at_micros)}  {one.method} {one.path}, claimed by {one.client or 'nobody'}"
    version = one.container_version
    told = version if version == one.uses_version else f"{version}, told by {one.uses_version}"
    yield f"  container {told}, read from the {one.place}"
    for event in one.events:
        yield from _event(event)


def _event(event: FoundEvent) -> Iterator[str]:
    yield f"  event {event.name}: the id is {', '.join(event.found_in)}"
    for tag in event.tags:
        yield from _tag(tag)


def _tag(tag: FoundTag) -> Iterator[str]:
    state = f"; {tag.state}" if tag.state else ""
    reason = f" ({tag.reason})" if tag.reason else ""
    yield f"    {tag.name}: {tag.outcome}{reason}{state}"
    for one in tag.tries:
        yield f"      {_try(one)}"
    for letter in tag.letters:
        yield f"      dead letter {letter}: sgtm deadletters show {letter}"


def _try(one: FoundTry) -> str:
    status = f" HTTP {one.status}" if one.status and f"HTTP {one.status}" not in one.reason else ""
    reason = f", {one.reason}" if one.reason else ""
    number = f"attempt {one.attempt}" if one.attempt else "no attempt"
    return f"{_moment(one.at_micros)}  {one.destination}  {number}: {one.outcome}{status}{reason}"


def _moment(micros: int) -> str:
    seconds, rest = divmod(micros, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:03d}Z"
