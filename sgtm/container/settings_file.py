"""`--settings sgtm.yaml`: settings of the process, and what an export cannot say about its container.

    port: 8080
    outbox: sqlite
    container:
      clients:
        ga4: {answer: 204}

A flag wins over a variable of the environment, and that over the file. SPEC: design.md, Configuration.
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sgtm.container.document import Document, read_document
from sgtm.container.fields import read_fields
from sgtm.container.google.overlay import ContainerSettings, with_settings
from sgtm.container.google.translation import looks_like_export
from sgtm.container.report import Report
from sgtm.container.schema import DIALECT
from sgtm.container.source import whole_source
from sgtm.errors import ContainerError, Problem, SettingsError
from sgtm.settings import FILE, Settings

CONTAINER = "container"


class SettingsFile(Struct):
    """What a settings file says."""

    process: dict[str, Any] = {}
    """Settings of the process, by name, as written."""
    container: dict[str, Any] = {}
    """What stands under `container:`, judged and as written."""


def read_settings_file(path: str) -> SettingsFile:
    """Read a settings file; an empty path is an empty file. Raises SettingsError."""
    if not path:
        return SettingsFile()
    try:
        document = read_document(Path(path).read_bytes())
    except OSError as error:
        raise SettingsError(
            f"cannot be read ({error.strerror})", where=path, mend="Give the path of a settings file"
        ) from None
    for flaw in document.flaws:
        raise SettingsError(flaw.what, where=f"{path}:{flaw.line}", mend=flaw.mend)
    if document.data is None:
        return SettingsFile()
    if not isinstance(document.data, dict):
        raise SettingsError("is no mapping", where=path, mend="Write `name: value` in each line")
    data = {key: _as_written(document, key, value) for key, value in document.data.items()}
    container = data.pop(CONTAINER, None)
    return SettingsFile(data, _container(container, path, document))


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of a settings file."""
    (_, container), definitions = msgspec.json.schema_components(
        (Settings, ContainerSettings), ref_template="#/$defs/{name}"
    )
    properties = {name: one for name, one in definitions["Settings"]["properties"].items() if name != FILE}
    definitions.pop("Settings")
    return {
        "$schema": DIALECT,
        "title": "sgtm settings",
        "description": "What `--settings FILE` says: settings of the process, and of an export's container.",
        "type": "object",
        "properties": {**properties, CONTAINER: container},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _as_written(document: Document, key: str, value: Any) -> Any:
    """Scalars as the text that stands there: settings read texts, as from flags and variables."""
    return value if isinstance(value, (dict, list)) else document.texts.get((key,), value)


def _container(written: Any, path: str, document: Document) -> dict[str, Any]:
    if written is None:
        return {}
    report = Report(path, document)
    if not isinstance(written, dict):
        report.error((CONTAINER,), "is no mapping", "write `clients:`, `tags:`, `constants:` ... below it")
    else:
        read_fields(ContainerSettings, written, (CONTAINER,), report)
    for problem in report.in_line_order():
        raise SettingsError(problem.what, where=problem.where, mend=problem.mend)
    return dict(written)


def read_configured(path: str | Path, settings_file: str = "") -> bytes:
    """The source of a container, with what the settings file says about it.

    Raises ContainerError where it cannot be read, SettingsError where the two do not fit."""
    try:
        source = whole_source(Path(path).read_bytes(), path)
    except OSError as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else "the file cannot be read"
        problem = Problem("error", what, str(path), "give the path of a container.yaml or an export")
        raise ContainerError([problem], where=str(path)) from None
    settings = read_settings_file(settings_file).container
    if settings and not looks_like_export(source, str(path)):
        what = "`container:` is for exports of Tag Manager"
        raise SettingsError(what, where=settings_file, mend=f"Write it into {path} itself")
    return with_settings(source, settings)
