"""Say what a code stands for, as SG-C012: cause, and how to mend it.

sgtm code SG-C012
sgtm code              all of them
"""

import argparse
import textwrap

from sgtm.error_codes import ALL, BY_CODE
from sgtm.error_codes.explanation import Explanation
from sgtm.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("code", nargs="?", default="", metavar="CODE", help="as in a message; default: all")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    code = arguments.code.upper().strip("[]")
    if not code:
        print("\n".join(f"{one.code}  {one.title}" for one in ALL))
        return 0
    if code not in BY_CODE:
        raise SettingsError(f"{code[:40]!r} is no code", where="CODE", mend="`sgtm code` lists all")
    print("\n".join(_lines(BY_CODE[code])))
    return 0


def _lines(one: Explanation) -> list[str]:
    parts = [f"Cause: {one.cause}", f"Mend:  {one.mend}", f"More:  docs/{one.page}"]
    return [
        f"{one.code}: {one.title}",
        *(line for part in parts for line in textwrap.wrap(part, 100, subsequent_indent=" " * 7)),
    ]
