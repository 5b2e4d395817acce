"""Serve an earlier version of the container again, at once.

Writes the source of that version into the container's file and has the running server reload it. The version
that it replaces is kept too, so a rollback can be rolled back. `--list` shows what is kept, newest first.

  sgtm rollback container.yaml --list
  sgtm rollback container.yaml                 # the version that was served before this one
  sgtm rollback container.yaml --to 3fa9c1
"""

import argparse
import time
from pathlib import Path

from sgtm.cli import _admin
from sgtm.container.check import read_sound
from sgtm.container.compile import version_of
from sgtm.container.versions import UnknownVersion, Version, Versions, write_whole
from sgtm.errors import SettingsError
from sgtm.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("container", metavar="CONTAINER", help="the file that the server serves")
    parser.add_argument(
        "--to", default="", metavar="VERSION", help="begin of its name; default: the one before"
    )
    parser.add_argument("--list", action="store_true", help="show what is kept, and change nothing")
    parser.add_argument("--no-reload", action="store_true", help="only write the file; no server is asked")
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Roll back, and say what is served now."""
    chosen = _admin.settings_of(arguments)
    path, versions = Path(arguments.container), Versions(chosen.data_folder)
    now = _current(path)
    if arguments.list:
        for one in versions.all():
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.served_at))
            print(f"{one.version}  since {moment}{'  in the file now' if one.version == now else ''}")
        return 0
    version = versions.find(arguments.to) if arguments.to else _before(versions, now)
    source = version.path.read_bytes()
    read_sound(path, source=source)  # its environment may have gone meanwhile: then nothing is changed
    try:
        write_whole(path, source, path.stat().st_mode & 0o777 if path.exists() else 0o644)
    except OSError as error:
        mend = f"put {version.path} in its place yourself, and reload"
        raise SettingsError(error.strerror or "cannot be written", where=str(path), mend=mend) from None
    print(f"{path}: version {version.version} is in the file again")
    return 0 if arguments.no_reload else _reload(chosen)


def _reload(chosen: Settings) -> int:
    answer = _admin.ask(chosen, "POST", "/reload")
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status == 200:
        print(f"the server serves version {body.get('version')}")
        return 0
    print(f"the server refused it: {body.get('error') or 'see its log'}")
    return 1


def _current(path: Path) -> str:
    try:
        return version_of(path.read_bytes())
    except OSError:
        return ""


def _before(versions: Versions, now: str) -> Version:
    """The version that was served before the one in the file."""
    kept = versions.all()
    position = next((index for index, one in enumerate(kept) if one.version == now), -1)
    if position + 1 >= len(kept):
        raise UnknownVersion(
            "there is no earlier version", where=str(versions), mend="`--list` shows what is kept"
        )
    return kept[position + 1]
