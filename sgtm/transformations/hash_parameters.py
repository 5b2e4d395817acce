"""Hash parameters: personal values are replaced by their SHA-256, as 64 lower-case hex digits.

What is a digest already (64 hex digits) is left as it is, so hashing twice changes nothing. Lists and
mappings are hashed inside. What is nothing (empty, null, `undefined`, `(not set)`) and what is neither
text nor number stays. Tags that hash by themselves recognise digests.

For what a vendor's rules want of an e-mail address or a phone number, leave it to the vendor's tag.

SPEC: requirements R165; meta-capi 4.2, 4.6 (T6).
"""

from functools import reduce
from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm._fast.identifiers import as_digest, sha256_hex
from sgtm.component import transformation
from sgtm.event import Event, read_key_path, set_value, undefined
from sgtm.identifiers import plain_text
from sgtm.messages import EventData


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is hashed, and how it looks before."""

    names: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="Names of event parameters; dots reach inside.",
            examples=[["user_data.email_address"]],
        ),
    ]
    normalise: Annotated[
        bool, Meta(description="White space around a text is taken away and capitals made small, before.")
    ] = True


@transformation("hash_parameters")
def transform(event: Event, parameters: Parameters) -> EventData:
    """Replaces some parameters of an event by their SHA-256."""

    def hashed(data: EventData, name: str) -> EventData:
        value = read_key_path(data, name)
        return data if value is undefined else set_value(data, name, _hashed(value, parameters.normalise))

    return reduce(hashed, parameters.names, event.data)


def _hashed(value: Any, normalise: bool) -> Any:
    if isinstance(value, dict):
        return {key: _hashed(inner, normalise) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hashed(inner, normalise) for inner in value]
    text = plain_text(value)
    if text is None or as_digest(text, False) is not None:
        return value
    text = text.strip().lower() if normalise else text
    return sha256_hex(text.encode("utf-8", "replace"))
