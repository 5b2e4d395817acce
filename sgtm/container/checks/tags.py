"""Tags: their triggers, partners and schedules."""

from collections.abc import Iterable

from sgtm.container.circles import circles
from sgtm.container.document import Path
from sgtm.container.model import Tag
from sgtm.container.native import Reading
from sgtm.container.report import listed
from sgtm.triggers.trigger import ALL_EVENTS, AllEvents


def check_tags(reading: Reading) -> None:
    """Report triggers and partners that are not there, circles, and what keeps a tag from ever firing."""
    triggers = [*reading.declared("triggers"), ALL_EVENTS]
    known, always = reading.declared("tags"), _always(reading)
    paused = {one.name for one in reading.model.tags if one.is_paused}
    for tag, path in reading.entities("tags"):
        _triggers(reading, tag.firing_triggers, triggers, (*path, "firing_triggers"))
        _triggers(reading, tag.blocking_triggers, triggers, (*path, "blocking_triggers"))
        _always_blocked(reading, tag, path, always)
        _partners(reading, tag, path, known, paused)
        schedule = tag.schedule
        if schedule is not None and schedule.start and schedule.end and schedule.end <= schedule.start:
            what = "it ends before it begins, so the tag never fires"
            reading.report.error((*path, "schedule", "end"), what, "write a later moment than `start`")
    _circles(reading)


def _triggers(reading: Reading, names: Iterable[str], known: list[str], path: Path) -> None:
    for index, name in enumerate(names):
        if name not in known:
            reading.report.unknown(
                (*path, index),
                f"there is no trigger {name!r}",
                name,
                known,
                otherwise=f"declare it under `triggers:`; there are: {listed(known)}",
            )


def _always(reading: Reading) -> set[str]:
    """Triggers that every event meets."""
    always = {ALL_EVENTS}.difference(trigger.name for trigger in reading.model.triggers)
    for trigger in reading.model.triggers:
        if isinstance(trigger, AllEvents) and not trigger.conditions:
            always.add(trigger.name)
    return always


def _always_blocked(reading: Reading, tag: Tag, path: Path, always: set[str]) -> None:
    for index, name in enumerate(tag.blocking_triggers):
        if name in always or name in tag.firing_triggers:
            what = f"the tag never fires: {name!r} blocks whatever could fire it"
            if name not in always:
                what = f"{name!r} fires the tag and blocks it, and blocking wins"
            reading.report.warning((*path, "blocking_triggers", index), what, "remove it from one of the two")


def _partners(reading: Reading, tag: Tag, path: Path, known: list[str], paused: set[str]) -> None:
    for key, partner in (("setup_tag", tag.setup_tag), ("cleanup_tag", tag.cleanup_tag)):
        if partner is None:
            continue
        place = (*path, key, "tag")
        if partner.tag == tag.name:
            reading.report.error(place, "a tag cannot be its own partner", "name another tag, or remove it")
        elif partner.tag not in known:
            what = f"there is no tag {partner.tag!r}"
            reading.report.unknown(place, what, partner.tag, known, otherwise="declare it under `tags:`")
        elif partner.tag in paused:
            stops = key == "setup_tag" and tag.setup_tag is not None and tag.setup_tag.stop_on_failure
            instead = "this one never fires" if stops else "it is as if none were named"
            what = f"tag {partner.tag!r} is paused: {instead}"
            reading.report.warning(place, what, "let it run, or remove it here")


def _circles(reading: Reading) -> None:
    """Tags that would have to run before themselves."""
    for key in ("setup_tag", "cleanup_tag"):
        partners = {tag.name: getattr(tag, key) for tag in reading.model.tags}
        leads_to = {
            name: {partner.tag} for name, partner in partners.items() if partner and partner.tag != name
        }
        places = ((tag.name, path) for tag, path in reading.entities("tags"))
        for path, circle in circles(leads_to, places):
            what = f"leads back to itself: {' -> '.join(circle)}"
            reading.report.error((*path, key), what, "break the circle")
