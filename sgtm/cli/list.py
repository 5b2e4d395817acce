"""List the components that are installed, and the templates of a container."""

import argparse
from collections.abc import Iterator

from sgtm.component import Component, Kind, components
from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.native import read_container
from sgtm.errors import Problem, SettingsError

KINDS: dict[str, Kind] = {
    "clients": "client",
    "tags": "tag",
    "variables": "variable",
    "transformations": "transformation",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", nargs="?", choices=tuple(KINDS), help="only these")
    parser.add_argument("--container", metavar="FILE", help="also the templates that this container has")


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
    if arguments.container:
        print(f"templates of {arguments.container}:")
        for line in _templates(arguments.container):
            print(line)
    return 0


def _templates(container: str) -> Iterator[str]:
    """A line for each template of a container. Raises SettingsError."""
    reading = read_container(container)
    if not reading.model.custom_templates and reading.report.has_errors:
        problem = next(one for one in reading.report.problems if one.severity == "error")
        raise SettingsError(problem.what, where=problem.where, mend=problem.mend)
    for one in reading.model.custom_templates:
        code = reading.templates.code(one)
        if isinstance(code, Problem):
            yield f"  {one.name:<24} cannot be used: {code.what}"
            continue
        fields = ", ".join(field.name for field in code.template.all_fields() if field.has_value)
        came_from = f", {one.gallery}" if one.gallery else ""
        yield f"  {one.name:<24} {code.template.kind or 'any'}{came_from}{f': {fields}' if fields else ''}"


def _line(component: Component) -> str:
    status = f" [{component.status}]" if component.status != "stable" else ""
    also = f" (also: {', '.join(component.aliases)})" if component.aliases else ""
    return f"  {component.type:<24} {component.documentation.partition(chr(10))[0]}{status}{also}"
