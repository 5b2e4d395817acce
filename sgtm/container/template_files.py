"""Custom templates that stand in files beside the container.yaml: `file: templates/name.tpl`."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from sgtm.container.document import Path
from sgtm.container.report import Report
from sgtm.container.source import MAX_BYTES


def with_sources(written: Any, report: Report, path: Path, known: Mapping[str, str]) -> Any:
    """The list of templates as written, each with its text in the place of the name of its file. `known` are
    texts that came with the container, by these names."""
    if not isinstance(written, list):
        return written
    return [_with_source(one, report, (*path, index), known) for index, one in enumerate(written)]


def _with_source(written: Any, report: Report, path: Path, known: Mapping[str, str]) -> Any:
    if not isinstance(written, dict) or not isinstance(written.get("file"), str):
        return written
    rest = {key: value for key, value in written.items() if key != "file"}
    file = FilePath(report.file_name).parent / written["file"]
    if "source" in rest:
        report.error((*path, "file"), "stands beside `source`", "write one of the two")
        return rest
    if written["file"] in known:
        return {**rest, "source": known[written["file"]].removeprefix("\ufeff")}
    try:
        content = file.read_bytes()
        if len(content) <= MAX_BYTES:
            return {**rest, "source": content.decode("utf-8-sig")}
        what = f"has more than {MAX_BYTES:,} bytes"
    except OSError:
        what = f"the file {file} cannot be read"
    except UnicodeDecodeError:
        what = f"the file {file} is not UTF-8 text"
    report.unset((*path, "file"), what, "give the path of a .tpl file, from the folder of the container")
    return {**rest, "source": ""}
