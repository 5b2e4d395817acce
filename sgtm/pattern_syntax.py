"""Patterns as people write them for Google (JavaScript's syntax) -> RE2's syntax, or string tests.

What both know but read differently is given JavaScript's meaning: `.` and `\\s` (line ends and spaces
of Unicode), `[]`, `[^]`, `[\\b]`, `\\uXXXX`, `\\cX`, needless escapes as `\\_`. What only RE2 knows
stays: `(?i)`, `\\A`, `\\z`, `\\pL`, `[[:alpha:]]`. What RE2 cannot do in linear time is refused, with its
place: look-around and back-references. (SPEC: google-runtime 2.1; sandbox-api 1.4 createRegex.)
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NoReturn

from msgspec import Struct

from sgtm.errors import SgtmError

MAX_BRANCHES = 64
"""A pattern that means more literal texts than this is left to RE2."""

_SPACE = r"\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
_NO_SPACE = (
    r"\x{0}-\x{8}\x{e}-\x{1f}!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}"
    r"\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}"
)
_ANY = r"[^\n\r\x{2028}\x{2029}]"
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??")
_GROUP = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|[a-zA-Z-]*:|[a-zA-Z-]+\))|\((?!\?)")
_UNICODE = re.compile(r"u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")
_HEX = re.compile(r"x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}")
_PROPERTY = re.compile(r"[pP](?:[A-Za-z]|\{[^{}]+\})")
_QUOTED = re.compile(r"Q(.*?)(?:\\E|$)", re.DOTALL)
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")


class PatternError(SgtmError):
    """A pattern that cannot be used: what RE2 cannot take, and at which character of it."""


class Branch(Struct, frozen=True):
    """One literal text of which a pattern consists, and whether it must stand at an end."""

    text: str
    is_start: bool
    is_end: bool


Kind = Literal["literal", "start", "end", "or", "open", "close", "any", "run", "quantifier", "other"]


class _Token(Struct, frozen=True):
    kind: Kind
    text: str
    """As RE2 reads it; of a literal: the character itself."""


class Row(Struct, frozen=True):
    """Characters in a row, each out of a class, and whether they must stand at an end."""

    classes: tuple[str, ...]
    """One for each character, as RE2 writes it."""
    is_start: bool
    is_end: bool


class Syntax(Struct, frozen=True):
    """A pattern, read."""

    source: str
    """The same for RE2."""
    branches: tuple[Branch, ...] | None
    """What it comes down to where it is nothing but literal texts, else None."""
    row: Row | None
    """What it comes down to where it is a fixed number of characters (`^[0-9a-f]{64}$`), else None."""


def read_pattern(text: str) -> Syntax:
    """Read a pattern in JavaScript's syntax. Raises PatternError for what RE2 cannot do."""
    tokens = _Reader(text).tokens()
    source = "".join(_quoted(token.text) if token.kind == "literal" else token.text for token in tokens)
    return Syntax(source, _branches(tokens), _row(tokens))


def error_at(position: int, what: str, mend: str) -> PatternError:
    """The error for what stands at `position` (0 is the first character)."""
    return PatternError(what, where=f"character {position + 1} of the pattern", mend=mend)


def _quoted(character: str) -> str:
    """One character that stands for itself, inside and outside of `[]`."""
    if character.isalnum() or ord(character) >= 128 or character == "_":
        return character
    return f"\\x{{{ord(character):x}}}" if character < "!" else "\\" + character


class _Reader:
    """Walks through a pattern once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def tokens(self) -> list[_Token]:
        tokens: list[_Token] = []
        while self._at < len(self._text):
            tokens.extend(self._next())
        return tokens

    def _next(self) -> list[_Token]:
        text, at = self._text, self._at
        character = text[at]
        quantifier = _QUANTIFIER.match(text, at)
        if quantifier:
            self._at = quantifier.end()
            return [_Token("quantifier", quantifier.group())]
        if character == "(":
            return [self._group()]
        if character == "[":
            return [self._class()]
        if character == "\\":
            return self._escape()
        self._at += 1
        kind = _SIGNS.get(character)
        if kind is None:
            return [_Token("literal", character)]
        return [_Token(kind, _ANY if kind == "any" else character)]

    def _group(self) -> _Token:
        group = _GROUP.match(self._text, self._at)
        if group is None:
            self._refuse(
                "look-around (`(?=`, `(?!`, `(?<=`, `(?<!`) is not possible in linear time"
                if re.match(r"\(\?<?[=!]", self._text[self._at :])
                else "`(?` with something that is no group",
                "write the condition without it, perhaps as a second, negated condition",
            )
        self._at = group.end()
        plain = group.group() == "(" or group.group().endswith((">", "(?:"))
        return _Token("open" if plain else "other", group.group())

    def _escape(self) -> list[_Token]:
        text, at = self._text, self._at + 1
        rest = text[at : at + 1]
        quoted = _QUOTED.match(text, at)
        if quoted:
            self._at = quoted.end()
            return [_Token("literal", character) for character in quoted.group(1)]
        if rest and rest in "bBAzdDwW":
            self._at = at + 1
            return [_Token("other", "\\" + rest)]
        if rest in ("s", "S"):
            self._at = at + 1
            return [_Token("other", f"[{_SPACE if rest == 's' else _NO_SPACE}]")]
        if found := _PROPERTY.match(text, at):
            self._at = found.end()
            return [_Token("other", "\\" + found.group())]
        return [_Token("literal", self._character())]

    def _character(self) -> str:
        """The one character that the escape at the reader's place means."""
        text, at = self._text, self._at + 1
        letter = text[at : at + 1]
        if not letter:
            self._refuse("a backslash with nothing after it", "write `\\\\` for a backslash itself")
        coded = _UNICODE.match(text, at) or _HEX.match(text, at)
        if coded:
            return self._coded(int(coded.group(1) or coded.group(2), 16), coded.end())
        self._at = at + 1
        if letter == "0" and not text[at + 1 : at + 2].isdecimal():
            return "\0"
        if letter.isdecimal() or (letter == "k" and text[at + 1 : at + 2] == "<"):
            self._at = at - 1
            self._refuse("a back-reference is not possible in linear time", "write out what is repeated")
        if letter == "c" and re.fullmatch("[A-Za-z]", text[at + 1 : at + 2]):
            self._at += 1
            return chr(ord(text[at + 1]) % 32)
        return _CONTROLS.get(letter, letter)

    def _coded(self, code: int, end: int) -> str:
        """A character by number; two halves of a surrogate pair are one."""
        low = _UNICODE.match(self._text, end + 1) if self._text[end : end + 1] == "\\" else None
        if 0xD800 <= code < 0xDC00 and low and low.group(1) and 0xDC00 <= int(low.group(1), 16) < 0xE000:
            code = 0x10000 + ((code - 0xD800) << 10) + int(low.group(1), 16) - 0xDC00
            end = low.end()
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            self._refuse("no character has this number", "write the character itself")
        self._at = end
        return chr(code)

    def _class(self) -> _Token:
        """`[...]`: read item by item, since JavaScript and RE2 differ about what needs an escape."""
        text, start = self._text, self._at
        self._at += 1
        negated = text[self._at : self._at + 1] == "^"
        self._at += negated
        items: list[str] = []
        while text[self._at : self._at + 1] != "]":
            if self._at >= len(text):
                self._at = start
                self._refuse("`[` without its `]`", "write `\\[` for the character itself")
            items.append(self._class_item(items))
        self._at += 1
        if not items:
            return _Token("other", r"[\x{0}-\x{10ffff}]" if negated else r"[^\x{0}-\x{10ffff}]")
        return _Token("other", f"[{'^' * negated}{''.join(items)}]")

    def _class_item(self, before: list[str]) -> str:
        text, at = self._text, self._at
        posix = _POSIX_CLASS.match(text, at)
        if posix:
            self._at = posix.end()
            return posix.group()
        first, is_set = self._class_atom()
        ahead = text[self._at : self._at + 2]
        if is_set or len(ahead) < 2 or ahead[0] != "-" or ahead[1] == "]":
            return first
        self._at += 1
        last, is_set = self._class_atom()
        # `[a-\d]` is an a, a hyphen and the digits
        return f"{first}\\-{last}" if is_set else f"{first}-{last}"

    def _class_atom(self) -> tuple[str, bool]:
        """One character, or a set of them as `\\d`."""
        text = self._text
        if text[self._at : self._at + 1] != "\\":
            self._at += 1
            return _quoted(text[self._at - 1]), False
        letter = text[self._at + 1 : self._at + 2]
        if letter == "b":
            self._at += 2
            return r"\x{8}", False
        if letter and letter in "dDwWsS":
            self._at += 2
            return {"s": _SPACE, "S": _NO_SPACE}.get(letter, "\\" + letter), True
        if found := _PROPERTY.match(text, self._at + 1):
            self._at = found.end()
            return "\\" + found.group(), True
        return _quoted(self._character()), False

    def _refuse(self, what: str, mend: str) -> NoReturn:
        raise error_at(self._at, what, mend)


_SIGNS: dict[str, Kind] = {"^": "start", "$": "end", "|": "or", ")": "close", ".": "any"}


# -- what is nothing but literal texts -----------------------------------------------------------

_Symbols = tuple[str, ...]
"""Characters, and of more than one letter: `start`, `end`, `run` (`.*`)."""

_MAX_DEPTH = 20


class _NotLiteralError(Exception):
    """The pattern is more than some literal texts."""


def _branches(tokens: list[_Token]) -> tuple[Branch, ...] | None:
    """The literal texts of which any makes the pattern match, or None."""
    try:
        found = _alternatives(iter([*_with_runs(tokens), _Token("close", ")")]), 0)
        return tuple(_branch(symbols) for symbols in found)
    except _NotLiteralError:
        return None


def _with_runs(tokens: list[_Token]) -> Iterator[_Token]:
    """The tokens with each `.*` as one."""
    was_run = False
    for token, after in pairwise([*tokens, _Token("close", ")")]):
        is_run = token.kind == "any" and after.kind == "quantifier" and after.text in ("*", "*?")
        if not was_run:
            yield _Token("run", "") if is_run else token
        was_run = is_run


def _alternatives(tokens: Iterator[_Token], depth: int) -> list[_Symbols]:
    """Everything up to the closing parenthesis, multiplied out."""
    if depth > _MAX_DEPTH:
        raise _NotLiteralError
    done: list[_Symbols] = []
    current: list[_Symbols] = [()]
    for token in tokens:
        if token.kind == "close":
            return done + current
        if token.kind == "or":
            done, current = done + current, [()]
            continue
        inner = _alternatives(tokens, depth + 1) if token.kind == "open" else [(_symbol(token),)]
        current = [before + after for before in current for after in inner]
        if len(done) + len(current) > MAX_BRANCHES:
            raise _NotLiteralError
    raise _NotLiteralError


def _symbol(token: _Token) -> str:
    if token.kind in ("any", "quantifier", "other"):
        raise _NotLiteralError
    return token.text if token.kind == "literal" else token.kind


def _branch(symbols: _Symbols) -> Branch:
    is_start, is_end = symbols[:1] == ("start",), symbols[-1:] == ("end",)
    inner = symbols[is_start : len(symbols) - is_end]
    while not is_start and inner[:1] == ("run",):
        inner = inner[1:]
    while not is_end and inner[-1:] == ("run",):
        inner = inner[:-1]
    if any(len(symbol) > 1 for symbol in inner):
        raise _NotLiteralError
    return Branch("".join(inner), is_start, is_end)


# -- what is a fixed number of characters --------------------------------------------------------

MAX_ROW = 256
_SETS = ("\\d", "\\D", "\\w", "\\W")
_COUNT = re.compile(r"\{(\d{1,4})\}\??")


def _row(tokens: list[_Token]) -> Row | None:
    """The row of characters that the pattern is, or None."""
    is_start = tokens[:1] == [_Token("start", "^")]
    is_end = tokens[-1:] == [_Token("end", "$")]
    classes: list[str] = []
    before = ""
    for token in tokens[is_start : len(tokens) - is_end]:
        if token.kind == "quantifier":
            count = _COUNT.fullmatch(token.text)
            if not before or count is None or not 1 <= int(count.group(1)) <= MAX_ROW:
                return None
            classes += [before] * (int(count.group(1)) - 1)
            before = ""
            continue
        before = _class_of(token)
        classes.append(before)
        if not before or len(classes) > MAX_ROW:
            return None
    return Row(tuple(classes), is_start, is_end) if 0 < len(classes) <= MAX_ROW else None


def _class_of(token: _Token) -> str:
    """The class of one character; empty for what is no single character."""
    if token.kind == "literal":
        return _quoted(token.text)
    is_class = token.kind == "any" or (
        token.kind == "other" and (token.text[0] == "[" or token.text in _SETS)
    )
    return token.text if is_class else ""
