"""Event data -> Meta's user_data: where each key comes from, and what is enough to be accepted.

SPEC: meta-capi 4 and 5. The keys `x-fb-ud-*` are the official way to override; their values run
through the same rules as all others, so a value that is a digest passes as it is.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from sgtm.event import Event
from sgtm.identifiers import plain_text, with_calling_code

CONTACT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "em": (("email_address", "email", "sha256_email_address"), ("email", "email_address")),
    "ph": (("phone_number", "phone"), ("phone",)),
}
"""Keys inside `user_data`, then keys of the event data. `sha256_phone_number` is Google's E.164 with
`+`, which never matches at Meta (T2)."""
ADDRESS: dict[str, tuple[str, ...]] = {
    "fn": ("first_name", "sha256_first_name"),
    "ln": ("last_name", "sha256_last_name"),
    "ct": ("city",),
    "st": ("region",),
    "zp": ("postal_code",),
    "country": ("country",),
}
"""Keys inside `user_data.address`, an object or a list of them (T5)."""
ONLY_OVERRIDES = ("db", "ge", "f5first", "f5last", "fi", "dobd", "dobm", "doby")
VERBATIM = (
    *("subscription_id", "page_id", "page_scoped_user_id", "ctwa_clid"),
    *("ig_account_id", "ig_sid", "anon_id", "madid"),
)
WHOLE_NUMBERS = ("fb_login_id", "lead_id")

_OVERRIDE = {
    field: f"x-fb-ud-{field}"
    for field in ("external_id", *CONTACT, *ADDRESS, *ONLY_OVERRIDES, *VERBATIM, *WHOLE_NUMBERS)
} | {"fb_login_id": "x-fb-ud-fb-login-id"}
_HASHED = tuple((field, _OVERRIDE[field]) for field in ("external_id", *CONTACT, *ADDRESS, *ONLY_OVERRIDES))
_SENT_RAW = tuple((field, _OVERRIDE[field]) for field in (*VERBATIM, *WHOLE_NUMBERS))

MAX_ID_DIGITS = 19

WEAK = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
"""An event that has only keys of one of these is refused, and its whole batch with it (4.7)."""


def _bounds(*networks: str) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(network.network_address), int(network.broadcast_address))
        for network in map(ipaddress.ip_network, networks)
    )


_NOT_PUBLIC = {
    4: _bounds(
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"),
    ),
    6: _bounds("::/127", "fc00::/7", "fe80::/10", "ff00::/8"),
}
"""Version -> (first, last) of each. A table of our own: what `ipaddress` calls private changes from one
Python to the next."""


def is_enough(keys: Iterable[str]) -> bool:
    """Whether Meta accepts an event with these keys of user_data. SPEC: meta-capi 4.7."""
    present = frozenset(keys)
    return not any(present <= weak for weak in WEAK)


def known_person(event: Event, calling_code: str) -> dict[str, list[Any]]:
    """Raw values of the fields that are hashed: the first source that has any, for each."""
    data = event.data
    user_data = _user_data(event)
    address = user_data.get("address")
    addresses = [
        part for part in (address if isinstance(address, list) else [address]) if isinstance(part, dict)
    ]

    found = {"external_id": _first([data.get("user_id")])}
    for field, (inner, outer) in CONTACT.items():
        found[field] = _first([*map(user_data.get, inner), *map(data.get, outer)])
    if addresses:
        for field, keys in ADDRESS.items():
            found[field] = _first([part.get(key) for part in addresses] for key in keys)
    for field, key in _HASHED:
        if key in data and (override := _first([data[key]])):
            found[field] = override
    if calling_code:
        found["ph"] = [with_calling_code(phone, calling_code) for phone in found["ph"]]
    return {field: values for field, values in found.items() if values}


def verbatim_ids(event: Event) -> Iterator[tuple[str, str | int]]:
    """Ids that are never hashed. SPEC: meta-capi 4.4."""
    data, user_data = event.data, _user_data(event)
    for key, override in _SENT_RAW:
        if key not in user_data and override not in data:
            continue
        known = _first([data.get(override), user_data.get(key)])
        text = plain_text(known[0]) or "" if known else ""
        if key in VERBATIM and text:
            yield key, text
        elif text.isascii() and text.isdecimal() and len(text) < MAX_ID_DIGITS:
            yield key, int(text)


def browser_address(*candidates: str | None) -> str | None:
    """The browser's own public address: the first IPv6, else the first IPv4. SPEC: meta-capi 4.4, 8."""
    public = [address for text in candidates if text and (address := _public_address(text))]
    return next((address for address in public if ":" in address), public[0] if public else None)


@lru_cache(maxsize=1024)
def _public_address(text: str) -> str | None:
    """PERF: a visitor sends many hits from one address; reading it costs as much as hashing a person."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if "%" in text:
        return None  # a zone: an address of the machine, not of the internet
    address = getattr(address, "ipv4_mapped", None) or address
    number = int(address)
    is_public = not any(first <= number <= last for first, last in _NOT_PUBLIC[address.version])
    return str(address) if is_public else None


def _user_data(event: Event) -> dict[str, Any]:
    user_data = event.data.get("user_data")
    return user_data if isinstance(user_data, dict) else {}


def _first(sources: Iterable[Any]) -> list[Any]:
    """Values of the first source that has any; a source is one value or a list of them."""
    for source in sources:
        if isinstance(source, list):
            known = [value for value in source if plain_text(value) is not None]
            if known:
                return known
        elif plain_text(source) is not None:
            return [source]
    return []
