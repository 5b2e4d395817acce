"""Request Body: the body of the HTTP request, as text or one value of its JSON.

Bodies can hold personal data: what is read here goes where the variable is used.
"""

from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, read_key_path, undefined
from sgtm.variables._defaults import Default, or_default


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole body, or which value of it."""

    key_path: Annotated[
        str,
        Meta(
            description="Path of a value in a body that is JSON; empty: the whole body as text.",
            examples=["order.id", "0.name"],
        ),
    ] = ""
    default: Default = UNSET


@variable("request_body")
def resolve(event: Event, parameters: Parameters) -> Any:
    """The body as text, or a value of its JSON; no body, or none that is JSON, is undefined.

    SPEC: sandbox-api 1.1 (getRequestBody); requirements R149."""
    body = event.request.body
    if not body:
        return parameters.default
    if not parameters.key_path:
        return body.decode("utf-8", "replace")
    return or_default(read_key_path(_json(body), parameters.key_path), parameters.default)


@lru_cache(maxsize=1)  # several variables, and all events of a request, read the same body
def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return undefined
