"""GA4 Measurement Protocol: events that servers, apps and other senders post as JSON.

Claims `POST /mp/collect` and `POST /debug/mp/collect` (both follow `activation_path`). Each element of
`events` becomes one event. Rules: ga4-protocol 3; Google's page:
https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference

**Answers.** Like Google's own endpoint it answers 204 even to what it cannot read: senders written for
Google expect nothing else. What was wrong is in preview, as warnings, with Google's words for it;
nothing is cut, but events after the hundredth are not read. `reports_errors: true` answers 400 where no
event could be read. The debug path answers 200 with `validationMessages`, forwards nothing and checks no
secret, as Google's.

**Who may send.** With `api_secret_sha256` a request must carry one of these secrets as `api_secret`;
another is answered 403 and runs no tags. (Not 204: a sender with an old secret must notice. Not 401:
that asks for a signature or a challenge, and there is none.) The container file holds only the SHA-256
of each secret, made with

    printf %s 'THE-SECRET' | sha256sum

The secret itself is dropped from the record of the request; the record keeps the verdict, and a record
that runs again is not checked again.

**Whose address.** The sender is usually a server, so its address and user agent say nothing about the
visitor and are not used: `ip_override` and `user_agent` come from the payload. Set `from_devices` where
apps or browsers post directly.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sgtm.authentication import is_known
from sgtm.component import client
from sgtm.messages import Answer, Claimed, Declined, EventData, IncomingRequest
from sgtm.protocols.measurement_protocol import events_of_payload, read_payload
from sgtm.protocols.measurement_protocol_validation import (
    ValidationAnswer,
    ValidationMessage,
    as_warnings,
    validate,
    validate_body,
)
from sgtm.protocols.query import read_query

ACCEPTED, REFUSED, UNCHECKED = "api_secret accepted", "api_secret refused", "api_secret not checked"
_CONCEALED = ("api_secret",)


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the client."""

    activation_path: Annotated[
        str,
        Meta(
            description="Path of the endpoint; validation is at `/debug` + this path.",
            pattern=r"^/[^?#]*$",
            examples=["/mp/collect"],
        ),
    ] = "/mp/collect"
    api_secret_sha256: Annotated[
        list[Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]],
        Meta(
            description="SHA-256 (hex) of each `api_secret` that may send; empty: everybody may. "
            "`printf %s 'THE-SECRET' | sha256sum` makes one."
        ),
    ] = []
    status: Annotated[Literal[200, 204], Meta(description="Status of the answer to an accepted request.")] = (
        204
    )
    reports_errors: Annotated[
        bool, Meta(description="Answer 400 where no event could be read; otherwise as Google: 204.")
    ] = False
    from_devices: Annotated[
        bool,
        Meta(
            description="Senders are apps or browsers: take `ip_override` and `user_agent` from the "
            "request where the payload has none."
        ),
    ] = False


def _paths(parameters: Parameters) -> tuple[str, ...]:
    return (parameters.activation_path, f"/debug{parameters.activation_path}")


@client(
    "measurement_protocol",
    aliases=("mpaw_client",),
    paths=_paths,
    methods=("POST",),
    measurement_id_key=b"measurement_id",
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Turn a Measurement Protocol request into events."""
    path, debug_path = _paths(parameters)
    if request.path not in (path, debug_path):
        return Declined(f"the path is not {path}")
    if request.method != "POST":
        return Declined("the method is not POST")
    payload = read_payload(request.body)
    if request.path == debug_path:
        messages = validate_body(request.body, payload, received_micros=request.received_micros)
        return Claimed([], _validation_answer(messages), conceal=_CONCEALED)
    query = read_query(request.query)
    verdict = request.verdict or _check(query.get("api_secret", ""), parameters.api_secret_sha256)
    if verdict == REFUSED:
        return _claimed([], Answer(403), verdict, ("the api_secret is not one of those allowed",))
    warnings = as_warnings(validate(payload, received_micros=request.received_micros))
    events = events_of_payload(
        payload or {},
        measurement_id=query.get("measurement_id", ""),
        firebase_app_id=query.get("firebase_app_id", ""),
    )
    if parameters.from_devices:
        events = [_with_device(data, request) for data in events]
    status = 400 if parameters.reports_errors and not events else parameters.status
    return _claimed(events, Answer(status), verdict, warnings)


def _claimed(events: list[EventData], answer: Answer, verdict: str, warnings: tuple[str, ...]) -> Claimed:
    return Claimed(
        events,
        answer,
        verdict=verdict,
        is_sender_known=verdict == ACCEPTED,
        conceal=_CONCEALED,
        warnings=warnings,
    )


def _check(secret: str, allowed: list[str]) -> str:
    if not allowed:
        return UNCHECKED
    return ACCEPTED if is_known(secret, allowed) else REFUSED


def _validation_answer(messages: list[ValidationMessage]) -> Answer:
    body = msgspec.json.encode(ValidationAnswer(messages))
    return Answer(200, (("Content-Type", "application/json; charset=utf-8"),), body)


def _with_device(data: EventData, request: IncomingRequest) -> EventData:
    """The event with address and user agent of the request where the payload had none."""
    found = {"ip_override": request.remote_address, "user_agent": request.header(b"user-agent")}
    return {**{key: value for key, value in found.items() if value}, **data}
