"""Take the page's library from the npm registry: `python -m sgtm.preview.library 3.3.3`.

The archive is checked against the integrity hash that the registry publishes, the file in it is written as it
is, and its own hash is noted; `npm` does the asking. A test compares file and note.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "lit-html"
FOLDER = Path(__file__).parent / "assets"
TAKEN = {"package/lit-html.js": "lit-html.js", "package/LICENSE": "lit-html.LICENSE.txt"}


def main(version: str) -> None:
    """Write the files of `version`, and library.json. Raises SystemExit where a hash is wrong."""
    name = f"{PACKAGE}@{version}"
    integrity = _npm("view", name, "dist.integrity").strip()
    with tempfile.TemporaryDirectory() as folder:
        archive = _npm("pack", "--silent", "--pack-destination", folder, name).strip()
        content = (Path(folder) / archive).read_bytes()
    if _integrity(content) != integrity:
        raise SystemExit(f"{name}: the archive is not the one that the registry names")
    note = {"package": PACKAGE, "version": version, "archive": integrity, "files": {}}
    with tarfile.open(fileobj=io.BytesIO(content)) as packed:
        for path, target in TAKEN.items():
            member = packed.extractfile(path)
            written = member.read() if member is not None else b""
            (FOLDER / target).write_bytes(written)
            note["files"][target] = _integrity(written)  # type: ignore[index]
    (FOLDER / "library.json").write_text(json.dumps(note, indent=2) + "\n")


def _npm(*arguments: str) -> str:
    done = subprocess.run(["npm", *arguments], check=True, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout


def _integrity(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


if __name__ == "__main__":
    main(sys.argv[1])
