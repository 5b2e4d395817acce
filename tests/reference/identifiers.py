"""Plain twin of sgtm/_fast/identifiers.pyx: slow on purpose, written for reading.

The oracle of the differential tests and the baseline of benchmarks/hash.py. Not shipped.
"""

import hashlib
import re
import string
import unicodedata

SPACE, PUNCTUATION, DIGITS, OTHER = 1, 2, 4, 8


def sha256_hex(value: bytes | str) -> str:
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        raise TypeError(f"bytes or str, not {type(value).__name__}")
    return hashlib.sha256(value).hexdigest()


def sha256_hex_many(values: list[bytes | str]) -> list[str]:
    return [sha256_hex(value) for value in values]


def variants() -> tuple[str, ...]:
    return ("hashlib",)


def variant() -> str:
    return "hashlib"


def set_variant(name: str) -> None:
    if name not in variants():
        raise ValueError(f"there is no SHA-256 variant {name!r}")


def clean(text: str, drop: int) -> str:
    return "".join(
        character
        for character in _trim(text).lower()
        if not _class_of(character) & drop and unicodedata.category(character) != "Cs"
    )


def digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())


def as_digest(text: str, allow_md5: bool) -> str | None:
    trimmed = _trim(text)
    sizes = (32, 64) if allow_md5 else (64,)
    is_digest = len(trimmed) in sizes and set(trimmed) <= set(string.hexdigits)
    return trimmed.lower() if is_digest else None


def is_email(text: str) -> bool:
    return re.fullmatch(r"[^@\s\ufeff]+@[^@\s\ufeff]+\.[^@.\s\ufeff]+", text) is not None


def _is_space(character: str) -> bool:
    return character.isspace() or character == "\ufeff"


def _class_of(character: str) -> int:
    if _is_space(character):
        return SPACE
    if character in string.punctuation:
        return PUNCTUATION
    if character.isdecimal():
        return DIGITS
    is_kept_always = character.isalnum() or unicodedata.category(character).startswith("M")
    return 0 if is_kept_always else OTHER


def _trim(text: str) -> str:
    while text and _is_space(text[0]):
        text = text[1:]
    while text and _is_space(text[-1]):
        text = text[:-1]
    return text
