"""Look for everything that can be wrong with an installation, and say how to mend it.

It looks at Python and the compiled core, the limits of the system, the clock, the data folder, certificates,
the container with the variables of the environment that it needs, and, where one runs, the server: release,
workers, destinations, outbox, dead letters. It takes the flags and variables of `sgtm serve`: give it the
same. Run it as the server's user. Nothing leaves the machine unless `--vendors` asks to connect to the
container's destinations.

  sgtm doctor
  sgtm doctor container.yaml --data-folder /var/lib/sgtm --vendors

Exit status: 0 where there is no error (warnings do not count), 1 where there is one.
"""

import argparse
import os
from collections.abc import Iterator

import msgspec

from sgtm import settings_sources
from sgtm.cli._container import source_of
from sgtm.cli._doctor_machine import certificates, data_folder, machine
from sgtm.cli._doctor_server import server
from sgtm.cli._doctor_vendors import vendors
from sgtm.cli._findings import Finding, error, good, warning
from sgtm.cli.info import destination
from sgtm.container.check import check_container
from sgtm.container.compile import load_container
from sgtm.container.settings_file import read_settings_file
from sgtm.errors import ContainerError, SgtmError
from sgtm.observability.show import inert
from sgtm.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("container", nargs="?", default="", metavar="CONTAINER", help="what is served")
    parser.add_argument("--vendors", action="store_true", help="connect to the container's destinations")
    parser.add_argument("--json", action="store_true", help="for programs")
    settings_sources.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, and print one finding after the other."""
    file = settings_sources.settings_file_of(vars(arguments), os.environ)
    chosen = settings_sources.load(vars(arguments), os.environ, read_settings_file(file).process, file)
    found: list[Finding] = []
    for finding in _look(arguments, chosen):
        found.append(finding)
        if not arguments.json:
            print("\n".join(map(inert, f"{finding}".splitlines())), flush=True)
    errors = sum(finding.level == "error" for finding in found)
    if arguments.json:
        print(msgspec.json.encode(found).decode())
    else:
        warnings = sum(finding.level == "warning" for finding in found)
        print(f"\n{len(found)} things looked at: {errors} errors, {warnings} warnings")
    return 1 if errors else 0


def _look(arguments: argparse.Namespace, chosen: Settings) -> Iterator[Finding]:
    yield from machine()
    yield from data_folder(chosen)
    yield from certificates(chosen)
    version = needed = ""
    destinations: frozenset[tuple[str, int]] = frozenset()
    if arguments.container:
        try:
            source = source_of(arguments)
            yield from _container(arguments.container, source)
            loaded = load_container(arguments.container, source=source)
            version, destinations = loaded.version, loaded.destinations
            needed = " ".join(destination(tag, loaded) for tag in loaded.tags)
        except ContainerError:  # what is wrong has been said
            pass
        except SgtmError as problem:
            yield error(arguments.container, f"{problem}", "give the path of the container")
    if not chosen.no_admin:
        yield from server(chosen, version)
    if arguments.vendors:
        if not destinations:
            yield warning("destinations", "none are known", "give the container")
        yield from vendors(destinations, needed, chosen)


def _container(path: str, source: bytes | None) -> Iterator[Finding]:
    problems = check_container(path, source=source)
    for problem in problems:
        say = error if problem.severity == "error" else warning
        yield say(problem.where, problem.what, problem.mend)
    if not problems:
        yield good(path, "the container is good")
