"""Names: each its own, and such that something can refer to it."""

from sgtm.container.document import Path
from sgtm.container.native import Reading
from sgtm.container.references import REFERENCE
from sgtm.container.report import KINDS
from sgtm.triggers.trigger import ALL_EVENTS, event_names


def check_names(reading: Reading) -> None:
    """Report names that are taken, or that nothing can refer to."""
    for kind, word in KINDS.items():
        seen: dict[str, Path] = {}
        for entity, path in reading.entities(kind):
            first = seen.setdefault(entity.name, path)
            if first != path:
                line = reading.report.document.line(first)
                what = f"another {word} has this name, in line {line}"
                reading.report.error((*path, "name"), what, "give each its own name")
    for trigger, path in reading.entities("triggers"):
        if trigger.name == ALL_EVENTS and event_names(trigger) is not None:
            what = f'"{ALL_EVENTS}" is built in and fires on every event'
            reading.report.error((*path, "name"), what, "give this trigger another name")
    for variable, path in reading.entities("variables"):
        if REFERENCE.findall(f"{{{{{variable.name}}}}}") != [variable.name]:
            what = "no {{reference}} can reach this name"
            reading.report.error((*path, "name"), what, "use no braces, and no space at its ends")
