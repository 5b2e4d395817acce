"""Tags of an export. SPEC: sandbox-api 5.3, 5.10.1, 5.10.2 (K1 to K6, K13 to K15)."""

from datetime import UTC, datetime
from typing import Any

from sgtm.consent import CONSENT_TYPES
from sgtm.container.google.components import component_of, parameters
from sgtm.container.google.export import (
    Entity,
    Export,
    column,
    integer,
    plain,
    rows,
    text_of,
    texts,
    upper_snake,
)
from sgtm.container.google.triggers import firing, trigger_names

_MEND = "export that tag too"
FIRING_OPTIONS = {"UNLIMITED": "unlimited", "ONCE_PER_LOAD": "once_per_load"}


def tags(export: Export) -> list[dict[str, Any]]:
    """The tags of container.yaml."""
    names = trigger_names(export)
    by_name = {entity.name for entity in export.entities["tags"]}
    return [_tag(export, entity, names, by_name) for entity in export.entities["tags"]]


def _tag(export: Export, entity: Entity, names: dict[str, str], by_name: set[str]) -> dict[str, Any]:
    fires, blocks = firing(export, entity, names)
    if not texts(entity.data.get("firingTriggerId")) and entity.name not in _neighbours(export):
        export.remark(entity, "has no trigger that fires it: it never fires by itself", "give it one")
    component = component_of(export, entity, "tag")
    found: dict[str, Any] = {
        "name": entity.name,
        "type": component.type,
        "firing_triggers": fires,
        "blocking_triggers": blocks,
        "consent": _consent(export, entity),
        "is_paused": entity.data.get("paused") in (True, "true"),
        "priority": integer(entity.data.get("priority"), 0),
        "firing_option": FIRING_OPTIONS.get(upper_snake(entity.data.get("tagFiringOption"))),
        "is_live_only": entity.data.get("liveOnly") in (True, "true"),
        "schedule": _schedule(entity),
        "setup_tag": _neighbour(export, entity, by_name, "setupTag", "stopOnSetupFailure", "stop_on_failure"),
        "cleanup_tag": _neighbour(
            export, entity, by_name, "teardownTag", "stopTeardownOnFailure", "only_on_success"
        ),
    }
    kept = {key: value for key, value in found.items() if value or (key == "consent" and value == [])}
    read = parameters(export, entity, component, _ga4 if entity.type == "sgtmgaaw" else None)
    return kept | ({"parameters": read} if read else {})


def _neighbours(export: Export) -> set[str]:
    """Names of all set-up and clean-up tags: they run for others."""
    tables = [
        entity.data.get(key) for entity in export.entities["tags"] for key in ("setupTag", "teardownTag")
    ]
    return {name for table in tables for name in column(table, "tagName")}


def _consent(export: Export, entity: Entity) -> list[str] | None:
    """What it says of consent itself; None: nothing (SPEC: 5.10.4, A3)."""
    settings = entity.data.get("consentSettings")
    settings = settings if isinstance(settings, dict) else {}
    status = upper_snake(settings.get("consentStatus"))
    if status == "NOT_NEEDED":
        return []
    if status != "NEEDED":
        return None
    wanted = plain(settings.get("consentType"))
    wanted = [text_of(one) for one in wanted] if isinstance(wanted, list) else []
    for name in wanted:
        if name not in CONSENT_TYPES:
            what = f"needs consent to {name}, which no hit tells a server: unset counts as granted"
            export.remark(entity, what, "ask for one of: " + ", ".join(CONSENT_TYPES))
    return [name for name in wanted if name in CONSENT_TYPES]


def _schedule(entity: Entity) -> dict[str, str]:
    found = {}
    for ours, theirs in (("start", "scheduleStartMs"), ("end", "scheduleEndMs")):
        moment = integer(entity.data.get(theirs), None)
        if moment is not None and 0 < moment < 253_402_300_800_000:
            at = datetime.fromtimestamp(moment / 1000, UTC)
            found[ours] = at.isoformat(timespec="milliseconds" if moment % 1000 else "seconds").replace(
                "+00:00", "Z"
            )
    return found


def _neighbour(
    export: Export, entity: Entity, by_name: set[str], key: str, flag: str, ours: str
) -> dict[str, Any]:
    """Its set-up or clean-up tag: the first of the list (SPEC: 5.10.4, A17)."""
    written = rows(entity.data.get(key))
    if len(written) > 1:
        what = f"has {len(written)} tags in `{key}`: the first one runs, as in the reference"
        export.remark(entity, what, "chain the tags: one as the set-up tag of the next")
    if not written:
        return {}
    name, has_flag = text_of(written[0].get("tagName")), written[0].get(flag) in (True, "true")
    if name not in by_name:
        is_needed = key == "setupTag" and has_flag
        instead = "it never fires, as it must not without" if is_needed else "it runs without it"
        export.remark(entity, f'names tag "{name}" in `{key}`, which is not in the file: {instead}', _MEND)
        return {"tag": name, ours: True} if is_needed else {}
    return {"tag": name} | ({ours: True} if has_flag else {})


def _ga4(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the GA4 tag. SPEC: 5.3 sgtmgaaw, K1."""
    found: dict[str, Any] = {
        "measurement_id": written.pop("measurementId", ""),
        "event_name": written.pop("eventName", ""),
        "redact_visitor_ip": written.pop("redactVisitorIp", False),
    }
    for ours, include, listed, exclude, added in (
        ("event_parameters", "epToIncludeDropdown", "epToInclude", "epToExclude", "eventParameters"),
        ("user_properties", "upToIncludeDropdown", "upToInclude", "upToExclude", "userProperties"),
    ):
        chosen = text_of(written.pop(include, "all")).lower()
        names = column(written.pop(listed, []), "fieldName")
        if chosen not in ("", "all"):
            found[f"include_{ours}"] = "none" if chosen == "none" or not names else "listed"
            found[f"listed_{ours}"] = names if chosen != "none" else []
        found[f"exclude_{ours}"] = column(written.pop(exclude, []), "fieldName")
        found[ours] = {
            name: row.get("value", "")
            for row in rows(written.pop(added, []))
            if (name := text_of(row.get("fieldName")) or text_of(row.get("name")))
        }
    for without_effect in ("isMeasurementIdMandatory", "enableEuid"):
        written.pop(without_effect, None)
    return {key: value for key, value in found.items() if value}
