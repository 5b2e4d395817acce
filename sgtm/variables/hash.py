"""Hash: SHA-256 of a value, as vendors want identifiers.

`rule` brings the value into the form that a vendor asks for before it is hashed: then a value that is
a digest already stays as it is, and one that cannot be what the field says has no hash.
"""

from base64 import b64encode, urlsafe_b64encode
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct

from sgtm._fast.identifiers import sha256_hex
from sgtm.component import variable
from sgtm.event import Event, undefined
from sgtm.identifiers import hash_user_data
from sgtm.javascript import text_of
from sgtm.variables._defaults import Default

Rule = Literal[
    "none",
    "trim",
    "lowercase",
    "google.email_address",
    "google.phone_number",
    "google.first_name",
    "google.last_name",
    "google.street",
    "meta.em",
    "meta.ph",
    "meta.fn",
    "meta.ln",
    "meta.db",
    "meta.ge",
    "meta.ct",
    "meta.st",
    "meta.zp",
    "meta.country",
    "meta.external_id",
]


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is hashed, and how."""

    value: Annotated[Any, Meta(description="What is hashed, as text.", examples=["{{Email}}"])] = UNSET
    rule: Annotated[
        Rule,
        Meta(
            description="`none`: the text as it is; `trim`: without spaces at its ends; `lowercase`: that in "
            "small letters; the others: as this vendor wants this field."
        ),
    ] = "none"
    encoding: Annotated[
        Literal["hex", "base64", "base64url"],
        Meta(description="`hex` in small letters, `base64` with padding, `base64url` without."),
    ] = "hex"
    default: Default = UNSET


@variable("hash")
def resolve(event: Event, parameters: Parameters) -> Any:
    """The digest; undefined, null and an empty text have none.

    SPEC: requirements R149; sandbox-api 1.5 (sha256Sync); meta-capi 4.2; google-runtime 6.8."""
    digest = _digest(parameters.value, parameters.rule)
    if digest is None:
        return parameters.default
    if parameters.encoding == "hex":
        return digest
    raw = bytes.fromhex(digest)
    if parameters.encoding == "base64":
        return b64encode(raw).decode()
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _digest(value: Any, rule: Rule) -> str | None:
    vendor, _, field = rule.partition(".")
    if field:
        return hash_user_data(vendor, field, value)
    if value is undefined or value is None:
        return None
    text = text_of(value)
    if rule != "none":
        text = text.strip()
    if rule == "lowercase":
        text = text.lower()
    return sha256_hex(text.encode("utf-8", "replace")) if text else None
