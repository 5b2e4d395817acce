"""Serve an earlier version of the container again, at once.

Writes the source of that version into the container's file, and the files of its templates, and has the
running server reload them. The version that it replaces is kept too, so a rollback can be rolled back.
`--list` shows what is kept, newest first.

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
from sgtm.container.google.overlay import without_settings
from sgtm.container.settings_file import read_configured
from sgtm.container.source import parts_of
from sgtm.container.versions import UnknownVersion, Version, Versions, write_whole
from sgtm.errors import SettingsError, SgtmError
from sgtm.server.audit import user
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
    now = _current(path, chosen.settings_file)
    if arguments.list:
        for one in versions.all():
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.served_at))
            print(f"{one.version}  since {moment}{'  in the file now' if one.version == now else ''}")
        return 0
    version = versions.find(arguments.to) if arguments.to else _before(versions, now)
    source = version.path.read_bytes()
    read_sound(path, source=source)  # its environment may have gone meanwhile: then nothing is changed
    _write(path, source, version)
    print(f"{path}: version {version.version} is in the file again")
    if _current(path, chosen.settings_file) != version.version:
        print("the settings file says something else about it than it did then, and that counts")
    return 0 if arguments.no_reload else _reload(chosen)


def _write(path: Path, source: bytes, version: Version) -> None:
    """The files that it names first: whoever watches reads the container last."""
    content, files = parts_of(without_settings(source))
    contents = {path.parent / name: text.encode() for name, text in files.items()} | {path: content}
    for file, content in contents.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_bytes() != content:
                write_whole(file, content, file.stat().st_mode & 0o777 if file.exists() else 0o644)
        except OSError as error:
            mend = f"put what stands in {version.path} in its place yourself, and reload"
            raise SettingsError(error.strerror or "cannot be written", where=str(file), mend=mend) from None


def _reload(chosen: Settings) -> int:
    answer = _admin.ask(chosen, "POST", "/reload", {"by": user(), "is_rollback": True})
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status == 200:
        print(f"the server serves version {body.get('version')}")
        return 0
    print(f"the server refused it: {body.get('error') or 'see its log'}")
    return 1


def _current(path: Path, settings_file: str) -> str:
    try:
        return version_of(read_configured(path, settings_file))
    except SgtmError:
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
