"""Watch the container's file: a change that has come to rest is a reload.

Looked at once a second: a mounted ConfigMap, an editor that renames and a network folder all show a
change that way, and none of them the same to inotify.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

LOOK_S = 1.0

Stamp = tuple[int, int, int] | None


async def watch(path: str, on_change: Callable[[], Awaitable[object]], look_s: float = LOOK_S) -> None:
    """Call `on_change` when the file has changed and then stayed as it is for one more look."""
    served = last = await asyncio.to_thread(stamp_of, path)
    while True:
        await asyncio.sleep(look_s)
        now = await asyncio.to_thread(stamp_of, path)
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
