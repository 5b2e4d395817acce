"""Which component an entity is: one of the container's own templates, or one that is installed.

An entity names a template by its name, or by a `cvt_...` code as exports do. What is installed wins over a
template of the same name. SPEC: sandbox-api 5.7, 5.10.2 (K19).
"""

from collections.abc import Iterable

from sgtm.component import Component, Kind, find
from sgtm.container.model import CustomTemplate
from sgtm.errors import Problem
from sgtm.templates.adapt import KINDS, component_of
from sgtm.templates.code import Code, compiled
from sgtm.templates.host import ContainerFacts
from sgtm.templates.reader import TemplateFileError
from sgtm.templates.surroundings import Surroundings
from sgtm.templates.syntax import ScriptSyntaxError

NO_FACTS = ContainerFacts("", "")
"""For whoever only asks what is wrong."""


class Templates:
    """The templates of one container."""

    def __init__(
        self, declared: Iterable[CustomTemplate] = (), surroundings: Surroundings | None = None
    ) -> None:
        self.surroundings = surroundings or Surroundings(NO_FACTS)
        self._declared: dict[str, CustomTemplate] = {}
        for one in declared:
            for name in (one.name, *one.types):
                self._declared.setdefault(name, one)

    def find(self, kind: Kind, type_: str, name: str = "") -> Component | None:
        """The component of a type; `name` is that of the entity. None also where its template cannot be
        used: see `trouble`."""
        installed = find(kind, type_)
        if installed is not None or type_ not in self._declared:
            return installed
        code = self._code_for(kind, type_)
        if isinstance(code, Problem):
            return None
        if code.name not in self.surroundings.templates:
            self.surroundings.templates += (code.name,)
        return component_of(KINDS[kind], code, self.surroundings, name)

    def trouble(self, kind: Kind, type_: str) -> Problem | None:
        """Why a template of this name cannot be used as this kind; None: it can, or there is none."""
        if find(kind, type_) is not None or type_ not in self._declared:
            return None
        code = self._code_for(kind, type_)
        return code if isinstance(code, Problem) else None

    def type_of(self, written: str) -> str:
        """The type of tag that is meant, by whatever name."""
        component = find("tag", written)
        if component is not None:
            return component.type
        return self._declared[written].name if written in self._declared else written

    def names(self, kind: Kind) -> list[str]:
        """Names of the templates that can be used as this kind."""
        names = dict.fromkeys(one.name for one in self._declared.values())
        return [name for name in names if self.trouble(kind, name) is None]

    def code(self, declared: CustomTemplate) -> Code | Problem:
        """A template of the container, or why it cannot be used."""
        try:
            return compiled(declared.source, declared.name)
        except (TemplateFileError, ScriptSyntaxError) as error:
            return Problem("error", str(error), declared.name, "see `sgtm template check`")

    def _code_for(self, kind: Kind, type_: str) -> Code | Problem:
        declared = self._declared[type_]
        code, quoted = self.code(declared), f"its template {declared.name!r}"
        if isinstance(code, Problem):
            return Problem("error", f"{quoted} cannot be used: {code.what}", type_, code.mend)
        wanted = code.template.kind
        if wanted not in ("", kind) or kind not in KINDS:
            return Problem("error", f"{quoted} is one for a {wanted}", type_, f"use it as a {wanted}")
        return code
