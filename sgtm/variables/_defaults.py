"""What all variables that can find nothing have in common: their default."""

from typing import Annotated, Any

from msgspec import Meta

from sgtm.event import undefined

Default = Annotated[Any, Meta(description="Value where there is none; without it, undefined.")]


def or_default(value: Any, default: Any) -> Any:
    """`value`, or `default` in its place where it is undefined: null and empty texts are values
    (SPEC: sandbox-api 5.10.4, A5)."""
    return default if value is undefined else value
