"""Patterns of triggers, tables and redaction: linear time, bounded memory, next to no cost a hit.

Patterns are RE2's, read in JavaScript's syntax (`pattern_syntax.py`), so no pattern can hang a worker.
A pattern that comes down to some literal texts (`^(purchase|refund)$`, `checkout`, `.*`) becomes string
tests; many patterns of one text are answered at once (`PatternSet`). (SPEC: design.md, Patterns are RE2.)
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, reduce

import re2
from msgspec import Struct

from sgtm._fast.patterns import find_row
from sgtm.pattern_syntax import Branch, PatternError, Row, Syntax, error_at, read_pattern

__all__ = [
    "Found",
    "Pattern",
    "PatternError",
    "PatternSet",
    "compile_pattern",
    "expand_reference",
    "pattern_of_data",
]

MAX_LENGTH = 20_000
"""Characters of a pattern."""
MAX_DATA_LENGTH = 1_000
"""Characters of a pattern that comes with an event."""
MAX_RESULT = 1_048_576
"""Characters that a replacement may make."""
MAX_MEMORY = 1 << 20
"""Bytes that RE2 may use for one pattern: program and state tables."""
_DATA_MEMORY = 1 << 18
_SET_SIZE = 100
_SET_MEMORY = 8 << 20
_FEW = 8
"""As many string tests cost less than one search."""

Test = Callable[[str], bool]

_ANYWHERE = re2._Anchor.UNANCHORED
_REFERENCE = re.compile(r"\$(?:([$&`'])|(\d\d?)|<([^>]*)>)")
_SURROGATES = re.compile("[\ud800-\udfff]")


class Found(Struct, frozen=True):
    """One place where a pattern is found, and its groups (None: took no part)."""

    start: int
    end: int
    groups: tuple[str | None, ...]


class Pattern:
    """A compiled pattern; `compile_pattern` makes one."""

    __slots__ = ("_groups", "_options", "equals", "is_quick", "matches", "row", "source")

    def __init__(self, source: str, syntax: Syntax, ignore_case: bool, memory: int):
        branches = syntax.branches
        self.source = source
        """The pattern as RE2 reads it, flags included."""
        self._options = _options(memory)
        self._groups: re2._Regexp | None = None
        search = _search(source, _options(memory, never_capture=True))
        quick = _string_test(branches, ignore_case, search) if branches is not None else None
        self.matches: Test = quick or search
        """Whether the pattern is found anywhere in a text."""
        self.is_quick = quick is not None
        """It needs no search, only string tests."""
        self.equals = _equals(branches) if branches is not None and not ignore_case else frozenset()
        """Where it is nothing but some whole texts (`^(a|b)$`): these texts."""
        self.row = _row_of(syntax.row, ignore_case) if syntax.row else None
        """Where it is a fixed number of characters: what `find_row` takes to find it in a text of ASCII."""

    def finds(self, text: str) -> Iterator[Found]:
        """All places where it is found, from the left, none in another. Half a surrogate pair in `text`
        counts as U+FFFD."""
        if text.isascii():
            return self._finds_in_ascii(text)
        return self._finds(_without_surrogates(text))

    def find(self, text: str) -> Found | None:
        """The first of these places."""
        return next(self.finds(text), None)

    def _finds(self, text: str) -> Iterator[Found]:
        if self._groups is None:
            self._groups = _compiled(self.source, self._options)
        for match in self._groups.finditer(text):
            yield Found(match.start(), match.end(), match.groups())

    def _finds_in_ascii(self, text: str) -> Iterator[Found]:
        # PERF: the wrapper's search costs more than twice the search itself; places in ASCII are bytes
        at, search = 0, self._search_in(text)
        while (found := search(at)) is not None:
            yield found
            if at == len(text):
                break
            at = found.end + (found.end == at)

    def _search_in(self, text: str) -> Callable[[int], Found | None]:
        """The first place from somewhere on."""
        if self.row is not None:
            row = self.row
            size = len(row[0]) // 16

            def search_row(at: int) -> Found | None:
                place = find_row(text, *row, at)
                return Found(place, place + size, ()) if place >= 0 else None

            return search_row
        if self._groups is None:
            self._groups = _compiled(self.source, self._options)
        match, encoded = self._groups._regexp.Match, text.encode()

        def search(at: int) -> Found | None:
            (start, end), *groups = match(_ANYWHERE, encoded, at, len(encoded))
            if start < 0:
                return None
            return Found(start, end, tuple([text[a:b] if a >= 0 else None for a, b in groups]))

        return search

    def replace_all(self, text: str, replacement: str) -> str:
        """`text` with every match replaced, as JavaScript's `replace` with the flag g does: in the
        replacement `$&` is the match, `$1` a group, `$<name>` a named one, `` $` `` and `$'` what is
        before and after, `$$` a dollar. Raises PatternError where the result would be too long."""
        text = _without_surrogates(text)
        if self._groups is None:
            self._groups = _compiled(self.source, self._options)
        parts = _parts(replacement, self._groups)
        pieces: list[str] = []
        length = at = 0
        for match in self._groups.finditer(text):
            new = [text[at : match.start()], *(_part(part, match, text) for part in parts)]
            length += sum(map(len, new))
            if length > MAX_RESULT:
                raise PatternError("the replaced text would be too long", mend=f"at most {MAX_RESULT}")
            pieces += new
            at = match.end()
        return "".join([*pieces, text[at:]])


def compile_pattern(
    text: str, *, ignore_case: bool = False, full_match: bool = False, memory: int = MAX_MEMORY
) -> Pattern:
    """The pattern of a text. `full_match` only puts `^` before and `$` after it, without a group, as
    Google's tables do (SPEC: sandbox-api 5.10.4, A6): `a|b` becomes "starts with a or ends with b".

    Raises PatternError: what RE2 cannot take, and at which character.
    """
    if len(text) > MAX_LENGTH:
        raise PatternError(f"longer than {MAX_LENGTH:,} characters", mend="split it")
    alone = _SURROGATES.search(text)
    if alone:
        raise error_at(alone.start(), "half of a surrogate pair", "write the whole character")
    syntax = read_pattern(f"^{text}$" if full_match else text)
    source = f"(?i){syntax.source}" if ignore_case else syntax.source
    try:
        return Pattern(source, syntax, ignore_case, memory)
    except re2.error as error:
        raise _explained(error, text) from None


@lru_cache(maxsize=128)
def pattern_of_data(text: str, ignore_case: bool = False, full_match: bool = False) -> Pattern | None:
    """A pattern that is known only when an event is there, and may be anybody's: shorter, with less
    memory, the last few kept. None: it cannot be used."""
    if len(text) > MAX_DATA_LENGTH:
        return None
    try:
        return compile_pattern(text, ignore_case=ignore_case, full_match=full_match, memory=_DATA_MEMORY)
    except PatternError:
        return None


class PatternSet:
    """Many patterns of one text, answered at once. They keep their order."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._equals: dict[str, list[int]] = {}
        quick = [index for index, one in enumerate(patterns) if one.is_quick and not one.equals]
        self._quick = [(index, patterns[index].matches) for index in quick] if len(quick) <= _FEW else []
        alone = {index for index, _ in self._quick}
        rest = []
        for index, pattern in enumerate(patterns):
            for text in pattern.equals:
                self._equals.setdefault(text, []).append(index)
            if not pattern.equals and index not in alone:
                rest.append(index)
        groups = [rest[start : start + _SET_SIZE] for start in range(0, len(rest), _SET_SIZE)]
        self._searches = [_set_search(patterns, group) for group in groups]

    def matching(self, text: str) -> list[int]:
        """Positions of all patterns that are found in `text`, in order."""
        found = [*self._equals.get(text, ())]
        found += [index for index, matches in self._quick if matches(text)]
        if self._searches:
            encoded = _encoded(text)
            for search in self._searches:
                found += search(encoded)
        return sorted(found)

    def first(self, text: str) -> int | None:
        """Position of the first pattern that is found in `text`, or None."""
        found = self.matching(text)
        return found[0] if found else None


def expand_reference(replacement: str, text: str, found: Found) -> str:
    """A replacement as JavaScript's `replace` reads it: `$&` the match, `$1` a group, `` $` `` and `$'` what
    is before and after, `$$` a dollar."""

    def part(reference: re.Match[str]) -> str:
        sign, digits, _ = reference.groups()
        if sign:
            before, match, after = text[: found.start], text[found.start : found.end], text[found.end :]
            return {"$": "$", "&": match, "`": before, "'": after}[sign]
        for number, rest in ((digits, ""), (digits[:1], digits[1:])) if digits else ():
            if number and 1 <= int(number) <= len(found.groups):
                return (found.groups[int(number) - 1] or "") + rest
        return reference.group()

    return _REFERENCE.sub(part, replacement)


# -- RE2 -----------------------------------------------------------------------------------------


def _options(memory: int, never_capture: bool = False) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    options.never_capture = never_capture
    return options


def _compiled(source: str, options: re2.Options) -> re2._Regexp:
    # without RE2's own cache, which would keep patterns of containers that are gone
    return re2._Regexp(source, options)


def _search(source: str, options: re2.Options) -> Test:
    # PERF: the wrapper's search costs more than twice the search itself
    search = _compiled(source, options)._regexp.Match
    nothing = (-1, -1)

    def matches(text: str) -> bool:
        encoded = _encoded(text)
        return search(_ANYWHERE, encoded, 0, len(encoded))[0] != nothing

    return matches


def _set_search(patterns: Sequence[Pattern], group: list[int]) -> Callable[[bytes], list[int]]:
    """Which patterns of the group are found. A set that RE2 has not enough memory for is searched one by
    one, since a set has no slow way."""
    options = _options(_SET_MEMORY, never_capture=True)
    compiled = re2.Set.SearchSet(options)
    try:
        for index in group:
            compiled.Add(patterns[index].source)
        compiled.Compile()
    except re2.error:
        each = [(index, _search(patterns[index].source, _options(MAX_MEMORY, True))) for index in group]
        return lambda encoded: [i for i, matches in each if matches(encoded.decode())]
    return lambda encoded: [group[position] for position in compiled.Match(encoded) or ()]


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _without_surrogates(text).encode()


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _explained(error: Exception, text: str) -> PatternError:
    """RE2 says what is wrong, not where: the place is that of the piece that it quotes."""
    said = error.args[0] if error.args else ""
    message = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    what, _, piece = message.partition(": ")
    at = text.find(piece) if piece and piece != text else -1
    if at >= 0:
        return error_at(at, what, "RE2 takes no such pattern")
    return PatternError(what, where="the pattern", mend="RE2 takes no such pattern")


_ASCII = "".join(map(chr, range(128)))
_FEW_PLACES = 4
"""A longer row that may stand anywhere is RE2's: each place would take so many steps."""


def _row_of(row: Row, ignore_case: bool) -> tuple[bytes, bool, bool] | None:
    """A row as `find_row` takes it; what a class holds of ASCII is asked of RE2. Raises re2.error."""
    if not (row.is_start or row.is_end) and len(row.classes) > _FEW_PLACES:
        return None
    bits = {one: _bits_of(f"(?i){one}" if ignore_case else one) for one in set(row.classes)}
    return b"".join(bits[one] for one in row.classes), row.is_start, row.is_end


@lru_cache(maxsize=256)
def _bits_of(one: str) -> bytes:
    found = _compiled(one, _options(MAX_MEMORY)).finditer(_ASCII)
    return sum(1 << place.start() for place in found).to_bytes(16, "little")


# -- string tests --------------------------------------------------------------------------------


def _equals(branches: tuple[Branch, ...]) -> frozenset[str]:
    is_whole = all(branch.is_start and branch.is_end for branch in branches)
    return frozenset(branch.text for branch in branches) if is_whole else frozenset()


def _string_test(branches: tuple[Branch, ...], ignore_case: bool, search: Test) -> Test | None:
    """The branches as string tests; None where a search would cost less."""
    if not ignore_case:
        return _exact_test(branches)
    if not all(branch.text.isascii() for branch in branches):
        return None
    test = _exact_test(
        tuple(Branch(branch.text.lower(), branch.is_start, branch.is_end) for branch in branches)
    )
    if test is None:
        return None
    # capitals beyond ASCII that are the same as small ones within (the Kelvin sign) are RE2's
    return lambda text: test(text.lower()) if text.isascii() else search(text)


def _exact_test(branches: tuple[Branch, ...]) -> Test | None:
    equals = frozenset(branch.text for branch in branches if branch.is_start and branch.is_end)
    starts = tuple(branch.text for branch in branches if branch.is_start and not branch.is_end)
    ends = tuple(branch.text for branch in branches if branch.is_end and not branch.is_start)
    inside = [branch.text for branch in branches if not branch.is_start and not branch.is_end]
    if len(inside) > _FEW:
        return None
    tests = [_contains(part) for part in inside]
    if equals:
        tests.append(equals.__contains__)
    if starts:
        tests.append(lambda text: text.startswith(starts))
    if ends:
        tests.append(lambda text: text.endswith(ends))
    return reduce(_either, tests)


def _contains(part: str) -> Test:
    return lambda text: part in text


def _either(first: Test, second: Test) -> Test:
    return lambda text: first(text) or second(text)


# -- replacements --------------------------------------------------------------------------------

_Part = str | int
"""A text to copy, or the number of a group; 0 the match, -1 what is before it, -2 what is after it."""


_SIGNS: dict[str, _Part] = {"$": "$", "&": 0, "`": -1, "'": -2}


def _parts(replacement: str, regexp: re2._Regexp) -> list[_Part]:
    parts: list[_Part] = []
    at = 0
    for found in _REFERENCE.finditer(replacement):
        parts.append(replacement[at : found.start()])
        parts.extend(_reference(found, regexp))
        at = found.end()
    return [part for part in [*parts, replacement[at:]] if part != ""]


def _reference(found: re.Match[str], regexp: re2._Regexp) -> list[_Part]:
    sign, digits, name = found.groups()
    if sign:
        return [_SIGNS[sign]]
    if name is not None:
        if not regexp.groupindex:
            return [found.group()]
        return [regexp.groupindex[name]] if name in regexp.groupindex else []
    if 1 <= int(digits) <= regexp.groups:
        return [int(digits)]
    if len(digits) == 2 and 1 <= int(digits[0]) <= regexp.groups:
        return [int(digits[0]), digits[1]]
    return [found.group()]


def _part(part: _Part, match: re2._Match, text: str) -> str:
    if isinstance(part, str):
        return part
    if part > 0:
        return match.groups(default="")[part - 1]
    if part == 0:
        return text[match.start() : match.end()]
    return text[: match.start()] if part == -1 else text[match.end() :]
