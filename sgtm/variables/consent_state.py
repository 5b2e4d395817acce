"""Consent State: what the event says about one type of consent, or about all four.

It is what the browser said (`gcs`, `gcd`): the container's rule for silence (`consent.unset`) does not
change it.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.consent import CONSENT_TYPES, ConsentType
from sgtm.event import Event, undefined
from sgtm.variables._defaults import Default, or_default


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which type."""

    type: Annotated[
        ConsentType | None, Meta(description="Type of consent; without it, a mapping of all that are set.")
    ] = None
    default: Default = UNSET


@variable("consent_state")
def resolve(event: Event, parameters: Parameters) -> Any:
    """`granted` or `denied`; what nothing was said about is undefined (in a mapping: not there).

    SPEC: requirements R149; ga4-protocol 7."""
    if parameters.type is not None:
        return or_default(_word(getattr(event.consent, parameters.type)), parameters.default)
    words = {name: _word(getattr(event.consent, name)) for name in CONSENT_TYPES}
    said = {name: word for name, word in words.items() if word is not undefined}
    return said or parameters.default


def _word(state: bool | None) -> Any:
    return undefined if state is None else "granted" if state else "denied"
