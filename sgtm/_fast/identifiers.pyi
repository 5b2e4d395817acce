"""User data: SHA-256, and the loops that every vendor's rules share.

Which rule asks for what stands in `sgtm/identifiers.py`. SPEC: meta-capi 4.2, 4.3; vendor-tags 1.2.
"Whitespace" is Python's (`str.isspace`) and U+FEFF, which browsers count too. Nothing here raises
for any text but `sha256_hex` for one with lone surrogates; `clean` never gives such a text.
"""

from typing import Final

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
