"""Lookup Table: another value for each value of the input.

The input is compared as text, exactly: the number 1 and the text `1` are the same key, `true` and true
too, and what is missing looks for a row with the key `undefined`. A row's value keeps its type and may
be a variable, which is read only when its row is chosen.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event
from sgtm.javascript import text_of
from sgtm.variables._defaults import Default
from sgtm.variables._once import Once


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One key and what it stands for. A row without one of the two is skipped."""

    key: Annotated[str | int | float | bool | None, Meta(description="What the input is compared with.")] = (
        None
    )
    value: Annotated[Any, Meta(description="The variable's value for this key.")] = UNSET


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked up in which rows."""

    input: Annotated[Any, Meta(description="What is looked up, as text.", examples=["{{Event Name}}"])] = (
        UNSET
    )
    rows: Annotated[
        tuple[Row, ...],
        Meta(description="Keys and values; of two rows with the same key the last one counts."),
    ] = ()
    default: Default = UNSET


@variable("lookup_table", aliases=("smm",), deferred=("rows", "default"))
def resolve(event: Event, parameters: Parameters) -> Any:
    """The value of the row whose key is the input.

    SPEC: google-runtime 3 (smm); sandbox-api 5.5, 5.10.3.8, 5.10.4 (A6)."""
    rows = _rows_by_key(parameters.rows)
    row = rows.get(text_of(parameters.input))
    return parameters.default if row is None else row.value


def _by_key(rows: tuple[Row, ...]) -> dict[str, Row]:
    return {text_of(row.key): row for row in rows if row.key is not None and row.value is not UNSET}


_rows_by_key = Once(_by_key)
