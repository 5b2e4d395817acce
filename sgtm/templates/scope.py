"""Which declaration each name means.

let, const and functions belong to their block, var and parameters to their function. A name that no
declaration has stays without a variable: it reads as undefined (SPEC: google-runtime 5.3).
"""

from collections.abc import Iterator
from typing import Any

from sgtm.templates import syntax as tree
from sgtm.templates.syntax import Function, Node, ScriptSyntaxError, Variable

MAX_HEIGHT = 180
"""Levels of the syntax tree: bounds what walking through it takes of Python's stack."""


def resolve_names(script: Function, source: str, first_line: int = 1) -> list[tree.Name]:
    """Set `variable` of every name; returns the names that are declared nowhere."""
    resolver = _Resolver(source, first_line)
    resolver.function(script)
    return resolver.unknown


class _Resolver:
    def __init__(self, source: str, first_line: int) -> None:
        self._source, self._first_line = source, first_line
        self._scopes: list[dict[str, Variable]] = []
        self._functions: list[Function] = []
        self._height = 0
        self.unknown: list[tree.Name] = []

    def function(self, node: Function) -> None:
        if node.name and not node.is_declaration:
            node.own = Variable(node.name, "function", self._functions[-1])
            self._scopes.append({node.name: node.own})
        node.parent = self._functions[-1] if self._functions else None
        node.variables, node.captured = [], []
        self._functions.append(node)
        scope: dict[str, Variable] = {}
        self._scopes.append(scope)
        for name in node.parameters:
            self._variable(name.name, "parameter", node)
            scope[name.name] = name.variable = node.variables[-1]
        for name in _vars_of(node.body):
            if name.name not in scope:
                scope[name.name] = self._variable(name.name, "var", node)
        self.visit(node.body)
        self._scopes.pop()
        self._functions.pop()
        if node.own:
            self._scopes.pop()

    def visit(self, node: Node | None) -> None:
        if node is None:
            return
        self._height += 1
        if self._height > MAX_HEIGHT:
            self._refuse(node, f"nested more than {MAX_HEIGHT} deep", "split it into functions")
        if isinstance(node, Function):
            self.function(node)
        elif isinstance(node, tree.Name):
            self._name(node)
        elif isinstance(node, (tree.Block, tree.For, tree.ForEach, tree.Switch, tree.Try)):
            self._scoped(node)
        else:
            for child in children(node):
                self.visit(child)
        self._height -= 1

    def _scoped(self, node: tree.Block | tree.For | tree.ForEach | tree.Switch | tree.Try) -> None:
        scope: dict[str, Variable] = {}
        node.scope = []
        for name, kind in _declared(node):
            if name.name in scope:
                if kind != "function" or scope[name.name].kind != "function":
                    self._refuse(name, f"{name.name} is declared twice", "choose another name")
                continue
            scope[name.name] = self._variable(name.name, kind, self._functions[-1])
            node.scope.append(scope[name.name])
        if isinstance(node, tree.Try):
            self._try(node, scope)
            return
        self._scopes.append(scope)
        for child in children(node):
            self.visit(child)
        self._scopes.pop()

    def _try(self, node: tree.Try, scope: dict[str, Variable]) -> None:
        self.visit(node.body)
        self._scopes.append(scope)
        self.visit(node.caught)
        self.visit(node.handler)
        self._scopes.pop()
        self.visit(node.last)

    def _variable(self, name: str, kind: str, function: Function) -> Variable:
        function.variables.append(Variable(name, kind, function))
        return function.variables[-1]

    def _name(self, node: tree.Name) -> None:
        function = node.function = self._functions[-1]
        node.variable = next(
            (scope[node.name] for scope in reversed(self._scopes) if node.name in scope), None
        )
        if node.variable is None:
            if node.name == "arguments":
                function.uses_arguments = True
            else:
                self.unknown.append(node)
        elif node.variable.function is not function:
            _capture(function, node.variable)

    def _refuse(self, node: Node, what: str, mend: str) -> None:
        raise ScriptSyntaxError(what, source=self._source, at=node.at, mend=mend, first_line=self._first_line)


def _capture(function: Function, variable: Variable) -> None:
    """Every function between the variable's own and this one hands it on."""
    variable.is_captured = True
    inner: Function | None = function
    while inner is not None and inner is not variable.function:
        if not any(known is variable for known in inner.captured):
            inner.captured.append(variable)
        inner = inner.parent


def children(node: Node) -> Iterator[Node]:
    """The nodes right below one, in the order of the source."""
    if not isinstance(node, tree.Name):
        for field in node.__struct_fields__:
            if field not in _LINKS:
                yield from _nodes_in(getattr(node, field))


def walk_tree(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the source."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(children(current))))


_LINKS = frozenset(["scope", "parent", "own", "variables", "captured"])
"""Fields that lead elsewhere, not down."""


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from _nodes_in(member)


def _vars_of(node: Node) -> Iterator[tree.Name]:
    """Names that `var` declares anywhere in a function, but not inside inner functions."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, Function):
            continue
        if isinstance(current, tree.Declaration) and current.kind == "var":
            yield from current.names
        if (
            isinstance(current, tree.ForEach)
            and current.kind == "var"
            and isinstance(current.target, tree.Name)
        ):
            yield current.target
        waiting.extend(children(current))


def _declared(node: Node) -> Iterator[tuple[tree.Name, str]]:
    """What a scope declares by let, const and function."""
    if isinstance(node, tree.For):
        yield from _declared_by([node.first] if node.first else [])
    elif isinstance(node, tree.ForEach):
        if node.kind in ("let", "const") and isinstance(node.target, tree.Name):
            yield node.target, node.kind
    elif isinstance(node, tree.Switch):
        yield from _declared_by([statement for _, statements in node.cases for statement in statements])
    elif isinstance(node, tree.Try):
        if node.caught:
            yield node.caught, "let"
    elif isinstance(node, tree.Block):
        yield from _declared_by(node.statements)


def _declared_by(statements: list[Node]) -> Iterator[tuple[tree.Name, str]]:
    for statement in statements:
        if isinstance(statement, tree.Declaration) and statement.kind != "var":
            yield from ((name, statement.kind) for name in statement.names)
        elif isinstance(statement, Function) and statement.is_declaration:
            yield tree.Name(statement.at, statement.name), "function"
