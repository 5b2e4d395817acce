"""Watch the container's files: a change that has come to rest is a reload.

Looked at once a second: a mounted ConfigMap, an editor that renames and a network folder all show a
change that way, and none of them the same to inotify.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from sgtm.container.source import named_files

LOOK_S = 1.0

Stamp = tuple[int, int, int] | None


class Files:
    """A container's file, the files that it names, and others that belong to it."""

    def __init__(self, path: str, others: Sequence[str] = ()) -> None:
        self._path, self._others = path, others
        self._own: Stamp = None
        self._named: Sequence[str] = ()

    def stamps(self) -> tuple[Stamp, ...] | None:
        """One for each; None while there is no container. Looks into the container when it has changed."""
        own = stamp_of(self._path)
        if own is None:
            return None
        if own != self._own:
            self._own, self._named = own, [str(file) for file in named_files(self._path)]
        return own, *map(stamp_of, (*self._others, *self._named))


async def watch(files: Files, on_change: Callable[[], Awaitable[object]], look_s: float = LOOK_S) -> None:
    """Call `on_change` when the files have changed and then stayed as they are for one more look."""
    served = last = await asyncio.to_thread(files.stamps)
    while True:
        await asyncio.sleep(look_s)
        now = await asyncio.to_thread(files.stamps)
        if now == last and now != served and now is not None:
            served = now
            await on_change()
        last = now


def stamp_of(path: str) -> Stamp:
    """What is different when the file is another one or has another content; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
