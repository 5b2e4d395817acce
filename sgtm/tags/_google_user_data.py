"""User data as Google takes them: hashed, under `sha256_` names (Measurement Protocol) or as `em` (gtag).

SPEC: ga4-protocol 1.4 and 3.1, google-runtime 6.8; what a field must look like before it is hashed stands in
`sgtm/identifiers.py`. What cannot be what its field says is left out, never the event.
"""

from typing import Any
from urllib.parse import quote

from sgtm._fast.identifiers import hash_first, normalise, web_safe_base64
from sgtm.identifiers import LATEST_YEAR, RULES

_RULES = RULES["google"]
_EMAIL = (_RULES["email_address"], ("sha256_email_address", "email_address", "email"))
_PHONE = (_RULES["phone_number"], ("sha256_phone_number", "phone_number", "phone"))
"""The first name that gives a digest; `email` and `phone` are the sites' own."""
_HASHED = [
    (f"sha256_{field}", _RULES[field], (f"sha256_{field}", field))
    for field in ("first_name", "last_name", "street")
]
_IN_CLEAR = [(field, _RULES[field]) for field in ("city", "region", "postal_code", "country")]
MAX_ADDRESSES = 50
_ADDRESS_KEYS = {
    "sha256_first_name": "fn",
    "sha256_last_name": "ln",
    "sha256_street": "sa",
    "city": "ct",
    "region": "rg",
    "postal_code": "pc",
    "country": "co",
}


def em_text(user_data: Any) -> str:
    """`user_data` of event data as the value of `em`, percent-encoded once: the hit encodes it again.

    `tv.1~em.<digest>~pn.<digest>~fn0.<digest>~...~co0.<country>`, digests in base64url without padding;
    "" where there is nothing to send."""
    hashed = hashed_user_data(user_data)
    entries = ["tv.1"]
    entries += [f"em.{web_safe_base64(digest)}" for digest in hashed.get("sha256_email_address", ())]
    entries += [f"pn.{web_safe_base64(digest)}" for digest in hashed.get("sha256_phone_number", ())]
    for number, address in enumerate(hashed.get("address", ())):
        for name, value in address.items():
            entries.append(f"{_ADDRESS_KEYS[name]}{number}.{_written(name, value)}")
    return "~".join(entries) if len(entries) > 1 else ""


def _written(name: str, value: str) -> str:
    if name.startswith("sha256_"):
        return web_safe_base64(value)
    return value if value.isascii() and value.isalnum() else quote(value, safe="!'()*")


def hashed_user_data(user_data: Any) -> dict[str, Any]:
    """`user_data` of event data as the payload's `user_data`; empty where nothing can be sent.

    E-mail addresses and phone numbers may be lists, `address` an object or a list; the sites' own
    names `email` and `phone` are known too. `sha256_` fields win over the plain ones.
    """
    if not isinstance(user_data, dict):
        return {}
    address = user_data.get("address")
    several = address[:MAX_ADDRESSES] if isinstance(address, (list, tuple)) else (address,)
    made = {
        "sha256_email_address": hash_first(user_data, *_EMAIL),
        "sha256_phone_number": hash_first(user_data, *_PHONE),
        "address": [found for one in several if isinstance(one, dict) and (found := _address(one))],
    }
    return {name: values for name, values in made.items() if values}


def _address(address: dict[str, Any]) -> dict[str, str]:
    made = {}
    for name, rule, names in _HASHED:
        if digests := hash_first(address, rule, names):
            made[name] = digests[0]
    for field, rule in _IN_CLEAR:
        if field in address and (text := normalise(rule, address[field], LATEST_YEAR)):
            made[field] = text
    return made
