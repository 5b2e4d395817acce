"""Watch a running server: rates, times, vendors, queues, workers, every two seconds.

  sgtm top                 until q or Ctrl-C
  sgtm top --once          one look over an interval, as plain text

It asks the admin listener of the server on this machine (`--admin-host`, `--admin-port`, `--data-folder`,
SGTM_ADMIN_TOKEN). Rates are those of the interval, over all workers. `failed` is the share of requests that
brought no success; below a destination that has failed stands its latest error.
"""

import argparse
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from sgtm.cli import _admin
from sgtm.cli._interval import Interval
from sgtm.cli._top_view import frame
from sgtm.errors import SettingsError
from sgtm.server.admin_health import Overview
from sgtm.settings import Settings

_OWN_SCREEN, _FORMER_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_QUIT = ("q", "Q", "\x03")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--once", action="store_true", help="show one interval as plain text, and end")
    parser.add_argument(
        "--interval-s", type=float, default=2.0, metavar="SECONDS", help="between two looks (default 2)"
    )
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    if not 0.1 <= arguments.interval_s <= 3600:
        raise SettingsError("is not between 0.1 and 3600", where="--interval-s", mend="give seconds")
    chosen = _admin.settings_of(arguments)
    before = _look(chosen)
    if arguments.once or not sys.stdout.isatty():
        time.sleep(arguments.interval_s)
        print("\n".join(frame(Interval(before, _look(chosen)), 200, 0, colored=False)))
        return 0
    with _own_screen() as has_keys:
        _watch(chosen, before, arguments.interval_s, has_keys=has_keys)
    return 0


def _look(chosen: Settings) -> Overview:
    """What the server says now. Raises NoAnswer."""
    answer = _admin.ask(chosen, "GET", "/overview")
    if answer.status != 200:
        raise _admin.NoAnswer(f"answered {answer.status}", mend="is the server of this release?")
    return msgspec.convert(answer.body, Overview)


def _watch(chosen: Settings, before: Overview, interval_s: float, *, has_keys: bool) -> None:
    """Frame after frame, until somebody has seen enough. A server that is away for a while may come back."""
    shown = "looking ..."
    colored = "NO_COLOR" not in os.environ
    while True:
        columns, rows = shutil.get_terminal_size()
        lines = [*shown.splitlines()[: rows - 1], f"every {interval_s:g} s; q ends it"]
        text = "\r\n".join(f"{line[:2000]}{_REST_OF_LINE}" for line in lines)
        sys.stdout.write(f"{_HOME}{text}{_REST_OF_SCREEN}")
        sys.stdout.flush()
        if _wants_to_end(interval_s, has_keys=has_keys):
            return
        try:
            after = _look(chosen)
        except _admin.NoAnswer as error:
            shown = f"{error}"
            continue
        shown = "\n".join(frame(Interval(before, after), columns, rows - 1, colored=colored))
        before = after


def _wants_to_end(within_s: float, *, has_keys: bool) -> bool:
    """Wait so long; whether a key was pressed that ends it."""
    if not has_keys:
        time.sleep(within_s)
        return False
    until = time.monotonic() + within_s
    while (left_s := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left_s)[0]:
            key = os.read(sys.stdin.fileno(), 1).decode("latin-1")
            if not key or key in _QUIT:
                return True
    return False


@contextmanager
def _own_screen() -> Iterator[bool]:
    """A screen of our own, given back at the end; whether keys can be read."""
    has_keys = sys.stdin.isatty()
    before = termios.tcgetattr(sys.stdin) if has_keys else None
    try:
        if has_keys:
            tty.setcbreak(sys.stdin)
        sys.stdout.write(_OWN_SCREEN)
        yield has_keys
    finally:
        sys.stdout.write(_FORMER_SCREEN)
        sys.stdout.flush()
        if before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
