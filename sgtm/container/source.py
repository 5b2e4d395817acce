"""The source of a container: what stands in its file, and behind it the files that it names.

    sgtm: 1                                   as it is in container.yaml, so lines stay where they are
    ...
    --- # files that it names
    {"templates/meta.tpl":"..."}

One value in bytes: the version is its hash, each worker gets it, a kept version is whole. Files outside the
container's folder, and those that a variable of the environment names, are not part of it. Neither are
secrets in files, on purpose. An export holds its templates itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from pathlib import PurePath

import msgspec

from sgtm.container.document import read_document
from sgtm.container.google.translation import looks_like_export

MAX_BYTES = 2_000_000
"""Of one file; the largest public template has 200 KB."""
_MARK = b"\n--- # files that it names\n"


def whole_source(content: bytes, path: str | FilePath) -> bytes:
    """What stands in a container's file, with the files that it names. One that cannot be read is left out:
    whoever reads the container says so. Never raises."""
    if looks_like_export(content, str(path)):
        return content
    texts = {name: _text(FilePath(path).parent / name) for name in _named(content)}
    found = {name: text for name, text in texts.items() if text is not None}
    return content + _MARK + msgspec.json.encode(found) if found else content


def parts_of(source: bytes) -> tuple[bytes, Mapping[str, str]]:
    """What stands in the container's file, and the texts of the files that it names, by these names."""
    content, mark, files = source.rpartition(_MARK)
    if mark:
        try:
            return content, msgspec.json.decode(files, type=dict[str, str])
        except msgspec.DecodeError:  # the line stands in the file itself: no part of ours
            pass
    return source, {}


def named_files(path: str | FilePath) -> list[FilePath]:
    """The files that the container in this file names. Never raises."""
    try:
        content = FilePath(path).read_bytes()
    except OSError:
        return []
    if looks_like_export(content, str(path)):
        return []
    return [FilePath(path).parent / name for name in _named(content)]


def _named(content: bytes) -> Iterator[str]:
    """Names of the files of custom templates, those below the container's folder."""
    if b"custom_templates" not in content:
        return
    data = read_document(content).data
    written = data.get("custom_templates") if isinstance(data, dict) else None
    for one in written if isinstance(written, list) else ():
        name = one.get("file") if isinstance(one, dict) else None
        if isinstance(name, str) and name and "${" not in name and _is_below(name):
            yield name


def _is_below(name: str) -> bool:
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts


def _text(path: FilePath) -> str | None:
    try:
        content = path.read_bytes()
        return content.decode() if len(content) <= MAX_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None
