"""Repeats: which hits were seen shortly before. The one state between requests, and it is explicit.

A proxy or a browser that sends a hit a second time makes it count twice. Clients that want such hits
dropped name each event by a text that is equal only for the same hit (`Claimed.repeat_keys`). The
memory is this worker's own, bounded, and gone with it: a lost memory means a double, never a loss.
"""

import hashlib
from collections.abc import Awaitable, Sequence

SIZE = 65_536
"""Hits remembered at most, 16 bytes of digest each; at 1,000 hits a second that is a minute."""


class Repeats:
    """The latest hits, by a digest of their keys."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._seen: dict[bytes, None] = {}

    def have_all(self, keys: Sequence[str]) -> bool:
        """Whether there are hits of these names, and all were seen before."""
        return bool(keys) and all(_digest(key) in self._seen for key in keys)

    async def are_kept(self, keys: Sequence[str], commit: Awaitable[None], were_asked: bool) -> bool:
        """Wait for the commit of the hits' record; whether they may be acknowledged. What is refused comes
        again and is no repeat then; nor is a repeat acknowledged whose first was not kept. `were_asked`:
        `is_repeat` was asked about each before. Raises what the commit raises."""
        try:
            await commit
            if were_asked and not self.have_all(keys):
                return False
        except BaseException:
            for key in keys:
                self._seen.pop(_digest(key), None)
            raise
        for key in keys:
            self.is_repeat(key)
        return True

    def is_repeat(self, key: str) -> bool:
        """Whether this hit was seen before; it is remembered from now on."""
        digest = _digest(key)
        if digest in self._seen:
            return True
        if len(self._seen) >= self._size:
            del self._seen[next(iter(self._seen))]
        self._seen[digest] = None
        return False


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
