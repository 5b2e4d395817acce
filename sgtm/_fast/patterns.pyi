"""Patterns that are a row of characters, each out of a class of ASCII."""

def find_row(text: str, classes: bytes, is_start: bool, is_end: bool, start: int) -> int:
    """Where in `text`, from `start` on, each character of a row is in its class; -1: nowhere.

    `classes`: 16 bytes for each character of the row, in which bit `c & 7` of byte `c >> 3` says that `c`
    is in it. `is_start`, `is_end`: the row must stand at the very start or end of the text. A text that is
    not ASCII has no such place: whoever asks goes another way. Takes at most `len(text)` times the row's
    length, and the row's length alone where it is bound to an end. Never raises.
    """
