"""Expressions of a script, as nodes."""

from typing import Any

from typing_extensions import disjoint_base

__all__ = ["Node", "make_expression"]

@disjoint_base
class Node:
    """Part of a compiled script."""

def make_expression(kind: str, at: int, *parts: Any) -> Node:
    """A node; `at` is its offset in the source. What the parts are stands at each class of the .pyx:

    Literal(value) Local(slot) LocalCell(slot) Outer(index) Arguments() Undeclared(name) Constant(variable)
    Assign(target, value) Change(target, operator, value | None, is_postfix)
    ChangeMember(owner, key, operator, value | None, is_postfix) Sum(parts) Binary(operator, left, right)
    Logical(is_or, parts) Unary(operator, value) Conditional(cases, otherwise) Sequence(parts)
    ListOf(parts) ObjectOf(keys, parts) Member(owner, key) NamedMember(owner, name)
    SetMember(owner, key, value) Call(function, parts, words) CallMember(owner, key, name, parts, words)
    """
