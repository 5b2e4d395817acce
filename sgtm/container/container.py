"""Container: all that is configured, compiled and immutable. A reload swaps it whole.

References to variables are slots, tag lists are found by event name: a hit touches only what
could fire. `compile.py` makes one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from sgtm.component import Component
from sgtm.consent import ConsentType
from sgtm.delivery.credentials import CredentialSource
from sgtm.delivery.delivery import DeliveryRules
from sgtm.event import Event, undefined

_LABELS = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
"""What `*` stands for in an origin: part of a host name, so no `/`, `@`, `:` or `#` can hide there."""


class View:
    """An event as it is for who asks, with the variables that were resolved for it.

    Each variable is evaluated at most once per view. Triggers see the untransformed event, a tag
    the one that its transformations leave (SPEC: sandbox-api 5.10, A1).
    """

    __slots__ = ("_values", "container", "event", "failed_variables")

    def __init__(self, event: Event, container: "Container") -> None:
        self.event = event
        self.container = container
        self._values: dict[int, Any] = {}
        self.failed_variables: tuple[str, ...] = ()
        """Names of variables that raised for this view; each of them is False."""

    def value(self, slot: int) -> Any:
        """Value of the variable in `slot`; inside its own evaluation (a cycle) it is undefined."""
        values = self._values
        if slot in values:
            return values[slot]
        values[slot] = undefined
        result = values[slot] = self.container.variables[slot].resolve(self)
        return result


class ContainerVariable(Struct, frozen=True):
    """A compiled variable. `resolve` never raises: a variable that throws is False (5.10.4, A14)."""

    name: str
    resolve: Callable[[View], Any]


class Origins(Struct, frozen=True):
    """Which web origins may use a client; empty `allowed` means any."""

    allowed: frozenset[str] = frozenset()
    """Exact origins, `https://shop.example`."""
    suffixes: tuple[tuple[str, str], ...] = ()
    """(scheme with `://`, suffix with leading dot) of wildcards, `https://*.shop.example`."""

    def allows(self, origin: str) -> bool:
        """Whether this `Origin` header may use the client. `null` only where any origin may."""
        if not self.allowed and not self.suffixes:
            return True
        origin = origin.lower()
        return origin in self.allowed or any(
            origin.startswith(scheme)
            and origin.endswith(suffix)
            and _LABELS.fullmatch(origin, len(scheme), len(origin) - len(suffix)) is not None
            for scheme, suffix in self.suffixes
        )


class ContainerClient(Struct, frozen=True):
    """A compiled client, in claim order."""

    name: str
    component: Component
    parameters: Struct
    priority: int
    paths: tuple[str, ...]
    """Exact paths that it can claim; empty: it cannot say."""
    origins: Origins
    allowed_headers: tuple[str, ...]
    preflight_max_age_s: int
    claim_timeout_s: float


class ContainerTag(Struct, frozen=True):
    """A compiled tag. `parameters(view)` raises ParametersError when resolved values do not fit."""

    name: str
    component: Component
    parameters: Callable[[View], Struct]
    required_consent: tuple[ConsentType, ...]
    delivery: DeliveryRules
    firing_triggers: tuple[str, ...]


class Container(Struct, frozen=True):
    """One version of everything configured."""

    name: str
    version: str
    """Short hash of the source; records name it."""
    clients: tuple[ContainerClient, ...]
    tags: tuple[ContainerTag, ...]
    tags_by_event: Mapping[str, tuple[ContainerTag, ...]]
    tags_of_other_events: tuple[ContainerTag, ...]
    variables: tuple[ContainerVariable, ...]
    credentials: Mapping[str, CredentialSource]
    unclaimed_status: int
    is_unset_consent_granted: bool
    destinations: frozenset[tuple[str, int]] = frozenset()
    """(host, port) of all that it names; see `destinations.py`."""

    def tags_for(self, event_name: str) -> tuple[ContainerTag, ...]:
        """Tags that an event of this name could fire, in firing order."""
        return self.tags_by_event.get(event_name, self.tags_of_other_events)
