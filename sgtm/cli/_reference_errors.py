"""The page of error codes, as `sgtm docs` writes it."""

from collections.abc import Iterator

from sgtm.error_codes import ALL
from sgtm.error_codes.explanation import Explanation

_INTRODUCTION = """Messages of `sgtm check`, errors of the commands (`[SG-C012]` at their end) and lines
of the log (under `see`) carry one of these codes where more can be said than fits there. A code never
changes its meaning. `sgtm code SG-C012` shows the same in a terminal. C: container, T: gallery template,
S: server, O: outbox, D: delivery."""


def error_parts() -> Iterator[str]:
    """What stands below the title."""
    yield _INTRODUCTION
    yield from map(_part, ALL)


def _part(one: Explanation) -> str:
    said = [f"`{text.strip()}`" for text in (*one.says, *one.lines) if "`" not in text]
    lines = [f"## {one.code}", f"**{one.title}.** {one.cause}", one.mend]
    if said:
        lines.append(f"Said as: {', '.join(said)}.")
    lines.append(f"More: [{one.page}](../{one.page})")
    return "\n\n".join(lines)
