"""Every error of ours says what is wrong, where, and how to mend it."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from sgtm.error_codes import code_of


class Problem(Struct, frozen=True):
    """One finding about a container: what is wrong, where it stands, how to mend it.

    `where` is a path a person can follow, for example `tag "Meta".parameters.pixel_id`.
    """

    severity: Literal["error", "warning"]
    what: str
    where: str
    mend: str
    code: str = ""
    """As SG-C012, explained in docs/reference/errors.md; follows from `what`. "": it needs no more words."""

    def __post_init__(self) -> None:
        force_setattr(self, "code", code_of(self.what))

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}{in_brackets(self.code)}\n    {self.mend}"


def in_brackets(code: str) -> str:
    """How a code stands behind a text."""
    return f" [{code}]" if code else ""


class SgtmError(Exception):
    """Base of all errors raised on purpose; reads as one sentence: what, where, how to mend."""

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(". ".join(part for part in (f"{where}: {what}" if where else what, mend) if part))


class ContainerError(SgtmError):
    """A container that cannot be used; carries every problem that was found, not only the first."""

    def __init__(self, problems: list[Problem], *, where: str) -> None:
        self.problems = problems
        count = sum(problem.severity == "error" for problem in problems)
        super().__init__(f"{count} error{'s' * (count != 1)}", where=where, mend="see `sgtm check`")


class ComponentError(SgtmError):
    """A component is declared wrongly: a duplicate type, a build function without a Parameters struct."""


class ParametersError(SgtmError):
    """The parameters of one component do not fit its struct once its variables are resolved."""


class SettingsError(SgtmError):
    """A flag or SGTM_* variable of the process has a value that cannot be used."""
