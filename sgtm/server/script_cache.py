"""Copies of scripts: in memory, bounded by number and bytes, and mirrored in a folder if there is one.

Whoever asks for thousands of different queries must not push out the few scripts that pages load, so a
copy that was asked for once goes before any that was asked for again.
"""

import hashlib
import logging
import os
import secrets
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

log = logging.getLogger("sgtm.server")

MAX_COPIES = 256
_ENDING, _UNFINISHED = ".script", ".unfinished"
_ABANDONED_S = 3600.0
"""An unfinished file of this age belongs to nobody: its process was killed."""


class Copy(Struct, frozen=True):
    """A script that was fetched, and when it was last known to be the current one (Unix time)."""

    key: str
    body: bytes
    gzipped: bytes
    """Compressed body; empty where compressing gains nothing."""
    content_type: str
    etag: str
    checked_s: float
    brotli: bytes = b""
    """The same in brotli; empty where that gains nothing over gzip."""
    names: tuple[str, ...] = ()
    """Ids of tags and containers that the script names."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        names = sum(map(len, self.names))
        return len(self.key) + len(self.body) + len(self.gzipped) + len(self.brotli) + names


class CopiesInMemory:
    """Copies by key; `put` says which ones had to go."""

    def __init__(self, max_bytes: int, max_copies: int = MAX_COPIES) -> None:
        self._max_bytes, self._max_copies = max_bytes, max_copies
        self._once: OrderedDict[str, Copy] = OrderedDict()
        self._again: OrderedDict[str, Copy] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def clear(self) -> None:
        """Keep none."""
        self._once.clear()
        self._again.clear()
        self.size_bytes = 0

    def get(self, key: str) -> Copy | None:
        """The copy, or None. One that is asked for again is kept longer."""
        copy = self._again.get(key)
        if copy is not None:
            self._again.move_to_end(key)
            return copy
        copy = self._once.pop(key, None)
        if copy is not None:
            self._again[key] = copy
        return copy

    def put(self, copy: Copy) -> list[str]:
        """Keep the copy in the place of an older one; keys of what had to go."""
        copies = self._again if copy.key in self._again else self._once
        old = copies.pop(copy.key, None)
        self.size_bytes -= old.size if old is not None else 0
        if copy.size > self._max_bytes:
            return [copy.key]
        copies[copy.key] = copy
        self.size_bytes += copy.size
        gone = []
        while len(self) > self._max_copies or self.size_bytes > self._max_bytes:
            # a new copy always has a place, else none would ever be asked for again
            oldest = self._once if len(self._once) > 1 or not self._again else self._again
            key, evicted = oldest.popitem(last=False)
            self.size_bytes -= evicted.size
            gone.append(key)
        return gone


class CopiesOnDisk:
    """One file a copy, replaced in one step, so that a restart finds whole copies only. Several workers,
    also of several machines, may share the folder: each writes what it fetched, and what one of them
    removes another still has in memory.

    A folder that cannot be used is said and costs nothing but the copies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> list[Copy]:
        """All copies, oldest first; what is none is removed."""
        copies = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()
            for file in self._folder.glob(f"*{_ENDING}"):
                try:
                    copies.append(msgspec.msgpack.decode(file.read_bytes(), type=Copy))
                except FileNotFoundError:
                    continue  # another worker has just removed it
                except msgspec.DecodeError:
                    log.warning("a copy of a script cannot be read", extra={"file": file.name})
                    file.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)
        return sorted(copies, key=lambda copy: copy.checked_s)

    def write(self, copy: Copy | None, gone: list[str]) -> None:
        """Write the copy, remove those that are gone."""
        try:
            if copy is not None:
                self._replace(self._file(copy.key), msgspec.msgpack.encode(copy))
            for key in gone:
                self._file(key).unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _replace(self, file: Path, content: bytes) -> None:
        unfinished = file.with_suffix(f".{secrets.token_hex(8)}{_UNFINISHED}")
        try:
            with unfinished.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(file)
        except OSError:
            unfinished.unlink(missing_ok=True)  # a full disk is no fuller for it
            raise

    def _remove_abandoned(self) -> None:
        for file in self._folder.glob(f"*{_UNFINISHED}"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _ABANDONED_S:
                    file.unlink()

    def _file(self, key: str) -> Path:
        return self._folder / (hashlib.sha256(key.encode()).hexdigest() + _ENDING)

    def _complain(self, error: OSError) -> None:
        log.error("the folder of scripts cannot be used", extra={"error": type(error).__name__})
