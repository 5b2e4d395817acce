"""What a code stands for."""

from msgspec import Struct


class Explanation(Struct, frozen=True):
    """One code. `says` are words of a problem's or an error's text, `lines` whole messages of the log."""

    code: str
    title: str
    cause: str
    mend: str
    page: str
    """Below docs/, with an anchor."""
    says: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
