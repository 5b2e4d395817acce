"""Show or erase what is kept of a browser: sgtm context show|erase KEY=VALUE

What `context:` of the container keeps stands under a client id and under the keys that it names:

  sgtm context show order=T-1001
  sgtm context erase client_id=584335997.1746564151

Asks the running server; where none runs it opens the data folder. Personal data is not shown: names and
times, not values; `show --reveal` shows the values. What stands beside a key (the client id of an order, its
other orders) is erased with it, and so are data that events have left for their counterpart. Erased is what
is kept here: not what vendors have, and not records in the outbox or the archive.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec

from sgtm.cli import _admin
from sgtm.cli._replaying import container_for
from sgtm.delivery.context.file import Bounds, ContextFile
from sgtm.delivery.context.keys import key_of
from sgtm.delivery.context.sqlite import FILE_NAME
from sgtm.delivery.letter import now_micros
from sgtm.errors import SettingsError, SgtmError
from sgtm.server.context import ContextAsked, ContextView, problem_with, view_of
from sgtm.settings import Settings


class CannotAsk(SgtmError):
    """What is kept cannot be seen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=("show", "erase"), help="what to do")
    parser.add_argument("key", metavar="KEY=VALUE", help="as client_id=1.2, or order=T-1001")
    parser.add_argument("--reveal", action="store_true", help="show: values too")
    parser.add_argument(
        "--container", default="", metavar="FILE", help="where no server runs; default: what was served last"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of show")
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 where nothing is known under the key."""
    name, mark, value = arguments.key.partition("=")
    if not mark or not name or not value:
        raise SettingsError("is no key", where=arguments.key, mend="write KEY=VALUE, as order=T-1001")
    asked = ContextAsked(name, value, erases=arguments.action == "erase", reveal=arguments.reveal)
    view = _view(_admin.settings_of(arguments), asked, arguments.container)
    if view.problem:
        raise SettingsError(view.problem, where=name, mend="see `context:` of the container")
    if asked.erases:
        print(f"erased: {view.rows} keys, {view.halves} halves of events")
        return 0 if view.rows or view.halves else 1
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(view), indent=2).decode())
    else:
        print("\n".join(_lines(view, reveal=asked.reveal)))
    return 0 if view.is_known else 1


def _view(chosen: Settings, asked: ContextAsked, container: str) -> ContextView:
    try:
        answer = _admin.ask(chosen, "POST", "/context", asked)
    except _admin.NoAnswer as error:
        return _from_folder(chosen, asked, container, error)
    if answer.status != 200:
        raise CannotAsk(f"status {answer.status}", where="the server", mend="its log says more")
    for missing in answer.body["missing"]:
        print(f"slot {missing['slot']} does not answer: {missing['error']}")
    return msgspec.convert(answer.body["context"], ContextView)


def _from_folder(chosen: Settings, asked: ContextAsked, container: str, no_answer: SgtmError) -> ContextView:
    path = Path(chosen.data_folder) / FILE_NAME
    if not path.exists():
        mend = "start the server, or give its --data-folder"
        what = f"no server answers ({no_answer.what}), and nothing is kept here"
        raise CannotAsk(what, where=str(path), mend=mend)
    rules = container_for(chosen, container).context
    problem = problem_with(asked, rules)
    key = key_of(asked.name, asked.value)
    if problem or rules is None or key is None:
        return ContextView(problem=problem)
    try:
        file = ContextFile(path, Bounds(chosen.context_entries, chosen.context_bytes))
    except (apsw.Error, OSError) as error:
        raise CannotAsk(type(error).__name__, where=str(path), mend="is it this user's?") from None
    try:
        if not asked.erases:
            found = file.find([key])
            return view_of(found[1] if found else None, rules, now_micros(), reveal=asked.reveal)
        file.begin(is_synced=True)
        erased = file.erase([key], rules)
        file.commit()
        return ContextView(rows=erased.rows, halves=erased.halves)
    finally:
        file.close()


def _lines(view: ContextView, *, reveal: bool) -> Iterator[str]:
    if not view.is_known:
        yield "nothing is known under this key"
        return
    yield f"seen     {_moment(view.at_micros)}, kept until {_moment(view.until_micros)}"
    said = ", ".join(f"{name} {'granted' if it else 'denied'}" for name, it in view.consent.items())
    yield f"consent  {said or 'nothing was said'}"
    for kept in view.values:
        shown = f" {msgspec.json.encode(kept.value).decode()}" if reveal else ""
        yield f"value    {kept.name}{shown}, seen {_moment(kept.at_micros)}"
    yield f"beside   {view.beside} other keys, which are erased with it"


def _moment(micros: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(micros / 1e6))
