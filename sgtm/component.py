"""The registry: clients, variables, transformations and tags, each one file, registered by a decorator.

    @tag("acme", vendor="acme")
    def build(event: Event, parameters: Parameters) -> list[OutgoingRequest]: ...

The parameters struct is read from the annotation, the page of the reference from the docstrings.
Discovery imports every module of `sgtm.clients`, `sgtm.variables`, `sgtm.transformations` and
`sgtm.tags` whose name has no leading underscore, then the entry points of the same names.
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar, get_type_hints

from msgspec import Struct

from sgtm.consent import ConsentType
from sgtm.errors import ComponentError, Problem
from sgtm.messages import DONE, IncomingRequest, Outcome, OutgoingRequest, Refused, VendorAnswer

F = TypeVar("F", bound=Callable[..., Any])
Kind = Literal["client", "variable", "transformation", "tag"]
ParametersType = type[Struct]
Status = Literal["alpha", "beta", "stable"]
Read = Callable[[VendorAnswer, Sequence[OutgoingRequest]], Outcome | list[Outcome]]
Envelope = Callable[[Sequence[OutgoingRequest]], OutgoingRequest]
Check = Callable[[dict[str, Any], str], list[Problem]]


class Secret(Struct, frozen=True):
    """A parameter that is a secret: components see its name, only the sender sees its value."""

    name: str


class Deferred:
    """A parameter that refers to variables and is not read yet. A variable may return it, or what `then`
    makes of it, instead of a value: only then the variables that it refers to are looked at."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self.read = read
        """Gives the value for a view."""

    def then(self, function: Callable[[Any], Any]) -> "Deferred":
        """What `function` makes of the value."""
        read = self.read
        return Deferred(lambda view: function(read(view)))


class Component(Struct, frozen=True, kw_only=True):
    """One registered component type and everything declared about it."""

    kind: Kind
    type: str
    function: Callable[..., Any]
    parameters_type: ParametersType
    module: str
    aliases: tuple[str, ...] = ()
    status: Status = "stable"
    check: Check | None = None
    """Problems that the struct alone cannot find, from the parameters as written and their path."""
    # clients
    paths: Callable[[Any], tuple[str, ...]] | None = None
    """Exact paths that an instance with these parameters can claim; None: it cannot say."""
    methods: tuple[str, ...] = ("GET", "POST")
    allowed_headers: tuple[str, ...] = ()
    """Request headers (lower case) that its senders in pages use: those of allowed origins may (CORS)."""
    refuse: Callable[[IncomingRequest, Any], Refused | None] | None = None
    """What a cheap look tells before `claim` parses anything: Refused where `claim` would make no event,
    None where it has to be asked. Only asked about requests for `paths` (SPEC: reliability 5.1)."""
    collect_paths: Callable[[Any], tuple[str, ...]] | None = None
    """Those of `paths` where browsers send hits: small bodies, and floods are dropped in silence."""
    conceals: Callable[[Any], tuple[str, ...]] | None = None
    """Query parameters and headers (lower case) that hold credentials for an instance with these
    parameters: they are not kept either where no client could say so any more."""
    client_id_key: bytes = b""
    measurement_id_key: bytes = b""
    """Query parameters that name the visitor and the property: rates count by them."""
    # variables
    is_asynchronous: bool = False
    """It may return a `Lookup` instead of a value: tags wait for that, triggers never do."""
    deferred: tuple[str, ...] = ("default",)
    """Parameters in which what may be anything comes as `Deferred` where it refers to variables."""
    hosts: tuple[str, ...] = ()
    """Of tags and variables: hosts that their code sends to over https where the parameters name none
    (`--airgapped`)."""
    # transformations
    only_prepares: bool = False
    """It concerns the whole event (`drop`), so it stands under `preparations:` only."""
    # tags
    vendor: str = ""
    is_advertising: bool = False
    is_consent_aware: bool = False
    """Adjusts by itself what it sends to the consent in the event, as Google's own tags do."""
    consent: tuple[ConsentType, ...] = ()
    """Consent types that `gate: all` asks for when the tag has no consent settings of its own."""
    answers_browser: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether a tag with these parameters, as written, may set cookies or send pixels: then it runs where
    the browser is answered, also where others deliver (`--role collect`). None: never."""
    read: Read
    envelope: Envelope | None = None
    max_batch: int = 1
    late: str = ""
    """What becomes of events that come days late, in a sentence: a replay says it first."""
    expires_after_s: float = float("inf")
    """Seconds after the receipt of a hit when its vendor has no use for it any more."""

    @property
    def documentation(self) -> str:
        """Docstring of the module: what it does, and where the vendor's rules stand."""
        return inspect.getdoc(import_module(self.module)) or ""


_REGISTRY: dict[Kind, dict[str, Component]] = {"client": {}, "variable": {}, "transformation": {}, "tag": {}}


def read_status(answer: VendorAnswer, requests: Sequence[OutgoingRequest]) -> Outcome:
    """The plain rule: 2xx is done, 408, 425, 429 and 5xx are tried again, the rest is dead."""
    if 200 <= answer.status < 300:
        return DONE
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return Outcome("retry", f"HTTP {answer.status}")
    return Outcome("refused" if answer.status in (401, 403) else "dead", f"HTTP {answer.status}")


def _register(kind: Kind, type_: str, function: Callable[..., Any], **declared: Any) -> None:
    where = f"{function.__module__}.{function.__qualname__}"
    parameters_type = get_type_hints(function).get("parameters")
    if not (isinstance(parameters_type, type) and issubclass(parameters_type, Struct)):
        raise ComponentError(
            "the argument `parameters` has no struct as its annotation",
            where=where,
            mend="write `parameters: Parameters`, a frozen msgspec.Struct",
        )
    component = Component(
        kind=kind,
        type=type_,
        function=function,
        parameters_type=parameters_type,
        module=function.__module__,
        **{"read": read_status, **declared},
    )
    for name in (type_, *component.aliases):
        other = _REGISTRY[kind].setdefault(name, component)
        if other.module != component.module:
            raise ComponentError(
                f"two {kind} components are called {name!r}", where=where, mend=f"the other is {other.module}"
            )
        _REGISTRY[kind][name] = component


def client(type_: str, **declared: Any) -> Callable[[F], F]:
    """Register `claim(request, parameters) -> Claimed | Declined | Pending` as a client type.

    Keywords: aliases, status, check, paths, methods, allowed_headers, refuse, collect_paths, conceals,
    client_id_key, measurement_id_key. It may also return `Verify`, and is asked again through that."""
    return _decorator("client", type_, declared)


def variable(type_: str, **declared: Any) -> Callable[[F], F]:
    """Register `resolve(event, parameters) -> value | Lookup` as a variable type.

    Keywords: aliases, status, check, is_asynchronous, deferred, hosts."""
    return _decorator("variable", type_, declared)


def transformation(type_: str, **declared: Any) -> Callable[[F], F]:
    """Register `transform(event, parameters) -> EventData | Dropped` as a transformation type.

    Keywords: aliases, status, check, only_prepares."""
    return _decorator("transformation", type_, declared)


def tag(type_: str, **declared: Any) -> Callable[[F], F]:
    """Register `build(event, parameters) -> TagResult | list[OutgoingRequest] | Pending` as a tag type.

    Keywords: aliases, status, check, vendor, hosts, is_advertising, is_consent_aware, consent,
    answers_browser, read, envelope, max_batch, late, expires_after_s."""
    return _decorator("tag", type_, declared)


def _decorator(kind: Kind, type_: str, declared: dict[str, Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        _register(kind, type_, function, **declared)
        return function

    return decorate


@cache
def _discover() -> None:
    for folder in ("clients", "variables", "transformations", "tags"):
        package = import_module(f"sgtm.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                import_module(f"sgtm.{folder}.{module.name}")
        for entry_point in entry_points(group=f"sgtm.{folder}"):
            entry_point.load()


def find(kind: Kind, type_: str) -> Component | None:
    """The component of that type or alias, or None."""
    _discover()
    return _REGISTRY[kind].get(type_)


def components(kind: Kind) -> list[Component]:
    """All components of a kind, by type, aliases left out."""
    _discover()
    return [component for name, component in sorted(_REGISTRY[kind].items()) if name == component.type]
