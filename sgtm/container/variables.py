"""Variables, compiled: one slot each, resolved for a view when somebody reads it."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.container import ContainerVariable, View
from sgtm.container.model import Variable
from sgtm.container.parameters import ParametersCompiler, component_of
from sgtm.event import undefined

log = logging.getLogger("sgtm.container")


def compile_variables(
    declared: Mapping[str, Variable], slots: Mapping[str, int], parameters: ParametersCompiler
) -> tuple[ContainerVariable, ...]:
    """One for each slot. A name that nobody declares is a built-in variable, or else undefined."""
    return tuple(
        _declared(declared[name], parameters) if name in declared else _undeclared(name) for name in slots
    )


def _declared(variable: Variable, parameters: ParametersCompiler) -> ContainerVariable:
    component = component_of("variable", variable)
    function = component.function
    read = parameters.live("variables", variable, component)
    return _guarded(variable.name, lambda view: function(view.event, read(view)))


def _undeclared(name: str) -> ContainerVariable:
    if name in BUILT_IN_VARIABLES:
        return _guarded(name, BUILT_IN_VARIABLES[name][1])
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
