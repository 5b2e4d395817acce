"""Collects problems, each with the place where a person finds it: file, line, entity, field."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Literal

from sgtm.container.document import Document, Path
from sgtm.errors import Problem

SHORTEST_SECRET = 6
"""Values of the environment that are shorter are shown: a port, a region, a yes."""
KINDS = {
    "clients": "client",
    "variables": "variable",
    "preparations": "preparation",
    "triggers": "trigger",
    "transformations": "transformation",
    "tags": "tag",
}
"""Lists of container.yaml -> what one entry is called."""


class Report:
    """The problems of one container file."""

    def __init__(self, file_name: str, document: Document) -> None:
        self.file_name = file_name
        self.document = document
        self.problems: list[Problem] = []
        self.tolerates_unknown = False
        """What is wrong with an entity is a warning: the entity does not run, everything else does."""
        self._without_value: set[Path] = set()
        self._from_environment: dict[str, str] = {}

    def conceal(self, value: str, variable: str) -> None:
        """Show `${variable}` wherever this value of the environment would be shown: it may be a token that
        was put into the wrong variable."""
        if len(value) >= SHORTEST_SECRET:
            self._from_environment[value] = f"${{{variable}}}"

    @property
    def concealed(self) -> dict[str, str]:
        """What is never shown: values, each with the name of its variable."""
        return {value: shown[2:-1] for value, shown in self._from_environment.items()}

    def error(self, path: Path, what: str, mend: str) -> None:
        """What stops the container from running."""
        if path not in self._without_value:
            is_tolerated = self.tolerates_unknown and len(path) > 1 and path[0] in KINDS
            self._add("warning" if is_tolerated else "error", path, what, mend)

    def warning(self, path: Path, what: str, mend: str) -> None:
        """What a person should look at; the container runs."""
        self._add("warning", path, what, mend)

    def explained(self, path: Path) -> None:
        """Somebody has said already what is wrong there; nothing more is said about it."""
        self._without_value.add(path)

    def unset(self, path: Path, what: str, mend: str) -> None:
        """An error about a value that is not there; what else would be said about it is left out."""
        self._add("error", path, what, mend)
        self._without_value.add(path)

    def unknown(self, path: Path, what: str, name: str, known: Iterable[str], *, otherwise: str) -> None:
        """An error about a name that nobody knows, with the nearest one that somebody does."""
        self.error(path, what, nearest(name, known) or otherwise)

    def adopt(self, problems: Sequence[Problem], path: Path, where: str) -> None:
        """Take over what a component's own check found; its places begin with `where`."""
        for problem in problems:
            rest = problem.where.removeprefix(where).strip(".").split(".")
            inside: Path = (*path, *(step for step in rest if step))
            say = self.error if problem.severity == "error" else self.warning
            say(inside, problem.what, problem.mend)

    def where(self, path: Path) -> str:
        """`container.yaml:12: tag "Meta".parameters.pixel_id`."""
        line = f"{self.file_name}:{self.document.line(path)}"
        words = self.words(path)
        return f"{line}: {words}" if words else line

    def words(self, path: Path) -> str:
        """The place without file and line."""
        if len(path) < 2 or path[0] not in KINDS or not isinstance(path[1], int):
            return _steps(path)
        name = self.document.at((*path[:2], "name"))
        entity = (
            f"{KINDS[str(path[0])]} {_quoted(name)}" if isinstance(name, str) and name else _steps(path[:2])
        )
        rest = _steps(path[2:])
        return f"{entity}{'' if rest.startswith('[') or not rest else '.'}{rest}"

    def in_line_order(self) -> list[Problem]:
        """All problems, errors and warnings mixed, from the top of the file to its end."""
        return sorted(self.problems, key=lambda problem: _line_of(problem.where, self.file_name))

    @property
    def has_errors(self) -> bool:
        """Whether something was found that stops the container from running."""
        return any(problem.severity == "error" for problem in self.problems)

    def _add(self, severity: Literal["error", "warning"], path: Path, what: str, mend: str) -> None:
        where = self.where(path)
        for value, variable in self._from_environment.items():
            what, where, mend = (text.replace(value, variable) for text in (what, where, mend))
        problem = Problem(severity=severity, what=what, where=where, mend=mend)
        if problem not in self.problems:
            self.problems.append(problem)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean "purchase"?`, or empty where nothing comes near."""
    near = nearest_name(name, known)
    return f'did you mean "{near}"?' if near else ""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name that is most like `name`, or empty where nothing comes near."""
    by_folded = {_folded(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(_folded(name), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else ""


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: `a, b, c`; `nothing` for none."""
    return ", ".join(names) or "nothing"


def _folded(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")[:200]


def _quoted(name: str) -> str:
    return f'"{name[:80]}"'


def _steps(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step[:80]}"
    return text.removeprefix(".")


def _line_of(where: str, file_name: str) -> int:
    line = where.removeprefix(f"{file_name}:").partition(":")[0]
    return int(line) if line.isdecimal() else 0
