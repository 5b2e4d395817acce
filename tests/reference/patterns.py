"""Twin of sgtm/_fast/patterns.pyx."""


def find_row(text: str, classes: bytes, is_start: bool, is_end: bool, start: int) -> int:
    """See patterns.pyi."""
    count = len(classes) // 16
    if not text.isascii() or start < 0:
        return -1
    for place in range(start, len(text) - count + 1):
        if (is_start and place > 0) or (is_end and place != len(text) - count):
            continue
        if all(_is_in(classes[16 * index :], text[place + index]) for index in range(count)):
            return place
    return -1


def _is_in(bits: bytes, character: str) -> bool:
    code = ord(character)
    return bool(bits[code >> 3] >> (code & 7) & 1)
