"""User data: SHA-256, the loops that every vendor's rules share, and whole persons in one call.

Which rule asks for what stands in `sgtm/identifiers.py`. SPEC: meta-capi 4.2, 4.3; vendor-tags 1.2.
"Whitespace" is Python's (`str.isspace`) and U+FEFF, which browsers count too. Nothing here raises
for any text but `sha256_hex` for one with lone surrogates; `clean` never gives such a text.
"""

from collections.abc import Callable
from typing import Any, Final, final

SPACE: Final[int]
"""Class of characters for `clean`: whitespace, of any script."""
PUNCTUATION: Final[int]
"""ASCII punctuation and symbols only; a typographic apostrophe is not among them."""
DIGITS: Final[int]
"""Decimal digits of any script."""
OTHER: Final[int]
"""Control characters, and what is neither ASCII nor letter, mark, number or whitespace."""

def sha256_hex(value: bytes | str) -> str:
    """SHA-256 of bytes, or of a text's UTF-8, as 64 lower-case hex digits.

    Raises TypeError for other types and UnicodeEncodeError (a ValueError) for lone surrogates."""

def sha256_hex_many(values: list[bytes | str]) -> list[str]:
    """`sha256_hex` of each, in one call."""

def variants() -> tuple[str, ...]:
    """SHA-256 implementations that this machine can run, the slowest first: `portable` everywhere,
    `sha_ni` on x86-64 with SHA, SSE4.1 and SSSE3 (asked of the processor when first imported)."""

def variant() -> str:
    """The one in use: the last of `variants()` unless `set_variant` said otherwise."""

def set_variant(name: str) -> None:
    """Use this implementation from now on, in the whole process; for tests and benchmarks.

    Raises ValueError for one that is not in `variants()`."""

def clean(text: str, drop: int) -> str:
    """`text` without whitespace around it, in lower case, without the characters of the classes that
    `drop` adds up (0..15; 0: nothing more is dropped) and without lone surrogates.

    Raises OverflowError for a `drop` outside 0..255."""

def digits(text: str) -> str:
    """The decimal digits of `text` (any script) as ASCII, everything else dropped."""

def as_digest(text: str, allow_md5: bool) -> str | None:
    """`text` without whitespace around it, in lower case, if it is 64 hex digits (or 32, where
    `allow_md5`), so already a digest; else None. SPEC: meta-capi 4.2."""

def is_email(text: str) -> bool:
    """Whether `text` has the shape `x@y.z`: one `@` with something before it, a dot inside what
    follows, no whitespace. SPEC: meta-capi 4.3."""

# -- rules, and the values of a person ---------------------------------------------------------

@final
class Rule:
    """How one vendor wants one field to look before it is hashed."""

    normalise: Callable[[str], str | None]
    """Gets a text that is not empty; what it returns (None or "": drop) is hashed."""
    allows_md5: bool
    """32 hex digits count as a digest. Not for ids: a UUID without dashes looks like one (T3)."""
    begins_with_year: bool
    """The result begins with a year, which must be 1900 or later and not in the future."""

    def __init__(
        self,
        normalise: Callable[[str], str | None],
        *,
        allows_md5: bool = True,
        begins_with_year: bool = False,
    ) -> None: ...

@final
class Cleaned:
    """`clean` as a rule: its text without the characters of `drop`; of that the first `length`, if not 0."""

    def __init__(self, drop: int, length: int = 0) -> None: ...
    def __call__(self, text: str) -> str: ...

def email(text: str) -> str | None:
    """Trimmed and in lower case, if that is an e-mail address. SPEC: meta-capi 4.3."""

def email_without_dots(text: str) -> str | None:
    """The same without the dots that Gmail ignores. SPEC: google-runtime 6.8."""

def phone_digits(text: str) -> str | None:
    """Digits with country code, without `+` and leading zeros, 7 to 15; an inner `(0)` stays, as at Meta."""

def phone_e164(text: str) -> str | None:
    """`+` and 10 to 15 digits; between them only what people write there. SPEC: google-runtime 6.8."""

def normalise(rule: Rule, value: Any, year: int) -> str | None:
    """What is hashed of one value, a digest as its own normal form; None where there is nothing to send.

    `value`: text or number, everything else and every name of nothing ("", `undefined`, `null`,
    `(not set)`) is left out. `year`: the latest that a date may have."""

def hash_value(rule: Rule, value: Any, year: int) -> str | None:
    """The digest of `normalise`, or the one that the value is already."""

def hash_fields(rules: dict[str, Rule], found: dict[str, Any], year: int) -> dict[str, list[str]]:
    """Digests of a person: {field: values} in, {field: digests} out, both dicts; each digest once, in
    order, of the first 50 values. Fields of which nothing is left are left out.

    Raises KeyError for a field without a rule."""

def hash_first(holder: dict[str, Any], rule: Rule, names: tuple[str, ...], year: int = 9999) -> list[str]:
    """Digests of the first of these `names` of a dict that gives any; a list is many values, at most 50."""

def web_safe_base64(digest: str) -> str:
    """A digest of lower-case hex digits as base64url without padding. Raises ValueError for other text."""
