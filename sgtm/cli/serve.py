"""Run the server: sgtm serve CONTAINER

Refuses what `sgtm check` refuses. Every setting is a flag or a variable. Exit status: 0 after an
orderly end, 1 when it was cut short, 2 where container or settings cannot be used, 75 where another
process has the port (trying later may help).
"""

import argparse
import os
import sys

from sgtm import settings_sources
from sgtm.container.settings_file import read_settings_file
from sgtm.observability import logs
from sgtm.server.listening import AddressInUse
from sgtm.server.run import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container and a flag for each setting of the process."""
    parser.add_argument("container", metavar="CONTAINER", help="path of a container.yaml or of an export")
    settings_sources.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit status."""
    file = settings_sources.settings_file_of(vars(arguments), os.environ)
    chosen = settings_sources.load(vars(arguments), os.environ, read_settings_file(file).process, file)
    logs.configure(chosen.log_level, chosen.log_format)
    try:
        return serve(arguments.container, chosen)
    except AddressInUse as error:
        print(f"error: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL
