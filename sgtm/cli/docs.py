"""Write the reference pages from the code.

Pages of all components, container.yaml, built-in variables, metrics, settings and commands. Run it
inside a source checkout; `--check` writes nothing and exits 1 if a page is not what the code says. The
example of a component is its first golden case.
"""

import argparse
from pathlib import Path

from sgtm.cli import commands
from sgtm.cli._checkout import find_checkout
from sgtm.cli._reference import reference_pages
from sgtm.errors import SgtmError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--check", action="store_true", help="only compare; exit status 1 if a page is stale")
    parser.add_argument(
        "--into", metavar="FOLDER", type=Path, help="where to write (default: docs/reference of the checkout)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write or compare all pages."""
    checkout = find_checkout()
    folder = arguments.into or (checkout / "docs/reference" if checkout else None)
    if folder is None:
        raise SgtmError("this is not a source checkout of sgtm", mend="say where to write with --into FOLDER")
    pages = {folder / name: text for name, text in reference_pages(checkout, commands()).items()}
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text("utf-8") != text]
    orphans = [path for path in sorted(folder.glob("**/*.md")) if path not in pages]
    if arguments.check:
        return _report(stale, orphans)
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], "utf-8")
    for path in orphans:
        path.unlink()
    print(f"{folder}: {len(stale)} of {len(pages)} pages written, {len(orphans)} removed")
    return 0


def _report(stale: list[Path], orphans: list[Path]) -> int:
    for path in stale:
        print(f"{path} is not what the code says: run `sgtm docs`")
    for path in orphans:
        print(f"{path} belongs to nothing: run `sgtm docs`")
    return 1 if stale or orphans else 0
