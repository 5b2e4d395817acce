"""A cursor over the tokens of a script, and what is refused wherever it stands."""

from typing import NoReturn

from sgtm.templates import syntax as tree
from sgtm.templates.syntax import Node, ScriptSyntaxError
from sgtm.templates.tokens import Token, tokens_of

MAX_NESTING = 64
"""As deep as parentheses, lists, functions and blocks may stand in one another."""

REFUSED_WORDS = {
    "new": "call a function that returns an object",
    "this": "pass the object as an argument",
    "class": "write functions that take and return objects",
    "super": "write functions that take and return objects",
    "throw": "return early, or call data.gtmOnFailure()",
    "delete": "use require('Object').delete(object, key)",
    "in": "use object.hasOwnProperty(key)",
    "instanceof": "use require('getType')(value)",
    "async": "use .then() of the promise",
    "await": "use .then() of the promise",
    "yield": "build a list",
    "import": "use require('name')",
    "export": "return the value",
    "with": "write out the object",
    "debugger": "use require('logToConsole')",
    "enum": "write an object",
    "void": "write undefined",
}
STATEMENT_WORDS = frozenset(
    [
        *("if", "else", "for", "while", "do", "switch", "case", "default", "return", "break", "continue"),
        *("try", "catch", "finally", "const", "let", "var"),
    ]
)
_RESERVED = {*REFUSED_WORDS, *STATEMENT_WORDS, "true", "false", "null", "function", "typeof"} - {"async"}


class Cursor:
    """Where the parser is."""

    def __init__(self, source: str, first_line: int = 1) -> None:
        self.source, self.first_line = source, first_line
        self._tokens = tokens_of(source, first_line)
        self._index = 0
        self._nesting = 0
        self._arrows = _arrows(self._tokens)

    @property
    def token(self) -> Token:
        """The one to be read next."""
        return self._tokens[self._index]

    def advance(self) -> Token:
        """Read one token."""
        token = self._tokens[self._index]
        self._index += token.kind != "end"
        return token

    def is_sign(self, *signs: str) -> bool:
        """Whether one of these signs comes next."""
        token = self._tokens[self._index]
        return token.kind == "sign" and token.text in signs

    def is_word(self, *words: str) -> bool:
        """Whether one of these words comes next."""
        token = self._tokens[self._index]
        return token.kind == "name" and token.text in words

    def take(self, sign: str) -> bool:
        """Read this sign if it is there."""
        if self.is_sign(sign):
            self._index += 1
            return True
        return False

    def expect(self, sign: str) -> Token:
        """Read this sign, which must be there."""
        if not self.is_sign(sign):
            self.refuse(f"{self.token.text[:40]} where {sign} is expected", self.token)
        return self.advance()

    def refuse(self, what: str, token: Token | Node, mend: str = "look at what stands before it") -> NoReturn:
        """Raise the error for what stands at a token."""
        raise ScriptSyntaxError(what, source=self.source, at=token.at, mend=mend, first_line=self.first_line)

    def deeper(self) -> None:
        """Count one level of nesting; who calls it also lowers it again."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            self.refuse(f"nested more than {MAX_NESTING} deep", self.token, "split it into functions")

    def shallower(self) -> None:
        """One level less."""
        self._nesting -= 1

    def name(self) -> tree.Name:
        """The name that is declared here."""
        token = self.token
        if self.is_sign("{", "["):
            self.refuse("destructuring is not in the dialect", token, "read the members one by one")
        if self.is_sign("..."):
            self.refuse("rest parameters are not in the dialect", token, "use arguments")
        if token.kind != "name" or token.text in _RESERVED:
            self.refuse(f"{token.text[:40]} where a name is expected", token)
        self.advance()
        return tree.Name(token.at, token.text)


def _arrows(tokens: list[Token]) -> frozenset[int]:
    """Places of tokens at which an arrow function begins."""
    found: list[int] = []
    opened: list[int] = []
    closes: dict[int, int] = {}
    for index, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text == "(":
            opened.append(index)
        elif token.text == ")" and opened:
            closes[index] = opened.pop()
        elif token.text == "=>" and index:
            before = tokens[index - 1]
            found.append(closes.get(index - 1, index - 1) if before.kind == "sign" else index - 1)
    return frozenset(found)
