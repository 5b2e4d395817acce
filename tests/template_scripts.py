"""Run a few lines of the dialect."""

import gc
from collections.abc import Callable
from typing import Any

from sgtm._fast.sandbox_closures import Function
from sgtm._fast.sandbox_values import SandboxError
from sgtm.templates.library import LIBRARY
from sgtm.templates.script import Limits, Script, require_of


def value_of(source: str, data: Any = None, limits: Limits | None = None) -> Any:
    """What the script returns; its promises run to their end first. Raises TemplateError."""
    script, run = Script(source), (limits or Limits()).start()
    try:
        value = script.call(run, require_of(LIBRARY), {} if data is None else data)
        run.drain()
    except SandboxError as error:
        raise script.explained(error, run) from None
    return value


def functions_left_by(run: Callable[[], Any]) -> list[Function]:
    """The template's functions that only Python's collector would let go of after `run`."""
    gc.collect()
    gc.disable()
    try:
        before = [one for one in gc.get_objects() if isinstance(one, Function)]
        known = set(map(id, before))
        run()
        return [one for one in gc.get_objects() if isinstance(one, Function) and id(one) not in known]
    finally:
        gc.enable()
