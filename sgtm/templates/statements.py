"""Statements of a script: tokens -> syntax tree."""

from sgtm.templates import syntax as tree
from sgtm.templates.parser import ExpressionParser
from sgtm.templates.syntax import Node


def parse_script(source: str, parameters: list[str], first_line: int = 1) -> tree.Function:
    """The script as the body of a function with these parameters. Raises ScriptSyntaxError."""
    parser = StatementParser(source, first_line)
    try:
        body = tree.Block(0, parser.script())
    except (
        RecursionError
    ):  # each level of operators in each level of parentheses takes some of Python's stack
        parser.refuse("nested too deep", parser.token, "split it into functions")
    return tree.Function(0, "", [tree.Name(0, name) for name in parameters], body, False)


class StatementParser(ExpressionParser):
    """The whole parser."""

    def script(self) -> list[Node]:
        """Everything up to the end."""
        statements: list[Node] = []
        while self.token.kind != "end":
            statements.append(self.statement())
        return statements

    def function_body(self) -> Node:
        """`{…}` of a function."""
        return self.block()

    def block(self) -> tree.Block:
        """`{…}`"""
        token = self.expect("{")
        self.deeper()
        statements: list[Node] = []
        while not self.is_sign("}"):
            if self.token.kind == "end":
                self.refuse("a { without its }", token, "close it")
            statements.append(self.statement())
        self.advance()
        self.shallower()
        return tree.Block(token.at, statements)

    def statement(self) -> Node:
        """One statement."""
        token = self.token
        if token.kind == "sign":
            if token.text == "{":
                return self.block()
            if self.take(";"):
                return tree.Empty(token.at)
        elif token.kind == "name":
            reader = _READERS.get(token.text)
            if reader:
                self.deeper()
                node = reader(self)
                self.shallower()
                return node
        value = self.expression()
        if isinstance(value, tree.Name) and self.is_sign(":"):
            self.refuse("labels are not in the dialect", token, "put the loop into a function and return")
        self.end_statement()
        return value

    def end_statement(self) -> None:
        """`;`, or where one may be left out."""
        if self.take(";") or self.is_sign("}") or self.token.kind == "end" or self.token.after_newline:
            return
        if self.is_sign("=>"):
            self.refuse("an arrow function without its parameters", self.token)
        self.refuse(f"{self.token.text[:40]} where the statement should end", self.token, "put a ; before it")

    def declaration(self, is_head: bool = False) -> tree.Declaration:
        """`const a = 1, b = 2`, with its end unless it is the head of a loop."""
        token = self.advance()
        names: list[tree.Name] = []
        values: list[Node | None] = []
        while True:
            names.append(self.name())
            values.append(self.assignment() if self.take("=") else None)
            if token.text == "const" and values[-1] is None and not is_head:
                self.refuse("a const without a value", names[-1], "use let, or give it one")
            if not self.take(","):
                break
        if not is_head:
            self.end_statement()
        return tree.Declaration(token.at, token.text, names, values)

    def declared_function(self) -> Node:
        """`function name() {…}` as a statement."""
        function = self.function()
        if not function.name:
            self.refuse("a function without a name", function, "name it, or assign it")
        function.is_declaration = True
        return function

    def condition(self) -> Node:
        """`(…)`"""
        self.expect("(")
        value = self.expression()
        self.expect(")")
        return value

    def if_statement(self) -> Node:
        """`if … else if … else …`"""
        at = self.advance().at
        cases = [(self.condition(), self.statement())]
        while self.is_word("else"):
            self.advance()
            if not self.is_word("if"):
                return tree.If(at, cases, self.statement())
            self.advance()
            cases.append((self.condition(), self.statement()))
        return tree.If(at, cases, None)

    def while_statement(self) -> Node:
        """`while (a) b`"""
        at = self.advance().at
        test = self.condition()
        return tree.For(at, None, test, None, self.statement())

    def do_statement(self) -> Node:
        """`do a while (b)`"""
        at = self.advance().at
        body = self.statement()
        if not self.is_word("while"):
            self.refuse("do without its while", self.token)
        self.advance()
        test = self.condition()
        self.take(";")
        return tree.For(at, None, test, None, body, True)

    def for_statement(self) -> Node:
        """`for (;;)`, `for (a of b)`, `for (a in b)`"""
        at = self.advance().at
        self.expect("(")
        each = self._for_each(at)
        if each is not None:
            return each
        first: Node | None = None
        if self.is_word("const", "let", "var"):
            first = self.declaration(is_head=True)
        elif not self.is_sign(";"):
            first = self.expression()
        self.expect(";")
        test = None if self.is_sign(";") else self.expression()
        self.expect(";")
        step = None if self.is_sign(")") else self.expression()
        self.expect(")")
        return tree.For(at, first, test, step, self.statement())

    def _for_each(self, at: int) -> Node | None:
        start = self._index
        kind = self.advance().text if self.is_word("const", "let", "var") else ""
        if self.is_sign("[", "{") and kind:
            self.name()
        following = self._tokens[min(self._index + 1, len(self._tokens) - 1)]
        if self.token.kind != "name" or following.text not in ("of", "in") or following.kind != "name":
            self._index = start
            return None
        target = self.name()
        is_of = self.advance().text == "of"
        values = self.assignment() if is_of else self.expression()
        self.expect(")")
        return tree.ForEach(at, kind, target, values, self.statement(), is_of)

    def return_statement(self) -> Node:
        """`return a`"""
        at = self.advance().at
        is_bare = self.is_sign(";", "}") or self.token.kind == "end" or self.token.after_newline
        value = None if is_bare else self.expression()
        self.end_statement()
        return tree.Return(at, value)

    def leave_statement(self) -> Node:
        """`break`, `continue`"""
        token = self.advance()
        if self.token.kind == "name" and not self.token.after_newline:
            self.refuse(
                "labels are not in the dialect", self.token, "put the loop into a function and return"
            )
        self.end_statement()
        return tree.Leave(token.at, token.text == "continue")

    def switch_statement(self) -> Node:
        """`switch (a) { case b: … }`"""
        at = self.advance().at
        value = self.condition()
        self.expect("{")
        cases: list[tuple[Node | None, list[Node]]] = []
        while not self.take("}"):
            token = self.token
            if not self.is_word("case", "default"):
                self.refuse(f"{token.text[:40]} where case or default is expected", token)
            self.advance()
            test = self.expression() if token.text == "case" else None
            if test is None and any(known is None for known, _ in cases):
                self.refuse("a second default", token, "leave one out")
            self.expect(":")
            statements: list[Node] = []
            while not (self.is_word("case", "default") or self.is_sign("}")):
                statements.append(self.statement())
            cases.append((test, statements))
        return tree.Switch(at, value, cases)

    def try_statement(self) -> Node:
        """`try {…} catch (e) {…} finally {…}`"""
        at = self.advance().at
        body = self.block()
        caught: tree.Name | None = None
        handler = last = None
        if self.is_word("catch"):
            self.advance()
            if self.take("("):
                caught = self.name()
                self.expect(")")
            handler = self.block()
        if self.is_word("finally"):
            self.advance()
            last = self.block()
        if handler is None and last is None:
            self.refuse("try without catch or finally", self.token, "add catch (e) {}")
        return tree.Try(at, body, caught, handler, last)


_READERS = {
    "if": StatementParser.if_statement,
    "for": StatementParser.for_statement,
    "while": StatementParser.while_statement,
    "do": StatementParser.do_statement,
    "return": StatementParser.return_statement,
    "break": StatementParser.leave_statement,
    "continue": StatementParser.leave_statement,
    "switch": StatementParser.switch_statement,
    "try": StatementParser.try_statement,
    "function": StatementParser.declared_function,
    **dict.fromkeys(("const", "let", "var"), StatementParser.declaration),
}
