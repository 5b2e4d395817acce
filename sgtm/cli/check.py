"""Find everything that is wrong with a container, and say how to mend it.

Exit status: 0 if it can be served (warnings do not stop it), 2 if there is an error.
"""

import argparse

import msgspec

from sgtm.cli._container import add_arguments as add_container
from sgtm.cli._container import source_of
from sgtm.container.check import check_container


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_container(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="text for people (default)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print all problems, from the top of the file to its end."""
    problems = check_container(arguments.container, source=source_of(arguments))
    errors = sum(problem.severity == "error" for problem in problems)
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(problems), indent=2).decode())
    else:
        for problem in problems:
            print(problem)
        print(f"{arguments.container}: {_summary(errors, len(problems) - errors)}")
    return 2 if errors else 0


def _summary(errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return "good"
    parts = [
        f"{count} {word}{'s' * (count != 1)}" for count, word in ((errors, "error"), (warnings, "warning"))
    ]
    return ", ".join(part for part in parts if not part.startswith("0"))
