"""What methods of texts do with patterns: match, search, replace, split; and createRegex, testRegex.

The pattern is a text (`match` and `search` read it as one) or what `createRegex` gave. They are compiled by
who makes `Patterns`, and none can hang a run: each place that is found is charged. What a pattern is here:
`finds(text)` gives places with `start`, `end` and `groups`, and `row` is None or what `patterns.pyi` says.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from msgspec import UNSET

from sgtm._fast.patterns cimport sgtm_row_at
from sgtm._fast.sandbox_convert cimport text_of
from sgtm._fast.sandbox_values cimport Callable, Regex, Run

from sgtm._fast.sandbox_values import LimitError, ScriptError

__all__ = ["Patterns"]

cdef extern from "Python.h":
    void* PyUnicode_DATA(object) noexcept

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_INPUT = 1 << 16     # characters of a text that a pattern is looked for in (SPEC: reliability 4.2)
    MAX_KEPT = 256          # texts of patterns that are kept compiled
    MAX_KEPT_TEXT = 1_000   # characters of such a text


cdef class _Row(Regex):
    # A pattern that is a fixed number of characters: it needs no engine.
    cdef bytes classes
    cdef Py_ssize_t size
    cdef bint is_start, is_end

    cdef Py_ssize_t find(self, str text, Py_ssize_t start):
        return sgtm_row_at(
            <const unsigned char*> PyUnicode_DATA(text), len(text),
            <const unsigned char*> PyBytes_AS_STRING(self.classes), self.size,
            self.is_start, self.is_end, start,
        )


cdef Regex regex_of(str text, object pattern, bint is_global):
    cdef _Row row
    if pattern.row is None:
        return Regex(text, pattern, is_global)
    row = _Row(text, pattern, is_global)
    row.classes, row.is_start, row.is_end = pattern.row
    row.size = PyBytes_GET_SIZE(row.classes) >> 4
    return row


cdef class _Place:
    # Where a pattern was found.
    cdef Py_ssize_t start, end
    cdef tuple groups


cdef _Place place_at(Py_ssize_t start, Py_ssize_t end, tuple groups):
    cdef _Place place = _Place.__new__(_Place)
    place.start, place.end, place.groups = start, end, groups
    return place


cdef list places(Run run, Regex regex, str text, bint is_all):
    # All places from the left, or the first alone.
    cdef list found = []
    cdef _Row row
    cdef Py_ssize_t at = 0
    if len(text) > MAX_INPUT:
        raise LimitError("pattern_input", f"a text of more than {MAX_INPUT:,} characters for a pattern")
    run.charge(2 + (len(text) >> 3))
    if type(regex) is _Row and text.isascii():
        row = regex
        at = row.find(text, 0)
        while at >= 0:
            run.charge(2)
            found.append(place_at(at, at + row.size, ()))
            at = row.find(text, at + row.size) if is_all else -1
        return found
    if not is_all:
        one = regex.pattern.find(text)
        return [] if one is None else [place_at(one.start, one.end, one.groups)]
    for one in regex.pattern.finds(text):
        run.charge(2 + len(one.groups))
        found.append(place_at(one.start, one.end, one.groups))
    return found


cdef list with_groups(list members, tuple groups):
    for group in groups:
        members.append(UNDEFINED if group is None else group)
    return members


cdef class Patterns:
    """What a run knows of patterns. `compiled(text, ignore_case)` gives a pattern or raises `refusal`, which
    has `what`; `expand(new, text, place)` is a replacement with `$1` and so on."""

    cdef object compiled, refusal, expanded
    cdef dict kept

    def __init__(self, compiled, refusal, expanded):
        self.compiled, self.refusal, self.expanded, self.kept = compiled, refusal, expanded, {}

    cdef Regex regex(self, Run run, object value):
        cdef str text
        if isinstance(value, Regex):
            return value
        text = "" if value is UNDEFINED else text_of(run, value)
        found = self.kept.get(text)
        if found is None:
            try:
                found = regex_of(text, self.compiled(text, False), False)
            except self.refusal as error:
                raise ScriptError(f"the pattern cannot be used: {error.what}") from None
            if len(text) <= MAX_KEPT_TEXT:
                if len(self.kept) >= MAX_KEPT:
                    self.kept.clear()
                self.kept[text] = found
        return found

    def create(self, Run run, str text, str flags):
        """`createRegex(text, flags)`: null for what is no pattern."""
        run.charge(50 + len(text))
        try:
            return regex_of(f"/{text}/{flags}", self.compiled(text, "i" in flags), "g" in flags)
        except self.refusal:
            return None

    def test(self, Run run, Regex regex, str text):
        """`testRegex(regex, text)`: with g it goes on behind its last find."""
        cdef _Place place
        cdef Py_ssize_t start = regex.last_index if regex.is_global else 0
        for place in places(run, regex, text, regex.is_global):
            if place.start >= start:
                regex.last_index = place.end
                return True
        regex.last_index = 0
        return False

    def match(self, Run run, str text, value):
        """`text.match(value)`: null; the match and its groups; all matches for a pattern with g."""
        cdef Regex regex = self.regex(run, value)
        cdef list found = places(run, regex, text, regex.is_global)
        cdef _Place place
        if not found:
            return None
        if regex.is_global:
            run.make_elements(len(found))
            return [text[(<_Place> one).start:(<_Place> one).end] for one in found]
        place = found[0]
        run.make_elements(1 + len(place.groups))
        return with_groups([text[place.start:place.end]], place.groups)

    def search(self, Run run, str text, value):
        """`text.search(value)`: where it is found, or -1."""
        cdef list found = places(run, self.regex(run, value), text, False)
        return (<_Place> found[0]).start if found else -1

    def replace(self, Run run, str text, Regex regex, replacement):
        """`text.replace(regex, replacement)`: the first place, or all with g; the replacement is a text with
        `$1` and so on, or a function."""
        cdef list pieces = [], found = places(run, regex, text, regex.is_global)
        cdef Py_ssize_t at = 0, length = 0
        cdef _Place place
        cdef str new = "" if isinstance(replacement, Callable) else text_of(run, replacement)
        if not found:
            return text
        for place in found:
            piece = self.replaced(run, text, place, replacement, new)
            pieces.append(text[at:place.start])
            pieces.append(piece)
            length += place.start - at + len(piece)
            run.make_text(place.start - at + len(piece))
            at = place.end
        pieces.append(text[at:])
        run.make_text(length + len(text) - at)
        return "".join(pieces)

    cdef str replaced(self, Run run, str text, _Place place, object replacement, str new):
        cdef list args
        if isinstance(replacement, Callable):
            args = with_groups([text[place.start:place.end]], place.groups)
            args.append(place.start)
            args.append(text)
            return text_of(run, (<Callable> replacement).call(run, args))
        return self.expand(run, new, text, place.start, place.end, place.groups) if "$" in new else new

    def expand(self, Run run, str new, str text, Py_ssize_t start, Py_ssize_t end, tuple groups=()):
        """A replacement: `$&`, `` $` ``, `$'`, `$$`, and of a pattern `$1` and so on."""
        run.make_text(len(new) + new.count("$") * len(text))
        return self.expanded(new, text, start, end, groups)

    def split(self, Run run, str text, Regex regex, long long limit):
        """`text.split(regex)`: what stands between the matches, and their groups."""
        cdef list parts = [], found = places(run, regex, text, True)
        cdef Py_ssize_t at = 0
        cdef _Place place
        if not text and found:
            return []
        for place in found:
            if place.end == place.start and (place.start in (0, len(text)) or place.end == at):
                continue
            if place.start >= len(text):
                break
            parts.append(text[at:place.start])
            with_groups(parts, place.groups)
            at = place.end
        parts.append(text[at:])
        run.make_elements(len(parts))
        return parts[:limit] if 0 <= limit < len(parts) else parts
