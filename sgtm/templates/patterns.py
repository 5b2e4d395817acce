"""Patterns of templates are RE2's (`sgtm/patterns.py`), so none can hang a run."""

from functools import lru_cache

from sgtm._fast.sandbox_patterns import Patterns
from sgtm.patterns import Found, Pattern, PatternError, compile_pattern, expand_reference

__all__ = ["PATTERNS"]


@lru_cache(maxsize=256)
def _compiled(text: str, ignore_case: bool) -> Pattern:
    return compile_pattern(text, ignore_case=ignore_case)


def _expanded(new: str, text: str, start: int, end: int, groups: tuple[str | None, ...]) -> str:
    return expand_reference(new, text, Found(start, end, groups))


PATTERNS = Patterns(_compiled, PatternError, _expanded)
"""What methods of texts do with patterns, for all runs the same."""
