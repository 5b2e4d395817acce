"""Dead letters of the memory engine: bounded, and lost with the process."""

from collections import Counter
from collections.abc import Collection

from sgtm.delivery.clock import steady_micros
from sgtm.delivery.letter import KeptLetter, Letter, LetterBounds
from sgtm.observability.metrics import Counters

MAX_BYTES = 67_108_864
"""Of each kind, whatever the bounds say: memory is for the hits that come."""
PAGE_BYTES = 4_194_304


class LettersInMemory:
    """Letters by id, oldest first."""

    def __init__(self, bounds: LetterBounds, counters: Counters) -> None:
        self._bounds, self._counters = bounds, counters
        self._kept: dict[str, tuple[KeptLetter, int]] = {}
        self._counts: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._last_number = 0

    def __len__(self) -> int:
        """Letters that are kept."""
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """About what they hold."""
        return self._sizes.total()

    def bury(self, letter: Letter, size_bytes: int) -> None:
        """Keep one; what is over its kind's bounds falls out."""
        self._counters.add("sgtm_letters_total", letter.tag)
        self.forget((letter.id,))
        self._last_number += 1
        self._kept[letter.id] = KeptLetter(self._last_number, letter), size_bytes
        self._counts[letter.kind] += 1
        self._sizes[letter.kind] += size_bytes
        max_bytes = min(self._bounds.bytes, MAX_BYTES)
        while self._counts[letter.kind] > self._bounds.count or self._sizes[letter.kind] > max_bytes:
            oldest = next(one for one, _ in self._kept.values() if one.letter.kind == letter.kind)
            self._fall_out(oldest.letter.id)

    def page(self, after: int, count: int) -> list[KeptLetter]:
        """See Outbox.letters."""
        self._age()
        page: list[KeptLetter] = []
        size = 0
        for kept, size_bytes in self._kept.values():
            if kept.number <= after:
                continue
            size += size_bytes
            if len(page) >= count or (page and size > PAGE_BYTES):
                break
            page.append(kept)
        return page

    def forget(self, ids: Collection[str]) -> int:
        """See Outbox."""
        known = [one for one in ids if one in self._kept]
        for one in known:
            kept, size_bytes = self._kept.pop(one)
            self._counts[kept.letter.kind] -= 1
            self._sizes[kept.letter.kind] -= size_bytes
        return len(known)

    def _age(self) -> None:
        before = steady_micros() - self._bounds.age_s * 1e6
        for kept in [kept for kept, _ in self._kept.values() if kept.letter.at_micros < before]:
            self._fall_out(kept.letter.id)

    def _fall_out(self, one: str) -> None:
        self.forget((one,))
        self._counters.add("sgtm_letters_fallen_out_total")
