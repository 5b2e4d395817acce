"""A compiled script, and one run of it within limits."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from msgspec import Struct

from sgtm._fast.sandbox_closures import Function, start
from sgtm._fast.sandbox_functions import Require
from sgtm._fast.sandbox_values import FatalError, LimitError, Run, SandboxError
from sgtm.errors import SgtmError
from sgtm.templates import syntax as tree
from sgtm.templates.compile import compile_function
from sgtm.templates.patterns import PATTERNS
from sgtm.templates.scope import resolve_names
from sgtm.templates.statements import parse_script
from sgtm.templates.syntax import place_of


class Limits(Struct, frozen=True):
    """What one run may use (SPEC: reliability 4.2). Each limit ends the run with an error of its name."""

    steps: int = 1_000_000
    """Statements, calls, turns of loops, and the work of each API and method."""
    call_depth: int = 200
    """Functions that call one another."""
    text_length: int = 1 << 20
    """Characters of one text."""
    text_total: int = 16 << 20
    """Characters of all texts that are made."""
    cpu_ms: int = 50
    """Milliseconds of the processor, where whoever runs it has a clock for that (`ProcessorTime`)."""
    elements: int = 100_000
    """Members of all lists and objects that are made."""
    pending_promises: int = 100
    """Promises that are not settled."""
    log_lines: int = 100
    """Lines that `logToConsole` writes."""
    http_calls: int = 50
    """Requests that are sent, awaited or not."""
    storage_bytes: int = 1 << 20
    """Characters of one template's `templateDataStorage` in a worker, as JSON, keys and all."""
    wall_s: float = 20.0
    """Seconds from the first request that is awaited to the end of the last."""

    def start(self, tick: Callable[[], object] | None = None) -> Run:
        """A run that has all of it. `tick` is called about every 1,000 steps and may raise LimitError."""
        return Run(
            steps=self.steps,
            texts=self.text_total,
            longest_text=self.text_length,
            elements=self.elements,
            depth=self.call_depth,
            nesting=_NESTING,
            promises=self.pending_promises,
            patterns=PATTERNS,
            tick=tick,
        )


SETTING_OF = {field: f"template_{field}" for field in Limits.__struct_fields__}
"""Name of a limit -> the setting that says it; other limits are fixed."""
_NESTING = 6_000
"""Levels of the trees of all functions that are under way: bounds what a run takes of the C stack."""


class TemplateError(SgtmError):
    """A template that failed; `limit` names the limit that it went beyond, if it was one."""

    def __init__(self, what: str, *, where: str = "", mend: str = "", limit: str = "") -> None:
        self.limit = limit
        super().__init__(what, where=where, mend=mend)


class Script:
    """Compiled code. It is the body of a function with `parameters`, as Google runs it: `require`, `data`."""

    def __init__(
        self,
        source: str,
        *,
        parameters: tuple[str, ...] = ("require", "data"),
        name: str = "",
        first_line: int = 1,
        base: int = 0,
    ) -> None:
        """Raises ScriptSyntaxError. `first_line`: the line of the file on which the source begins. `base`:
        what `Run.at` is at its beginning, where a run has several scripts."""
        self.source, self.name, self.first_line, self.base = source, name, first_line, base
        self.tree = parse_script(source, list(parameters), first_line)
        self.unknown_names: list[tree.Name] = resolve_names(self.tree, source, first_line)
        """Names that are declared nowhere: they read as undefined."""
        self._function: Function = start(compile_function(self.tree, base))

    def call(self, run: Run, *args: Any) -> Any:
        """Run it; its value is that of `return`. Raises SandboxError: see `explained`."""
        return self._function(run, *args)

    def place(self, at: int) -> str:
        """An offset of the source, for people."""
        line, column = place_of(self.source, at - self.base, self.first_line)
        return f"{self.name}, line {line}, column {column}" if self.name else f"line {line}, column {column}"

    def explained(self, error: SandboxError, run: Run) -> TemplateError:
        """The error of a run of this script, with its place."""
        if isinstance(error, LimitError):
            setting = SETTING_OF.get(error.limit)
            mend = f"its limit is the setting {setting}" if setting else ""
            return TemplateError(str(error), where=self.place(run.at), mend=mend, limit=error.limit)
        return TemplateError(str(error), where=self.place(run.at))


def require_of(table: dict[str, Any]) -> Require:
    """`require` over a table of APIs: name -> function or object. An unknown name is an error that no
    script catches (SPEC: google-runtime 5.4)."""

    def refuse(name: Any) -> NoReturn:
        near = get_close_matches(str(name)[:60], table, 1)
        hint = f"; {near[0]} is" if near else ""
        raise FatalError(f"{str(name)[:60]} is not a valid API name{hint}")

    return Require(table, refuse)
