"""What an export cannot say, from the process's settings: the part `container:` of `--settings FILE`.

It is put into the export itself, as the key `sgtm` at its end, so that lines stay where they are and the
version of the container, its copies on disk and the workers all mean the same. Values come after the
export's own. SPEC: design.md, Configuration.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from sgtm.container.model import ConsentPolicy
from sgtm.container.report import nearest
from sgtm.delivery.context.rules import ContextRules

KEY = "sgtm"
_KEY = b',"sgtm":'

ByName = dict[str, dict[str, Any]]


class ContainerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What may stand under `container:`. Texts may hold `${NAME}`; `{{Variable}}` works in tags."""

    unclaimed_status: Annotated[
        int | UnsetType, Meta(description="HTTP status for a request that no client claims.")
    ] = UNSET
    environment_name: Annotated[str | UnsetType, Meta(description="What `{{Environment Name}}` gives.")] = (
        UNSET
    )
    consent: Annotated[
        ConsentPolicy | UnsetType,
        Meta(description="What consent means; an export's own: `{unset: granted, gate: declared}`."),
    ] = UNSET
    context: Annotated[
        ContextRules | UnsetType,
        Meta(description="What browsers told is kept for events that come without one; see docs/context.md."),
    ] = UNSET
    constants: Annotated[
        dict[str, Any],
        Meta(description="Values of Constant variables by name, as `API Token: ${API_TOKEN}`."),
    ] = {}
    variables: Annotated[
        ByName,
        Meta(
            description="Parameters of variables, by name or type: `Orders: {service_account: {file: key}}`."
        ),
    ] = {}
    clients: Annotated[
        ByName,
        Meta(
            description="Parameters of clients, by name or type: `ga4: {answer: 204, resent_hits: ga4_only}`."
        ),
    ] = {}
    tags: Annotated[
        ByName,
        Meta(description="Parameters of tags, by name or type: `ga4: {endpoint: https://proxy.example}`."),
    ] = {}
    natives: Annotated[
        dict[str, str],
        Meta(
            description="Tags of sgtm's own in the place of templates, by the template's name: "
            "`Facebook Conversion API Tag: meta_conversions`; see docs/templates.md."
        ),
    ] = {}


def with_settings(source: bytes, settings: dict[str, Any]) -> bytes:
    """An export with settings in it; one that is no JSON object stays as it is."""
    end = source.rstrip()
    if not settings or not end.endswith(b"}"):
        return source
    return b"%s%s%s}" % (end[:-1].rstrip(), _KEY, msgspec.json.encode(settings))


def without_settings(source: bytes) -> bytes:
    """An export without the settings that `with_settings` has put in it."""
    start = source.rfind(_KEY)
    if start >= 0 and source.endswith(b"}"):
        with suppress(msgspec.DecodeError):
            msgspec.json.decode(source[start + len(_KEY) : -1], type=dict[str, Any])
            return source[:start] + b"\n}\n"
    return source


def lay_over(data: dict[str, Any], settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Change the plain data of a container.yaml as the settings say; what is wrong with these, and how to
    mend it."""
    for key in ("unclaimed_status", "environment_name", "context"):
        if key in settings:
            data[key] = settings[key]
    if isinstance(settings.get("consent"), dict):
        data["consent"] = {**data["consent"], **settings["consent"]}
    problems = []
    constants = {one["name"]: one for one in data.get("variables", ()) if one["type"] == "constant"}
    for name, value in settings.get("constants", {}).items():
        if name in constants:
            constants[name]["parameters"] = {"value": value}
        else:
            mend = nearest(name, constants) or "give the name of a Constant variable of the export"
            problems.append((f"there is no constant {name!r} for `constants` of the settings file", mend))
    problems += _natives(data, settings.get("natives", {}))
    for kind in ("variables", "clients", "tags"):
        for name, parameters in settings.get(kind, {}).items():
            entities = [one for one in data.get(kind, ()) if name in (one["name"], one["type"])]
            for entity in entities:
                entity["parameters"] = {**entity.get("parameters", {}), **parameters}
            if not entities:
                known = [word for one in data.get(kind, ()) for word in (one["name"], one["type"])]
                mend = nearest(name, known) or "give the name of one, or a type as `sgtm list` shows it"
                problems.append((f"{name!r} is no name and no type for `{kind}` of the settings file", mend))
    return problems


def _natives(data: dict[str, Any], natives: dict[str, str]) -> Iterator[tuple[str, str]]:
    templates = {one["name"]: one for one in data.get("custom_templates", ())}
    for name, native in natives.items():
        if name in templates:
            templates[name]["native"] = native
        else:
            mend = nearest(name, templates) or "give the name of a custom template of the export"
            yield f"there is no template {name!r} for `natives` of the settings file", mend
