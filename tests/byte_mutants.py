"""Texts changed by chance, as HTTP Garden does it: bytes deleted, repeated, replaced; lines repeated and
swapped; two texts joined. The same for the same seed."""

import random
from collections.abc import Iterator, Sequence

_Texts = Sequence[bytes]


def byte_mutants(
    seeds: _Texts, marks: _Texts, count: int, seed: int, *, line_end: bytes = b"\n"
) -> Iterator[bytes]:
    """`count` mutants of `seeds`, each changed at one to three places. `marks`: what is put in at times."""
    chance = random.Random(seed)
    mutator = _Mutator(chance, seeds, marks, line_end)
    for _ in range(count):
        text = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            _CHANGES[chance.randrange(len(_CHANGES))](mutator, text)
        yield bytes(text)


class _Mutator:
    def __init__(self, chance: random.Random, seeds: _Texts, marks: _Texts, line_end: bytes) -> None:
        self._chance, self._seeds, self._marks, self._line_end = chance, seeds, marks, line_end

    def _place(self, text: bytearray) -> int:
        return self._chance.randrange(len(text) + 1)

    def delete(self, text: bytearray) -> None:
        at = self._place(text)
        del text[at : at + self._chance.choice((1, 1, 2, 9))]

    def repeat(self, text: bytearray) -> None:
        at = self._place(text)
        text[at:at] = text[at : at + self._chance.choice((1, 2, 30))]

    def replace(self, text: bytearray) -> None:
        at = self._place(text)
        text[at : at + 1] = bytes([self._chance.randrange(256)])

    def insert(self, text: bytearray) -> None:
        at = self._place(text)
        text[at:at] = self._chance.choice(self._marks)

    def swap_lines(self, text: bytearray) -> None:
        lines = bytes(text).split(self._line_end)
        one, other = self._chance.randrange(len(lines)), self._chance.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
        text[:] = self._line_end.join(lines)

    def repeat_line(self, text: bytearray) -> None:
        lines = bytes(text).split(self._line_end)
        lines.insert(self._chance.randrange(len(lines)), self._chance.choice(lines))
        text[:] = self._line_end.join(lines)

    def join(self, text: bytearray) -> None:
        text += self._chance.choice(self._seeds)

    def cut(self, text: bytearray) -> None:
        del text[self._place(text) :]


_CHANGES = [
    _Mutator.delete, _Mutator.repeat, _Mutator.replace, _Mutator.insert, _Mutator.swap_lines,
    _Mutator.repeat_line, _Mutator.join, _Mutator.cut,
]  # fmt: skip
