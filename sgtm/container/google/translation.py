"""An export, whole -> the plain data of a container.yaml, where each entity stands, and what to report.

Consent is the reference's: unset counts as granted, only tags with consent settings of their own are
held back (SPEC: design.md, Decisions; sandbox-api 5.10.4, A3).
"""

from typing import Any

from msgspec import Struct

from sgtm.component import Kind
from sgtm.container.document import Document, Flaw, Path
from sgtm.container.google import overlay
from sgtm.container.google.clients import clients
from sgtm.container.google.components import is_of_google
from sgtm.container.google.export import FORMAT_VERSION, WORDS, Entity, Export, Remark, literal, text_of
from sgtm.container.google.json_document import read_json
from sgtm.container.google.tags import tags
from sgtm.container.google.templates import templates
from sgtm.container.google.transformations import transformations
from sgtm.container.google.triggers import triggers
from sgtm.container.google.variables import variables
from sgtm.container.model import FORMAT_VERSION as OUR_FORMAT_VERSION

CONSENT = {"unset": "granted", "gate": "declared"}
_MEND = "export it from Tag Manager: Admin, Export Container, of a server container"


class Translation(Struct):
    """What a container.yaml would say in the place of an export."""

    document: Document
    """Its plain data; lines are those of the export."""
    remarks: list[Remark] = []
    comments: dict[Path, list[str]] = {}
    """Notes and folders, by entity."""

    def words(self, path: Path) -> str:
        """What a remark is about, in words: `tag "Purchase"`; empty for the whole file."""
        return f'{WORDS[str(path[0])]} "{self.document.at((*path[:2], "name"))}"' if path else ""


def is_export(data: Any) -> bool:
    """Whether this is an export, or a container version as the REST API gives it."""
    return isinstance(data, dict) and (
        "exportFormatVersion" in data or "containerVersion" in data or "containerVersionId" in data
    )


def looks_like_export(source: bytes, file_name: str) -> bool:
    """Whether the bytes of a file go through this door, also where they are broken."""
    start = source[:200].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    marks = (b'"exportFormatVersion"', b'"containerVersion"', b'"containerVersionId"')
    if start != b"{":
        return False
    return any(mark in source for mark in marks) or (file_name.endswith(".json") and b'"sgtm"' not in source)


def read_export(source: bytes) -> Translation:
    """Read and translate the bytes of an export. Never raises."""
    return translate(read_json(source))


def translate(document: Document) -> Translation:
    """Translate an export that was read by `read_json`. Never raises; what is wrong with the file as a
    whole stands in the flaws of the document."""
    flaw = _flaw(document.data)
    if flaw is not None:
        return Translation(Document(data=None, lines={}, texts={}, flaws=[*document.flaws, flaw]))
    if document.data is None:
        return Translation(document)
    export = Export(document)
    data = _container(export)
    custom_templates = templates(export)  # first: the others look for their template
    found = {
        "clients": clients(export),
        "variables": variables(export),
        "triggers": triggers(export),
        "transformations": transformations(export),
        "tags": tags(export),
        "custom_templates": custom_templates,
    }
    data = literal(data | {kind: entities for kind, entities in found.items() if entities})
    _whole(export)
    settings = document.data.get(overlay.KEY)
    if _is_invented(export):
        what = "was not written by Tag Manager: it knows none of the types of these clients and tags"
        document.flaws.append(Flaw(1, (), what, _MEND))
    problems = overlay.lay_over(data, settings) if isinstance(settings, dict) else []
    document.flaws += [Flaw(1, (), what, mend) for what, mend in problems]
    return Translation(
        Document(data=data, lines=export.lines, texts={}, flaws=document.flaws),
        export.remarks,
        export.comments,
    )


def _flaw(data: Any) -> Flaw | None:
    if data is None:
        return None
    if not is_export(data):
        return Flaw(1, (), "is JSON, but no container of Tag Manager", _MEND)
    version = data.get("exportFormatVersion", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        return Flaw(1, (), f"has exportFormatVersion {version!r}; this sgtm reads {FORMAT_VERSION}", _MEND)
    if not isinstance(data.get("containerVersion", data), dict):
        return Flaw(1, (), "has no container in `containerVersion`", _MEND)
    container = data.get("containerVersion", data).get("container")
    contexts = container.get("usageContext") if isinstance(container, dict) else None
    if isinstance(contexts, list) and contexts and "SERVER" not in [str(one).upper() for one in contexts]:
        named = ", ".join(str(one) for one in contexts)
        return Flaw(1, (), f"is no server container: its usageContext is {named}", _MEND)
    return None


def _container(export: Export) -> dict[str, Any]:
    version = export.version
    container = version.get("container")
    container = container if isinstance(container, dict) else {}
    number = text_of(version.get("containerVersionId"))
    found = {
        "sgtm": OUR_FORMAT_VERSION,
        "name": text_of(container.get("name")),
        "container_id": text_of(container.get("publicId")),
        "version_name": "" if number == "0" else number,
        "tolerates_unknown": True,
        "consent": dict(CONSENT),
    }
    return {key: value for key, value in found.items() if value}


def _is_invented(export: Export) -> bool:
    """Whether none of its clients and tags has a type that Tag Manager writes."""
    entities: list[tuple[Kind, Entity]] = [("client", one) for one in export.entities["clients"]]
    entities += [("tag", one) for one in export.entities["tags"]]
    return bool(entities) and not any(is_of_google(one.type, kind) for kind, one in entities)


def _whole(export: Export) -> None:
    """What concerns the whole file."""
    for zone in export.items("zone"):
        what = f'zone "{text_of(zone.get("name"))}" is left out: its containers are not loaded'
        export.remark_container(what, "serve a container of their own for each, or copy their tags")
    for key in ("tag", "client"):
        if not export.items(key):
            instead = "nothing is sent" if key == "tag" else "no request is ever claimed"
            export.remark_container(f"has no {key}: {instead}", "export the whole container")
