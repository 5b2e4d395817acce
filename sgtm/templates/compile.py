"""Syntax tree -> nodes that run (`sgtm/_fast/sandbox_nodes.pyx` and what is named there).

Where variables live. One that no inner function uses has a slot of its call. The others have a place in a
scope, which closures keep: a function has one for all of them, and so has each block of a loop, made anew for
each turn. A closure finds a variable so many scopes further out.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import UNSET

from sgtm._fast import sandbox_members, sandbox_statements
from sgtm._fast.sandbox_closures import Code
from sgtm._fast.sandbox_nodes import Node, make_node
from sgtm.templates import syntax as tree
from sgtm.templates.scope import children
from sgtm.templates.syntax import Function, Variable

__all__ = ["compile_function", "sandbox_members", "sandbox_statements", "words_of"]

Scope = list[Variable]
"""Variables that inner functions use, in the order of their places; the first place is 1."""


def compile_function(function: Function, base: int = 0) -> Code:
    """The code of a function whose names are resolved. `base` is added to all offsets, so that those of
    two scripts of one run differ."""
    return _Compiler(function, base, []).code()


class _Compiler:
    """Compiles one function; inner ones have a compiler of their own."""

    def __init__(self, function: Function, base: int, scopes: list[Scope]) -> None:
        """`scopes`: those around the function, from the outermost."""
        self._function, self._base = function, base
        self._height = self._highest = 0
        self._looped = _looped(function)
        """Variables that each turn of a loop has anew."""
        self._scope = [one for one in function.variables if one.is_captured and one not in self._looped]
        self._scopes = [*scopes, self._scope] if self._scope else scopes
        """Those in effect at the node that is compiled."""
        places = [one for one in function.variables if one.kind == "parameter" or not one.is_captured]
        self._slots = {variable: slot for slot, variable in enumerate(places)}

    def code(self) -> Code:
        """The function, compiled."""
        function = self._function
        body = self._node(function.body)
        code = Code(
            name=function.name,
            parameters=len(function.parameters),
            slots=len(self._slots),
            size=len(self._scope),
            moved=[
                (self._slots[variable], place)
                for place, variable in enumerate(self._scope, 1)
                if variable.kind == "parameter"
            ],
            uses_arguments=function.uses_arguments,
            nesting=self._highest + 1,
        )
        code.finish(body, function.is_expression)
        return code

    def _node(self, node: tree.Node) -> Node:
        self._height += 1
        self._highest = max(self._highest, self._height)
        made = _COMPILERS[type(node)](self, node)
        self._height -= 1
        return made

    def _maybe(self, node: tree.Node | None) -> Node | None:
        return None if node is None else self._node(node)

    def _nodes(self, nodes: list[tree.Node]) -> list[Node]:
        return [self._node(node) for node in nodes]

    def _made(self, kind: str, at: int, *parts: Any) -> Node:
        return make_node(kind, self._base + at, *parts)

    # -- expressions --

    def literal(self, node: tree.Literal) -> Node:
        return self._made("Literal", node.at, node.value)

    def name(self, node: tree.Name) -> Node:
        if node.variable is not None:
            return self._reference(node.variable, node.at)
        if node.name == "arguments":
            return self._made("Arguments", node.at)
        return self._made("Undeclared", node.at, node.name)

    def _reference(self, variable: Variable, at: int) -> Node:
        if not variable.is_captured:
            return self._made("Local", at, self._slots[variable])
        level, scope = next(
            (level, scope) for level, scope in enumerate(reversed(self._scopes)) if variable in scope
        )
        return self._made("Scoped", at, level, scope.index(variable) + 1)

    def _target(self, node: tree.Node) -> Node:
        made = self._node(node)
        is_const = isinstance(node, tree.Name) and node.variable is not None and node.variable.kind == "const"
        return self._made("Constant", node.at, made) if is_const else made

    def list_literal(self, node: tree.ListLiteral) -> Node:
        return self._made("ListOf", node.at, self._nodes(node.parts))

    def object_literal(self, node: tree.ObjectLiteral) -> Node:
        return self._made("ObjectOf", node.at, node.keys, self._nodes(node.parts))

    def unary(self, node: tree.Unary) -> Node:
        value = node.value
        if node.operator == "-" and isinstance(value, tree.Literal) and _is_number(value.value):
            return self._made("Literal", node.at, -value.value if value.value else -0.0)
        if node.operator == "!":
            return self._made("Not", node.at, self._node(value))
        return self._made("Unary", node.at, node.operator, self._node(value))

    def update(self, node: tree.Update) -> Node:
        return self._changed(node, node.operator, node.target, None, node.is_postfix)

    def _changed(
        self, node: tree.Node, operator: str, target: tree.Node, value: Node | None, is_postfix: bool
    ) -> Node:
        if isinstance(target, tree.Member):
            owner, key = self._node(target.owner), self._node(target.key)
            return self._made("ChangeMember", node.at, owner, key, operator, value, is_postfix)
        return self._made("Change", node.at, self._target(target), operator, value, is_postfix)

    def binary(self, node: tree.Binary) -> Node:
        left, right = node.left, node.right
        if node.operator not in ("===", "!=="):
            return self._made("Binary", node.at, node.operator, self._node(left), self._node(right))
        is_not = node.operator == "!=="
        if isinstance(left, tree.Literal):
            left, right = right, left
        if not isinstance(right, tree.Literal):
            return self._made("Same", node.at, is_not, self._node(left), self._node(right))
        if isinstance(left, tree.Unary) and left.operator == "typeof" and isinstance(right.value, str):
            return self._made("TypeIs", node.at, is_not, self._node(left.value), right.value)
        return self._made("SameAs", node.at, is_not, self._node(left), right.value)

    def chain(self, node: tree.Chain) -> Node:
        parts = self._nodes(node.parts)
        if len(parts) == 1:
            return parts[0]
        if node.operator in ("&&", "||"):
            return self._made("Logical", node.at, node.operator == "||", parts)
        return self._made("Sum" if node.operator == "+" else "Sequence", node.at, parts)

    def assign(self, node: tree.Assign) -> Node:
        if node.operator:
            return self._changed(node, node.operator, node.target, self._node(node.value), False)
        if isinstance(node.target, tree.Member):
            owner, key = self._node(node.target.owner), self._node(node.target.key)
            return self._made("SetMember", node.at, owner, key, self._node(node.value))
        return self._made("Assign", node.at, self._target(node.target), self._node(node.value))

    def conditional(self, node: tree.Conditional) -> Node:
        cases = [(self._node(test), self._node(value)) for test, value in node.cases]
        return self._made("Conditional", node.at, cases, self._node(node.otherwise))

    def call(self, node: tree.Call) -> Node:
        parts = self._nodes(node.parts)
        called = node.function
        if isinstance(called, tree.Member):
            owner, key = self._node(called.owner), self._node(called.key)
            return self._made("CallMember", called.at, owner, key, called.name, parts, words_of(called))
        return self._made("Call", node.at, self._node(called), parts, words_of(called))

    def member(self, node: tree.Member) -> Node:
        if node.name is not None:
            return self._made("NamedMember", node.at, self._node(node.owner), node.name)
        return self._made("Member", node.at, self._node(node.owner), self._node(node.key))

    def function(self, node: Function) -> Node:
        if node.is_declaration:  # made when its block is entered
            return self._made("Empty", node.at)
        return self._closure(node)

    def _closure(self, node: Function) -> Node:
        scopes = self._scopes if node.captured else []
        has_own = node.own is not None and node.own.is_captured
        if node.own is not None and has_own:
            scopes = [*scopes, [node.own]]
        code = _Compiler(node, self._base, scopes).code()
        return self._made("FunctionOf", node.at, code, bool(node.captured), has_own)

    @contextmanager
    def _inside(self, scope: list[Variable]) -> Iterator[int]:
        """Compile what is inside a block: the size of its own scope."""
        around = self._scopes
        own = [variable for variable in scope if variable.is_captured and variable in self._looped]
        self._scopes = [*around, own] if own else around
        yield len(own)
        self._scopes = around

    # -- statements --

    def block(self, node: tree.Block) -> Node:
        with self._inside(node.scope) as size:
            functions = self._functions(node.scope, node.statements)
            return self._made("Block", node.at, size, functions, self._nodes(node.statements))

    def _functions(self, scope: list[Variable], statements: list[tree.Node]) -> list[Node]:
        """The functions of a block: they are there from the start."""
        by_name = {variable.name: variable for variable in scope}
        return [
            self._made(
                "Assign",
                statement.at,
                self._reference(by_name[statement.name], statement.at),
                self._closure(statement),
            )
            for statement in statements
            if isinstance(statement, Function) and statement.is_declaration
        ]

    def declaration(self, node: tree.Declaration) -> Node:
        parts = []
        for name, value in zip(node.names, node.values, strict=True):
            if value is None and node.kind == "var":
                continue
            if isinstance(value, Function) and not value.name:
                value.name = name.name  # a function without a name takes that of its variable
            made = self._node(value or tree.Literal(name.at, UNSET))
            parts.append(self._made("Assign", name.at, self._node(name), made))
        return parts[0] if len(parts) == 1 else self._made("Sequence", node.at, parts)

    def if_statement(self, node: tree.If) -> Node:
        cases = [(self._node(test), self._node(body)) for test, body in node.cases]
        return self._made("If", node.at, cases, self._maybe(node.otherwise))

    def for_statement(self, node: tree.For) -> Node:
        with self._inside(node.scope) as size:
            parts = [self._maybe(part) for part in (node.first, node.test, node.step)]
            return self._made("For", node.at, *parts, self._node(node.body), size, node.body_first)

    def for_each(self, node: tree.ForEach) -> Node:
        with self._inside(node.scope) as size:
            target = self._node(node.target) if node.kind else self._target(node.target)
            values, body = self._node(node.values), self._node(node.body)
            return self._made("ForEach", node.at, target, values, body, size, node.is_of)

    def return_statement(self, node: tree.Return) -> Node:
        return self._made("Return", node.at, self._maybe(node.value))

    def leave(self, node: tree.Leave) -> Node:
        return self._made("Leave", node.at, node.is_continue)

    def switch(self, node: tree.Switch) -> Node:
        value = self._node(node.value)
        tests: list[tuple[Node | None, int]] = []
        statements: list[tree.Node] = []
        with self._inside(node.scope) as size:
            for test, own in node.cases:
                tests.append((self._maybe(test), len(statements)))
                statements += own
            functions = self._functions(node.scope, statements)
            return self._made("Switch", node.at, value, tests, self._nodes(statements), size, functions)

    def try_statement(self, node: tree.Try) -> Node:
        body, last = self._node(node.body), self._maybe(node.last)
        with self._inside(node.scope) as size:
            caught, handler = self._maybe(node.caught), self._maybe(node.handler)
        return self._made("Try", node.at, body, caught, size, handler, last)

    def empty(self, node: tree.Empty) -> Node:
        return self._made("Empty", node.at)


def _looped(function: Function) -> set[Variable]:
    """Variables of the blocks of loops that stand in a function itself."""
    found: set[Variable] = set()
    waiting = [(function.body, False)]
    while waiting:
        node, is_looped = waiting.pop()
        if isinstance(node, Function):
            continue
        is_looped = is_looped or isinstance(node, (tree.For, tree.ForEach))
        if is_looped and isinstance(node, (tree.Block, tree.For, tree.ForEach, tree.Switch, tree.Try)):
            found.update(node.scope)
        waiting.extend((child, is_looped) for child in children(node))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def words_of(node: tree.Node) -> str:
    """What is called, as an error names it: `data.gtmOnSuccess`."""
    if isinstance(node, tree.Name):
        return node.name
    if isinstance(node, tree.Member):
        return (
            f"{words_of(node.owner)}.{node.name}" if node.name is not None else f"{words_of(node.owner)}[…]"
        )
    return "(…)"


_COMPILERS: dict[type[tree.Node], Callable[[Any, Any], Node]] = {
    tree.Literal: _Compiler.literal,
    tree.Name: _Compiler.name,
    tree.ListLiteral: _Compiler.list_literal,
    tree.ObjectLiteral: _Compiler.object_literal,
    tree.Unary: _Compiler.unary,
    tree.Update: _Compiler.update,
    tree.Binary: _Compiler.binary,
    tree.Chain: _Compiler.chain,
    tree.Assign: _Compiler.assign,
    tree.Conditional: _Compiler.conditional,
    tree.Call: _Compiler.call,
    tree.Member: _Compiler.member,
    Function: _Compiler.function,
    tree.Block: _Compiler.block,
    tree.Declaration: _Compiler.declaration,
    tree.If: _Compiler.if_statement,
    tree.For: _Compiler.for_statement,
    tree.ForEach: _Compiler.for_each,
    tree.Return: _Compiler.return_statement,
    tree.Leave: _Compiler.leave,
    tree.Switch: _Compiler.switch,
    tree.Try: _Compiler.try_statement,
    tree.Empty: _Compiler.empty,
}
