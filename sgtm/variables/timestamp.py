"""Timestamp: when the request was received.

It follows from the request: an event that is run again later has the same time.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """In which form."""

    unit: Annotated[
        Literal["milliseconds", "seconds", "microseconds", "iso8601"],
        Meta(
            description="Unix time as a whole number in this unit, or a text as `2026-11-24T10:00:00.000Z`."
        ),
    ] = "milliseconds"


_MICROS = {"milliseconds": 1_000, "seconds": 1_000_000, "microseconds": 1}


@variable("timestamp")
def resolve(event: Event, parameters: Parameters) -> int | str:
    """Time of receipt, Unix time or UTC text.

    SPEC: sandbox-api 1.8 (getTimestampMillis); requirements R149."""
    micros = event.request.received_micros
    if parameters.unit == "iso8601":
        text = datetime.fromtimestamp(micros // 1_000 / 1_000, UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    return micros // _MICROS[parameters.unit]
