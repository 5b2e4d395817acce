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
from collections.abc import Iterable, Mapping
from pathlib import Path

from sgtm.component import Component
from sgtm.consent import ConsentType
from sgtm.container.check import read_sound
from sgtm.container.container import (
    Container,
    ContainerClient,
    ContainerTag,
    Hosts,
    Origins,
)
from sgtm.container.destinations import destinations_of
from sgtm.container.model import Client, ConsentPolicy, ContainerVersion, Tag, Variable, by_priority
from sgtm.container.parameters import ParametersCompiler, component_of, convert_constant
from sgtm.container.references import references_in
from sgtm.container.variables import compile_variables
from sgtm.triggers.trigger import ALL_EVENTS, AllEvents, Trigger, event_names


def load_container(
    path: str | Path, environment: Mapping[str, str] | None = None, *, source: bytes | None = None
) -> Container:
    """The container of a file, or of `source` where somebody has read the file already.

    Raises ContainerError with all problems if `check` finds an error."""
    reading = read_sound(path, environment, source)
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
        self._slots = _slots(model)
        self._parameters = ParametersCompiler(self._slots)

    def container(self, version: str) -> Container:
        model = self._model
        declared = {variable.name: variable for variable in model.variables}
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
            variables=compile_variables(declared, self._slots, self._parameters),
            credentials=self._parameters.credentials,
            unclaimed_status=model.unclaimed_status,
            is_unset_consent_granted=model.consent.unset == "granted",
            destinations=destinations_of(model),
        )

    def _client(self, client: Client) -> ContainerClient:
        component = component_of("client", client)
        written = self._parameters.with_secrets("clients", client)
        known = {key: value for key, value in written.items() if not any(references_in(value))}
        if "unset_consent" in component.parameters_type.__struct_fields__:
            # a client that keeps cookies by consent follows the container, unless it says otherwise
            known.setdefault("unset_consent", self._model.consent.unset or "denied")
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
            collect_paths=tuple(component.collect_paths(parameters)) if component.collect_paths else (),
        )

    def _tag(self, tag: Tag) -> ContainerTag:
        component = component_of("tag", tag)
        return ContainerTag(
            name=tag.name,
            component=component,
            parameters=self._parameters.live("tags", tag, component),
            required_consent=required_consent(tag, component, self._model.consent),
            delivery=tag.delivery,
            firing_triggers=tag.firing_triggers,
        )


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
