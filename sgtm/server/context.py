"""What is kept of browsers, as it is asked for: shown by key, and erased.

A view holds names, times and consent. Values are in it only where somebody has asked for just that.
"""

from typing import Any

from msgspec import Struct

from sgtm.delivery.context import ContextStore
from sgtm.delivery.context.keys import key_of
from sgtm.delivery.context.rows import Row, live_values
from sgtm.delivery.context.rules import CLIENT_ID, ContextRules


class ContextAsked(Struct):
    """One key, as `order` and `T-1001`."""

    name: str
    value: str
    erases: bool = False
    reveal: bool = False


class KeptView(Struct):
    """One value."""

    name: str
    at_micros: int
    value: Any = None
    """Where it was asked for."""


class ContextView(Struct):
    """What stands under the key, or what was erased."""

    problem: str = ""
    """Why there is no answer."""
    is_known: bool = False
    at_micros: int = 0
    until_micros: int = 0
    consent: dict[str, bool] = {}
    values: list[KeptView] = []
    beside: int = 0
    """Other keys of the same hits: they are erased with it."""
    rows: int = 0
    """Erased,"""
    halves: int = 0
    """and data of events that waited for their counterpart."""


def problem_with(asked: ContextAsked, rules: ContextRules | None) -> str:
    """Why nothing can stand under this key, or ""."""
    if rules is None:
        return "the container says nothing of `context:`, so nothing is kept"
    if asked.name not in (*rules.keys, CLIENT_ID):
        return f"there is no such key; there are: {', '.join((*rules.keys, CLIENT_ID))}"
    return "" if key_of(asked.name, asked.value) is not None else "the value is too long to be a key"


def view_of(row: Row | None, rules: ContextRules, now: int, *, reveal: bool) -> ContextView:
    """What is shown of a row."""
    if row is None:
        return ContextView()
    live = live_values(row, now, rules.ttl_micros)
    return ContextView(
        is_known=True,
        at_micros=row.at,
        until_micros=row.until,
        consent=row.consent,
        values=[
            KeptView(name, kept.at, kept.value if reveal else None)
            for name, kept in row.values.items()
            if name in live
        ],
        beside=len(row.beside),
    )


async def answer(
    store: ContextStore, rules: ContextRules | None, asked: ContextAsked, now: int
) -> ContextView:
    """Show or erase. Raises ContextUnavailable."""
    problem = problem_with(asked, rules)
    key = key_of(asked.name, asked.value)
    if problem or rules is None or key is None:
        return ContextView(problem=problem)
    if asked.erases:
        erased = await store.erase([key], rules)
        return ContextView(rows=erased.rows, halves=erased.halves)
    found = await store.find([key])
    return view_of(found[1] if found is not None else None, rules, now, reveal=asked.reveal)
