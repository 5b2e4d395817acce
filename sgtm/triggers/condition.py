"""Conditions: one value of the event compared with another, as Google's triggers compare.

All conditions of a trigger must hold (AND); several triggers of a tag are alternatives (OR); a
blocking trigger wins over both. How each operator reads its two sides stands in `operators.py`.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Comparison = Literal[
    "equals",
    "contains",
    "starts_with",
    "ends_with",
    "in_comma_list",
    "matches_regex",
    "greater",
    "greater_or_equals",
    "less",
    "less_or_equals",
]
"""Operators that compare texts or numbers."""
Operator = Literal[Comparison, "url_matches", "css_selector"]
"""Google's operators (SPEC: google-runtime 2.1; sandbox-api 5.4)."""


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """One comparison: `{value: "{{Page Path}}", operator: starts_with, compare_with: /checkout}`."""

    value: Annotated[str, Meta(description="What is looked at: `{{Variable}}`, or a text around some.")]
    operator: Annotated[Operator, Meta(description="How the two sides are compared.")]
    compare_with: Annotated[
        Any,
        Meta(
            description="What it is compared with: a text, a number, or with `{{Variable}}` in it; a list: "
            "any of them."
        ),
    ] = ""
    negate: Annotated[bool, Meta(description="Holds where the comparison does not.")] = False
    ignore_case: Annotated[bool, Meta(description="For `matches_regex`: capitals count as small ones.")] = (
        False
    )
