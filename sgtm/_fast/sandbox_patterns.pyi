"""What methods of texts do with patterns: match, search, replace, split; and createRegex, testRegex."""

from collections.abc import Callable
from typing import Any

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_values import Regex, Run

__all__ = ["Patterns"]

@disjoint_base
class Patterns:
    """What runs know of patterns, the same for all: the last few texts are kept compiled."""

    def __init__(
        self,
        compiled: Callable[[str, bool], Any],
        refusal: type[Exception],
        expanded: Callable[[str, str, int, int, tuple[str | None, ...]], str],
    ) -> None:
        """`compiled(text, ignore_case)` gives a pattern (`sgtm.patterns.Pattern` is one) or raises `refusal`,
        which has `what`; `expanded(new, text, start, end, groups)` is a replacement with `$1` and so on."""

    def create(self, run: Run, text: str, flags: str) -> Regex | None:
        """`createRegex(text, flags)`: None for what is no pattern."""

    def test(self, run: Run, regex: Regex, text: str) -> bool:
        """`testRegex(regex, text)`: with g it goes on behind its last find."""

    def match(self, run: Run, text: str, value: Any) -> Any:
        """`text.match(value)`: None; the match and its groups; all matches for a pattern with g."""

    def search(self, run: Run, text: str, value: Any) -> int:
        """`text.search(value)`: where it is found, or -1."""

    def replace(self, run: Run, text: str, regex: Regex, replacement: Any) -> str:
        """`text.replace(regex, replacement)`: the first place, or all with g; the replacement is a text with
        `$1` and so on, or a function."""

    def expand(
        self, run: Run, new: str, text: str, start: int, end: int, groups: tuple[str | None, ...] = ()
    ) -> str:
        """A replacement: `$&`, `` $` ``, `$'`, `$$`, and of a pattern `$1` and so on."""

    def split(self, run: Run, text: str, regex: Regex, limit: int) -> list[Any]:
        """`text.split(regex)`: what stands between the matches, and their groups."""
