"""Parameters of components, compiled: what is the same for all events is one struct, made once.

Used for clients, variables, transformations and tags alike. Secrets become names; whoever compiles
a container collects their sources in `credentials`.
"""

import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, get_type_hints

from msgspec import Struct, ValidationError, convert, inspect
from msgspec.structs import fields, force_setattr

from sgtm.component import Component, Kind
from sgtm.container.container import View
from sgtm.container.environment import with_secret_names
from sgtm.container.field_types import inner_type, plain_type
from sgtm.container.fields import split_error
from sgtm.container.references import Reader, compile_reader, defer, references_in
from sgtm.container.templates import Templates
from sgtm.delivery.credentials import CredentialSource
from sgtm.errors import ContainerError, ParametersError, Problem
from sgtm.event import undefined

ParametersOf = Callable[[View], Any]


class Entity(Protocol):
    """What of the model has a type and parameters."""

    @property
    def name(self) -> str:
        """Its name, unique among its kind."""

    @property
    def type(self) -> str:
        """Which component it is."""

    @property
    def parameters(self) -> dict[str, Any]:
        """As written."""


class ParametersCompiler:
    """Compiles the parameters of one container's entities. `slots` has every variable that they refer to."""

    def __init__(self, slots: Mapping[str, int], templates: Templates) -> None:
        self._slots, self.templates = slots, templates
        self.credentials: dict[str, CredentialSource] = {}

    def component_of(self, kind: Kind, entity: Entity) -> Component:
        """The component of an entity's type. Raises ContainerError where there is none."""
        component = self.templates.find(kind, entity.type, entity.name)
        if component is None:
            trouble = self.templates.trouble(kind, entity.type)
            what = trouble.what if trouble is not None else f"{entity.type!r} is not a type of {kind}"
            raise problem_with(kind, entity, what, "see `sgtm list`")
        return component

    def live(self, kind: str, entity: Entity, component: Component) -> ParametersOf:
        """How to read the parameters for a view. Raises ContainerError where constant ones do not fit."""
        type_ = inspect.type_info(component.parameters_type)
        written = self._deferred(self.with_secrets(kind, entity), type_, component)
        readers = {
            key: compile_reader(value, inner_type(type_, key), self._slots) for key, value in written.items()
        }
        live = {key: reader for key, reader in readers.items() if reader is not None}
        if not live:
            constant = convert_constant(written, component, entity)
            return lambda view: constant
        rest = {key: value for key, value in written.items() if key not in live}
        slots = sorted({self._slots[name] for name in references_in(written)})
        return LiveParameters(
            component.parameters_type, rest, live, slots, f"{component.kind} {entity.name!r}"
        )

    def _deferred(self, written: dict[str, Any], type_: inspect.Type, component: Component) -> dict[str, Any]:
        """A variable's parameters, with those that it reads only when it needs them as Deferred."""
        if component.kind != "variable":
            return written
        return {
            key: defer(value, inner_type(type_, key), self._slots) if key in component.deferred else value
            for key, value in written.items()
        }

    def with_secrets(self, kind: str, entity: Entity) -> dict[str, Any]:
        """Parameters as written, each secret as its name."""
        place = f"{kind}.{entity.name}"
        return {
            key: with_secret_names(value, f"{place}.{key}", self.credentials)
            for key, value in entity.parameters.items()
        }


class LiveParameters:
    """Parameters that refer to variables: read and converted for each view.

    PERF: a conversion costs 1 to 2 us, so it is left out while all variables have the very same
    values as for the event before, as constants have. Lists and mappings that are the same for all
    events are converted once: they are the very same object for each event.
    """

    __slots__ = ("_kept", "_last", "_live", "_rest", "_slots", "_type", "_values", "_wanted", "_where")

    def __init__(
        self,
        type_: type[Struct],
        rest: dict[str, Any],
        live: dict[str, Reader],
        slots: list[int],
        where: str,
    ) -> None:
        self._kept = _kept(type_, rest)
        self._type, self._live, self._slots, self._where = type_, live, slots, where
        self._wanted = frozenset(
            field.encode_name
            for field in inspect.type_info(type_).fields  # type: ignore[attr-defined]
            if field.required and isinstance(plain_type(field.type), inspect.AnyType)
        )
        """What has to be there and may be anything is undefined, and not missing, where it has no value."""
        self._rest = {key: value for key, value in rest.items() if key not in self._kept}
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
            if value is not undefined or key in self._wanted:
                written[key] = value
        try:
            self._last = convert(written, self._type, strict=False)
        except ValidationError as error:
            self._values = None
            raise ParametersError(_without_values(error), where=self._where) from None
        for key, kept in self._kept.items():
            force_setattr(self._last, key, kept)
        self._values = values
        return self._last


def _kept(type_: type[Struct], constants: dict[str, Any]) -> dict[str, Any]:
    """The lists and mappings among the constants, converted. One that does not fit is left to the
    conversion of the whole, and so is one that has to be there."""
    hints = get_type_hints(type_, include_extras=True)
    kept = {}
    for field in fields(type_):
        if field.required or not isinstance(constants.get(field.encode_name), (list, dict)):
            continue
        with suppress(ValidationError):
            kept[field.name] = convert(constants[field.encode_name], hints[field.name], strict=False)
    return kept if all(field.name == field.encode_name for field in fields(type_)) else {}


def _without_values(error: ValidationError) -> str:
    """msgspec's message, unless it may quote a value (SPEC: reliability, no personal data in errors)."""
    message, path = split_error(error)
    if not message.startswith(
        ("Expected `", "Object missing required field", "Object contains unknown field")
    ):
        message = "a value that does not fit"
    place = ".".join(str(step) for step in path)
    return f"{place}: {message}" if place else message


def convert_constant(written: dict[str, Any], component: Component, entity: Entity) -> Any:
    """The struct of parameters that are the same for all events. Raises ContainerError."""
    try:
        return convert(written, component.parameters_type)
    except ValidationError as error:
        raise problem_with(component.kind, entity, str(error), "see `sgtm check`") from None


def problem_with(kind: str, entity: Entity, what: str, mend: str) -> ContainerError:
    """The error about one entity."""
    where = f'{kind} "{entity.name}"'
    return ContainerError([Problem(severity="error", what=what, where=where, mend=mend)], where=where)
