"""The folder of what must outlive the process, and the admin token that is kept in it."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from sgtm.container.versions import write_whole
from sgtm.errors import SettingsError

TOKEN_FILE = "admin-token"  # noqa: S105  # a file's name
URL_FILE = "admin-url"
LEAST_TOKEN = 16
_MEND = "give another --data-folder, or make this one writable"


def make_data_folder(path: str | Path) -> Path:
    """The folder, made for its owner alone if there is none. Raises SettingsError."""
    folder = Path(path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(error.strerror or "cannot be made", where=str(folder), mend=_MEND) from None
    return folder


def admin_token(given: str, data_folder: str | Path) -> str:
    """The token of the admin listener: what was given, or the one that is kept in the data folder,
    which is made the first time. Raises SettingsError."""
    if given:
        if len(given) < LEAST_TOKEN:
            what, mend = f"has less than {LEAST_TOKEN} characters", "openssl rand -hex 32 makes a good one"
            raise SettingsError(what, where="SGTM_ADMIN_TOKEN", mend=mend)
        return given
    path = make_data_folder(data_folder) / TOKEN_FILE
    try:
        return _kept(path) or _made(path)
    except OSError as error:
        raise SettingsError(error.strerror or "cannot be used", where=str(path), mend=_MEND) from None


def note_admin_url(url: str, data_folder: str | Path) -> None:
    """Write down where the admin listener is, for the commands of operators on this machine. Where that
    cannot be written they have to be told."""
    with suppress(OSError, SettingsError):
        write_whole(make_data_folder(data_folder) / URL_FILE, f"{url}\n".encode(), 0o600)


def noted_admin_url(data_folder: str | Path) -> str:
    """What the server of this data folder has written down, or ""."""
    try:
        return (Path(data_folder) / URL_FILE).read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _kept(path: Path) -> str:
    """The token of an earlier run, or ""."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with open(descriptor, encoding="ascii", errors="replace") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            mend = "delete it, and a new one is made"
            raise SettingsError("others than its owner can read it", where=str(path), mend=mend)
        token = file.read(1024).strip()
    if len(token) < LEAST_TOKEN:
        raise SettingsError("holds no token", where=str(path), mend="delete it, and a new one is made")
    return token


def _made(path: Path) -> str:
    """A new token, whole or not at all, also when two servers start at the same moment."""
    token = secrets.token_urlsafe(32)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        os.link(draft, path)
    except FileExistsError:
        return _kept(path)
    finally:
        os.unlink(draft)
    return token
