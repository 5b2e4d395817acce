"""ContainerVersion -> Container: all meaning is given here, once, before the first hit.

- clients in claim order, tags in firing order, both without the paused ones
- references become slots; a parameter that is the same for all events is never looked at again
- conditions become closures that each event evaluates once; triggers, tags, transformations,
  clients and variables are compiled in files of their own
- tags are found by event name, so a hit touches only what could fire

The model may come from either front door and may be incomplete (SPEC: sandbox-api 5.10.3): an
unknown variable is undefined, an unknown trigger never fires. Whether that is an error is for
`check.py` to say.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from sgtm.container.check import read_sound
from sgtm.container.clients import ClientCompiler, constants_of
from sgtm.container.conditions import ConditionCompiler
from sgtm.container.container import Container, ContainerClient, ContainerTag
from sgtm.container.destinations import destinations_of
from sgtm.container.model import ContainerVersion, Tag, by_priority
from sgtm.container.parameters import ParametersCompiler
from sgtm.container.references import references_in, references_of
from sgtm.container.tags import LookupOrder, TagCompiler, in_sequence
from sgtm.container.templates import Templates
from sgtm.container.transformations import TransformationCompiler, affected
from sgtm.container.triggers import CompiledTrigger, TriggerCompiler, by_event_name, selections
from sgtm.container.variables import compile_variables, event_name_variables
from sgtm.errors import ContainerError, Problem
from sgtm.templates.host import ContainerFacts

log = logging.getLogger("sgtm.container")

E = TypeVar("E", bound=Any)
C = TypeVar("C")


def load_container(
    path: str | Path, environment: Mapping[str, str] | None = None, *, source: bytes | None = None
) -> Container:
    """The container of a file, or of `source` where somebody has read the file already.

    Raises ContainerError with all problems if `check` finds an error."""
    try:
        reading = read_sound(path, environment, source)
        container = compile_container(reading.model, reading.source, lenient=reading.model.tolerates_unknown)
        return replace(container, secrets=tuple(reading.secrets()))
    except ContainerError:
        raise
    except Exception as error:  # a mistake of ours, which must not end whoever watches the file
        log.exception("a container cannot be compiled")
        what, mend = f"cannot be compiled: {type(error).__name__}", "the log says where; please report it"
        raise ContainerError([Problem("error", what, str(path), mend)], where=str(path)) from error


def compile_container(model: ContainerVersion, source: bytes = b"", *, lenient: bool = False) -> Container:
    """Make what runs. `source` is the text that the model came from; its hash is the version.

    Raises ContainerError for an unknown component type and for constant parameters that do not fit.
    `lenient` (for exports, of which parts are ordinary input): never; such a variable is undefined, such
    a tag never fires, such a client claims nothing, and tags that such a transformation affects do not
    fire, since it may have been there to hide something. Each is logged.
    """
    return _Compiler(model, is_lenient=lenient).container(version_of(source))


def version_of(source: bytes) -> str:
    """Short hash that names a version of a container."""
    return hashlib.blake2b(source, digest_size=6).hexdigest()


class _Compiler:
    def __init__(self, model: ContainerVersion, *, is_lenient: bool) -> None:
        self._model, self._is_lenient = model, is_lenient
        declared = {variable.name: variable for variable in model.variables}
        names = event_name_variables(declared)
        self._slots = _slots(model)
        self._templates = Templates(model.custom_templates)
        self._parameters = ParametersCompiler(self._slots, self._templates)
        self._conditions = ConditionCompiler(self._slots, names)
        lookups = LookupOrder(declared, self._slots, self._templates)
        self._transformations = TransformationCompiler(
            self._parameters, self._conditions, lookups, is_lenient=is_lenient
        )
        self._triggers = TriggerCompiler(model.triggers, self._conditions, names)
        self._tags = TagCompiler(self._parameters, self._triggers, lookups, model.consent)

    def container(self, version: str) -> Container:
        model = self._model
        self._templates.surroundings.facts = ContainerFacts(
            model.container_id, model.version_name or version, environment_name=model.environment_name
        )
        fired = self._tags_and_triggers()
        tags = [tag for tag, _ in fired]
        index, others = by_event_name(fired)
        preparations = [self._transformations.preparation(one) for one in _active(model.preparations)]
        self._conditions.finish()
        selected = selections(fired)
        container = Container(
            name=model.name,
            version=version,
            clients=(),
            tags=tuple(tags),
            tags_by_event=index,
            tags_of_other_events=others,
            selections=selected,
            variables=compile_variables(
                model, version, self._slots, self._parameters, is_lenient=self._is_lenient
            ),
            credentials=self._parameters.credentials,
            unclaimed_status=model.unclaimed_status,
            is_unset_consent_granted=model.consent.unset == "granted",
            preparations=tuple(preparations),
            tags_by_name={tag.name: tag for tag in tags},
            public_id=model.container_id,
            version_name=model.version_name,
            environment_name=model.environment_name,
            context=model.context,
            surroundings=self._templates.surroundings if model.custom_templates else None,
            destinations=destinations_of(model, self._templates),
        )
        return replace(container, clients=self._clients(container))

    def _clients(self, container: Container) -> tuple[ContainerClient, ...]:
        model = self._model
        compiler = ClientCompiler(
            container, constants_of(model.variables), self._slots, self._parameters, model.consent
        )
        clients = _active(by_priority(model.clients))
        return tuple(client for _, client in self._each(clients, compiler.client, "it claims nothing"))

    def _tags_and_triggers(self) -> list[tuple[ContainerTag, list[CompiledTrigger]]]:
        """Tags in firing order, with the triggers that fire them."""
        model = self._model
        transformations = [
            (
                affected(one, model.tags, self._templates.type_of),
                self._transformations.transformation(one, slot),
            )
            for slot, one in enumerate(_active(by_priority(model.transformations)))
        ]

        def compiled(tag: Tag) -> ContainerTag:
            return self._tags.tag(tag, tuple(one for names, one in transformations if tag.name in names))

        found = self._each(_active(by_priority(model.tags)), compiled, "it never fires")
        tags = in_sequence([tag for _, tag in found])
        return [(tag, self._triggers.firing(written)) for tag, (written, _) in zip(tags, found, strict=True)]

    def _each(self, entities: list[E], compiled: Callable[[E], C], consequence: str) -> list[tuple[E, C]]:
        """Each entity with what it becomes; leniently, those that cannot be compiled are left out."""
        found = []
        for entity in entities:
            try:
                found.append((entity, compiled(entity)))
            except ContainerError as error:
                if not self._is_lenient:
                    raise
                log.warning("%s: %s; %s", error.where, error.problems[0].what, consequence)
        return found


def _active(entities: Iterable[E]) -> list[E]:
    return [entity for entity in entities if not entity.is_paused]


def _slots(model: ContainerVersion) -> dict[str, int]:
    """A slot for each variable that is declared or referred to."""
    names = [variable.name for variable in model.variables]
    for variable in model.variables:
        names.extend(references_of(variable))
    entities: tuple[Any, ...] = (*model.clients, *model.preparations, *model.transformations, *model.tags)
    for entity in entities:
        names.extend(references_in(entity.parameters))
    owners: tuple[Any, ...] = (*model.preparations, *model.triggers, *model.transformations)
    for owner in owners:
        for condition in owner.conditions:
            names.extend(references_in([condition.value, condition.compare_with]))
    return {name: slot for slot, name in enumerate(dict.fromkeys(names))}
