"""Consent: a container says what its absence means."""

from sgtm.container.native import Reading

_UNSET_LINE = "unset: denied    # or granted: tags also fire on events that say nothing about consent"
_GATE_LINE = "gate: all        # or declared: only tags with `consent:` of their own are held back"


def check_consent(reading: Reading) -> None:
    """Silence about consent: an error where a tag advertises (SPEC: R170, R173), a warning where
    another tag is held back by it, so that nobody leaks, or loses, by omission."""
    policy = reading.model.consent
    written = reading.report.document.data.get("consent")
    written = {} if written is None else written
    lines = [
        line
        for key, line in (("unset", _UNSET_LINE), ("gate", _GATE_LINE))
        # what is written and wrong was reported
        if getattr(policy, key) is None and isinstance(written, dict) and written.get(key) is None
    ]
    if not lines:
        return
    mend = "write\n    " + "\n    ".join(["consent:", *(f"  {line}" for line in lines)])
    held_back = ""
    for tag in reading.model.tags:
        component = reading.templates.find("tag", tag.type)
        if component is None or tag.is_paused:
            continue
        if component.is_advertising:
            what = f'tag "{tag.name}" advertises, and nothing says what happens without consent'
            reading.report.error(("consent",), what, mend)
            return
        if reading.report.has_errors:
            continue
        if component.consent and tag.consent is None and not component.is_consent_aware:
            held_back = held_back or tag.name
    if held_back:
        what = f'silence is the strict reading, and it holds tag "{held_back}" back without consent'
        reading.report.warning(("consent",), what, mend)
