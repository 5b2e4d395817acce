"""Plain twin of sgtm/_fast/identifiers.pyx: slow on purpose, written for reading.

The oracle of the differential tests and the baseline of benchmarks/hash.py. Not shipped.
"""

import base64
import hashlib
import re
import string
import unicodedata

from sgtm.identifiers import plain_text

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


# -- the rules themselves ----------------------------------------------------------------------


class Rule:
    def __init__(self, normalise, *, allows_md5=True, begins_with_year=False):
        self.normalise = normalise
        self.allows_md5 = allows_md5
        self.begins_with_year = begins_with_year


class Cleaned:
    def __init__(self, drop, length=0):
        self.drop, self.length = drop, length

    def __call__(self, text):
        cleaned = clean(text, self.drop)
        return cleaned[: self.length] if self.length else cleaned


def email(text: str) -> str | None:
    found = clean(text, 0)
    return found if is_email(found) else None


def email_without_dots(text: str) -> str | None:
    local, _, domain = clean(text, 0).partition("@")
    found = f"{local.replace('.', '') if domain in ('gmail.com', 'googlemail.com') else local}@{domain}"
    return found if is_email(found) else None


def phone_digits(text: str) -> str | None:
    number = digits(text).lstrip("0")
    return number if 7 <= len(number) <= 15 else None


def phone_e164(text: str) -> str | None:
    number = digits(text)
    bare = clean(text, SPACE).translate(str.maketrans("", "", "-()/.+"))
    return f"+{number}" if len(number) == len(bare) and 10 <= len(number) <= 15 else None


def normalise(rule, value, year):
    prepared = _prepared(rule, value, year)
    return prepared[0] if prepared else None


def hash_value(rule, value, year):
    prepared = _prepared(rule, value, year)
    if prepared is None:
        return None
    text, is_digest = prepared
    return text if is_digest else sha256_hex(text)


def hash_fields(rules, found, year):
    hashed = {field: _digests(rules[field], values, year) for field, values in found.items()}
    return {field: digests for field, digests in hashed.items() if digests}


def hash_first(holder, rule, names, year=9999):
    sources = (_digests(rule, holder[name], year) for name in names if holder.get(name) is not None)
    return next(filter(None, sources), [])


def web_safe_base64(digest: str) -> str:
    if not set(digest) <= set("0123456789abcdef"):
        raise ValueError("no lower-case hex digit")
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _digests(rule, values, year):
    several = values[:50] if isinstance(values, (list, tuple)) else [values]
    digests = [hash_value(rule, value, year) for value in several]
    return list(dict.fromkeys(digest for digest in digests if digest is not None))


def _prepared(rule, value, year):
    text = plain_text(value)
    if text is None:
        return None
    digest = as_digest(text, rule.allows_md5)
    if digest:
        return digest, True
    normal = rule.normalise(text)
    if not normal or (rule.begins_with_year and not 1900 <= int(normal[:4]) <= year):
        return None
    return normal, False
