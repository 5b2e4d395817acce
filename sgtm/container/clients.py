"""Clients, compiled, in claim order.

A client acts before there is an event, so its parameters are known once and for all: of variables it
can only use constants. A reference to any other is as if it were not written; where that would leave a
list empty that had members, the client is not compiled, since an empty list often means "any".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import inspect

from sgtm.component import find
from sgtm.container.container import Container, ContainerClient, Hosts, Origins, View
from sgtm.container.field_types import inner_type
from sgtm.container.matching import compile_matching
from sgtm.container.model import Client, ConsentPolicy, Variable
from sgtm.container.parameters import ParametersCompiler, convert_constant, problem_with
from sgtm.container.references import compile_reader, references_of
from sgtm.event import make_event, undefined
from sgtm.messages import NO_REQUEST

_CONSTANT_TYPES = frozenset({"constant", "environment"})


def constants_of(variables: Iterable[Variable]) -> frozenset[str]:
    """Names of the variables that have one value, whatever the event."""
    candidates = {variable.name: variable for variable in variables if _is_constant_type(variable.type)}
    while True:
        bad = {
            name
            for name, variable in candidates.items()
            if any(other not in candidates for other in references_of(variable))
        }
        if not bad:
            return frozenset(candidates)
        candidates = {name: variable for name, variable in candidates.items() if name not in bad}


def _is_constant_type(written: str) -> bool:
    component = find("variable", written)
    return component is not None and component.type in _CONSTANT_TYPES


class ClientCompiler:
    """Compiles the clients of one container. `container` has its variables already."""

    def __init__(
        self,
        container: Container,
        constants: Iterable[str],
        slots: Mapping[str, int],
        parameters: ParametersCompiler,
        consent: ConsentPolicy,
    ) -> None:
        self._slots, self._parameters, self._consent = slots, parameters, consent
        nothing = make_event({}, NO_REQUEST, "", 0)
        slots_of = frozenset(slots[name] for name in constants)
        self._view = _Constants(nothing, container, constants=slots_of)

    def client(self, client: Client) -> ContainerClient:
        """One client. Raises ContainerError for an unknown type and parameters that do not fit."""
        component = self._parameters.component_of("client", client)
        written = self._parameters.with_secrets("clients", client)
        type_ = inspect.type_info(component.parameters_type)
        known = {key: self._known(value, inner_type(type_, key), client) for key, value in written.items()}
        known = {key: value for key, value in known.items() if value is not undefined}
        if "unset_consent" in component.parameters_type.__struct_fields__:
            # a client that keeps cookies by consent follows the container, unless it says otherwise
            known.setdefault("unset_consent", self._consent.unset or "denied")
        parameters = convert_constant(known, component, client)
        return ContainerClient(
            name=client.name,
            component=component,
            parameters=parameters,
            priority=client.priority,
            paths=tuple(component.paths(parameters)) if component.paths else (),
            origins=origins_of(client.allowed_origins),
            allowed_headers=client.allowed_headers,
            preflight_max_age_s=client.preflight_max_age_s,
            claim_timeout_s=client.claim_timeout_s,
            hosts=Hosts.of(client.hosts) if client.hosts else None,
            match=compile_matching(client.match),
            collect_paths=tuple(component.collect_paths(parameters)) if component.collect_paths else (),
        )

    def _known(self, written: Any, type_: inspect.Type, client: Client) -> Any:
        reader = compile_reader(written, type_, self._slots)
        if reader is None:
            return written
        value = reader(self._view)
        if isinstance(written, list) and not value:
            raise problem_with(
                "client",
                client,
                "all members of a list are variables that are known only when an event is there",
                "write the values themselves, or constants",
            )
        return value


class _Constants(View):
    """No event at all: only constants have a value."""

    constants: frozenset[int] = frozenset()
    """Their slots."""

    def value(self, slot: int) -> Any:
        return View.value(self, slot) if slot in self.constants else undefined


def origins_of(patterns: Iterable[str]) -> Origins:
    """`https://shop.example` exactly, `https://*.shop.example` any host below it."""
    lower = [pattern.lower() for pattern in patterns]
    wildcards = [pattern.partition("*") for pattern in lower if "*" in pattern]
    return Origins(
        allowed=frozenset(pattern for pattern in lower if "*" not in pattern),
        suffixes=tuple((scheme, suffix) for scheme, _, suffix in wildcards),
    )
