"""Tags of sgtm's own in the place of gallery templates, where the container says so (`native:`).

Never by itself: the two may differ. The template's fields go to the tag's parameters; a field that means
nothing to it is reported. A secret cannot come from a variable, so one that a constant holds is put in its
place.
"""

from typing import Any

from sgtm.container.document import Path
from sgtm.container.references import whole_reference
from sgtm.container.report import Report, listed

FIELDS: dict[str, dict[str, str]] = {
    # SPEC: meta-capi 7: facebookincubator/ConversionsAPI-Tag-for-GoogleTagManager
    "meta_conversions": {
        "pixelId": "pixel_id",
        "apiAccessToken": "access_token",
        "testEventCode": "test_event_code",
        "actionSource": "action_source",
        "extendCookies": "extend_cookies",
        "enableEventEnhancement": "enhance_events",
    },
}
"""Type of tag -> field of the template -> parameter of the tag."""


def with_natives(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """The plain data of a container, with its tags of such templates as tags of sgtm's own."""
    natives: dict[str, str] = {}
    for index, one in enumerate(_mappings(data.get("custom_templates"))):
        native = one.get("native")
        if not native or isinstance(native, (list, dict)):
            continue  # what can be no text is reported where the field is read
        if native not in FIELDS:
            path: Path = ("custom_templates", index, "native")
            what = f"{native!r} cannot take the place of a template"
            report.error(path, what, f"write one of: {listed(FIELDS)}")
            continue
        types = one.get("types")
        names = [one.get("name"), *(types if isinstance(types, list) else [])]
        natives |= {name: native for name in names if isinstance(name, str)}
    tags = data.get("tags")
    if not natives or not isinstance(tags, list):
        return data
    constants: dict[str, Any] = {
        one["name"]: one["parameters"].get("value")
        for one in _mappings(data.get("variables"))
        if one.get("type") == "constant"
        and isinstance(one.get("name"), str)
        and isinstance(one.get("parameters"), dict)
    }
    return {
        **data,
        "tags": [
            _native(tag, natives[tag["type"]], constants, report, ("tags", index))
            if isinstance(tag, dict) and isinstance(tag.get("type"), str) and tag["type"] in natives
            else tag
            for index, tag in enumerate(tags)
        ],
    }


def _native(
    tag: dict[str, Any], native: str, constants: dict[str, Any], report: Report, path: Path
) -> dict[str, Any]:
    written = tag.get("parameters")
    parameters: dict[str, Any] = {}
    for key, value in written.items() if isinstance(written, dict) else ():
        ours = FIELDS[native].get(key)
        if ours is None and value not in ("", False, [], {}, None):
            what = f"this field of the template means nothing to {native}, which runs in its place"
            report.warning((*path, "parameters", key), what, "leave it out, or leave out `native:`")
        elif ours is not None and value not in ("", None):
            name = whole_reference(value) if isinstance(value, str) else None
            parameters[ours] = constants.get(name, value) if name is not None else value
    return {**tag, "type": native, "parameters": parameters}


def _mappings(written: Any) -> list[dict[str, Any]]:
    return [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []
