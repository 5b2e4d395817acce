"""What a container says, as data: structs under Google's resource names.

Both front doors make a `ContainerVersion`; `check.py` finds what is wrong with it, `compile.py`
makes the `Container` that runs. Nothing here decides anything.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from sgtm.consent import ConsentType
from sgtm.delivery.delivery import DeliveryRules
from sgtm.triggers.trigger import Trigger

FORMAT_VERSION = 1

Parameters: TypeAlias = dict[str, Any]
"""Parameters as written. `{{Variable}}` stands in texts; a secret is a `CredentialSource`."""

Name = Annotated[str, Meta(min_length=1, description="A name of your choice; unique among its kind.")]
Type = Annotated[
    str, Meta(min_length=1, description="Which component this is; `sgtm list` shows all of them.")
]
Paused = Annotated[bool, Meta(description="Keep it, but act as if it were not there.")]
Settings = Annotated[Parameters, Meta(description="What the component needs; see the page of its type.")]


class Client(Struct, frozen=True, forbid_unknown_fields=True):
    """Claims requests and makes events of them. The highest `priority` is asked first."""

    name: Name
    type: Type
    priority: Annotated[
        int, Meta(description="Who is asked first: the higher number; among equals, list order.")
    ] = 0
    is_paused: Paused = False
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Web origins whose pages may use this client, as `https://shop.example` or "
            "`https://*.shop.example`; empty: any."
        ),
    ] = ()
    allowed_headers: Annotated[
        tuple[str, ...], Meta(description="Request headers that pages of other origins may send (CORS).")
    ] = ()
    preflight_max_age_s: Annotated[
        int, Meta(ge=0, le=86_400, description="Seconds for which browsers may remember a CORS preflight.")
    ] = 3600
    claim_timeout_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds after which a claimed request that has no answer gets 504."),
    ] = 30.0
    parameters: Settings = {}


class Variable(Struct, frozen=True, forbid_unknown_fields=True):
    """A named value of the event or the request; `{{name}}` refers to it."""

    name: Name
    type: Type
    parameters: Settings = {}


class Tag(Struct, frozen=True, forbid_unknown_fields=True):
    """Sends something to a vendor when one of its triggers fires and consent allows it."""

    name: Name
    type: Type
    firing_triggers: Annotated[
        tuple[str, ...],
        Meta(description='Names of triggers, any of which fires the tag; "All Events" is built in.'),
    ] = ()
    consent: Annotated[
        tuple[ConsentType, ...] | None,
        Meta(description="Consent that the event must have; `[]`: none. Without it, `consent.gate` decides."),
    ] = None
    is_paused: Paused = False
    priority: Annotated[
        int, Meta(description="Which tag fires first: the higher number; among equals, list order.")
    ] = 0
    delivery: Annotated[DeliveryRules, Meta(description="How its requests are sent.")] = DeliveryRules()
    parameters: Settings = {}


class ConsentPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """What consent means in this container. Silence is the strict reading: denied, all."""

    unset: Annotated[
        Literal["granted", "denied"] | None,
        Meta(description="How to read an event that says nothing about consent. Unsaid: denied."),
    ] = None
    gate: Annotated[
        Literal["all", "declared"] | None,
        Meta(
            description="`all`: a tag without consent settings of its own needs the consent that its type "
            "names; `declared`: such a tag needs none. Unsaid: all."
        ),
    ] = None


class ContainerVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is configured."""

    name: Annotated[str, Meta(description="A name of your choice, shown by `sgtm info`.")] = ""
    consent: Annotated[
        ConsentPolicy, Meta(description="What consent means here; asked for where an advertising tag is.")
    ] = ConsentPolicy()
    unclaimed_status: Annotated[
        int, Meta(ge=200, le=599, description="HTTP status for a request that no client claims.")
    ] = 400
    clients: Annotated[tuple[Client, ...], Meta(description="Who may claim a request.")] = ()
    variables: Annotated[tuple[Variable, ...], Meta(description="Named values.")] = ()
    triggers: Annotated[tuple[Trigger, ...], Meta(description="When tags fire.")] = ()
    tags: Annotated[tuple[Tag, ...], Meta(description="What is sent to vendors.")] = ()


def by_priority(entities: Iterable[Any]) -> list[Any]:
    """Clients in claim order, tags in firing order: the higher number first, list order among equals
    (SPEC: requirements X1, R42)."""
    return sorted(entities, key=lambda entity: -entity.priority)
