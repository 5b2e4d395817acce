"""Readers of templates and containers: each a function of arbitrary bytes (see targets.py)."""

import quickjs
from template_scripts import value_of

from sgtm.container.check import judge, read_sound
from sgtm.container.compile import compile_container
from sgtm.container.google.translation import read_export
from sgtm.container.native import read_source
from sgtm.errors import ContainerError
from sgtm.templates.reader import TemplateFileError, read_template
from sgtm.templates.script import Limits, TemplateError
from sgtm.templates.syntax import ScriptSyntaxError

_FEW = Limits(steps=3_000, text_length=10_000, text_total=50_000, elements=2_000, pending_promises=20)
_javascript = quickjs.Context()


def script(data: bytes) -> None:
    """Template code: a located refusal, or a run within its limits. What is accepted is JavaScript, too."""
    source = data.decode("utf-8", "replace")
    try:
        value_of(source, limits=_FEW)
    except ScriptSyntaxError as error:
        assert 1 <= error.line <= source.count("\n") + 1
        assert error.column >= 1
        return
    except TemplateError as error:
        assert "line " in str(error)
    if "\0" not in source:
        _javascript.eval(f"(function (require, data) {{ {source}\n}})")


def template(data: bytes) -> None:
    """A .tpl file: read, or refused with section and line."""
    try:
        found = read_template(data.decode("utf-8", "replace"))
    except TemplateFileError as error:
        assert "template.tpl" in str(error)
        return
    assert found.code_line > 1
    assert all(one.line for one in found.scenarios)


def container(data: bytes) -> None:
    """A container.yaml: compiled, or refused with lines."""
    _compile(data, "container.yaml")


def export(data: bytes) -> None:
    """An export of Google's Tag Manager: compiled, or refused with lines."""
    assert read_export(data).document is not None
    _compile(data, "export.json")


def _compile(data: bytes, name: str) -> None:
    problems = judge(read_source(data, name, {}))
    assert all(problem.where.startswith(name) for problem in problems)
    assert all(problem.what and problem.mend for problem in problems)
    try:
        reading = read_sound(name, {}, data)
        compile_container(reading.model, data, lenient=reading.model.tolerates_unknown)
    except ContainerError as error:
        assert error.problems
