"""Normalise and hash user data: one table of vendors' rules.

A row is what one vendor wants of one field before it is hashed; a vendor that wants the same as
another takes its function, a new vendor is a new dict in `RULES`. SPEC: meta-capi 4.2 to 4.6 (Meta),
google-runtime 6.8 (Google), vendor-tags 1.2 (all vendors side by side).

What holds for every row: a value that is nothing (`""`, `undefined`, `null`, `(not set)`) is left out
and never hashed (T6); one that is a digest already passes in lower case, so hashing twice is
impossible; one that cannot be what its field says is dropped, never the event.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from itertools import islice
from typing import Any

from msgspec import Struct

from sgtm._fast.identifiers import (
    DIGITS,
    OTHER,
    PUNCTUATION,
    SPACE,
    as_digest,
    clean,
    digits,
    is_email,
    sha256_hex,
    sha256_hex_many,
)
from sgtm.event import number_text, to_number
from sgtm.place_names import COUNTRIES, REGIONS, letters_of

LATEST_YEAR = 9999
MAX_VALUES = 50
"""Of one field of one person; nobody has more, but a body has room for tens of thousands."""
_NOTHING = frozenset({"", "undefined", "null", "(not set)"})


class Rule(Struct, frozen=True):
    """How one vendor wants one field to look before it is hashed."""

    normalise: Callable[[str], str | None]
    """Gets a text that is not empty; what it returns (None or "": drop) is hashed."""
    allows_md5: bool = True
    """32 hex digits count as a digest. Not for ids: a UUID without dashes looks like one (T3)."""
    begins_with_year: bool = False
    """The result begins with a year, which must be 1900 or later and not in the future."""


# -- what callers use --------------------------------------------------------------------------


def hash_user_data(vendor: str, field: str, value: Any, *, year: int = LATEST_YEAR) -> str | None:
    """Digest of one value as `vendor` wants `field`, 64 hex digits (32 where MD5 came in); None: leave
    it out. `value`: text or number, whatever else is left out. `year`: of the event, the latest that a
    date of birth may have. Raises KeyError where the table has no such row."""
    found = _prepare(RULES[vendor][field], value, year)
    if found is None:
        return None
    text, is_digest = found
    return text if is_digest else sha256_hex(text)


def normalise_user_data(vendor: str, field: str, value: Any, *, year: int = LATEST_YEAR) -> str | None:
    """What `hash_user_data` hashes; a digest is its own normal form."""
    found = _prepare(RULES[vendor][field], value, year)
    return found[0] if found else None


def hash_person(
    vendor: str, found: Mapping[str, Iterable[Any]], *, year: int = LATEST_YEAR
) -> dict[str, list[str]]:
    """Digests of all that is known of one person: {field: values} in, {field: digests} out, each
    digest once, in order. Fields of which nothing is left are left out."""
    rules = RULES[vendor]
    prepared = [
        (field, *one)
        for field, values in found.items()
        for value in islice(values, MAX_VALUES)
        if (one := _prepare(rules[field], value, year))
    ]
    digests = iter(sha256_hex_many([text for _, text, is_digest in prepared if not is_digest]))
    hashed: dict[str, list[str]] = {}
    for field, text, is_digest in prepared:
        digest = text if is_digest else next(digests)
        known = hashed.setdefault(field, [])
        if digest not in known:
            known.append(digest)
    return hashed


def with_calling_code(phone: Any, calling_code: str) -> Any:
    """`phone` with the calling code of its country in front, where it was written without one.

    International is what begins with `+` or `00`, and what begins with the code itself and has 11 or
    more digits, as `1 (650) 555-1212`. A national number loses its leading zeros, but in Italy.
    """
    text = plain_text(phone)
    if text is None or as_digest(text, True):
        return phone
    number = digits(text)
    is_international = clean(text, SPACE).startswith(("+", "00")) or (
        number.startswith(calling_code) and len(number) >= _INTERNATIONAL_DIGITS
    )
    if is_international or not number:
        return phone
    return calling_code + (number if calling_code in _KEEPS_ZERO else number.lstrip("0"))


_INTERNATIONAL_DIGITS = 11
_KEEPS_ZERO = frozenset({"39", "378"})


def plain_text(value: Any) -> str | None:
    """A text, or a number as JavaScript writes it; None for nothing and for everything else."""
    if value is None:
        return None
    if not isinstance(value, str):
        number = to_number(value)
        return number_text(number) if number is not None and abs(number) < 1e21 else None
    return None if value.strip() in _NOTHING else value


def _prepare(rule: Rule, value: Any, year: int) -> tuple[str, bool] | None:
    """(text, whether it is a digest already), or None where there is nothing to send."""
    text = plain_text(value)
    if text is None:
        return None
    digest = as_digest(text, rule.allows_md5)
    if digest:
        return digest, True
    normalised = rule.normalise(text)
    if not normalised or (rule.begins_with_year and not 1900 <= int(normalised[:4]) <= year):
        return None
    return normalised, False


# -- the fields, as Meta wants them ------------------------------------------------------------


def _email(text: str) -> str | None:
    email = clean(text, 0)
    return email if is_email(email) else None


def _phone_digits(text: str) -> str | None:
    """Digits with country code, without `+` and leading zeros. An inner `(0)` stays, as at Meta."""
    number = digits(text).lstrip("0")
    return number if 7 <= len(number) <= 15 else None


def _name(text: str) -> str:
    return clean(text, SPACE | PUNCTUATION)


def _birth_date(text: str) -> str | None:
    """YYYYMMDD, from itself or parts with `-`, `/` or `.` between, a time behind is ignored. Of
    `a/b/yyyy`, a is the month unless it cannot be."""
    day = re.split("[t ]", clean(text, 0))[0]
    parts = [day[:4], day[4:6], day[6:]] if len(day) == 8 and day.isdecimal() else re.split("[-/.]", day)
    if [len(part) == 4 for part in parts] not in ([True, False, False], [False, False, True]):
        return None
    try:
        first, second, third = map(int, parts)
        year, month, day_of_month = (first, second, third) if len(parts[0]) == 4 else (third, first, second)
        if len(parts[2]) == 4 and month > 12:
            month, day_of_month = day_of_month, month
        date(year, month, day_of_month)
    except ValueError:
        return None
    return f"{year:04}{month:02}{day_of_month:02}"


_GENDERS = {"m": "m", "male": "m", "man": "m", "f": "f", "female": "f", "woman": "f"}


def _gender(text: str) -> str | None:
    return _GENDERS.get(letters_of(text))


def _city(text: str) -> str:
    """Letters and digits. Letters of any script stay: public rules disagree (meta-capi 4.5)."""
    return clean(text, SPACE | PUNCTUATION | OTHER)


def _region(text: str) -> str:
    """Code of a US state or Canadian province; elsewhere the whole name."""
    letters = letters_of(text)
    return REGIONS.get(letters, letters)


def _postal_code(text: str) -> str:
    return clean(text, SPACE).partition("-")[0]


def _country(text: str) -> str | None:
    """ISO 3166-1 alpha-2, from itself, from alpha-3 or from an English name."""
    letters = letters_of(text)
    return COUNTRIES.get(letters) or COUNTRIES.get(letters.removeprefix("the"))


def _id(text: str) -> str:
    return clean(text, SPACE)


def _first(count: int) -> Callable[[str], str]:
    return lambda text: _name(text)[:count]


def _number_between(low: int, high: int) -> Callable[[str], str | None]:
    """A whole number in these bounds, with leading zeros to the width of the larger."""

    def normalise(text: str) -> str | None:
        number = clean(text, 0)
        is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(high))
        return number.zfill(len(str(high))) if is_number and low <= int(number) <= high else None

    return normalise


# -- and as Google wants them (SPEC: google-runtime 6.8) ---------------------------------------

_GMAIL = ("gmail.com", "googlemail.com")
_PHONE_MARKS = str.maketrans("", "", "-()/.+")


def _google_email(text: str) -> str | None:
    """Without the dots that Gmail ignores."""
    local, _, domain = clean(text, 0).partition("@")
    email = f"{local.replace('.', '') if domain in _GMAIL else local}@{domain}"
    return email if is_email(email) else None


def _google_phone(text: str) -> str | None:
    """`+` and 10 to 15 digits; between them only what people write there."""
    number = digits(text)
    bare = clean(text, SPACE).translate(_PHONE_MARKS)
    return f"+{number}" if len(number) == len(bare) and 10 <= len(number) <= 15 else None


def _google_name(text: str) -> str:
    return clean(text, SPACE | DIGITS | PUNCTUATION)


def _google_place(text: str) -> str:
    """Street, city and region: without digits and punctuation."""
    return clean(text, DIGITS | PUNCTUATION).strip()


def _google_code(text: str) -> str:
    """Postal code and country: only `.` and `~` are taken out, and what is no character."""
    return text.encode(errors="ignore").decode().replace(".", "").replace("~", "").strip()


RULES: dict[str, dict[str, Rule]] = {
    "meta": {
        "em": Rule(_email),
        "ph": Rule(_phone_digits),
        "fn": Rule(_name),
        "ln": Rule(_name),
        "db": Rule(_birth_date, begins_with_year=True),
        "ge": Rule(_gender),
        "ct": Rule(_city),
        "st": Rule(_region),
        "zp": Rule(_postal_code),
        "country": Rule(_country),
        "external_id": Rule(_id, allows_md5=False),
        "f5first": Rule(_first(5)),
        "f5last": Rule(_first(5)),
        "fi": Rule(_first(1)),
        "dobd": Rule(_number_between(1, 31)),
        "dobm": Rule(_number_between(1, 12)),
        "doby": Rule(_number_between(1900, LATEST_YEAR), begins_with_year=True),
    },
    "google": {
        "email_address": Rule(_google_email, allows_md5=False),
        "phone_number": Rule(_google_phone, allows_md5=False),
        "first_name": Rule(_google_name, allows_md5=False),
        "last_name": Rule(_google_name, allows_md5=False),
        "street": Rule(_google_place, allows_md5=False),
        # sent in the clear: `normalise_user_data`
        "city": Rule(_google_place, allows_md5=False),
        "region": Rule(_google_place, allows_md5=False),
        "postal_code": Rule(_google_code, allows_md5=False),
        "country": Rule(_google_code, allows_md5=False),
    },
}
"""vendor -> its name of the field -> rule."""
