"""The container that a command is about: a container.yaml, or an export with its settings file."""

import argparse
import os

from sgtm.container.native import read_container, read_source
from sgtm.container.settings_file import read_configured
from sgtm.settings import FILE
from sgtm.settings_sources import settings_file_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container, and what an export cannot say of it."""
    parser.add_argument("container", metavar="CONTAINER", help="path of a container.yaml or of an export")
    parser.add_argument(
        "--settings", dest=FILE, metavar="FILE", help="settings file with what an export cannot say"
    )


def secrets_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Secrets that the container holds, by themselves or from the environment, with the names of their
    variables: for `hidden`, since what is explained or written into a golden file is passed on."""
    source = source_of(arguments)
    reading = (
        read_container(arguments.container) if source is None else read_source(source, arguments.container)
    )
    return reading.secrets()


def source_of(arguments: argparse.Namespace) -> bytes | None:
    """What stands in the container, with its settings; None: nothing but what is in the file."""
    file = settings_file_of(vars(arguments), os.environ)
    return read_configured(arguments.container, file) if file else None
