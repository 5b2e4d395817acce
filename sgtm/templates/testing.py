"""The tests that stand in a template, run without a server (SPEC: sandbox-api 4.5).

Each scenario is a run of its own: setup and code in one scope. APIs are those of `mock`, then those that
need nothing but their arguments, then those of an empty request. Nothing is sent.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, Struct

from sgtm._fast.sandbox_convert import copy_value, to_text
from sgtm._fast.sandbox_values import Callable, HostObject, LimitError, Native, Run, SandboxError, ScriptError
from sgtm.templates import assertions
from sgtm.templates.arguments import argument
from sgtm.templates.empty_request import empty_request
from sgtm.templates.reader import Scenario, Template
from sgtm.templates.script import Limits, Script, require_of
from sgtm.templates.syntax import ScriptSyntaxError, place_of

TEST_LIMITS = Limits(steps=20_000_000, elements=2_000_000, text_total=256 << 20, pending_promises=2_000)
"""A test runs the template many times."""
TEST_PARAMETERS = ("require", "mock", "mockObject", "runCode", "assertApi", "assertThat", "fail", "Promise")
"""Promise is there without require: tests of the gallery rely on it."""
_TEMPLATE_BASE = 1 << 28
"""Offsets from here on are the template's, smaller ones the test's."""


class Result(Struct, frozen=True):
    """What came of one scenario; `problem` is empty if it passed."""

    scenario: str
    problem: str
    log: list[str]
    """Lines that `logToConsole` wrote."""


def run_tests(template: Template, name_part: str = "", limits: Limits = TEST_LIMITS) -> Iterator[Result]:
    """Run the scenarios whose names hold `name_part`. Raises ScriptSyntaxError for the template's code."""
    script = Script(template.code, name="template", first_line=template.code_line, base=_TEMPLATE_BASE)
    for scenario in template.scenarios:
        if name_part in scenario.name:
            yield _Test(template, script, scenario, limits).run()


class _Test:
    """One scenario under way."""

    def __init__(self, template: Template, script: Script, scenario: Scenario, limits: Limits) -> None:
        self._template, self._script, self._scenario = template, script, scenario
        self._limits = limits
        self._run = limits.start()
        self._mocks: dict[str, Any] = {}
        self._calls: dict[str, list[list[Any]]] = {}
        self._log: list[str] = []
        self._real = empty_request(template, self._log)
        self._recorded = {name: self._record(name, value) for name, value in self._real.items()}

    def run(self) -> Result:
        """Run it to the end of its promises."""
        try:
            code = f"{self._template.setup}\n{self._scenario.code}"
            test = Script(code, parameters=TEST_PARAMETERS)
            test.call(self._run, require_of(self._real), *self._test_functions())
            self._run.drain()
        except ScriptSyntaxError as error:
            return self._result(f"{self._place(error.line - 1)}: {error.what}. {error.mend}")
        except SandboxError as error:
            return self._result(self._explained(error))
        return self._result("")

    def _result(self, problem: str) -> Result:
        return Result(self._scenario.name, problem, self._log)

    def _explained(self, error: SandboxError) -> str:
        hint = f" (limit {error.limit})" if isinstance(error, LimitError) else ""
        if isinstance(error, assertions.AssertionFailed):
            return f"{error}"
        if self._run.at >= _TEMPLATE_BASE:
            return f"{self._script.place(self._run.at)}: {error}{hint}"
        code = f"{self._template.setup}\n{self._scenario.code}"
        return f"{self._place(place_of(code, self._run.at, 0)[0])}: {error}{hint}"

    def _place(self, line: int) -> str:
        """A line of setup and code, counted from 0, as a line of the file."""
        first = self._template.setup.count("\n") + 1
        if line < first:
            return f"setup, line {self._template.setup_line + line}"
        return f"test, line {self._scenario.line + line - first}"

    # -- functions of the test --

    def _test_functions(self) -> list[Any]:
        return [
            Native("mock", self._mock),
            Native("mockObject", self._mock_object),
            Native("runCode", self._run_code),
            Native("assertApi", self._assert_api),
            Native("assertThat", assertions.assert_that),
            Native("fail", assertions.fail),
            self._real["Promise"],
        ]

    def _mock(self, run: Run, args: list[Any]) -> Any:
        self._mocks[to_text(run, argument(args, 0))] = argument(args, 1)
        return UNSET

    def _mock_object(self, run: Run, args: list[Any]) -> Any:
        name, members = to_text(run, argument(args, 0)), argument(args, 1)
        if not isinstance(members, dict):
            raise ScriptError("mockObject takes a name and an object")
        self._mocks[name] = HostObject(
            name, {key: self._record(f"{name}.{key}", v) for key, v in members.items()}
        )
        return UNSET

    def _run_code(self, run: Run, args: list[Any]) -> Any:
        given = argument(args, 0)
        data = copy_value(run, given) if isinstance(given, dict) else {}
        for name in ("gtmOnSuccess", "gtmOnFailure"):
            data[name] = self._record(name, data.get(name, UNSET))
        return self._script.call(run, Native("require", self._require), data)

    def _assert_api(self, run: Run, args: list[Any]) -> HostObject:
        name = to_text(run, argument(args, 0))
        return assertions.assert_api(run, name, self._calls.get(name, []))

    # -- what the template gets --

    def _require(self, run: Run, args: list[Any]) -> Any:
        name = argument(args, 0)
        mocked = self._mocks.get(name, UNSET) if isinstance(name, str) else UNSET
        if isinstance(mocked, HostObject):
            return mocked
        if mocked is not UNSET and not isinstance(self._real.get(name), Callable):
            if not isinstance(mocked, (Callable, dict)):
                return mocked
            return self._record(name, mocked) if isinstance(mocked, Callable) else HostObject(name, mocked)
        return require_of(self._recorded)(run, name)

    def _record(self, name: str, real: Any) -> Any:
        """The API, its calls written down, and its mock in its place once there is one."""
        if isinstance(real, HostObject):
            return real
        calls = self._calls.setdefault(name, [])

        def recorded(run: Run, args: list[Any]) -> Any:
            calls.append(copy_value(run, args))
            function = self._mocks.get(name, real)
            if isinstance(function, Callable):
                return copy_value(run, function(run, *args))
            return copy_value(run, function)

        return Native(name, recorded)
