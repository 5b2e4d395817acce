"""ContainerVersion -> Container: all meaning is given here, once, before the first hit.

- clients in claim order, tags in firing order, both without the paused ones
- references become slots; a parameter that is the same for all events is never looked at again
- tags are found by event name, so a hit touches only what could fire
- consent settings of a tag, or else what `consent.gate` makes of its type's

The model may come from either front door and may be incomplete (SPEC: sandbox-api 5.10.3): an
unknown variable is undefined, an unknown trigger never fires. Whether that is an error is for
`check.py` to say.
"""

import hashlib
import logging
import operator
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, ValidationError, convert, inspect

from sgtm.component import Component, Kind, find
from sgtm.consent import ConsentType
from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.check import read_sound
from sgtm.container.container import (
    Container,
    ContainerClient,
    ContainerTag,
    ContainerVariable,
    Hosts,
    Origins,
    View,
)
from sgtm.container.destinations import destinations_of
from sgtm.container.environment import with_secret_names
from sgtm.container.field_types import inner_type
from sgtm.container.fields import split_error
from sgtm.container.model import Client, ConsentPolicy, ContainerVersion, Tag, Variable, by_priority
from sgtm.container.references import Reader, compile_reader, references_in
from sgtm.delivery.credentials import CredentialSource
from sgtm.errors import ContainerError, ParametersError, Problem
from sgtm.event import undefined
from sgtm.triggers.trigger import ALL_EVENTS, AllEvents, Trigger, event_names

log = logging.getLogger("sgtm.container")

ParametersOf = Callable[[View], Any]


def load_container(path: str | Path, environment: Mapping[str, str] | None = None) -> Container:
    """The container of a file. Raises ContainerError with all problems if `check` finds an error."""
    reading = read_sound(path, environment)
    return compile_container(reading.model, reading.source)


def compile_container(model: ContainerVersion, source: bytes = b"") -> Container:
    """Make what runs. `source` is the text that the model came from; its hash is the version.

    Raises ContainerError for an unknown component type and for constant parameters that do not fit.
    """
    return _Compiler(model).container(version_of(source))


def version_of(source: bytes) -> str:
    """Short hash that names a version of a container."""
    return hashlib.blake2b(source, digest_size=6).hexdigest()


def required_consent(tag: Tag, component: Component, policy: ConsentPolicy) -> tuple[ConsentType, ...]:
    """Consent that an event must have for this tag (SPEC: design.md, Consent gates)."""
    if tag.consent is not None:
        return tag.consent
    if policy.gate == "declared" or component.is_consent_aware:
        return ()
    return component.consent


def origins_of(patterns: Iterable[str]) -> Origins:
    """`https://shop.example` exactly, `https://*.shop.example` any host below it."""
    lower = [pattern.lower() for pattern in patterns]
    wildcards = [pattern.partition("*") for pattern in lower if "*" in pattern]
    return Origins(
        allowed=frozenset(pattern for pattern in lower if "*" not in pattern),
        suffixes=tuple((scheme, suffix) for scheme, _, suffix in wildcards),
    )


class _Compiler:
    def __init__(self, model: ContainerVersion) -> None:
        self._model = model
        self._credentials: dict[str, CredentialSource] = {}
        self._slots = _slots(model)

    def container(self, version: str) -> Container:
        model = self._model
        clients = [self._client(client) for client in by_priority(model.clients) if not client.is_paused]
        tags = [(tag, self._tag(tag)) for tag in by_priority(model.tags) if not tag.is_paused]
        index, others = _by_event_name(tags, model.triggers)
        return Container(
            name=model.name,
            version=version,
            clients=tuple(clients),
            tags=tuple(tag for _, tag in tags),
            tags_by_event=index,
            tags_of_other_events=others,
            variables=self._variables(),
            credentials=self._credentials,
            unclaimed_status=model.unclaimed_status,
            is_unset_consent_granted=model.consent.unset == "granted",
            destinations=destinations_of(model),
        )

    def _client(self, client: Client) -> ContainerClient:
        component = _component("client", client)
        written = self._with_secrets("clients", client)
        known = {key: value for key, value in written.items() if not any(references_in(value))}
        if "unset_consent" in component.parameters_type.__struct_fields__:
            # a client that keeps cookies by consent follows the container, unless it says otherwise
            known.setdefault("unset_consent", self._model.consent.unset or "denied")
        parameters = _convert_constant(known, component, client)
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
            collect_paths=tuple(component.collect_paths(parameters)) if component.collect_paths else (),
        )

    def _tag(self, tag: Tag) -> ContainerTag:
        component = _component("tag", tag)
        return ContainerTag(
            name=tag.name,
            component=component,
            parameters=self._parameters("tags", tag, component),
            required_consent=required_consent(tag, component, self._model.consent),
            delivery=tag.delivery,
            firing_triggers=tag.firing_triggers,
        )

    def _variables(self) -> tuple[ContainerVariable, ...]:
        declared = {variable.name: variable for variable in self._model.variables}
        return tuple(
            self._variable(declared[name]) if name in declared else _undeclared(name) for name in self._slots
        )

    def _variable(self, variable: Variable) -> ContainerVariable:
        component = _component("variable", variable)
        function = component.function
        parameters = self._parameters("variables", variable, component)
        return _guarded(variable.name, lambda view: function(view.event, parameters(view)))

    def _parameters(self, kind: str, entity: Tag | Variable, component: Component) -> ParametersOf:
        written = self._with_secrets(kind, entity)
        type_ = inspect.type_info(component.parameters_type)
        readers = {
            key: compile_reader(value, inner_type(type_, key), self._slots) for key, value in written.items()
        }
        live = {key: reader for key, reader in readers.items() if reader is not None}
        if not live:
            constant = _convert_constant(written, component, entity)
            return lambda view: constant
        rest = {key: value for key, value in written.items() if key not in live}
        slots = sorted({self._slots[name] for name in references_in(written)})
        return LiveParameters(
            component.parameters_type, rest, live, slots, f"{component.kind} {entity.name!r}"
        )

    def _with_secrets(self, kind: str, entity: Client | Tag | Variable) -> dict[str, Any]:
        place = f"{kind}.{entity.name}"
        return {
            key: with_secret_names(value, f"{place}.{key}", self._credentials)
            for key, value in entity.parameters.items()
        }


class LiveParameters:
    """Parameters that refer to variables: read and converted for each view.

    PERF: a conversion costs 1 to 2 us, so it is left out while all variables have the very same
    values as for the event before, as constants have.
    """

    __slots__ = ("_last", "_live", "_rest", "_slots", "_type", "_values", "_where")

    def __init__(
        self,
        type_: type[Struct],
        rest: dict[str, Any],
        live: dict[str, Reader],
        slots: list[int],
        where: str,
    ) -> None:
        self._type, self._rest, self._live, self._slots, self._where = type_, rest, live, slots, where
        self._values: list[Any] | None = None
        self._last: Any = None

    def __call__(self, view: View) -> Any:
        """The struct for this view. Raises ParametersError, which names the field and no value."""
        values = [view.value(slot) for slot in self._slots]
        known = self._values
        if known is not None and all(map(operator.is_, known, values)):
            return self._last
        written = dict(self._rest)
        for key, reader in self._live.items():
            value = reader(view)
            if value is not undefined:
                written[key] = value
        try:
            self._last = convert(written, self._type, strict=False)
        except ValidationError as error:
            self._values = None
            raise ParametersError(_without_values(error), where=self._where) from None
        self._values = values
        return self._last


def _without_values(error: ValidationError) -> str:
    """msgspec's message, unless it may quote a value (SPEC: reliability, no personal data in errors)."""
    message, path = split_error(error)
    if not message.startswith(
        ("Expected `", "Object missing required field", "Object contains unknown field")
    ):
        message = "a value that does not fit"
    place = ".".join(str(step) for step in path)
    return f"{place}: {message}" if place else message


def _guarded(name: str, resolve: Callable[[View], Any]) -> ContainerVariable:
    """A variable that throws is False, and is named on the view (SPEC: sandbox-api 5.10.4, A14)."""
    is_known = False

    def guarded(view: View) -> Any:
        nonlocal is_known
        try:
            return resolve(view)
        except Exception as error:
            view.failed_variables += (name,)
            if not is_known:
                is_known = True
                log.warning("variable %r raised %s; it is false then", name, type(error).__name__)
            return False

    return ContainerVariable(name, guarded)


def _undeclared(name: str) -> ContainerVariable:
    if name in BUILT_IN_VARIABLES:
        return _guarded(name, BUILT_IN_VARIABLES[name][1])
    return ContainerVariable(name, lambda view: undefined)


def _slots(model: ContainerVersion) -> dict[str, int]:
    """A slot for each variable that is declared or referred to."""
    names = [variable.name for variable in model.variables]
    entities: tuple[Variable | Tag, ...] = (*model.variables, *model.tags)
    for entity in entities:
        names.extend(references_in(entity.parameters))
    return {name: slot for slot, name in enumerate(dict.fromkeys(names))}


def _by_event_name(
    tags: list[tuple[Tag, ContainerTag]], triggers: Iterable[Trigger]
) -> tuple[dict[str, tuple[ContainerTag, ...]], tuple[ContainerTag, ...]]:
    """The index: event name -> tags in firing order, and the tags of every other event."""
    declared: dict[str, Trigger] = {ALL_EVENTS: AllEvents(ALL_EVENTS)}
    declared |= {trigger.name: trigger for trigger in triggers}
    names_of = {name: event_names(trigger) for name, trigger in declared.items()}
    fires_on = [
        (compiled, [names_of[name] for name in tag.firing_triggers if name in names_of])
        for tag, compiled in tags
    ]
    all_names = {name for _, sets in fires_on for names in sets if names is not None for name in names}
    index = {
        name: tuple(tag for tag, sets in fires_on if any(names is None or name in names for names in sets))
        for name in all_names
    }
    return index, tuple(tag for tag, sets in fires_on if None in sets)


def _component(kind: Kind, entity: Client | Tag | Variable) -> Component:
    component = find(kind, entity.type)
    if component is None:
        raise _error(kind, entity, f"{entity.type!r} is not a type of {kind}", "see `sgtm list`")
    return component


def _convert_constant(written: dict[str, Any], component: Component, entity: Client | Tag | Variable) -> Any:
    try:
        return convert(written, component.parameters_type)
    except ValidationError as error:
        raise _error(component.kind, entity, str(error), "see `sgtm check`") from None


def _error(kind: str, entity: Client | Tag | Variable, what: str, mend: str) -> ContainerError:
    where = f'{kind} "{entity.name}"'
    return ContainerError([Problem(severity="error", what=what, where=where, mend=mend)], where=where)
