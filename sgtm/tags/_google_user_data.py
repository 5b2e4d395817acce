"""User data as Google takes them: hashed, under `sha256_` names (Measurement Protocol) or as `em` (gtag).

SPEC: ga4-protocol 1.4 and 3.1, google-runtime 6.8; what a field must look like before it is hashed stands in
`sgtm/identifiers.py`. What cannot be what its field says is left out, never the event.
"""

from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import quote

from sgtm.identifiers import MAX_VALUES, hash_user_data, normalise_user_data

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
    entries = [f"em.{_base64(digest)}" for digest in hashed.get("sha256_email_address", ())]
    entries += [f"pn.{_base64(digest)}" for digest in hashed.get("sha256_phone_number", ())]
    for number, address in enumerate(hashed.get("address", ())):
        for name, key in _ADDRESS_KEYS.items():
            if name in address:
                is_digest = name.startswith("sha256_")
                value = _base64(address[name]) if is_digest else quote(address[name], safe="!'()*")
                entries.append(f"{key}{number}.{value}")
    return "~".join(["tv.1", *entries]) if entries else ""


def _base64(digest: str) -> str:
    return urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def hashed_user_data(user_data: Any) -> dict[str, Any]:
    """`user_data` of event data as the payload's `user_data`; empty where nothing can be sent.

    E-mail addresses and phone numbers may be lists, `address` an object or a list; the sites' own
    names `email` and `phone` are known too. `sha256_` fields win over the plain ones.
    """
    if not isinstance(user_data, dict):
        return {}
    addresses = [found for found in map(_address, _values(user_data.get("address"))) if found]
    made = {
        "sha256_email_address": _digests(user_data, "email_address", "email"),
        "sha256_phone_number": _digests(user_data, "phone_number", "phone"),
        "address": addresses,
    }
    return {name: values for name, values in made.items() if values}


def _digests(holder: dict[str, Any], field: str, *other_names: str) -> list[str]:
    """Digests of the first name of this field that gives any, each once, in order."""
    for name in (f"sha256_{field}", field, *other_names):
        digests = [hash_user_data("google", field, value) for value in _values(holder.get(name))]
        found = [digest for digest in digests if digest]
        if found:
            return list(dict.fromkeys(found))
    return []


def _address(address: Any) -> dict[str, str]:
    if not isinstance(address, dict):
        return {}
    hashed = {f"sha256_{field}": _digests(address, field) for field in ("first_name", "last_name", "street")}
    made = {name: digests[0] for name, digests in hashed.items() if digests}
    for field in ("city", "region", "postal_code", "country"):
        text = normalise_user_data("google", field, address.get(field))
        if text:
            made[field] = text
    return made


def _values(value: Any) -> list[Any]:
    return list(value[:MAX_VALUES]) if isinstance(value, (list, tuple)) else [value]
