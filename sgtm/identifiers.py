"""Normalise and hash user data: one table of vendors' rules.

A row is what one vendor wants of one field before it is hashed; a vendor that wants the same as
another takes its function, a new vendor is a new dict in `RULES`. SPEC: meta-capi 4.2 to 4.6 (Meta),
google-runtime 6.8 (Google), vendor-tags 1.2 (all vendors side by side).

What holds for every row: a value that is nothing (`""`, `undefined`, `null`, `(not set)`) is left out
and never hashed (T6); one that is a digest already passes in lower case, so hashing twice is
impossible; one that cannot be what its field says is dropped, never the event.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from sgtm._fast.identifiers import (
    DIGITS,
    OTHER,
    PUNCTUATION,
    SPACE,
    Cleaned,
    Rule,
    as_digest,
    clean,
    digits,
    email,
    email_without_dots,
    hash_fields,
    hash_value,
    normalise,
    phone_digits,
    phone_e164,
)
from sgtm.event import number_text, to_number
from sgtm.place_names import COUNTRIES, REGIONS, letters_of

LATEST_YEAR = 9999
_NOTHING = frozenset({"", "undefined", "null", "(not set)"})


# -- what callers use --------------------------------------------------------------------------


def hash_user_data(vendor: str, field: str, value: Any, *, year: int = LATEST_YEAR) -> str | None:
    """Digest of one value as `vendor` wants `field`, 64 hex digits (32 where MD5 came in); None: leave
    it out. `value`: text or number, whatever else is left out. `year`: of the event, the latest that a
    date of birth may have. Raises KeyError where the table has no such row."""
    return hash_value(RULES[vendor][field], value, year)


def normalise_user_data(vendor: str, field: str, value: Any, *, year: int = LATEST_YEAR) -> str | None:
    """What `hash_user_data` hashes; a digest is its own normal form."""
    return normalise(RULES[vendor][field], value, year)


def hash_person(vendor: str, found: dict[str, list[Any]], *, year: int = LATEST_YEAR) -> dict[str, list[str]]:
    """Digests of all that is known of one person: {field: values} in, {field: digests} out, each
    digest once, in order. Fields of which nothing is left are left out."""
    return hash_fields(RULES[vendor], found, year)


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


# -- the fields, as Meta wants them ------------------------------------------------------------


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


def _number_between(low: int, high: int) -> Callable[[str], str | None]:
    """A whole number in these bounds, with leading zeros to the width of the larger."""

    def normalise(text: str) -> str | None:
        number = clean(text, 0)
        is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(high))
        return number.zfill(len(str(high))) if is_number and low <= int(number) <= high else None

    return normalise


# -- and as Google wants them (SPEC: google-runtime 6.8) ---------------------------------------


def _google_place(text: str) -> str:
    """Street, city and region: without digits and punctuation."""
    return clean(text, DIGITS | PUNCTUATION).strip()


def _google_code(text: str) -> str:
    """Postal code and country: only `.` and `~` are taken out, and what is no character."""
    return text.encode(errors="ignore").decode().replace(".", "").replace("~", "").strip()


RULES: dict[str, dict[str, Rule]] = {
    "meta": {
        "em": Rule(email),
        "ph": Rule(phone_digits),
        "fn": Rule(Cleaned(SPACE | PUNCTUATION)),
        "ln": Rule(Cleaned(SPACE | PUNCTUATION)),
        "db": Rule(_birth_date, begins_with_year=True),
        "ge": Rule(_gender),
        # letters of any script stay: public rules disagree (meta-capi 4.5)
        "ct": Rule(Cleaned(SPACE | PUNCTUATION | OTHER)),
        "st": Rule(_region),
        "zp": Rule(_postal_code),
        "country": Rule(_country),
        "external_id": Rule(Cleaned(SPACE), allows_md5=False),
        "f5first": Rule(Cleaned(SPACE | PUNCTUATION, 5)),
        "f5last": Rule(Cleaned(SPACE | PUNCTUATION, 5)),
        "fi": Rule(Cleaned(SPACE | PUNCTUATION, 1)),
        "dobd": Rule(_number_between(1, 31)),
        "dobm": Rule(_number_between(1, 12)),
        "doby": Rule(_number_between(1900, LATEST_YEAR), begins_with_year=True),
    },
    "google": {
        "email_address": Rule(email_without_dots, allows_md5=False),
        "phone_number": Rule(phone_e164, allows_md5=False),
        "first_name": Rule(Cleaned(SPACE | DIGITS | PUNCTUATION), allows_md5=False),
        "last_name": Rule(Cleaned(SPACE | DIGITS | PUNCTUATION), allows_md5=False),
        "street": Rule(_google_place, allows_md5=False),
        # sent in the clear: `normalise_user_data`
        "city": Rule(_google_place, allows_md5=False),
        "region": Rule(_google_place, allows_md5=False),
        "postal_code": Rule(_google_code, allows_md5=False),
        "country": Rule(_google_code, allows_md5=False),
    },
}
"""vendor -> its name of the field -> rule."""
