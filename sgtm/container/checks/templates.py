"""Templates: what is wrong with each as such, and with its name."""

from functools import lru_cache

from sgtm.component import Kind, find
from sgtm.container.document import Path
from sgtm.container.native import Reading
from sgtm.errors import Problem
from sgtm.templates.adapt import KINDS
from sgtm.templates.check import check_read, check_template
from sgtm.templates.code import compiled
from sgtm.templates.reader import TemplateFileError
from sgtm.templates.syntax import ScriptSyntaxError


def check_templates(reading: Reading) -> None:
    """Report what keeps templates from running, as `sgtm template check` does; in what came from elsewhere
    nothing else."""
    report = reading.report
    seen: dict[str, int] = {}
    for index, one in enumerate(reading.model.custom_templates):
        path: Path = ("custom_templates", index)
        say = report.warning if report.tolerates_unknown else report.error
        for name in dict.fromkeys((one.name, *one.types)):
            if seen.setdefault(name, index) != index:
                say((*path, "name"), f"another template is called {name!r} too", "give each its own name")
            kinds: list[Kind] = [kind for kind in KINDS if find(kind, name) is not None]
            if kinds:
                what = f"{name!r} is a type of {kinds[0]} of sgtm's own, which wins over the template"
                report.warning((*path, "name"), what, "give the template another name")
        for problem in _findings(one.source, one.name) if one.source else ():
            if problem.severity == "error":
                say(path, _words(one.name, problem), problem.mend)
            elif not report.tolerates_unknown:
                report.warning(path, _words(one.name, problem), problem.mend)


@lru_cache(maxsize=256)
def _findings(source: str, name: str) -> tuple[Problem, ...]:
    """A reload finds most templates as they were."""
    try:
        code = compiled(source, name)
    except (TemplateFileError, ScriptSyntaxError):
        return tuple(check_template(source, name))
    return tuple(check_read(code.template, code.script, source, name))


def _words(name: str, problem: Problem) -> str:
    return f"template {name!r}: {problem.where}: {problem.what}"
