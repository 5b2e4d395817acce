"""Short codes of what can be wrong, each with its cause and how to mend it.

    code_of("there is no variable 'Order'")    -> SG-C012    a problem or an error: by words of its text
    code_of_line("destination shut")           -> SG-D001    a log line: by its constant message

A code never changes its meaning, and none is used again. `sgtm docs` writes docs/reference/errors.md from
here, `sgtm code SG-C012` shows one. SPEC: requirements R241.
"""

from sgtm.error_codes.container import OF_CONTAINERS
from sgtm.error_codes.explanation import Explanation
from sgtm.error_codes.running import OF_SERVERS

ALL: tuple[Explanation, ...] = (*OF_CONTAINERS, *OF_SERVERS)
BY_CODE = {one.code: one for one in ALL}
_SAYS = [(words, one.code) for one in ALL for words in one.says]
_LINES = {message: one.code for one in ALL for message in one.lines}


def code_of(what: str) -> str:
    """The code of what a problem or an error says is wrong; "" where it needs no explanation."""
    return next((code for words, code in _SAYS if words in what), "")


def code_of_line(message: str) -> str:
    """The code of a log line with this constant message, or ""."""
    return _LINES.get(message, "")
