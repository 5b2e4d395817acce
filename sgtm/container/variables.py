"""Variables, compiled: one slot each, resolved for a view when somebody reads it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.container import ContainerVariable, View
from sgtm.container.model import Variable
from sgtm.container.parameters import ParametersCompiler, component_of
from sgtm.errors import ContainerError
from sgtm.event import undefined

log = logging.getLogger("sgtm.container")

EVENT_NAME = "_event"
"""What Google's custom event triggers call the event's name (SPEC: sandbox-api 5.2)."""
_EVENT_NAME_VARIABLES = frozenset({EVENT_NAME, "Event Name"})


def event_name_variables(declared: Iterable[str]) -> frozenset[str]:
    """Names that give the event's name and nothing else; a variable of the container wins over them."""
    return _EVENT_NAME_VARIABLES.difference(declared)


def compile_variables(
    declared: Mapping[str, Variable],
    slots: Mapping[str, int],
    parameters: ParametersCompiler,
    *,
    is_lenient: bool,
) -> tuple[ContainerVariable, ...]:
    """One for each slot. A name that nobody declares is a built-in variable, or else undefined;
    leniently, so is a variable that cannot be compiled. Raises ContainerError otherwise."""

    def compiled(name: str) -> ContainerVariable:
        if name not in declared:
            return _undeclared(name)
        try:
            return _declared(declared[name], parameters)
        except ContainerError as error:
            if not is_lenient:
                raise
            log.warning("%s: %s; it is undefined", error.where, error.problems[0].what)
            return ContainerVariable(name, lambda view: undefined)

    return tuple(compiled(name) for name in slots)


def _declared(variable: Variable, parameters: ParametersCompiler) -> ContainerVariable:
    component = component_of("variable", variable)
    function = component.function
    read = parameters.live("variables", variable, component)
    return _guarded(variable.name, lambda view: function(view.event, read(view)))


def _undeclared(name: str) -> ContainerVariable:
    if name in BUILT_IN_VARIABLES:
        return _guarded(name, BUILT_IN_VARIABLES[name][1])
    if name == EVENT_NAME:
        return ContainerVariable(name, lambda view: view.event.name)
    return ContainerVariable(name, lambda view: undefined)


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
