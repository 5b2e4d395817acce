"""Source of a script -> tokens."""

import math
import re
from typing import Any, Literal, NoReturn

from msgspec import Struct

from sgtm.templates.syntax import ScriptSyntaxError

MAX_SOURCE = 1 << 20
"""Characters of one script."""

Kind = Literal["name", "number", "text", "sign", "end"]


class Token(Struct, frozen=True):
    """One token. `text` is as it is written, `value` what a number or text means."""

    kind: Kind
    text: str
    at: int
    after_newline: bool
    value: Any = None


_TOKEN = re.compile(
    r"""
    (?P<space>[\t-\r\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+
      | (?://|<!--)[^\n\r\u2028\u2029]* | /\*[^*]*\*+(?:[^/*][^*]*\*+)*/)
  | (?P<name>[^\W\d]\w* | \$[\w$]* | [^\W\d][\w$]*)
  | (?P<number>0[xX][0-9a-fA-F]+ | 0[oO][0-7]+ | 0[bB][01]+
      | (?:[0-9]+\.?[0-9]* | \.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<text>"[^"\\\n\r]*(?:\\[\s\S][^"\\\n\r]*)*" | '[^'\\\n\r]*(?:\\[\s\S][^'\\\n\r]*)*')
  | (?P<sign>>>>= | \.\.\. | === | !== | >>> | <<= | >>= | \*\*= | &&= | \|\|= | \?\?= | => | == | != | <=
      | >= | && | \|\| | \?\? | \?\.(?![0-9]) | \+\+ | -- | \+= | -= | \*= | /= | %= | &= | \|= | \^= | <<
      | >> | \*\* | /(?!\*) | [{}()\[\];,<>+\-*%&|^!~?:=.])
    """,
    re.VERBOSE,
)
_NAME_REST = re.compile(r"[\w$]*")
_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))", re.ASCII
)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_NEWLINES = ("\n", "\r", "\r\n", "\u2028", "\u2029")
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_BASES = {"x": 16, "o": 8, "b": 2}


def tokens_of(source: str, first_line: int = 1) -> list[Token]:
    """All tokens and an end. Raises ScriptSyntaxError."""
    if len(source) > MAX_SOURCE:
        raise ScriptSyntaxError(
            f"the code is longer than {MAX_SOURCE:,} characters", source="", at=0, mend="shorten it"
        )
    tokens: list[Token] = []
    at, newline = 0, False
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None or found.end() == at:
            _refuse(source, at, first_line)
        kind, text = found.lastgroup, found.group()
        if kind == "space":
            newline = newline or any(sign in text for sign in _NEWLINES)
            at = found.end()
            continue
        if kind == "name":
            rest = _NAME_REST.match(source, found.end())
            text += rest.group() if rest else ""
            if not text.isascii() and not text.replace("$", "_").isidentifier():
                _refuse(source, at, first_line)
        tokens.append(_token(kind, text, at, newline, source, first_line))
        at += len(text)
        newline = False
    tokens.append(Token("end", "the end", len(source), True))
    return tokens


def _token(kind: str | None, text: str, at: int, newline: bool, source: str, first_line: int) -> Token:
    if kind == "name":
        return Token("name", text, at, newline)
    if kind == "sign":
        return Token("sign", text, at, newline)
    try:
        value = _number(text) if kind == "number" else _text(text[1:-1])
    except ValueError as error:
        raise ScriptSyntaxError(str(error), source=source, at=at, first_line=first_line) from None
    following = source[at + len(text) : at + len(text) + 1]
    if kind == "number" and (following.isalnum() or following in ("_", "$")) and following:
        raise ScriptSyntaxError(
            f"no number: {text}{following}", source=source, at=at, first_line=first_line, mend="write digits"
        )
    return Token("number" if kind == "number" else "text", text, at, newline, value)


def _number(text: str) -> int | float:
    base = _BASES.get(text[1:2].lower()) if text[0] == "0" else None
    if base:
        value: int | float = int(text[2:], base) if len(text) < 300 else math.inf
    elif text[0] == "0" and text[1:2].isdecimal():
        raise ValueError("a number does not begin with 0")
    elif len(text) > 1_000:
        raise ValueError("a number of more than 1,000 characters")
    else:
        value = int(text) if text.isdecimal() and len(text) < 300 else float(text)
    if value > 1 << 53:
        return float(value) if value < 1 << 1000 else math.inf
    return int(value) if value == int(value) else value


def _text(inner: str) -> str:
    if "\\" not in inner:
        return inner
    text = _ESCAPE.sub(_unescaped, inner)
    return _SURROGATES.sub(
        lambda pair: chr(0x10000 + ((ord(pair.group()[0]) - 0xD800) << 10) + ord(pair.group()[1]) - 0xDC00),
        text,
    )


def _unescaped(found: re.Match[str]) -> str:
    code = found.group(1) or found.group(2) or found.group(3)
    if code:
        if int(code, 16) > 0x10FFFF:
            raise ValueError("no character has this number")
        return chr(int(code, 16))
    letter = found.group(4)
    if letter in ("u", "x"):
        raise ValueError(f"no such escape: \\{letter}")
    return "" if letter in _NEWLINES else _PLAIN.get(letter, letter)


def _refuse(source: str, at: int, first_line: int) -> NoReturn:
    letter = source[at]
    what, mend = f"{letter!r} has no meaning here", "leave it out"
    if letter == "`":
        what, mend = "template literals are not in the dialect", "join texts with +"
    elif letter in "'\"":
        what, mend = "a text without its end", f"close it with {letter} on the same line"
    elif source.startswith("/*", at):
        what, mend = "a comment without its end", "close it with */"
    elif letter == "\\":
        what, mend = "escapes in names are not in the dialect", "write the letter itself"
    raise ScriptSyntaxError(what, source=source, at=at, mend=mend, first_line=first_line)
