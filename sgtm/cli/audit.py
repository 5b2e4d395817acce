"""List which containers were served since when, who had them served, and what each changed.

A line is written into <data folder>/audit.jsonl whenever a container begins to be served: at the start, with
a reload, after a rollback. It names what was added, removed and changed, without any value.

  sgtm audit --data-folder /var/lib/sgtm
  sgtm audit --latest 5 --json
"""

import argparse
import os
import time

import msgspec

from sgtm import settings_sources
from sgtm.errors import SettingsError
from sgtm.observability.show import inert
from sgtm.server.audit import AuditEntry, AuditTrail

_BY = {
    "start": "the server began, as {}",
    "signal": "reload by SIGHUP, as {}",
    "watch": "its file changed, owned by {}",
    "admin": "reload asked for by {}",
    "rollback": "rollback by {}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--latest", type=int, default=50, metavar="N", help="how many (default 50)")
    parser.add_argument("--json", action="store_true", help="one object a line, for programs")
    settings_sources.add_arguments(parser, only=("data_folder",))


def run(arguments: argparse.Namespace) -> int:
    """Print them, oldest first."""
    folder = settings_sources.load(vars(arguments), os.environ).data_folder
    if arguments.latest < 1:
        raise SettingsError("is less than 1", where="--latest", mend="give how many to show")
    try:
        entries = AuditTrail(folder).entries()[-arguments.latest :]
    except OSError as error:
        mend = "run as the server's user, or give its --data-folder"
        raise SettingsError(error.strerror or "cannot be read", where=folder, mend=mend) from None
    for entry in entries:
        print(msgspec.json.encode(entry).decode() if arguments.json else inert(_line(entry)))
    if not entries and not arguments.json:
        print(f"{folder}: no container was served from here")
    return 0


def _line(entry: AuditEntry) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at_s))
    versions = f"{entry.before or '(none)'} -> {entry.after}"
    changed = f": {entry.changed}" if entry.changed else ""
    return f"{moment}  {versions}  {_BY[entry.how].format(entry.by)}{changed}"
