"""Event data -> the fields of a vendor's object, by a table that the vendor's Python file declares.

    PRODUCT = Mapping(
        Field("id", PLAIN_TEXT, "item_id"),
        Field("quantity", NUMBER, "quantity", default=1),
        Field("fn", VALUES, "x-fb-ud-fn", "user_data.address[].first_name"),
    )
    PRODUCT.read({"item_id": "SKU_1"})  # {"id": "SKU_1", "quantity": 1}

A table is made once; reading changes nothing in the event data. No event data make it raise.
"""

from typing import Any, Final, final

AS_IS: Final[int]
"""Conversion: the value itself; only None is missing."""
TEXT: Final[int]
"""A text, or a number or boolean as JavaScript writes it. Missing: everything else, and the texts that mean
nothing, with any whitespace around: "", `undefined`, `null`, `(not set)`. As `Event.text`."""
PLAIN_TEXT: Final[int]
"""The same without booleans, numbers below 1e21 only. As `plain_text` of sgtm/identifiers.py."""
NUMBER: Final[int]
"""A number, also out of an ASCII text (`" 9.99 "`), as `to_number` of sgtm/event.py; but none of 1e300 or
more, which no price or time can be."""
VALUES: Final[int]
"""A list of those values (the one, or the members of a list) that have a PLAIN_TEXT, as they are."""

@final
class Field:
    """One row: a field's name, how its value is read, and where it stands, the preferred place first.

    A key path names a key of the event data (`page_location`), of a dict in them (`user_data.email`), or of
    one dict or a list of dicts (`user_data.address[].city`, for VALUES: a list of what each has; lists in it
    have no text). A place without a value, or with one of which the conversion leaves nothing, counts as
    missing; where all are, the field has `default`, and where that is None, it is left out."""

    name: str
    key_paths: tuple[str, ...]
    default: Any

    def __init__(self, name: str, conversion: int, *key_paths: str, default: Any = None) -> None:
        """Raises ValueError for a conversion that there is not."""

@final
class Mapping:
    """The rows of one object. A Field belongs to one Mapping."""

    fields: tuple[Field, ...]

    def __init__(self, *fields: Field) -> None: ...
    def read(self, data: dict[str, Any]) -> dict[str, Any]:
        """The fields that these event data (or a part, such as one item) give, in the table's order."""

def convert(value: Any, conversion: int) -> Any:
    """One value; None where nothing of it is left."""
