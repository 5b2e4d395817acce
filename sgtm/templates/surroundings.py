"""Surroundings: what the templates of one container share, whoever serves it: limits, stores, counters.

A container is compiled without them; whoever serves it puts its own in place. A clock is only for counting:
no template sees it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from weakref import ref

from msgspec import Struct, field
from msgspec.structs import replace

from sgtm.messages import NO_REQUEST, IncomingRequest
from sgtm.templates.apis.storage import TemplateStorage
from sgtm.templates.host import ContainerFacts, Response, Services
from sgtm.templates.script import Limits


class Counters(Protocol):
    """Whoever counts."""

    def add(self, name: str, label: str = "", amount: float = 1) -> None:
        """Count."""


class Shared(Struct):
    """What all runs for one request share."""

    response: Response = field(default_factory=Response)
    listeners: dict[str, list[Any]] = field(default_factory=dict)
    console: dict[str, list[str]] = field(default_factory=dict)
    """By variable the lines that it wrote when it was resolved last."""


NO_SERVICES = Services()


class Surroundings:
    """Of one container. `facts` are the container's own; the rest is of whoever serves it."""

    def __init__(self, facts: ContainerFacts) -> None:
        self.facts, self.limits = facts, Limits()
        self.stores: dict[str, TemplateStorage] = {}
        """By template."""
        self.counters: Counters | None = None
        self.clock: Callable[[], float] | None = None
        self.processor: Callable[[], float] | None = None
        """Seconds that this thread has had of the processor; None: nobody looks at `cpu_ms`."""
        self.services = Services()
        self.hears_ends = False
        """Whether any of its templates wants to hear when the tags of an event have ended."""
        self._shared: dict[int, tuple[Shared, object]] = {}
        self.templates: tuple[str, ...] = ()
        """Names of those that are used."""

    def use(
        self,
        limits: Limits,
        stores: dict[str, TemplateStorage],
        counters: Counters | None = None,
        clock: Callable[[], float] | None = None,
        services: Services = NO_SERVICES,
        processor: Callable[[], float] | None = None,
    ) -> None:
        """Be served with these from now on. `stores` outlive the container: a reload keeps what templates
        have kept."""
        self.limits, self.stores, self.counters, self.clock = limits, stores, counters, clock
        self.services, self.processor = services, processor

    def previews(self) -> None:
        """The version is only previewed."""
        self.facts = replace(self.facts, is_preview=True, is_debug=True)

    def store(self, template: str) -> TemplateStorage:
        """The store of a template; for a version that is only previewed one that lives for one run
        (SPEC: sandbox-api 1.3)."""
        if self.facts.is_preview:
            return TemplateStorage(self.limits.storage_bytes)
        store = self.stores.get(template)
        if store is None:
            store = self.stores[template] = TemplateStorage(self.limits.storage_bytes)
        return store

    def shared(self, request: IncomingRequest) -> Shared:
        """What the templates share that run for this very request; gone when the request is."""
        key = id(request)
        found = self._shared.get(key)
        if found is not None:
            return found[0]
        shared = Shared()
        if request is not NO_REQUEST:
            self._shared[key] = shared, ref(request, lambda _: self._shared.pop(key, None))
        return shared

    def said(self, request: IncomingRequest) -> Response:
        """What templates that ran for this request have said of its answer so far."""
        found = self._shared.get(id(request))
        return Response() if found is None else found[0].response

    def console(self, request: IncomingRequest) -> Mapping[str, Sequence[str]]:
        """By variable the lines that it wrote for this request."""
        found = self._shared.get(id(request))
        return {} if found is None else found[0].console

    def ended(self, template: str, seconds: float) -> None:
        """A run has ended that took so long: count it."""
        if self.counters is not None:
            self.counters.add("sgtm_template_runs_total", template)
            self.counters.add("sgtm_template_seconds_total", template, seconds)

    def failed(self, template: str, limit: str) -> None:
        """A run has failed, if at a limit then at this one: count it."""
        if self.counters is not None:
            self.counters.add("sgtm_template_failures_total", template)
            if limit:
                self.counters.add("sgtm_template_limits_total", f"{template}/{limit}")
