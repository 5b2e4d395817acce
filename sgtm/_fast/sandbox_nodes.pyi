"""Expressions of a script, as nodes, and what makes every node."""

from typing import Any

from typing_extensions import disjoint_base

__all__ = ["Node", "make_node"]

@disjoint_base
class Node:
    """Part of a compiled script."""

def make_node(kind: str, at: int, *parts: Any) -> Node:
    """A node; `at` is its offset in the source. What the parts are stands at each class of the .pyx; the
    modules must be imported whose kinds are asked for.

    sandbox_nodes: Literal(value) Local(slot) Scoped(level, place) Arguments() Undeclared(name)
    Constant(variable) Assign(target, value) Change(target, operator, value | None, is_postfix)
    ChangeMember(owner, key, operator, value | None, is_postfix) Sum(parts) Binary(operator, left, right)
    Same(is_not, left, right) SameAs(is_not, left, literal) TypeIs(is_not, value, name) Logical(is_or, parts)
    Not(value) Unary(operator, value) Conditional(cases, otherwise) Sequence(parts)

    sandbox_members: ListOf(parts) ObjectOf(keys, parts) Member(owner, key) NamedMember(owner, name)
    SetMember(owner, key, value) Call(function, parts, words) CallMember(owner, key, name, parts, words)

    sandbox_closures: FunctionOf(code, uses_scope, has_own)

    sandbox_statements: Block(size, functions, statements) If(cases, otherwise) Return(value | None)
    Leave(is_continue) Empty() For(first, test, step, body, size, body_first)
    ForEach(target, values, body, size, is_of) Switch(value, tests, statements, size, functions)
    Try(body, caught, size, handler, last)
    """
