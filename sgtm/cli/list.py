"""List the components that are installed: clients, tags, variables, transformations."""

import argparse

from sgtm.component import Component, Kind, components
from sgtm.container.built_in import BUILT_IN_VARIABLES

KINDS: dict[str, Kind] = {
    "clients": "client",
    "tags": "tag",
    "variables": "variable",
    "transformations": "transformation",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", nargs="?", choices=tuple(KINDS), help="only these")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each component type."""
    for plural, kind in KINDS.items():
        if arguments.kind in (None, plural):
            print(f"{plural}:")
            for component in components(kind):
                print(_line(component))
    if arguments.kind in (None, "variables"):
        print("variables that need no declaration:")
        for name, (meaning, _) in BUILT_IN_VARIABLES.items():
            print(f"  {'{{' + name + '}}':<24} {meaning}")
    return 0


def _line(component: Component) -> str:
    status = f" [{component.status}]" if component.status != "stable" else ""
    also = f" (also: {', '.join(component.aliases)})" if component.aliases else ""
    return f"  {component.type:<24} {component.documentation.partition(chr(10))[0]}{status}{also}"
