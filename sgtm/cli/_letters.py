"""Where dead letters are read from: the running server, or the data folder where no server runs.

Never both at once: a folder is locked by the worker that owns it.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import apsw
import msgspec

from sgtm.cli import _admin
from sgtm.delivery.outbox.file import OutboxFile, Unusable
from sgtm.delivery.outbox.folder import FolderInUse, SlotFolder
from sgtm.delivery.outbox.opening import letter_bounds, slot_folders
from sgtm.delivery.outbox.store import FILE_NAME
from sgtm.errors import SettingsError, SgtmError
from sgtm.server.letters import PAGE, LettersNamed, LetterView, views_of
from sgtm.settings import Settings


class CannotRead(SgtmError):
    """Dead letters cannot be read, or not deleted."""


class Letters(Protocol):
    """All dead letters of a server."""

    is_running: bool

    def pages(self, *, reveal: bool) -> Iterator[list[LetterView]]:
        """All letters, slot by slot, oldest first. Raises SgtmError."""

    def purge(self, letters: list[LetterView]) -> int:
        """Delete these; how many there were. Raises SgtmError."""


def letters_of(chosen: Settings) -> Letters:
    """The letters of the running server, or else those in its data folder. Raises SgtmError."""
    try:
        _admin.ask(chosen, "GET", "/health")
    except _admin.NoAnswer as error:
        return InFolder(chosen, error)
    return OfServer(chosen)


class OfServer:
    """Asks the admin listener."""

    is_running = True

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen

    def pages(self, *, reveal: bool) -> Iterator[list[LetterView]]:
        """See Letters."""
        slots, _ = self._page(0, 0, reveal=reveal)
        for slot in slots:
            after = 0
            while True:
                _, page = self._page(slot, after, reveal=reveal)
                if not page:
                    break
                yield page
                after = page[-1].number

    def _page(self, slot: int, after: int, *, reveal: bool) -> tuple[list[int], list[LetterView]]:
        answer = _admin.ask(
            self._chosen, "GET", f"/deadletters?slot={slot}&after={after}&reveal={int(reveal)}"
        )
        body = _checked(answer)
        return body["slots"], msgspec.convert(body["letters"], list[LetterView])

    def purge(self, letters: list[LetterView]) -> int:
        """See Letters."""
        purged = 0
        for begin in range(0, len(letters), PAGE):
            page = letters[begin : begin + PAGE]
            for slot in {letter.slot for letter in page}:
                ids = [letter.id for letter in page if letter.slot == slot]
                answer = _admin.ask(self._chosen, "POST", "/deadletters/purge", LettersNamed(slot, ids))
                purged += _checked(answer)["purged"]
        return purged


def _checked(answer: _admin.Answer) -> dict[str, Any]:
    body = answer.body if isinstance(answer.body, dict) else {}
    reason = body.get("missing") or body.get("error")
    if answer.status != 200 or reason:
        raise CannotRead(
            str(reason or f"status {answer.status}"), where="the server", mend="its log says more"
        )
    return body


class InFolder:
    """Reads the files of the sqlite engine while no server has them."""

    is_running = False

    def __init__(self, chosen: Settings, no_answer: SgtmError) -> None:
        self._chosen, self._no_answer = chosen, no_answer
        self._folders = slot_folders(Path(chosen.data_folder))
        if not self._folders:
            mend = "start the server, or give its --data-folder"
            raise CannotRead(
                f"no server answers ({no_answer.what}), and there is no outbox here",
                where=f"data folder {chosen.data_folder}",
                mend=mend,
            )

    def pages(self, *, reveal: bool) -> Iterator[list[LetterView]]:
        """See Letters."""
        for number, path in enumerate(self._folders):
            with _Opened(path, self._chosen, self._no_answer) as file:
                after = 0
                while file is not None and (page := file.letters.page(after, PAGE)):
                    yield views_of(page, number, reveal=reveal)
                    after = page[-1].number

    def purge(self, letters: list[LetterView]) -> int:
        """See Letters."""
        purged = 0
        for number, path in enumerate(self._folders):
            ids = [letter.id for letter in letters if letter.slot == number]
            if ids:
                with _Opened(path, self._chosen, self._no_answer) as file:
                    purged += file.letters.forget(ids) if file is not None else 0
        return purged


class _Opened:
    """The outbox file of one folder, locked; None where there is none."""

    def __init__(self, path: Path, chosen: Settings, no_answer: SgtmError) -> None:
        self._path, self._chosen, self._no_answer = path, chosen, no_answer
        self._folder: SlotFolder | None = None
        self._file: OutboxFile | None = None

    def __enter__(self) -> OutboxFile | None:
        file = self._path / FILE_NAME
        if not file.exists():
            return None
        try:
            self._folder = SlotFolder(self._path, allows_fuse=self._chosen.outbox_on_fuse)
            bounds = letter_bounds(self._chosen)
            self._file = OutboxFile(file, self._chosen.outbox_disk_bytes, bounds=bounds)
        except FolderInUse:
            raise CannotRead(
                f"a server owns it and does not answer ({self._no_answer.what})",
                where=str(self._path),
                mend="give the server's --admin-port and --data-folder, or stop it",
            ) from None
        except Unusable as error:
            self._close()
            mend = "start the server: it sets the file aside and salvages what is good"
            raise CannotRead(error.what, where=str(file), mend=mend) from None
        return self._file

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            with suppress(apsw.Error):
                self._file.close()
        if self._folder is not None:
            self._folder.close()


def require_running(letters: Letters) -> None:
    """Raises SettingsError where no server runs."""
    if not letters.is_running:
        raise SettingsError("only a running server sends", where="replay", mend="start it, or give --dry-run")
