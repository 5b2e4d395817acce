"""The npm packages of `package.json`, at exactly the versions and hashes of `package-lock.json`."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
INSTALL_TIMEOUT_S = 90


class PackagesError(Exception):
    """npm is missing, or could not fetch the packages."""


def node_modules() -> Path:
    """The folder with the packages; what is missing is fetched once, without running its scripts.

    Raises PackagesError."""
    folder = FOLDER / "node_modules"
    with (FOLDER / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes, one installation
        if not all(_is_installed(FOLDER / path, entry) for path, entry in _locked().items()):
            _install()
    return folder


def _locked() -> dict[str, dict[str, str]]:
    packages: dict[str, dict[str, str]] = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    return {path: entry for path, entry in packages.items() if path}


def _is_installed(folder: Path, entry: dict[str, str]) -> bool:
    manifest = folder / "package.json"
    return manifest.exists() and json.loads(manifest.read_text())["version"] == entry["version"]


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise PackagesError("the browser tests need npm: apt-get install nodejs npm")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        result = subprocess.run(
            command, cwd=FOLDER, timeout=INSTALL_TIMEOUT_S, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise PackagesError(f"`npm ci` took longer than {INSTALL_TIMEOUT_S} s") from None
    if result.returncode:
        raise PackagesError(f"`npm ci` failed in {FOLDER}: {result.stderr[-500:]}")
