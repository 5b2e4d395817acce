"""What may be left on a disk after a power cut, made from a record of `disk.c` (SPEC: reliability 1.5).

Durable is, for each file, what came before its last sync up to the cut; for each folder, the names before its
last sync. The rest is pending: a policy says what of it is there.

    none     nothing           prefix  what came first        subset  each write with p = 1/2
    torn     each 512-byte sector of each write with p = 1/2   all     everything (a killed process)
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

POLICIES = ("none", "prefix", "subset", "torn", "all")
SECTOR = 512


class Operation(Struct):
    """One line of the record."""

    kind: str
    path: str
    numbers: tuple[int, ...] = ()
    other: str = ""
    content: bytes = b""


class File:
    """A file or folder, whatever it is called: what was done to it, and how much of that is durable."""

    def __init__(self, *, is_folder: bool) -> None:
        self.is_folder = is_folder
        self.done: list[Operation] = []
        self.synced = 0


class Disk:
    """The disk at one moment of the record. `syncs_folders=False`: folders are never synced."""

    def __init__(self, root: str, *, syncs_folders: bool = True) -> None:
        self._root, self._syncs_folders = root, syncs_folders
        self._folders: dict[str, list[tuple[str, str, str, File | None]]] = {root: []}
        """Per folder the names that came and went: (kind, path, new path, file)."""
        self._synced: dict[str, int] = {root: 0}
        self._files: dict[str, File] = {}

    def apply(self, operation: Operation) -> None:
        """One more operation."""
        kind, path = operation.kind, operation.path
        folder = os.path.dirname(path)
        if kind in "CM":
            self._files[path] = File(is_folder=kind == "M")
            if kind == "M":
                self._folders[path], self._synced[path] = [], 0
            self._folders[folder].append((kind, path, "", self._files[path]))
        elif kind == "U":
            self._folders[folder].append((kind, path, "", None))
            self._files.pop(path, None)
        elif kind == "R":
            moved = self._files.pop(path)
            self._folders[folder].append((kind, path, operation.other, moved))
            self._files[operation.other] = moved
        elif kind == "S" and path in self._folders:
            if self._syncs_folders:
                self._synced[path] = len(self._folders[path])
        elif kind == "S":
            self._files[path].synced = len(self._files[path].done)
        else:
            self._files[path].done.append(operation)

    def leave(self, target: Path, policy: str, chance: random.Random) -> None:
        """Write what may be left below `target`."""
        names: dict[str, File] = {}
        for folder, changes in self._folders.items():  # a folder comes after the one that it is in
            if folder != self._root and folder not in names:
                continue
            synced = self._synced[folder]
            pending = {"none": 0, "all": len(changes) - synced}.get(policy)
            if pending is None:
                pending = chance.randint(0, len(changes) - synced)
            for kind, path, other, file in changes[: synced + pending]:
                if kind == "U":
                    names.pop(path, None)
                elif kind == "R":
                    if path in names:
                        names[other] = names.pop(path)
                elif file is not None:
                    names[path] = file
        for path, file in names.items():
            place = target / os.path.relpath(path, self._root)
            if file.is_folder:
                place.mkdir(parents=True)
            elif place.parent.is_dir():
                place.write_bytes(content_of(file, policy, chance))


def content_of(file: File, policy: str, chance: random.Random) -> bytes:
    """What a file holds after the cut."""
    content = bytearray()
    keep = chance.randint(file.synced, len(file.done))
    for position, operation in enumerate(file.done):
        is_durable = position < file.synced or policy == "all"
        is_there = {"prefix": position < keep, "subset": chance.random() < 0.5}.get(policy, False)
        if is_durable or is_there:
            change(content, operation, SECTOR * 2**40, chance)
        elif policy == "torn" and (operation.kind == "W" or chance.random() < 0.5):
            change(content, operation, SECTOR, chance)
    return bytes(content)


def change(content: bytearray, operation: Operation, sector: int, chance: random.Random) -> None:
    """A write or a truncation; of a write sectors may be missing if `sector` is small."""
    if operation.kind == "T":
        (length,) = operation.numbers
        del content[length:]
        content.extend(bytes(length - len(content)))
        return
    offset = operation.numbers[0]
    content.extend(bytes(max(0, offset + len(operation.content) - len(content))))
    position = 0
    while position < len(operation.content):
        end = min(len(operation.content), (offset + position) // sector * sector + sector - offset)
        if sector > SECTOR or chance.random() < 0.5:
            content[offset + position : offset + end] = operation.content[position:end]
        position = end


def read_log(path: Path) -> Iterator[Operation]:
    """The operations of a record."""
    log, position = path.read_bytes(), 0
    while position < len(log):
        end = log.index(b"\n", position)
        kind, name, *rest = log[position:end].decode().split(" ")
        position = end + 1
        if kind == "R":
            yield Operation(kind, name, other=rest[0])
            continue
        numbers = tuple(int(number) for number in rest)
        content = b""
        if kind == "W":
            content = log[position : position + numbers[1]]
            position += numbers[1]
        yield Operation(kind, name, numbers, content=content)
