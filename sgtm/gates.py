"""What keeps a tag from firing although its triggers want it: its own settings, and consent.

SPEC: requirements R98, R99, R171; sandbox-api 5.10.2 (K13, K15); design.md, Consent gates.
"""

from sgtm.container.container import ContainerTag
from sgtm.event import Event
from sgtm.hit import Hit


def held_back(hit: Hit, event: Event, tag: ContainerTag) -> str:
    """Why the tag's own settings keep it from firing, or ""."""
    if tag.missing_setup_tag:
        return f"its set-up tag {tag.missing_setup_tag!r} is paused, cannot run or is not there"
    if tag.is_live_only and hit.container.is_preview:
        return "it fires for a published version only"
    if tag.schedule is not None and not tag.schedule[0] <= hit.request.received_micros < tag.schedule[1]:
        return "outside its schedule"
    if tag.sample is not None and not tag.sample.holds(event):
        return f"not in the sample of {tag.sample.percent} %"
    return ""


def blocked_by_consent(hit: Hit, event: Event, tag: ContainerTag) -> str:
    """Why consent keeps the tag from firing, or "" when it may fire."""
    is_unset_granted = hit.container.is_unset_consent_granted
    missing = event.consent.missing(tag.required_consent, is_unset_granted=is_unset_granted)
    if missing:
        return f"consent not granted: {', '.join(missing)}"
    if not event.consent.is_update or hit.claimed.resent_hits == "fire" or tag.component.is_consent_aware:
        return ""
    newly_granted = event.consent.newly_granted()
    could_fire_before = not any(name in newly_granted for name in tag.required_consent)
    return "sent again after consent, and this tag fired the first time" if could_fire_before else ""


def leads_to_partner(hit: Hit, tag: ContainerTag) -> bool:
    """Whether a tag that does not fire in this run again leads to a set-up or clean-up tag that does."""
    seen, names = {tag.name}, [tag.setup_tag, tag.cleanup_tag]
    while names:
        name = names.pop()
        partner = hit.container.tags_by_name.get(name) if name not in seen else None
        if partner is not None:
            if not hit.skips(name, partner.answers_browser):
                return True
            seen.add(name)
            names += (partner.setup_tag, partner.cleanup_tag)
    return False
