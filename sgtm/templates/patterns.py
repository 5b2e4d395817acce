"""What methods of texts do with patterns: match, search, replace, split.

The pattern is a text (`match` and `search` read it as one) or what `createRegex` gave. All of them are
RE2's (`sgtm/patterns.py`), so none can hang a run.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import LimitError, Regex, Run, ScriptError
from sgtm.patterns import Found, Pattern, PatternError, compile_pattern, expand_reference

MAX_INPUT = 1 << 16
"""Characters of a text that a pattern is looked for in (SPEC: reliability 4.2)."""


@lru_cache(maxsize=256)
def compiled(text: str, ignore_case: bool = False) -> Pattern:
    """The pattern; the last few are kept. Raises PatternError."""
    return compile_pattern(text, ignore_case=ignore_case)


def _regex(run: Run, value: Any) -> Regex:
    if isinstance(value, Regex):
        return value
    text = value if isinstance(value, str) else "" if value is UNSET else to_text(run, value)
    try:
        return Regex(text, compiled(text), False)
    except PatternError as error:
        raise ScriptError(f"the pattern cannot be used: {error.what}") from None


def finds(run: Run, regex: Regex, text: str) -> Iterator[Found]:
    """All places, from the left. Each is charged."""
    _charge(run, text)
    for found in regex.pattern.finds(text):
        run.charge(2)
        yield found


def find(run: Run, regex: Regex, text: str) -> Found | None:
    """The first of these places."""
    _charge(run, text)
    found: Found | None = regex.pattern.find(text)
    return found


def _charge(run: Run, text: str) -> None:
    if len(text) > MAX_INPUT:
        raise LimitError("pattern_input", f"a text of more than {MAX_INPUT:,} characters for a pattern")
    run.charge(2 + (len(text) >> 3))


def match(run: Run, text: str, value: Any) -> Any:
    """`text.match(value)`: null; the match and its groups; all matches for a pattern with g."""
    regex = _regex(run, value)
    if regex.is_global:
        run.make_elements(len(places := list(finds(run, regex, text))))
        return [text[one.start : one.end] for one in places] or None
    found = find(run, regex, text)
    if found is None:
        return None
    run.make_elements(1 + len(found.groups))
    return [text[found.start : found.end], *[UNSET if group is None else group for group in found.groups]]


def search(run: Run, text: str, value: Any) -> int:
    """`text.search(value)`: where it is found, or -1."""
    found = find(run, _regex(run, value), text)
    return -1 if found is None else found.start


def replace(run: Run, text: str, regex: Regex, replacement: Any) -> str:
    """`text.replace(regex, replacement)`: the first place, or all with g; the replacement is a text with
    `$1` and so on, or a function."""
    pieces: list[str] = []
    at = 0
    new: Callable[[Found], str] = _maker(run, text, replacement)
    for found in finds(run, regex, text) if regex.is_global else filter(None, [find(run, regex, text)]):
        pieces += [text[at : found.start], new(found)]
        run.make_text(sum(map(len, pieces[-2:])))
        at = found.end
    pieces.append(text[at:])
    run.make_text(sum(map(len, pieces)))
    return "".join(pieces)


def _maker(run: Run, text: str, replacement: Any) -> Callable[[Found], str]:
    if callable(replacement):
        return lambda found: to_text(
            run,
            replacement(
                run,
                text[found.start : found.end],
                *(UNSET if group is None else group for group in found.groups),
                found.start,
                text,
            ),
        )
    new = to_text(run, replacement)
    if "$" not in new:
        return lambda found: new
    return lambda found: _expanded(run, new, text, found)


def expand(run: Run, new: str, text: str, start: int, end: int) -> str:
    """A replacement of a plain text: `$&`, `` $` ``, `$'`, `$$`."""
    return _expanded(run, new, text, Found(start, end, ()))


def _expanded(run: Run, new: str, text: str, found: Found) -> str:
    run.make_text(len(new) + new.count("$") * len(text))
    return expand_reference(new, text, found)


def split(run: Run, text: str, regex: Regex, limit: int) -> list[Any]:
    """`text.split(regex)`: what stands between the matches, and their groups."""
    parts: list[Any] = []
    at = 0
    for found in finds(run, regex, text):
        if found.end == found.start and (found.start in (0, len(text)) or found.end == at):
            continue
        if found.start >= len(text):
            break
        parts += [text[at : found.start], *(UNSET if group is None else group for group in found.groups)]
        at = found.end
    if not text and any(True for _ in finds(run, regex, text)):
        return []
    parts.append(text[at:])
    run.make_elements(len(parts))
    return parts[:limit] if 0 <= limit < len(parts) else parts
