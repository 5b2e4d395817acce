"""Start a new tag, client or variable: writes its one file and its golden cases.

Run it inside a source checkout. What it writes works and passes the tests as it is; change it from
there. Nothing is ever overwritten.
"""

import argparse
import keyword
import re
from pathlib import Path

from sgtm.cli._checkout import find_checkout
from sgtm.cli._scaffolds import SCAFFOLDS
from sgtm.component import Kind, find
from sgtm.errors import SgtmError

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,39}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", choices=tuple(SCAFFOLDS))
    parser.add_argument("name", metavar="NAME", help="its type, as container.yaml will write it: acme_events")


def run(arguments: argparse.Namespace) -> int:
    """Write the two files and say what comes next."""
    checkout = find_checkout()
    if checkout is None:
        raise SgtmError(
            "this is not a source checkout of sgtm", mend="run it inside one, see CONTRIBUTING.md"
        )
    for path, text in plan(checkout, arguments.kind, arguments.name).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        print(f"wrote {path.relative_to(checkout)}")
    print("next: change both, then `make golden`, `make docs` and `make test`")
    return 0


def plan(checkout: Path, kind: Kind, name: str) -> dict[Path, str]:
    """What to write where. Raises SgtmError for a name that cannot be used."""
    if not _TYPE.fullmatch(name) or keyword.iskeyword(name):
        raise SgtmError(
            f"{name!r} is not a good name", mend="use lower case letters, digits and _: acme_events"
        )
    paths = [checkout / f"sgtm/{kind}s/{name}.py", checkout / f"tests/golden/{kind}s/{name}.yaml"]
    for path in paths:
        if path.exists():
            raise SgtmError(f"{path.relative_to(checkout)} is there already", mend="choose another name")
    known = find(kind, name)
    if known is not None:
        raise SgtmError(f"there is a {kind} {name!r} already, in {known.module}", mend="choose another name")
    title = name.replace("_", " ").capitalize()
    texts = [text.replace("NAME", name).replace("Title", title, 1) for text in SCAFFOLDS[kind]]
    return dict(zip(paths, texts, strict=True))
