"""Google's type codes -> our components, and their parameters.

A code that no component of ours answers to is kept, with its parameters, and never runs. So is a name
that is ours and not Google's: a file with those was not written by Tag Manager.
"""

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from sgtm.component import Component, Kind, find
from sgtm.container.google.export import Entity, Export, snake

WITHOUT_COMPONENT = {
    "sgtmadsct": "Google Ads conversion",
    "sgtmadsremarket": "Google Ads remarketing",
    "sgtmadscl": "Conversion Linker",
    "sgtmfls": "Floodlight sales",
    "sgtmflc": "Floodlight counter",
    "sgtmawud": "Google Ads user-provided data",
    "sgtmua": "Universal Analytics",
}
"""Types that Google has and this version has not."""

_CODE = re.compile("cvt_[0-9]+_[0-9]+|cvt_[A-Z0-9]{5}|sgtm[a-z]+")

INSTEAD = {
    "client": "it claims nothing",
    "variable": "it is undefined",
    "transformation": "tags that it affects never fire, since it may have been there to hide something",
    "tag": "it never fires",
}
"""What an entity that cannot run does, by kind."""

Read = Callable[[Export, Entity, dict[str, Any]], dict[str, Any]]
"""Takes parameters that it knows out of a dict (what is left is reported) and gives ours."""


class Found(Struct, frozen=True):
    """What runs an entity: the type in container.yaml, and the component, if there is one."""

    type: str
    component: Component | None


def is_of_google(code: str, kind: Kind) -> bool:
    """Whether Tag Manager writes such a type."""
    component = find(kind, code)
    is_alias = component is not None and component.type != code
    return is_alias or code in WITHOUT_COMPONENT or _CODE.fullmatch(code) is not None


def component_of(export: Export, entity: Entity, kind: Kind) -> Found:
    """The component that runs an entity of Google's type; reports it if there is none."""
    code = entity.type
    component = find(kind, code)
    if component is not None and code != component.type:
        return Found(component.type, component)
    instead = INSTEAD[kind]
    if component is not None:
        export.remark(
            entity, f"{code!r} is no type of Google's: {instead}", "export it from Tag Manager", "type"
        )
        return Found(f"google_{code}", None)
    if code.startswith("cvt_"):
        template = export.template_of(code)
        if template is None:
            what = f"its template {code} is not in the file: {instead}"
            export.remark(entity, what, "export the template too", "type")
    elif code in WITHOUT_COMPONENT:
        what = f"{WITHOUT_COMPONENT[code]} ({code}) has no component here yet: {instead}"
        export.remark(entity, what, "see docs/google-export.md", "type")
    else:
        what = f"nobody knows the type {code or '(none)'}: {instead}"
        export.remark(
            entity, what, "export it from Tag Manager, or write it anew in the converted file", "type"
        )
    return Found(code or "unknown", None)


def parameters(export: Export, entity: Entity, found: Found, read: Read | None = None) -> dict[str, Any]:
    """Parameters as our component wants them; those of no component stay as they are.

    What `read` leaves over goes to the field of the same name (`keyPath` -> `key_path`), or is reported."""
    if found.component is None:
        return entity.parameters
    written = dict(entity.parameters)
    ours = read(export, entity, written) if read is not None else {}
    fields = found.component.parameters_type.__struct_fields__
    for key, value in written.items():
        if snake(key) in fields:
            ours.setdefault(snake(key), value)
        elif value not in ("", [], {}, False):
            what = f"its setting `{key}` means nothing to {found.type}: it is left out"
            export.remark(entity, what, f"see docs/reference/{found.component.kind}s/{found.type}.md")
    return ours
