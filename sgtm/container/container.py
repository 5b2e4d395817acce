"""Container: all that is configured, compiled and immutable. A reload swaps it whole.

References to variables are slots, tag lists are found by event name: a hit touches only what
could fire. `compile.py` makes one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from sgtm.component import Component
from sgtm.consent import ConsentType
from sgtm.container.matching import Matching
from sgtm.container.sample import Sampled
from sgtm.delivery.context.rules import ContextRules
from sgtm.delivery.credentials import CredentialSource
from sgtm.delivery.delivery import DeliveryRules
from sgtm.event import Event, undefined
from sgtm.messages import Conversation, Dropped, EventData, Lookup
from sgtm.observability.walk import WalkedTransformation, WalkedTrigger
from sgtm.templates.surroundings import Surroundings

_LABELS = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
"""What `*` stands for in an origin: part of a host name, so no `/`, `@`, `:` or `#` can hide there."""


class View(Struct, eq=False):
    """An event as it is for who asks, with the variables that were resolved for it.

    Each variable is evaluated at most once per view. Triggers see the untransformed event, a tag
    the one that its transformations leave (SPEC: sandbox-api 5.10, A1); tags with the same list of
    applied transformations share one view.
    """

    event: Event
    container: "Container"
    conditions: dict[int, Any] = {}
    """Results of conditions: each is computed once (SPEC: google-runtime 2.2)."""
    failed_variables: tuple[str, ...] = ()
    """Names of variables that raised for this view; each of them is False."""
    lookups: dict[int, Lookup | Conversation] | None = None
    """By slot: what asynchronous variables asked for. Until somebody has waited (`found`), such a
    variable has its default: so triggers never wait (SPEC: requirements R152)."""
    _values: dict[int, Any] = {}
    _found: dict[int, Any] | None = None
    _after: dict[int, "View"] | None = None
    _told: int = 0

    def value(self, slot: int) -> Any:
        """Value of the variable in `slot`; inside its own evaluation (a cycle) it is undefined."""
        values = self._values
        if slot in values:
            return values[slot]
        values[slot] = undefined
        result = values[slot] = self.container.variables[slot].resolve(self)
        return result

    def lookup(self, slot: int) -> Lookup | Conversation | None:
        """What the variable in `slot` asks for and nobody has brought yet. It stays until somebody has:
        another tag with this view waits for the same."""
        self.value(slot)
        return None if self.lookups is None else self.lookups.get(slot)

    def found(self, slot: int, value: Any) -> None:
        """What the lookup of the variable in `slot` has brought. Everything else is evaluated anew when
        it is read again: it may have been made from the default."""
        form = self.container.variables[slot].form
        if self.lookups is not None:
            self.lookups.pop(slot, None)
        self._found = {**(self._found or {}), slot: form(self, value) if form is not None else value}
        self._values = dict(self._found)
        self.conditions = {}

    def newly_failed(self) -> tuple[str, ...]:
        """Names of variables that have raised since this was asked last."""
        told, self._told = self._told, len(self.failed_variables)
        return self.failed_variables[told:]

    def values(self) -> Iterator[tuple[str, Any]]:
        """(name, value) of every variable that somebody has read."""
        for slot, value in self._values.items():
            yield self.container.variables[slot].name, value

    def for_tag(self, tag: "ContainerTag") -> "View":
        """The view that `tag` sees. Raises what a transformation raises: then the tag must not fire,
        since it might see what it was to be kept from."""
        view = self
        for transformation in tag.transformations:
            view = view.after(transformation)
        return view

    def changed(self, data: EventData) -> "View":
        """A view of the same event with other data."""
        name = data.get("event_name")
        event = replace(self.event, data=data, name=name if isinstance(name, str) else "")
        return View(event, self.container)

    def after(self, transformation: "ContainerTransformation") -> "View":
        """This view with one transformation applied to it; itself where the conditions do not hold."""
        if self._after is None:
            self._after = {}
        view = self._after.get(transformation.slot)
        if view is None:
            view = self.changed(transformation.transform(self)) if transformation.applies(self) else self
            self._after[transformation.slot] = view
        return view


class ContainerVariable(Struct, frozen=True):
    """A compiled variable. `resolve` never raises: a variable that throws is False (5.10.4, A14).

    An asynchronous one puts its Lookup into `view.lookups` and gives the default; `form` makes of what
    is found later what `format_value` wants. Neither raises."""

    name: str
    resolve: Callable[[View], Any]
    form: Callable[[View, Any], Any] | None = None
    type: str = ""
    """As the container calls it; empty: nobody declares it."""


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


class Hosts(Struct, frozen=True):
    """A list of hosts."""

    names: frozenset[str]
    suffixes: tuple[str, ...] = ()
    """With a leading dot: hosts below, not the host itself."""

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "Hosts":
        """`shop.example` exactly, `*.shop.example` any host below it."""
        lower = [pattern.lower() for pattern in patterns]
        return cls(
            frozenset(pattern for pattern in lower if not pattern.startswith("*.")),
            tuple(pattern[1:] for pattern in lower if pattern.startswith("*.")),
        )

    def serves(self, host: str) -> bool:
        """Whether this host (lower case, without port) is on the list."""
        return host in self.names or host.endswith(self.suffixes)


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
    hosts: Hosts | None = None
    """Hosts that it claims requests for; None: any."""
    collect_paths: tuple[str, ...] = ()
    """Those of `paths` where browsers send hits."""
    match: Matching | None = None

    def is_for(self, host: str) -> bool:
        """Whether it may claim requests for this host (R12)."""
        return self.hosts is None or self.hosts.serves(host)


class Endpoint(Struct, frozen=True):
    """What path and host alone tell: whose a request is, before anybody looks at it."""

    owner: ContainerClient
    """The first client that names the path."""
    is_first: bool
    """No client above could claim it, and nothing but path and host decides whether the owner may."""
    is_sole: bool
    """No other client could."""
    is_collect: bool
    """Browsers send hits there."""


def candidates_of(clients: Sequence[ContainerClient]) -> dict[str, tuple[ContainerClient, ...]]:
    """Path that a client names -> all clients that may claim it, in claim order: also those that cannot
    say their paths."""
    return {
        path: tuple(client for client in clients if path in client.paths or not client.paths)
        for path in {path for client in clients for path in client.paths}
    }


def endpoint_of(path: str, candidates: Sequence[ContainerClient]) -> Endpoint | None:
    """Whose a request is for which these are the candidates, in claim order; None where no one of them
    names the path."""
    owner = next((client for client in candidates if client.paths), None)
    if owner is None:
        return None
    is_collect = any(path in client.collect_paths for client in candidates)
    is_first = owner is candidates[0] and owner.match is None
    return Endpoint(owner, is_first, len(candidates) == 1, is_collect)


class ContainerTransformation(Struct, frozen=True):
    """A compiled transformation. Both functions may raise."""

    name: str
    slot: int
    """Its place among all transformations of the container."""
    applies: Callable[[View], bool]
    """Whether its conditions hold."""
    transform: Callable[[View], EventData]
    explain: Callable[[View], WalkedTransformation]
    """The same for a person who looks: before, after, the condition that failed. Never raises."""
    awaits: tuple[tuple[int, ...], ...] = ()
    """Slots of the asynchronous variables that its parameters and conditions need, as those of a tag."""


class ContainerPreparation(Struct, frozen=True):
    """A compiled preparation: what happens to events before any trigger sees them."""

    name: str
    applies: Callable[[View], bool]
    transform: Callable[[View], EventData | Dropped]
    explain: Callable[[View], WalkedTransformation]


class ContainerDeduplication(Struct, frozen=True):
    """When two events are the same for a tag."""

    key_paths: tuple[str, ...]
    counts_name: bool
    """Events of different names are different."""
    window_micros: int
    except_events: frozenset[str]


class ContainerTag(Struct, frozen=True):
    """A compiled tag. `parameters(view)` raises ParametersError when resolved values do not fit."""

    name: str
    component: Component
    parameters: Callable[[View], Struct]
    required_consent: tuple[ConsentType, ...]
    delivery: DeliveryRules
    firing_triggers: tuple[str, ...]
    firings: Callable[[View], int] | None = None
    """How often an event fires it, by its conditions and exceptions, from the untransformed view: 0, 1,
    or (firing option `unlimited`) the number of triggers that matched. None: the event name has
    decided, once. Never raises."""
    explain: Callable[[View], list[WalkedTrigger]] | None = None
    """Each of its triggers for a person who looks. Never raises."""
    transformations: tuple[ContainerTransformation, ...] = ()
    """Those that affect it, in the order in which they are applied."""
    awaits: tuple[tuple[int, ...], ...] = ()
    """Slots of the asynchronous variables that its parameters need, also through other variables: all of
    one wave at once, then those that need them."""
    schedule: tuple[int, int] | None = None
    """Unix times in microseconds: not before the first, not from the second on."""
    sample: Sampled | None = None
    answers_browser: bool = False
    """It may set cookies or send pixels."""
    is_live_only: bool = False
    is_unlimited: bool = False
    is_sequenced: bool = False
    """It has a set-up or clean-up tag, or is one of another tag."""
    setup_tag: str = ""
    """Name of the tag that runs before it (and is in `Container.tags_by_name`), or empty."""
    stops_on_setup_failure: bool = False
    missing_setup_tag: str = ""
    """Name of a set-up tag without which it must not fire, and which does not run."""
    cleanup_tag: str = ""
    cleanup_only_on_success: bool = False
    deduplication: ContainerDeduplication | None = None
    is_gated: bool = False
    """Whether its own settings or consent may hold it back; made from them."""
    life_micros: int = 0
    """How long after its hit a delivery of it is of use; made from its rules."""

    def __post_init__(self) -> None:
        gates = (self.missing_setup_tag, self.is_live_only, self.schedule, self.sample, self.required_consent)
        force_setattr(self, "is_gated", any(gates))
        life_s = min(self.delivery.expires_after_s, self.component.expires_after_s)
        force_setattr(self, "life_micros", int(life_s * 1_000_000))


class Container(Struct, frozen=True, weakref=True):
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
    selections: Mapping[str | None, Callable[[View], Sequence[ContainerTag]]] = {}
    """Event name (None: every other) with many tags -> those worth a look, by what their conditions need."""
    preparations: tuple[ContainerPreparation, ...] = ()
    tags_by_name: Mapping[str, ContainerTag] = {}
    """Every tag that runs, also those that no trigger fires: they may be set-up or clean-up tags."""
    is_preview: bool = False
    """A version that is not published: tags that are live only do not fire."""
    public_id: str = ""
    """`GTM-XXXX`; what `{{Container ID}}` gives."""
    version_name: str = ""
    environment_name: str = "Live"
    secrets: tuple[str, ...] = ()
    """Texts in it that are secrets, as in fields of templates: whoever shows anything hides them."""
    surroundings: Surroundings | None = None
    """Of its templates: whoever serves it puts limits and counters in."""
    destinations: frozenset[tuple[str, int]] = frozenset()
    """(host, port) of all that it names; see `destinations.py`."""
    context: ContextRules | None = None
    """What events without a browser inherit; None: nothing is kept."""
    candidates: Mapping[str, tuple[ContainerClient, ...]] = {}
    """Path -> clients that may claim it; made from `clients`."""
    answers_browser: bool = False
    """Whether any of `tags` does; made from them."""
    endpoints: Mapping[str, Endpoint | None] = {}
    """Of the paths where the host makes no difference; made from `clients`."""

    def __post_init__(self) -> None:
        force_setattr(self, "candidates", candidates_of(self.clients))
        if self.surroundings is not None and self.is_preview:
            self.surroundings.previews()
        force_setattr(self, "answers_browser", any(tag.answers_browser for tag in self.tags))
        endpoints = {
            path: endpoint_of(path, candidates)
            for path, candidates in self.candidates.items()
            if all(client.hosts is None for client in candidates)
        }
        force_setattr(self, "endpoints", endpoints)

    def endpoint(self, path: str, host: str) -> Endpoint | None:
        """Whose a request is; None where no client for this host names the path."""
        # PERF: asked several times for every hit
        if path in self.endpoints:
            return self.endpoints[path]
        return endpoint_of(path, [one for one in self.candidates.get(path, ()) if one.is_for(host)])

    def tags_for(self, event_name: str) -> tuple[ContainerTag, ...]:
        """Tags that an event of this name could fire, in firing order."""
        return self.tags_by_event.get(event_name, self.tags_of_other_events)

    def tags_worth_a_look(self, view: View) -> Sequence[ContainerTag]:
        """Those of `tags_for` that an event could fire, as far as simple conditions tell; in firing
        order. Whether one does fire says `ContainerTag.firings`."""
        name = view.event.name
        select = self.selections.get(name if name in self.tags_by_event else None)
        return self.tags_for(name) if select is None else select(view)
