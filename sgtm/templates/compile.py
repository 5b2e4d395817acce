"""Syntax tree -> nodes that run (`sgtm/_fast/sandbox_nodes.pyx`, `sandbox_statements.pyx`)."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_nodes import Node, make_expression
from sgtm._fast.sandbox_statements import Code, make_statement
from sgtm.templates import syntax as tree
from sgtm.templates.syntax import Function, Variable


def compile_function(function: Function, base: int = 0) -> Code:
    """The code of a function whose names are resolved. `base` is added to all offsets, so that those of
    two scripts of one run differ."""
    return _Compiler(function, base).code()


class _Compiler:
    """Compiles one function; inner ones have a compiler of their own."""

    def __init__(self, function: Function, base: int) -> None:
        self._function, self._base = function, base
        self._height = self._highest = 0

    def code(self) -> Code:
        function = self._function
        body = self._node(function.body)
        parameters = {name.name: name for name in function.parameters}
        code = Code(
            name=function.name,
            parameters=len(function.parameters),
            slots=len(function.variables),
            cells=[
                variable.slot
                for variable in function.variables
                if variable.is_captured and (variable.kind == "var" or variable.name in parameters)
                if variable.kind in ("var", "parameter")
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

    def _expression(self, kind: str, at: int, *parts: Any) -> Node:
        return make_expression(kind, self._base + at, *parts)

    def _statement(self, kind: str, at: int, *parts: Any) -> Node:
        return make_statement(kind, self._base + at, *parts)

    # -- expressions --

    def literal(self, node: tree.Literal) -> Node:
        return self._expression("Literal", node.at, node.value)

    def name(self, node: tree.Name) -> Node:
        if node.variable is not None:
            return self._reference(node.variable, node.at)
        if node.name == "arguments":
            return self._expression("Arguments", node.at)
        return self._expression("Undeclared", node.at, node.name)

    def _reference(self, variable: Variable, at: int) -> Node:
        if variable.function is not self._function:
            place = next(i for i, known in enumerate(self._function.captured) if known is variable)
            return self._expression("Outer", at, place)
        return self._expression("LocalCell" if variable.is_captured else "Local", at, variable.slot)

    def _target(self, node: tree.Node) -> Node:
        made = self._node(node)
        is_const = isinstance(node, tree.Name) and node.variable is not None and node.variable.kind == "const"
        return self._expression("Constant", node.at, made) if is_const else made

    def list_literal(self, node: tree.ListLiteral) -> Node:
        return self._expression("ListOf", node.at, self._nodes(node.parts))

    def object_literal(self, node: tree.ObjectLiteral) -> Node:
        return self._expression("ObjectOf", node.at, node.keys, self._nodes(node.parts))

    def unary(self, node: tree.Unary) -> Node:
        value = node.value
        if node.operator == "-" and isinstance(value, tree.Literal) and _is_number(value.value):
            return self._expression("Literal", node.at, -value.value if value.value else -0.0)
        return self._expression("Unary", node.at, node.operator, self._node(value))

    def update(self, node: tree.Update) -> Node:
        return self._changed(node, node.operator, node.target, None, node.is_postfix)

    def _changed(
        self, node: tree.Node, operator: str, target: tree.Node, value: Node | None, is_postfix: bool
    ) -> Node:
        if isinstance(target, tree.Member):
            owner, key = self._node(target.owner), self._node(target.key)
            return self._expression("ChangeMember", node.at, owner, key, operator, value, is_postfix)
        return self._expression("Change", node.at, self._target(target), operator, value, is_postfix)

    def binary(self, node: tree.Binary) -> Node:
        return self._expression(
            "Binary", node.at, node.operator, self._node(node.left), self._node(node.right)
        )

    def chain(self, node: tree.Chain) -> Node:
        parts = self._nodes(node.parts)
        if len(parts) == 1:
            return parts[0]
        if node.operator in ("&&", "||"):
            return self._expression("Logical", node.at, node.operator == "||", parts)
        return self._expression("Sum" if node.operator == "+" else "Sequence", node.at, parts)

    def assign(self, node: tree.Assign) -> Node:
        if node.operator:
            return self._changed(node, node.operator, node.target, self._node(node.value), False)
        if isinstance(node.target, tree.Member):
            owner, key = self._node(node.target.owner), self._node(node.target.key)
            return self._expression("SetMember", node.at, owner, key, self._node(node.value))
        return self._expression("Assign", node.at, self._target(node.target), self._node(node.value))

    def conditional(self, node: tree.Conditional) -> Node:
        cases = [(self._node(test), self._node(value)) for test, value in node.cases]
        return self._expression("Conditional", node.at, cases, self._node(node.otherwise))

    def call(self, node: tree.Call) -> Node:
        parts = self._nodes(node.parts)
        called = node.function
        if isinstance(called, tree.Member):
            owner, key = self._node(called.owner), self._node(called.key)
            return self._expression("CallMember", called.at, owner, key, called.name, parts, words_of(called))
        return self._expression("Call", node.at, self._node(called), parts, words_of(called))

    def member(self, node: tree.Member) -> Node:
        if node.name is not None:
            return self._expression("NamedMember", node.at, self._node(node.owner), node.name)
        return self._expression("Member", node.at, self._node(node.owner), self._node(node.key))

    def function(self, node: Function) -> Node:
        if node.is_declaration:  # made when its block is entered
            return self._statement("Empty", node.at)
        return self._closure(node)

    def _closure(self, node: Function) -> Node:
        code = compile_function(node, self._base)
        captured = [self._place(variable) for variable in node.captured]
        return self._statement("FunctionOf", node.at, code, captured, node.own.slot if node.own else -1)

    def _place(self, variable: Variable) -> tuple[bool, int]:
        if variable.function is self._function:
            return True, variable.slot
        return False, next(i for i, known in enumerate(self._function.captured) if known is variable)

    # -- statements --

    def block(self, node: tree.Block) -> Node:
        return self._statement(
            "Block", node.at, *self._scope(node.scope, node.statements), self._nodes(node.statements)
        )

    def _scope(self, scope: list[Variable], statements: list[tree.Node]) -> tuple[list[int], list[Node]]:
        """Slots that get a fresh cell on entry, and the functions that are there from the start."""
        by_name = {variable.name: variable for variable in scope}
        functions = [
            self._expression(
                "Assign",
                statement.at,
                self._reference(by_name[statement.name], statement.at),
                self._closure(statement),
            )
            for statement in statements
            if isinstance(statement, Function) and statement.is_declaration
        ]
        return _cells(scope), functions

    def declaration(self, node: tree.Declaration) -> Node:
        parts = []
        for name, value in zip(node.names, node.values, strict=True):
            if value is None and node.kind == "var":
                continue
            made = self._node(value or tree.Literal(name.at, UNSET))
            if isinstance(value, Function) and not value.name and name.variable:
                made = self._named(value, name.name)
            parts.append(self._expression("Assign", name.at, self._node(name), made))
        return parts[0] if len(parts) == 1 else self._expression("Sequence", node.at, parts)

    def _named(self, function: Function, name: str) -> Node:
        """A function without a name takes that of the variable it is declared with."""
        function.name = name
        return self._closure(function)

    def if_statement(self, node: tree.If) -> Node:
        cases = [(self._node(test), self._node(body)) for test, body in node.cases]
        return self._statement("If", node.at, cases, self._maybe(node.otherwise))

    def for_statement(self, node: tree.For) -> Node:
        return self._statement(
            "For",
            node.at,
            self._maybe(node.first),
            self._maybe(node.test),
            self._maybe(node.step),
            self._node(node.body),
            _cells(node.scope),
            node.body_first,
        )

    def for_each(self, node: tree.ForEach) -> Node:
        target = self._node(node.target) if node.kind else self._target(node.target)
        values, body = self._node(node.values), self._node(node.body)
        return self._statement("ForEach", node.at, target, values, body, _cells(node.scope), node.is_of)

    def return_statement(self, node: tree.Return) -> Node:
        return self._statement("Return", node.at, self._maybe(node.value))

    def leave(self, node: tree.Leave) -> Node:
        return self._statement("Leave", node.at, node.is_continue)

    def switch(self, node: tree.Switch) -> Node:
        tests: list[tuple[Node | None, int]] = []
        statements: list[tree.Node] = []
        for test, own in node.cases:
            tests.append((self._maybe(test), len(statements)))
            statements += own
        made = self._nodes(statements)
        return self._statement(
            "Switch", node.at, self._node(node.value), tests, made, *self._scope(node.scope, statements)
        )

    def try_statement(self, node: tree.Try) -> Node:
        caught = self._node(node.caught) if node.caught else None
        handler, last = self._maybe(node.handler), self._maybe(node.last)
        return self._statement(
            "Try", node.at, self._node(node.body), caught, _cells(node.scope), handler, last
        )

    def empty(self, node: tree.Empty) -> Node:
        return self._statement("Empty", node.at)


def _cells(scope: list[Variable]) -> list[int]:
    return [variable.slot for variable in scope if variable.is_captured]


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
