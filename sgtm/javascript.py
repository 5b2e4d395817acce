"""Values as JavaScript reads them: String() and Number().

Google's conditions and tables compare texts and numbers that JavaScript made of values, so ours are
made the same way (SPEC: google-runtime 2.1). What stands inside a longer text is another matter:
see `container/references.py`.
"""

import math
import re
from typing import Any

from sgtm.event import number_text, undefined

_SPACE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITY = re.compile(r"([+-]?)Infinity")
_BASES = {"0x": 16, "0o": 8, "0b": 2}


def text_of(value: Any) -> str:
    """String(value): undefined is `undefined`, null `null`, a list its members with commas between
    them (undefined and null among them are nothing), an object `[object Object]`.

    Whole numbers keep all their digits, also those that a double of JavaScript would round: they are
    ids. Raises RecursionError for what is nested too deeply.
    """
    if isinstance(value, str):
        return value
    if value is undefined:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, (list, tuple)):
        return ",".join(
            ["" if member is undefined or member is None else text_of(member) for member in value]
        )
    return "[object Object]"


def number_of(value: Any) -> int | float:
    """Number(value): NaN for undefined, objects and texts that are no number; 0 for null, false and
    texts without anything in them; a list counts as its text."""
    if isinstance(value, bool) or value is None:
        return 1 if value else 0
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (list, tuple)):
        value = text_of(value)
    if not isinstance(value, str):
        return math.nan
    return _number_of_text(value.strip(_SPACE))


def _number_of_text(text: str) -> int | float:
    if not text:
        return 0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if infinity := _INFINITY.fullmatch(text):
        return -math.inf if infinity[1] == "-" else math.inf
    base = _BASES.get(text[:2].lower())
    if base is None or not text[2:].isascii() or not text[2:].isalnum():  # Python also takes 1_0 and +1
        return math.nan
    try:
        return float(int(text[2:], base))
    except ValueError:
        return math.nan
    except OverflowError:
        return math.inf
