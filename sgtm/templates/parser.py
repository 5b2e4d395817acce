"""Expressions of a script: tokens -> syntax tree. Recursive descent; what is outside the dialect is refused
with what to write instead (SPEC: google-runtime 5.1). Statements stand in `statements.py`."""

from abc import ABC, abstractmethod

from msgspec import UNSET

from sgtm.javascript import text_of
from sgtm.templates import syntax as tree
from sgtm.templates.cursor import REFUSED_WORDS, STATEMENT_WORDS, Cursor
from sgtm.templates.syntax import Node
from sgtm.templates.tokens import Token

MAX_CHAIN = 50
"""Members and operators in a row that nest: `a.b().c()`, `a - b - c`."""

_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": UNSET}
_LEVELS = {
    "|": 3,
    "^": 4,
    "&": 5,
    **dict.fromkeys(("==", "!=", "===", "!=="), 6),
    **dict.fromkeys(("<", ">", "<=", ">="), 7),
    **dict.fromkeys(("<<", ">>", ">>>"), 8),
    **dict.fromkeys(("+", "-"), 9),
    **dict.fromkeys(("*", "/", "%"), 10),
    "&&": 2,
    "||": 1,
}
_ASSIGNMENTS = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", ">>>="])
_REFUSED_SIGNS = {
    "**": "use require('Math').pow(a, b)",
    "**=": "use require('Math').pow(a, b)",
    "??": "compare with null and undefined",
    "??=": "compare with null and undefined",
    "?.": "ask first whether the object is there: a && a.b",
    "&&=": "write a = a && b",
    "||=": "write a = a || b",
    "...": "use concat, or name every member",
}


class ExpressionParser(Cursor, ABC):
    """Reads expressions; `StatementParser` is the whole parser."""

    def expression(self) -> Node:
        """Everything, commas included."""
        first = self.assignment()
        if not self.is_sign(","):
            return first
        parts = [first]
        while self.take(","):
            parts.append(self.assignment())
        return tree.Chain(first.at, ",", parts)

    def assignment(self) -> Node:
        """One value: what stands between commas."""
        if self._index in self._arrows:
            return self._arrow()
        left = self._conditional()
        token = self.token
        if token.kind != "sign" or token.text not in _ASSIGNMENTS:
            self._refuse_sign()
            return left
        if not isinstance(left, (tree.Name, tree.Member)):
            self.refuse("what stands left of = cannot be assigned", left, "assign a variable or a member")
        self.advance()
        self.deeper()
        value = self.assignment()
        self.shallower()
        return tree.Assign(left.at, token.text[:-1], left, value)

    def _refuse_sign(self) -> None:
        token = self.token
        if token.kind == "sign" and token.text in _REFUSED_SIGNS:
            self.refuse(f"{token.text} is not in the dialect", token, _REFUSED_SIGNS[token.text])

    def _conditional(self) -> Node:
        test = self._binary(1)
        if not self.is_sign("?"):
            return test
        self.deeper()
        cases, at = [], test.at
        while self.take("?"):
            value = self.assignment()
            self.expect(":")
            cases.append((test, value))
            test = self.assignment() if self._index in self._arrows else self._binary(1)
        self.shallower()
        if self.is_sign("="):  # `a ? b : c = d`
            test = self._assigned(test)
        return tree.Conditional(at, cases, test)

    def _assigned(self, target: Node) -> Node:
        if not isinstance(target, (tree.Name, tree.Member)):
            self.refuse("what stands left of = cannot be assigned", target, "assign a variable or a member")
        self.advance()
        self.deeper()
        value = self.assignment()
        self.shallower()
        return tree.Assign(target.at, "", target, value)

    def _binary(self, lowest: int) -> Node:
        left = self._unary()
        count = 0
        while True:
            token = self.token
            level = _LEVELS.get(token.text, 0) if token.kind == "sign" else 0
            if level < lowest or not level:
                if token.kind == "name" and token.text in ("in", "instanceof"):
                    self._refuse_in(token)
                self._refuse_sign()
                return left
            self.advance()
            right = self._binary(level + 1)
            if token.text in ("+", "&&", "||"):
                left = _chained(token.text, left, right)
                continue
            count += 1
            if count > MAX_CHAIN:
                self.refuse(f"more than {MAX_CHAIN} operators in a row", token, "split it")
            left = tree.Binary(left.at, token.text, left, right)

    def _refuse_in(self, token: Token) -> None:
        """`in` after an expression; a for-in reads its head itself."""
        self.refuse(f"{token.text} is not in the dialect", token, REFUSED_WORDS[token.text])

    def _unary(self) -> Node:
        token = self.token
        is_word = token.kind == "name" and token.text == "typeof"
        if is_word or self.is_sign("!", "-", "+", "~", "++", "--"):
            self.advance()
            self.deeper()
            value = self._unary()
            self.shallower()
            if token.text in ("++", "--"):
                return self._update(token, value, is_postfix=False)
            return tree.Unary(token.at, token.text, value)
        value = self._postfix()
        token = self.token
        if self.is_sign("++", "--") and not token.after_newline:
            self.advance()
            return self._update(token, value, is_postfix=True)
        return value

    def _update(self, token: Token, target: Node, is_postfix: bool) -> Node:
        if not isinstance(target, (tree.Name, tree.Member)):
            self.refuse(f"{token.text} of what is no variable", token, "use a variable or a member")
        return tree.Update(token.at, token.text[0], target, is_postfix)

    def _postfix(self) -> Node:
        value = self._primary()
        count = 0
        while self.is_sign(".", "[", "(", "?."):
            count += 1
            if count > MAX_CHAIN:
                self.refuse(f"more than {MAX_CHAIN} members in a row", self.token, "split it")
            token = self.advance()
            if token.text == "?.":
                self.refuse("?. is not in the dialect", token, _REFUSED_SIGNS["?."])
            if token.text == "(":
                value = tree.Call(value.at, value, self._parts(")"))
            elif token.text == ".":
                name = self.advance()
                if name.kind != "name":
                    self.refuse("a dot without a name", name)
                value = tree.Member(token.at, value, tree.Literal(name.at, name.text), name.text)
            else:
                value = self._index_of(value, token)
        return value

    def _index_of(self, owner: Node, token: Token) -> Node:
        self.deeper()
        key = self.expression()
        self.shallower()
        self.expect("]")
        name = key.value if isinstance(key, tree.Literal) and isinstance(key.value, str) else None
        return tree.Member(token.at, owner, key, name)

    def _parts(self, end: str) -> list[Node]:
        """What stands between commas, up to the closing sign."""
        self.deeper()
        parts: list[Node] = []
        while not self.is_sign(end):
            if self.is_sign("..."):
                self.refuse("... is not in the dialect", self.token, _REFUSED_SIGNS["..."])
            if self.is_sign(","):
                self.refuse("a list with a gap", self.token, "write undefined")
            parts.append(self.assignment())
            if not self.is_sign(end):
                self.expect(",")
        self.advance()
        self.shallower()
        return parts

    def _primary(self) -> Node:
        token = self.token
        if token.kind in ("number", "text"):
            self.advance()
            return tree.Literal(token.at, token.value)
        if token.kind == "name":
            return self._word(token)
        reader = {"(": self._group, "[": self._list, "{": self._object}.get(token.text)
        if reader is None or token.kind != "sign":
            if self.is_sign("/", "/="):
                self.refuse(
                    "regular expression literals are not in the dialect",
                    token,
                    "use require('createRegex')(text, flags), or give the text itself to match and search",
                )
            self._refuse_sign()
            self.refuse(f"{token.text[:40]} where a value is expected", token)
        return reader()

    def _word(self, token: Token) -> Node:
        text = token.text
        if text in _CONSTANTS:
            self.advance()
            return tree.Literal(token.at, _CONSTANTS[text])
        if text == "function":
            return self.function()
        if text in REFUSED_WORDS and not (text == "async" and not self._is_async()):
            self.refuse(f"{text} is not in the dialect", token, REFUSED_WORDS[text])
        if text in STATEMENT_WORDS:
            self.refuse(f"{text} where a value is expected", token)
        self.advance()
        return tree.Name(token.at, text)

    def _is_async(self) -> bool:
        following = self._tokens[self._index + 1]
        is_arrow = self._index + 1 in self._arrows
        return is_arrow or (following.kind == "name" and not following.after_newline)

    def _group(self) -> Node:
        self.expect("(")
        self.deeper()
        value = self.expression()
        self.shallower()
        self.expect(")")
        # `(a + b) + c` is no chain of its own: what is in parentheses stays one value
        return tree.Chain(value.at, ",", [value]) if isinstance(value, tree.Chain) else value

    def _list(self) -> Node:
        token = self.expect("[")
        return tree.ListLiteral(token.at, self._parts("]"))

    def _object(self) -> Node:
        token = self.expect("{")
        self.deeper()
        keys: list[str] = []
        parts: list[Node] = []
        while not self.is_sign("}"):
            keys.append(self._key())
            parts.append(self.assignment())
            if not self.is_sign("}"):
                self.expect(",")
        self.advance()
        self.shallower()
        return tree.ObjectLiteral(token.at, keys, parts)

    def _key(self) -> str:
        token = self.advance()
        if token.kind == "sign":
            what = {"[": "computed keys are", "...": "... is"}.get(token.text)
            if what is None:
                self.refuse(f"{token.text} where a key is expected", token)
            self.refuse(f"{what} not in the dialect", token, "write object[key] = value")
        if self.is_sign(",", "}"):
            self.refuse(
                "shorthand members are not in the dialect", token, f"write {token.text}: {token.text}"
            )
        if self.is_sign("(") or (token.text in ("get", "set", "async") and self.token.kind == "name"):
            self.refuse("methods in objects are not in the dialect", token, f"write {token.text}: function")
        self.expect(":")
        if token.kind == "number":
            return text_of(token.value)
        return token.value if token.kind == "text" else token.text

    # -- functions --

    def function(self) -> tree.Function:
        """`function name(a, b) {…}`"""
        token = self.advance()
        if self.is_sign("*"):
            self.refuse("generators are not in the dialect", token, "build a list")
        name = "" if self.is_sign("(") else self.name().name
        self.expect("(")
        parameters = self._parameters()
        return tree.Function(token.at, name, parameters, self.function_body(), False)

    @abstractmethod
    def function_body(self) -> Node:
        """`{…}` of a function."""

    def _parameters(self) -> list[tree.Name]:
        names: list[tree.Name] = []
        while not self.is_sign(")"):
            names.append(self.name())
            if self.is_sign("="):
                self.refuse("default parameters are not in the dialect", self.token, "ask for undefined")
            if not self.is_sign(")"):
                self.expect(",")
        self.advance()
        return names

    def _arrow(self) -> Node:
        token = self.token
        parameters = self._parameters() if self.take("(") else [self.name()]
        if self.expect("=>").after_newline:
            self.refuse("an arrow on a new line", token, "put => behind the parameters")
        if self.is_sign("{"):
            return tree.Function(token.at, "", parameters, self.function_body(), False)
        self.deeper()
        body = self.assignment()
        self.shallower()
        return tree.Function(token.at, "", parameters, body, True)


def _chained(operator: str, left: Node, right: Node) -> Node:
    if isinstance(left, tree.Chain) and left.operator == operator:
        left.parts.append(right)
        return left
    return tree.Chain(left.at, operator, [left, right])
