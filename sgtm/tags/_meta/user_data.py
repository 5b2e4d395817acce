"""Event data -> Meta's user_data: where each key comes from, and what is enough to be accepted.

SPEC: meta-capi 4 and 5. The keys `x-fb-ud-*` are the official way to override; their values run
through the same rules as all others, so a value that is a digest passes as it is.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from sgtm._fast.mapping import PLAIN_TEXT, VALUES, Field, Mapping, convert
from sgtm.identifiers import with_calling_code
from sgtm.messages import EventData


def _of_address(name: str, *keys: str) -> Field:
    """`user_data.address` is an object or a list of them (T5)."""
    return Field(name, VALUES, f"x-fb-ud-{name}", *(f"user_data.address[].{key}" for key in keys))


PERSON = Mapping(
    Field(
        "em",
        VALUES,
        "x-fb-ud-em",
        *("user_data.email_address", "user_data.email", "user_data.sha256_email_address"),
        *("email", "email_address"),
    ),
    # `sha256_phone_number` is Google's E.164 with `+`, which never matches at Meta (T2)
    Field("ph", VALUES, "x-fb-ud-ph", "user_data.phone_number", "user_data.phone", "phone"),
    _of_address("fn", "first_name", "sha256_first_name"),
    _of_address("ln", "last_name", "sha256_last_name"),
    Field("db", VALUES, "x-fb-ud-db"),
    Field("ge", VALUES, "x-fb-ud-ge"),
    _of_address("ct", "city"),
    _of_address("st", "region"),
    _of_address("zp", "postal_code"),
    _of_address("country", "country"),
    Field("external_id", VALUES, "x-fb-ud-external_id", "user_id"),
    *(Field(name, VALUES, f"x-fb-ud-{name}") for name in ("f5first", "f5last", "fi", "dobd", "dobm", "doby")),
)
"""What is hashed, and where its raw values stand: the first place that has any counts."""
VERBATIM = Mapping(
    *(
        Field(name, VALUES, f"x-fb-ud-{name.replace('fb_login_id', 'fb-login-id')}", f"user_data.{name}")
        for name in (
            *("subscription_id", "lead_id", "fb_login_id", "page_id", "page_scoped_user_id"),
            *("ctwa_clid", "ig_account_id", "ig_sid", "anon_id", "madid"),
        )
    )
)
"""Ids that are never hashed. SPEC: meta-capi 4.4."""
WHOLE_NUMBERS = frozenset({"fb_login_id", "lead_id"})
OF_BROWSER = ("client_ip_address", "client_user_agent", "fbc", "fbp")
ORDER = (
    *(field.name for field in PERSON.fields),
    *OF_BROWSER,
    *(field.name for field in VERBATIM.fields),
)
"""All keys of user_data as they stand in an event."""

MAX_ID_DIGITS = 19

WEAK = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
"""An event that has only keys of one of these is refused, and its whole batch with it (4.7)."""
_IN_SOME_WEAK = frozenset().union(*WEAK)


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
    return not present <= _IN_SOME_WEAK or not any(present <= weak for weak in WEAK)


def known_person(data: EventData, calling_code: str) -> dict[str, list[Any]]:
    """Raw values of the fields that are hashed: the first source that has any, for each."""
    found = PERSON.read(data)
    if calling_code and "ph" in found:
        found["ph"] = [with_calling_code(phone, calling_code) for phone in found["ph"]]
    return found


def verbatim_ids(data: EventData) -> Iterator[tuple[str, str | int]]:
    """Ids that are never hashed, the first of each."""
    for key, (first, *_) in VERBATIM.read(data).items():
        text = convert(first, PLAIN_TEXT)
        if key not in WHOLE_NUMBERS:
            yield key, text
        elif text.isascii() and text.isdecimal() and len(text) < MAX_ID_DIGITS:
            yield key, int(text)


def browser_address(*candidates: str | None) -> str | None:
    """The browser's own public address: the first IPv6, else the first IPv4. SPEC: meta-capi 4.4, 8."""
    first = None
    for text in candidates:
        address = _public_address(text) if text and len(text) <= MAX_ADDRESS else None
        if address and ":" in address:
            return address
        first = first or address
    return first


MAX_ADDRESS = 64
"""Characters of what may be an address: what is kept of others' texts has a bound."""


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
