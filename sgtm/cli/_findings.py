"""What `sgtm doctor` has to say: one finding for each thing that it looks at."""

from typing import Literal

from msgspec import Struct

from sgtm.error_codes import code_of
from sgtm.errors import in_brackets

Level = Literal["ok", "warning", "error"]


class Finding(Struct, frozen=True):
    """One thing that was looked at: how it is, and how to mend it where it is not well."""

    level: Level
    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f"\n{'':9}{self.mend}" if self.mend else ""
        code = "" if self.level == "ok" else in_brackets(code_of(self.what))
        return f"{self.level:8} {self.where}: {self.what}{code}{mend}"


def good(where: str, what: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", where, what)


def warning(where: str, what: str, mend: str) -> Finding:
    """It works, and somebody should look at it."""
    return Finding("warning", where, what, mend)


def error(where: str, what: str, mend: str) -> Finding:
    """It does not work, or loses something."""
    return Finding("error", where, what, mend)
