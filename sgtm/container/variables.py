"""Variables, compiled: one slot each, resolved for a view when somebody reads it.

    function of the component -> (what it deferred, or looks up elsewhere) -> format value

SPEC: google-runtime 1; sandbox-api 5.10.4 (A5, A13, A14, A15); requirements R151, R152, R154.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import UNSET, inspect
from msgspec.structs import replace

from sgtm.component import Deferred
from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.container import ContainerVariable, View
from sgtm.container.model import ContainerVersion, FormatValue, Variable
from sgtm.container.parameters import ParametersCompiler
from sgtm.container.references import Reader, compile_reader
from sgtm.errors import ContainerError
from sgtm.event import undefined
from sgtm.messages import Conversation, Lookup

log = logging.getLogger("sgtm.container")

Resolve = Callable[[View], Any]
Form = Callable[[View, Any], Any]


EVENT_NAME = "_event"
"""What Google's custom event triggers call the event's name (SPEC: sandbox-api 5.2)."""
_EVENT_NAME_VARIABLES = frozenset({EVENT_NAME, "Event Name"})


def event_name_variables(declared: Iterable[str]) -> frozenset[str]:
    """Names that give the event's name and nothing else; a variable of the container wins over them."""
    return _EVENT_NAME_VARIABLES.difference(declared)


def compile_variables(
    model: ContainerVersion,
    version: str,
    slots: Mapping[str, int],
    parameters: ParametersCompiler,
    *,
    is_lenient: bool,
) -> tuple[ContainerVariable, ...]:
    """One for each slot. A name that nobody declares is a built-in variable, or else undefined;
    leniently, so is a variable that cannot be compiled. Raises ContainerError otherwise.

    `version`: hash of the container's source; variables that tell of the container are given it."""
    facts = {
        "container_id": model.container_id,
        "container_version": model.version_name or version,
        "environment_name": model.environment_name,
    }
    declared = {variable.name: variable for variable in model.variables}

    def compiled(name: str) -> ContainerVariable:
        if name not in declared:
            return _undeclared(name)
        try:
            return _declared(declared[name], slots, parameters, facts)
        except ContainerError as error:
            if not is_lenient:
                raise
            log.warning("%s: %s; it is undefined", error.where, error.problems[0].what)
            return ContainerVariable(name, lambda view: undefined)

    return tuple(compiled(name) for name in slots)


def _declared(
    variable: Variable, slots: Mapping[str, int], parameters: ParametersCompiler, facts: Mapping[str, str]
) -> ContainerVariable:
    component = parameters.component_of("variable", variable)
    known = {key: facts[key] for key in component.parameters_type.__struct_fields__ if key in facts}
    if known:
        variable = replace(variable, parameters={**known, **variable.parameters})
    read, function, slot = (
        parameters.live("variables", variable, component),
        component.function,
        slots[variable.name],
    )
    form = None if variable.format_value is None else _form(variable.format_value, slots)

    def resolve(view: View) -> Any:
        value = function(view.event, read(view))
        if type(value) is Deferred:
            value = _settled(view, value)
        if type(value) is Lookup:
            value = _asked(view, slot, value)
        elif isinstance(value, Conversation):
            value = _leave(view, slot, value, undefined)
        return value if form is None else form(view, value)

    return ContainerVariable(variable.name, _guarded(variable.name, resolve), form, component.type)


def _settled(view: View, value: Any) -> Any:
    """What a variable deferred, read."""
    while type(value) is Deferred:
        value = value.read(view)
    return value


def _asked(view: View, slot: int, lookup: Lookup) -> Any:
    """Leave the lookup for a tag to wait for; until then the variable has its default."""
    default = _settled(view, lookup.default)
    return _leave(view, slot, replace(lookup, default=default), default)


def _leave(view: View, slot: int, lookup: Lookup | Conversation, default: Any) -> Any:
    if view.lookups is None:
        view.lookups = {}
    view.lookups[slot] = lookup
    return default


def _undeclared(name: str) -> ContainerVariable:
    if name in BUILT_IN_VARIABLES:
        return ContainerVariable(name, _guarded(name, BUILT_IN_VARIABLES[name][1]), type="built-in")
    if name == EVENT_NAME:
        return ContainerVariable(name, lambda view: view.event.name, type="built-in")
    return ContainerVariable(name, lambda view: undefined)


def _guarded(name: str, resolve: Resolve) -> Resolve:
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

    return guarded


# -- format value --------------------------------------------------------------------------------


def _form(written: FormatValue, slots: Mapping[str, int]) -> Form:
    """Case of a text; an empty text (ours alone: R154); null, undefined, true, false: one after the other,
    each on the result of the one before (SPEC: sandbox-api 5.10.4, A15)."""
    case = None if written.case is None else str.lower if written.case == "lowercase" else str.upper
    empty = None if written.empty_to is UNSET else _replacement(written.empty_to, slots)
    steps: list[tuple[Any, Reader]] = [
        (replaced, _replacement(replacement, slots))
        for replaced, replacement in (
            (None, written.null_to),
            (undefined, written.undefined_to),
            (True, written.true_to),
            (False, written.false_to),
        )
        if replacement is not UNSET
    ]

    def form(view: View, value: Any) -> Any:
        if case is not None and isinstance(value, str):
            value = case(value)
        if empty is not None and isinstance(value, str) and not value:
            value = empty(view)
        for replaced, read in steps:
            if value is replaced:
                value = read(view)
        return value

    return form


def _replacement(written: Any, slots: Mapping[str, int]) -> Reader:
    reader = compile_reader(written, inspect.AnyType(), slots)
    return reader if reader is not None else lambda view: written
