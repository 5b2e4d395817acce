"""Syntax trees of the sandbox dialect (SPEC: google-runtime 5.1). `at` is the offset in the source."""

from typing import Any

from msgspec import Struct

from sgtm.errors import SgtmError


class ScriptSyntaxError(SgtmError):
    """Code outside the dialect: line, column, construct, and what to write instead."""

    def __init__(self, what: str, *, source: str, at: int, mend: str = "", first_line: int = 1) -> None:
        self.line, self.column = place_of(source, at, first_line)
        super().__init__(what, where=f"line {self.line}, column {self.column}", mend=mend)


def place_of(source: str, at: int, first_line: int = 1) -> tuple[int, int]:
    """Line and column of an offset; both count from 1. `first_line`: that of the source in its file."""
    at = min(at, len(source))
    return source.count("\n", 0, at) + first_line, at - source.rfind("\n", 0, at)


class Node(Struct, eq=False):
    """Something at a place in the source."""

    at: int


class Variable(Struct, eq=False):
    """A declared name, once it is known who uses it."""

    name: str
    kind: str
    """var, let, const, function, parameter."""
    function: "Function"
    is_captured: bool = False
    """An inner function uses it too."""


class Literal(Node):
    """A text, number, boolean, null or undefined."""

    value: Any


class Name(Node):
    """A variable; `variable` is None for a name that is declared nowhere."""

    name: str
    variable: Variable | None = None
    function: "Function | None" = None
    """The function in which it stands."""


class ListLiteral(Node):
    """`[a, b]`"""

    parts: list[Node]


class ObjectLiteral(Node):
    """`{a: b}`"""

    keys: list[str]
    parts: list[Node]


class Unary(Node):
    """`!a`, `-a`, `+a`, `~a`, `typeof a`"""

    operator: str
    value: Node


class Update(Node):
    """`++a`, `a--`"""

    operator: str
    target: Node
    is_postfix: bool


class Binary(Node):
    """`a - b`"""

    operator: str
    left: Node
    right: Node


class Chain(Node):
    """`a + b + c`, `a && b`, `a || b`, `a, b`: from left to right."""

    operator: str
    parts: list[Node]


class Assign(Node):
    """`a = b`, `a += b`"""

    operator: str
    target: Node
    value: Node


class Conditional(Node):
    """`a ? b : c ? d : e`"""

    cases: list[tuple[Node, Node]]
    otherwise: Node


class Call(Node):
    """`a(b)`"""

    function: Node
    parts: list[Node]


class Member(Node):
    """`a.b` (name) or `a[b]`"""

    owner: Node
    key: Node
    name: str | None


class Block(Node):
    """Statements with a scope of their own."""

    statements: list[Node]
    scope: list[Variable] = []


class Function(Node, eq=False):
    """A declaration, an expression or an arrow."""

    name: str
    parameters: list[Name]
    body: Node
    is_expression: bool
    """The body is what it returns (`a => b`)."""
    is_declaration: bool = False
    parent: "Function | None" = None
    own: Variable | None = None
    """The variable of its name, for a named function expression."""
    variables: list[Variable] = []
    """Parameters come first."""
    captured: list[Variable] = []
    """Variables of outer functions that it or a function inside uses."""
    uses_arguments: bool = False


class Declaration(Node):
    """`const a = b, c = d`"""

    kind: str
    names: list[Name]
    values: list[Node | None]


class If(Node):
    """`if (a) b else if (c) d else e`"""

    cases: list[tuple[Node, Node]]
    otherwise: Node | None


class For(Node):
    """for, while and do-while (whose body comes first)."""

    first: Node | None
    test: Node | None
    step: Node | None
    body: Node
    body_first: bool = False
    scope: list[Variable] = []


class ForEach(Node):
    """`for (const a of b)`, `for (a in b)`; kind is empty where nothing is declared."""

    kind: str
    target: Node
    values: Node
    body: Node
    is_of: bool
    scope: list[Variable] = []


class Return(Node):
    """`return a`"""

    value: Node | None


class Leave(Node):
    """break and continue"""

    is_continue: bool


class Switch(Node):
    """`switch (a) { case b: …; default: … }`"""

    value: Node
    cases: list[tuple[Node | None, list[Node]]]
    scope: list[Variable] = []


class Try(Node):
    """try, catch, finally"""

    body: Node
    caught: Name | None
    handler: Node | None
    last: Node | None
    scope: list[Variable] = []


class Empty(Node):
    """Nothing."""
