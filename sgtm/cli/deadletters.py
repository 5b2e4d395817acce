"""Show, replay or delete what was given up: sgtm deadletters list|show|replay|purge

A dead letter is the record of a hit, the tag that could not do its part, and the reason. Asks the running
server; where none runs it reads the data folder (then nothing can be sent). Personal data is not shown: names
of keys, not values. `show --reveal` shows the request and the vendor's answer.

A replay runs only the tag of the letter, through the container that serves now. The letter goes when the
vendor has it; what dies again is a letter again.

  sgtm deadletters list --tag Meta --newer 2d
  sgtm deadletters show 3f9a --reveal
  sgtm deadletters replay --tag Meta --reason token --dry-run
  sgtm deadletters purge --older 14d
"""

import argparse
import re
import secrets
import time
from collections.abc import Iterator

import msgspec

from sgtm.cli import _admin
from sgtm.cli._letters import Letters, letters_of, require_running
from sgtm.cli._replaying import Job, container_for, dry, replay
from sgtm.delivery.outbox.records import read_record, split_group
from sgtm.errors import SettingsError
from sgtm.hit import Again
from sgtm.messages import Record
from sgtm.server.letters import LetterView
from sgtm.server.replaying import Item, Replayed

_AGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SHOWN_ENDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=("list", "show", "replay", "purge"), help="what to do")
    parser.add_argument("ids", nargs="*", metavar="ID", help="these letters; the begin of an id will do")
    parser.add_argument("--tag", default="", help="letters of this tag")
    parser.add_argument("--kind", choices=("delivery", "build"), help="given up by a lane, or never built")
    parser.add_argument("--reason", default="", metavar="TEXT", help="whose reason holds this text")
    parser.add_argument("--older", default="", metavar="AGE", help="that died longer ago: 36h, 7d")
    parser.add_argument("--newer", default="", metavar="AGE", help="that died since then")
    parser.add_argument("--all", action="store_true", help="replay, purge: all that there are")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most so many")
    parser.add_argument("--reveal", action="store_true", help="show: personal data too")
    parser.add_argument("--dry-run", action="store_true", help="replay: send nothing, say what would be sent")
    parser.add_argument(
        "--container", default="", metavar="FILE", help="of a dry run; default: what was served last"
    )
    parser.add_argument("--rate", type=float, default=50.0, metavar="N", help="replay: letters a second")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of list and show")
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 where a letter that was asked for is not there, or died again."""
    if arguments.reveal and arguments.action != "show":
        raise SettingsError("only `show` reveals", where="--reveal", mend="name the letter: show ID --reveal")
    chosen = _admin.settings_of(arguments)
    letters = letters_of(chosen)
    selection = _Selection(arguments)
    if arguments.action == "list":
        return _list(selection.of(letters), arguments.format)
    if arguments.action == "show":
        return _show(letters, selection, arguments)
    if not (selection.is_narrow or arguments.all):
        raise SettingsError(
            "that would be all letters", where=arguments.action, mend="name some, filter, or say --all"
        )
    if arguments.action == "purge":
        print(f"{letters.purge(list(selection.of(letters)))} deleted")
        return 0
    return _replay(letters, selection, arguments)


class _Selection:
    """Which letters."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments, now = arguments, time.time()
        self._before = (now - _seconds(arguments.older, "--older")) * 1e6 if arguments.older else None
        self._after = (now - _seconds(arguments.newer, "--newer")) * 1e6 if arguments.newer else None
        said = (arguments.ids, arguments.tag, arguments.kind, arguments.reason)
        self.is_narrow = any((*said, arguments.older, arguments.newer))

    def of(self, letters: Letters, *, reveal: bool = False) -> Iterator[LetterView]:
        """Those of them that are meant."""
        found = 0
        for page in letters.pages(reveal=reveal):
            for letter in page:
                if self._holds(letter):
                    yield letter
                    found += 1
                    if found == self._arguments.limit:
                        return

    def _holds(self, letter: LetterView) -> bool:
        wanted = self._arguments
        return (
            (not wanted.ids or any(letter.id.startswith(one) for one in wanted.ids))
            and wanted.tag in ("", letter.tag)
            and wanted.kind in (None, letter.kind)
            and wanted.reason.lower() in letter.reason.lower()
            and (self._before is None or letter.at_micros < self._before)
            and (self._after is None or letter.at_micros >= self._after)
        )


def _seconds(age: str, where: str) -> float:
    match = _AGE.fullmatch(age)
    if match is None:
        raise SettingsError(f"{age!r} is no age", where=where, mend="write 90s, 30m, 36h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


# -- list and show --------------------------------------------------------------------------------


def _list(letters: Iterator[LetterView], form: str) -> int:
    count = 0
    for letter in letters:
        count += 1
        print(msgspec.json.encode(letter).decode() if form == "json" else _line(letter))
    if form == "text":
        print(f"{count} dead letter{'s' * (count != 1)}")
    return 0


def _line(letter: LetterView) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(letter.at_micros / 1e6))
    what = f"{letter.tag or '-'}  {letter.event_name or '-'}"
    where = f"  {letter.destination}" if letter.destination else ""
    tried = f"  {letter.attempts}x" if letter.attempts else ""
    return f"{letter.id}  {moment}  {letter.kind}  {what}{where}{tried}  {letter.reason}"


def _show(letters: Letters, selection: _Selection, arguments: argparse.Namespace) -> int:
    if not arguments.ids:
        raise SettingsError("which one?", where="show", mend="give the id that `list` shows")
    found = list(selection.of(letters, reveal=arguments.reveal))
    for letter in found:
        if arguments.format == "json":
            print(msgspec.json.format(msgspec.json.encode(letter), indent=2).decode())
        else:
            print("\n".join(_lines(letter)), end="\n\n")
    if not found:
        raise SettingsError("there is no such letter", where="show", mend="see `sgtm deadletters list`")
    return 0


def _lines(letter: LetterView) -> Iterator[str]:
    received = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(letter.received_micros / 1e6))
    yield _line(letter)
    yield f"  received   {received}, under container {letter.record_version}"
    yield f"  given up   by container {letter.container_version or '-'}, last status {letter.status or '-'}"
    index = "" if letter.event_index is None else f"number {letter.event_index} of its request"
    yield f"  event      {letter.event_name or '-'} {index}".rstrip()
    yield f"  keys       {', '.join(letter.keys) or '-'}"
    if letter.revealed is not None:
        shown = letter.revealed
        yield f"  answer     {shown.answer or '-'}"
        yield f"  from       {shown.remote_address}"
        yield f"  request    {shown.method} {shown.path}{'?' * bool(shown.query)}{shown.query}"
        for name, value in shown.headers:
            yield f"             {name}: {value}"
        yield f"  body       {shown.body or '-'}"


# -- replay ---------------------------------------------------------------------------------------


def _replay(letters: Letters, selection: _Selection, arguments: argparse.Namespace) -> int:
    chosen = _admin.settings_of(arguments)
    found = list(selection.of(letters, reveal=arguments.dry_run))
    print(f"{len(found)} dead letters")
    if arguments.dry_run:
        container = container_for(chosen, arguments.container)
        print("\n".join(dry(container, _records(found), len(found))))
        return 0
    require_running(letters)
    items = [Item(letter.id, slot=letter.slot, letter=letter.id, number=letter.number) for letter in found]
    names = {letter.id: letter for letter in found}
    failed: list[str] = []

    def on_end(item: Item, end: Replayed) -> None:
        if end.state != "sent":
            failed.append(f"{item.letter}  {names[item.letter].tag or '-'}  {end.state}: {end.reason}")

    job = Job(replay=f"letters/{secrets.token_hex(8)}", items=items, count=len(items), rate=arguments.rate)
    ends = replay(chosen, job, on_end)
    print(", ".join(f"{count} {state}" for state, count in sorted(ends.items())) or "nothing to do")
    for line in failed[:_SHOWN_ENDS]:
        print(f"  {line}")
    return 1 if failed else 0


def _records(letters: list[LetterView]) -> Iterator[tuple[Record, Again]]:
    for letter in letters:
        payload = next(split_group(letter.revealed.record), None) if letter.revealed is not None else None
        record = read_record(payload) if payload is not None else None
        if record is not None:
            only = frozenset({letter.tag}) if letter.tag else None
            yield record, Again(0, frozenset(letter.settled), only, letter.event_index)
