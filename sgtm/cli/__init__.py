"""The command line: one file per command, named as it is typed.

A command is a module with a docstring (its help), `add_arguments(parser)` and `run(arguments)`,
which returns the exit status: 0 good, 1 a finding, 2 an error of the user's.
"""

import argparse
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import cleandoc
from typing import Any

from sgtm import __version__
from sgtm.error_codes import code_of
from sgtm.errors import ContainerError, SgtmError, in_brackets

DESCRIPTION = "sgtm: a server-side tag manager. `sgtm COMMAND --help` says more about each command."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; mistakes of the user are a sentence on stderr, never a traceback."""
    words = [*(sys.argv[1:] if argv is None else argv)]  # `list` is a command of ours
    arguments = make_parser(words[0] if words else "").parse_args(words)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except ContainerError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        print(f"{error.where}: {error.what}", file=sys.stderr)
        return 2
    except SgtmError as error:
        print(f"error: {error}{in_brackets(code_of(error.what))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


def make_parser(only: str = "") -> argparse.ArgumentParser:
    """The parser of all commands, or, where `only` is one, with no other module imported."""
    parser = argparse.ArgumentParser(prog="sgtm", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"sgtm {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in commands(only).items():
        documentation = cleandoc(module.__doc__ or "")
        command = subparsers.add_parser(
            name,
            help=documentation.partition("\n")[0],
            description=documentation,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def commands(only: str = "") -> dict[str, Any]:
    """Name -> module of every command, or of the one called `only` if there is one."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    chosen = [only] if only in names else names
    return {name: import_module(f"{__name__}.{name}") for name in chosen}
