"""User data as Google's Measurement Protocol takes them: hashed, under `sha256_` names.

SPEC: google-runtime 6.8 (normalisation, what is hashed), ga4-protocol 3.1. What is a SHA-256 digest
already passes; what cannot be what its field says is left out, never the event.
"""

from collections.abc import Callable
from typing import Any

from sgtm._fast.identifiers import DIGITS, PUNCTUATION, SPACE, as_digest, clean, digits, is_email, sha256_hex
from sgtm.identifiers import plain_text

_PHONE_MARKS = str.maketrans("", "", "-()/.+ \t\r\n\u00a0")
_GMAIL = ("gmail.com", "googlemail.com")


def hashed_user_data(user_data: Any) -> dict[str, Any]:
    """`user_data` of event data as the payload's `user_data`; empty where nothing can be sent.

    E-mail addresses and phone numbers may be lists, `address` an object or a list; the sites' own
    names `email` and `phone` are known too. `sha256_` fields win over the plain ones.
    """
    if not isinstance(user_data, dict):
        return {}
    address = user_data.get("address")
    places = address if isinstance(address, (list, tuple)) else [address]
    addresses = [found for found in map(_address, places) if found]
    made = {
        "sha256_email_address": _digests(
            user_data, ("sha256_email_address", "email_address", "email"), _email
        ),
        "sha256_phone_number": _digests(user_data, ("sha256_phone_number", "phone_number", "phone"), _phone),
        "address": addresses,
    }
    return {name: values for name, values in made.items() if values}


def _digests(
    holder: dict[str, Any], names: tuple[str, ...], normalise: Callable[[str], str | None]
) -> list[str]:
    """Digests of the first of these fields that gives any, each once, in order."""
    for name in names:
        values = holder.get(name)
        found = [
            _digest(value, normalise) for value in (values if isinstance(values, (list, tuple)) else [values])
        ]
        digests = [digest for digest in found if digest]
        if digests:
            return list(dict.fromkeys(digests))
    return []


def _digest(value: Any, normalise: Callable[[str], str | None]) -> str | None:
    text = plain_text(value)
    if text is None:
        return None
    known = as_digest(text, allow_md5=False)
    if known:
        return known
    normalised = normalise(text)
    return sha256_hex(normalised) if normalised else None


def _address(address: Any) -> dict[str, str]:
    if not isinstance(address, dict):
        return {}
    hashed = {
        f"sha256_{name}": _digests(address, (f"sha256_{name}", name), normalise)
        for name, normalise in (("first_name", _name), ("last_name", _name), ("street", _place))
    }
    made = {name: digests[0] for name, digests in hashed.items() if digests}
    for name, normalise in _PLAIN.items():
        text = normalise(plain_text(address.get(name)) or "")
        if text:
            made[name] = text
    return made


def _email(text: str) -> str | None:
    """Lower case; the dots that Gmail ignores are taken out."""
    email = clean(text, 0)
    if not is_email(email):
        return None
    local, _, domain = email.partition("@")
    return f"{local.replace('.', '')}@{domain}" if domain in _GMAIL else email


def _phone(text: str) -> str | None:
    """`+` and 10 to 15 digits."""
    number = digits(text)
    bare = clean(text, 0).translate(_PHONE_MARKS)
    return f"+{number}" if len(number) == len(bare) and 10 <= len(number) <= 15 else None


def _name(text: str) -> str:
    return clean(text, SPACE | DIGITS | PUNCTUATION)


def _place(text: str) -> str:
    """Street, city and region: without digits and punctuation."""
    return clean(text, DIGITS | PUNCTUATION).strip()


def _code(text: str) -> str:
    """Postal code and country: only `.` and `~` are taken out."""
    return text.strip().replace(".", "").replace("~", "")


_PLAIN = {"city": _place, "region": _place, "postal_code": _code, "country": _code}
