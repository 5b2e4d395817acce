"""What is declared, and named nowhere; tags that nothing fires."""

from sgtm.container.checks.references import written_of
from sgtm.container.native import Reading
from sgtm.container.references import references_in
from sgtm.container.report import KINDS
from sgtm.triggers.trigger import ALL_EVENTS


def check_unused(reading: Reading) -> None:
    """Report variables, triggers and tags that do nothing."""
    _tags(reading)
    model = reading.model
    if all(client.is_paused for client in model.clients):
        mend = "write `clients:` with at least one, for example of type ga4"
        reading.report.warning((), "there is no client, so no request is ever claimed", mend)
    entities = [entity for kind in KINDS for entity in getattr(model, kind)]
    used = {name for entity in entities for name in references_in(written_of(entity))}
    for variable, path in reading.entities("variables"):
        if variable.name not in used:
            mend = f"remove it, or write {{{{{variable.name}}}}} where it belongs"
            reading.report.warning(path, "is used nowhere", mend)
    named = {name for tag in model.tags for name in (*tag.firing_triggers, *tag.blocking_triggers)}
    for trigger, path in reading.entities("triggers"):
        if trigger.name not in named:
            mend = "name it in `firing_triggers:` of a tag, or remove it"
            reading.report.warning(path, "fires no tag", mend)


def _tags(reading: Reading) -> None:
    both = [partner for tag in reading.model.tags for partner in (tag.setup_tag, tag.cleanup_tag)]
    partners = {partner.tag for partner in both if partner is not None}
    for tag, path in reading.entities("tags"):
        if not tag.firing_triggers and tag.name not in partners:
            mend = f'write `firing_triggers: ["{ALL_EVENTS}"]`, or name triggers of `triggers:`'
            reading.report.warning(path, "has no trigger, so it never fires", mend)
