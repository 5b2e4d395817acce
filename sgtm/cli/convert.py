"""Turn an export of Google Tag Manager into a container.yaml that does the same.

Writes container.yaml, its templates/ and, if there are secrets in the export, a .env.example with the
names of the variables that hold them from now on. Look through what was written: secrets are known by
their names and their looks, so one may have been missed. Exit status: 0 if it was written, 2 if not.
"""

import argparse
import os
from pathlib import Path

from sgtm.container.convert import Converted, convert, environment_file
from sgtm.container.google.translation import Translation, read_export
from sgtm.errors import SgtmError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("export", metavar="EXPORT", help="path of the JSON file")
    parser.add_argument(
        "--output", metavar="FOLDER", default=".", help="folder to write to; it may not have these files yet"
    )
    parser.add_argument("--print", action="store_true", help="print the container.yaml, write nothing")
    parser.add_argument(
        "--env-file", metavar="FILE", help="write the secrets themselves here, readable by you alone"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was written and what differs."""
    translation = _translation(arguments.export)
    converted = convert(translation, arguments.export)
    if arguments.print:
        print(converted.files["container.yaml"], end="")
        return 0
    _write(converted, Path(arguments.output), arguments.env_file, is_forced=arguments.force)
    for remark in translation.remarks:
        words = translation.words(remark.path)
        print(f"note: {words + ': ' if words else ''}{remark.what}\n    {remark.mend}")
    for name in converted.files:
        print(f"wrote {Path(arguments.output) / name}")
    if converted.secrets:
        variables = list(dict.fromkeys(secret.variable for secret in converted.secrets))
        print(f"set these before you run it: {', '.join(variables)}")
    return 0


def _translation(file: str) -> Translation:
    """An export that can be read. Raises SgtmError with the place where it cannot."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise SgtmError(
            f"cannot be read ({error.strerror})", where=file, mend="Give the path of an export"
        ) from None
    translation = read_export(content)
    for flaw in translation.document.flaws:
        raise SgtmError(flaw.what, where=f"{file}:{flaw.line}", mend=flaw.mend.capitalize())
    return translation


def _write(converted: Converted, folder: Path, env_file: str | None, *, is_forced: bool) -> None:
    paths = [folder / name for name in converted.files]
    there = [path for path in (*paths, *([Path(env_file)] if env_file else [])) if path.exists()]
    if there and not is_forced:
        raise SgtmError("is there already", where=str(there[0]), mend="Give another --output, or --force")
    try:
        for path, text in zip(paths, converted.files.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        if env_file:
            descriptor = os.open(env_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(environment_file(converted.secrets, with_values=True))
    except OSError as error:
        where = str(error.filename or folder)
        raise SgtmError(
            f"cannot be written ({error.strerror})", where=where, mend="Give another --output"
        ) from None
