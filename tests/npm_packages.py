"""The npm packages of a folder's `package.json`, at exactly the versions and hashes of its
`package-lock.json`."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

INSTALL_TIMEOUT_S = 90


class PackagesError(Exception):
    """npm is missing, or could not fetch the packages."""


def node_modules(folder: Path) -> Path:
    """Where the packages of `folder` are; what is missing is fetched once, without running its scripts.

    Raises PackagesError."""
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes, one installation
        if not all(_is_installed(folder / path, entry) for path, entry in _locked(folder).items()):
            _install(folder)
    return folder / "node_modules"


def _locked(folder: Path) -> dict[str, dict[str, str]]:
    packages: dict[str, dict[str, str]] = json.loads((folder / "package-lock.json").read_text())["packages"]
    return {path: entry for path, entry in packages.items() if path}


def _is_installed(folder: Path, entry: dict[str, str]) -> bool:
    manifest = folder / "package.json"
    return manifest.exists() and json.loads(manifest.read_text())["version"] == entry["version"]


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise PackagesError("these tests need npm: apt-get install nodejs npm")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        result = subprocess.run(
            command, cwd=folder, timeout=INSTALL_TIMEOUT_S, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise PackagesError(f"`npm ci` took longer than {INSTALL_TIMEOUT_S} s") from None
    if result.returncode:
        raise PackagesError(f"`npm ci` failed in {folder}: {result.stderr[-500:]}")
