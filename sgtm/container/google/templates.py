"""Custom templates of an export: kept with their code, found under both forms of their type.

SPEC: sandbox-api 5.7, 5.10.2 (K19).
"""

import re
from typing import Any

from sgtm.container.google.export import Entity, Export, text_of

_LONG = re.compile(r"cvt_[0-9]+_(?P<template>[0-9]+)")


def templates(export: Export) -> list[dict[str, Any]]:
    """The custom templates of container.yaml."""
    found = []
    for entity in export.entities["custom_templates"]:
        types = types_of(export, entity)
        export.templates |= dict.fromkeys(types, entity.name)
        source = text_of(entity.data.get("templateData"))
        found.append({"name": entity.name, "types": types, **_gallery(entity), "source": source})
    return found


def types_of(export: Export, entity: Entity) -> list[str]:
    """Types under which instances name a template: `cvt_<container>_<template>`, also with the container
    id that instances have where the author changed one of them, and `cvt_<id in the gallery>`."""
    container = text_of(entity.data.get("containerId")) or text_of(export.version.get("containerId"))
    found = [f"cvt_{container}_{entity.id}"] if entity.id else []
    reference = entity.data.get("galleryReference")
    in_gallery = text_of(reference.get("galleryTemplateId")) if isinstance(reference, dict) else ""
    found += [f"cvt_{in_gallery}"] if in_gallery else []
    used = (one.type for kind in ("clients", "variables", "tags") for one in export.entities[kind])
    for type_ in used:
        match = _LONG.fullmatch(type_)
        if match and match["template"] == entity.id:
            found.append(type_)
    return list(dict.fromkeys(found))


def _gallery(entity: Entity) -> dict[str, str]:
    reference = entity.data.get("galleryReference")
    if not isinstance(reference, dict):
        return {}
    owner, repository, version = (text_of(reference.get(key)) for key in ("owner", "repository", "version"))
    return {"gallery": f"{owner}/{repository}@{version}"} if owner and repository else {}
