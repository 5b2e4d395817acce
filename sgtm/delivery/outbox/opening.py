"""Opening: the outbox that the settings ask for, with what earlier processes left behind.

    <data_folder>/slot-0-0/   lock            held by the worker that owns the folder
                              outbox.sqlite   (and -wal)
                              reserve         gets it out of a full disk
                              *.suspect       files that failed: salvaged, and kept until deleted by hand

The first number is the slot. While a worker is replaced there are two in a slot: the new one takes a folder
that nobody has (slot-0-1), and takes over what the old one leaves. So it does with folders of slots that no
worker has any more.
"""

import logging
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from sgtm.delivery.archive.keeping import Archive
from sgtm.delivery.journal import Journal
from sgtm.delivery.letter import LetterBounds
from sgtm.delivery.outbox import Outbox
from sgtm.delivery.outbox.folder import FolderInUse, SlotFolder, medium_of, suspects_in
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.delivery.outbox.sqlite import SqliteOutbox
from sgtm.delivery.outbox.store import FILE_NAME, Store
from sgtm.delivery.outbox.taking_over import Taken, TakingOver
from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

log = logging.getLogger("sgtm.delivery.outbox")

DURABLE = 2
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MAX_FOLDERS = 16
_FOLDER = re.compile(r"slot-([0-9]{1,4})-([0-9]{1,4})")


def open_outbox(settings: Settings, slot: int, workers: int, counters: Counters) -> Outbox:
    """The outbox of one slot of so many. Blocks for as long as the disk takes; call it before anything
    is accepted. Raises SettingsError, FolderInUse."""
    if settings.role != "all" and settings.outbox != "nats":
        raise SettingsError(
            f"{settings.outbox} is this machine's alone, so nobody else can {settings.role}",
            where="--role",
            mend="use --outbox nats, or --role all",
        )
    archive = open_archive(settings, slot, workers, counters)
    if settings.outbox == "memory":
        outbox: Outbox = MemoryOutbox(
            settings.outbox_records, settings.outbox_bytes, letter_bounds(settings), counters, archive
        )
    elif settings.outbox == "nats":
        outbox = _open_nats(settings, slot, counters, archive)
    else:
        outbox = _open_sqlite(settings, slot, workers, counters, archive)
    state = outbox.state()
    if settings.require_durable and state.durability < DURABLE:
        outbox.close()
        raise SettingsError(
            f"is {describe(settings)}; --require-durable asks for more",
            where="outbox",
            mend="use --outbox sqlite with a --data-folder on a disk, or mend the broker (see the log)",
        )
    return outbox


def letter_bounds(settings: Settings) -> LetterBounds:
    """How many dead letters of each kind are kept: never more than a tenth of the outbox's own bytes."""
    max_bytes = min(settings.letter_bytes, settings.outbox_disk_bytes // 10)
    return LetterBounds(settings.letter_count, max_bytes, settings.letter_days * 86_400.0)


def open_archive(settings: Settings, slot: int, workers: int, counters: Counters) -> Archive | None:
    """The archive of one slot of so many, if one is wanted."""
    if not settings.archive:
        return None
    return Archive(settings.data_folder, slot, workers, _age_s(settings), settings.archive_bytes, counters)


def open_journal(settings: Settings, slot: int, counters: Counters) -> Journal | None:
    """The journal of one slot, where records are archived: it says what the archive cannot."""
    if not settings.archive:
        return None
    max_bytes = settings.archive_bytes // 8
    return Journal(settings.data_folder, slot, _age_s(settings), max_bytes, counters)


def _age_s(settings: Settings) -> float:
    return float(settings.archive[:-1]) * _SECONDS[settings.archive[-1]]


def describe(settings: Settings) -> str:
    """For the log: which engine it is and what it promises. Raises SettingsError."""
    if settings.outbox == "memory":
        return "memory: what is queued is lost when the process dies"
    if settings.outbox == "nats":
        broker = _nats("nats_broker").Broker(settings)
        broker.close()
        return str(broker.view.promise)
    if medium_of(Path(settings.data_folder), allows_fuse=settings.outbox_on_fuse) == "memory":
        return "sqlite on a disk that is memory: survives kill -9, lost with the machine"
    return "sqlite: survives kill -9 and a power cut"


def _open_nats(settings: Settings, slot: int, counters: Counters, archive: Archive | None) -> Outbox:
    wanted = DURABLE if settings.require_durable else 0
    broker = _nats("nats_broker").Broker(settings, archive)
    outbox: Outbox = _nats("nats").NatsOutbox(broker, counters, wanted, archive, tells_letters=slot == 0)
    return outbox


def _nats(module: str) -> Any:
    """Loaded here and not on top: an optional package, and a slow one, that other engines do not need."""
    return import_module(f"sgtm.delivery.outbox.{module}")


def _open_sqlite(
    settings: Settings, slot: int, workers: int, counters: Counters, archive: Archive | None
) -> SqliteOutbox:
    data_folder = Path(settings.data_folder)
    own = _own_folder(data_folder, slot, settings)
    try:
        if own.medium == "memory":
            log.warning(
                "the outbox's disk is memory: it is lost with the machine", extra={"folder": str(own.path)}
            )
        store = Store(own, settings.outbox_disk_bytes, letter_bounds(settings), archive)
        store.suspects.clear()  # they are among those in the folder
        sources = [Taken(path) for path in suspects_in(own.path)]

        def find() -> list[Taken]:
            return _ownerless(data_folder, slot, workers)

        return SqliteOutbox(store, counters, TakingOver(own.path, sources, store.taken(), find))
    except OSError as error:
        own.close()
        raise SettingsError(
            f"cannot be used: {error.strerror}",
            where=f"outbox folder {own.path}",
            mend="give a --data-folder that this user may write to",
        ) from None
    except BaseException:
        own.close()
        raise


def _own_folder(data_folder: Path, slot: int, settings: Settings) -> SlotFolder:
    """The folder that the slot's last worker left, or another if that lives. Raises FolderInUse."""
    there = [path for path, number in _folders(data_folder) if number == slot]
    new = (data_folder / f"slot-{slot}-{place}" for place in range(MAX_FOLDERS))
    tried: set[Path] = set()
    for path in (*there, *new):
        if path not in tried:
            tried.add(path)
            with suppress(FolderInUse):
                return SlotFolder(path, allows_fuse=settings.outbox_on_fuse)
    raise FolderInUse(
        f"{MAX_FOLDERS} living processes have this slot",
        where=f"data folder {data_folder}",
        mend="give each server a --data-folder of its own",
    )


def _ownerless(data_folder: Path, slot: int, workers: int) -> list[Taken]:
    """Folders of this slot, and its share of those of slots that no worker has, whose owner is gone."""
    found = []
    for path, number in _folders(data_folder):
        if number == slot or (number >= workers and number % workers == slot):
            with suppress(FolderInUse, SettingsError):
                found.append(Taken(path / FILE_NAME, SlotFolder(path)))
    return found


def slot_folders(data_folder: Path) -> list[Path]:
    """Folders of outboxes."""
    return [path for path, _ in _folders(data_folder)]


def _folders(data_folder: Path) -> list[tuple[Path, int]]:
    """Folders of outboxes, and whose slot each is."""
    matches = ((path, _FOLDER.fullmatch(path.name)) for path in sorted(data_folder.glob("slot-*-*")))
    return [(path, int(match[1])) for path, match in matches if match is not None]
