"""Front door: container.yaml -> ContainerVersion, and what could not be read on the way.

    bytes -> Document (plain data, lines) -> ${ENV}, secrets -> one struct per entity

Each entity is read by itself and each field by itself, so one mistake hides no other. Nothing here
knows what a tag does; `check.py` judges and `compile.py` gives meaning.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from msgspec import Struct, inspect

from sgtm.component import Component, Kind
from sgtm.container.document import Document, Path, read_document
from sgtm.container.environment import Written
from sgtm.container.field_types import kind_of, struct_inside
from sgtm.container.fields import fields_of, read_fields
from sgtm.container.google.secrets import find_secrets, is_secret
from sgtm.container.google.translation import looks_like_export, read_export
from sgtm.container.model import (
    FORMAT_VERSION,
    Client,
    ContainerVersion,
    CustomTemplate,
    FormatValue,
    Preparation,
    Tag,
    Transformation,
    Variable,
)
from sgtm.container.natives import with_natives
from sgtm.container.report import KINDS, Report, listed
from sgtm.container.source import parts_of, whole_source
from sgtm.container.template_files import with_sources
from sgtm.container.templates import Templates
from sgtm.errors import Problem
from sgtm.triggers.condition import Condition
from sgtm.triggers.trigger import AllEvents, CustomEvent

STRUCTS: dict[str, type[Struct]] = {
    "clients": Client,
    "variables": Variable,
    "preparations": Preparation,
    "transformations": Transformation,
    "tags": Tag,
}
COMPONENTS: dict[str, Kind] = {
    "clients": "client",
    "variables": "variable",
    "preparations": "transformation",
    "transformations": "transformation",
    "tags": "tag",
}
_NO_REFERENCES = "write the value itself: variables work in `parameters:`, conditions and `format_value:`"
_TAKES_REFERENCES = (Condition, FormatValue, CustomTemplate)
TRIGGERS: dict[str, type[Struct]] = {"all_events": AllEvents, "custom_event": CustomEvent}


class Reading(Struct):
    """One container file as read: what it says, where each entity stands, and what is wrong."""

    report: Report
    model: ContainerVersion
    places: dict[str, list[Path]]
    """For each list of the model the path of each of its entities in the document."""
    source: bytes = b""
    templates: Templates = Templates()
    """Of the container: they say which component an entity is."""

    def secrets(self) -> dict[str, str]:
        """Secrets that stand in the container as texts, by themselves or from the environment, each with a
        name of its variable: whoever shows anything hides them."""
        data = self.report.document.data
        written = find_secrets(data) if isinstance(data, dict) else []
        read = self.report.concealed.items()
        return {value: name for value, name in read if is_secret(value, name)} | {
            secret.value: secret.variable for secret in written
        }

    def entities(self, kind: str) -> list[tuple[Any, Path]]:
        """Each entity of a kind that could be read, and its place."""
        return list(zip(getattr(self.model, kind), self.places[kind], strict=True))

    def declared(self, kind: str) -> list[str]:
        """Names of all entities of a kind, also of those that could not be read: that was reported."""
        written = self.report.document.data.get(kind)
        unread = (
            [one.get("name") for one in written if isinstance(one, dict)] if isinstance(written, list) else []
        )
        names = [entity.name for entity in getattr(self.model, kind)] + unread
        return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def read_container(path: str | FilePath, environment: Mapping[str, str] | None = None) -> Reading:
    """Read a container file. Never raises; `environment` is that of the process unless given."""
    file = FilePath(path)
    try:
        return read_source(whole_source(file.read_bytes(), path), str(path), environment)
    except OSError as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else "the file cannot be read"
    report = Report(str(path), Document())
    report.problems.append(Problem("error", what, str(path), "give the path of a container.yaml"))
    return Reading(report, ContainerVersion(), {kind: [] for kind in KINDS})


def read_source(
    source: bytes, file_name: str = "container.yaml", environment: Mapping[str, str] | None = None
) -> Reading:
    """Read the source of a container, which may be no more than what stands in its file."""
    translation = read_export(source) if looks_like_export(source, file_name) else None
    content, files = parts_of(source)
    document = read_document(content) if translation is None else translation.document
    report = Report(file_name, document)
    if translation is not None and isinstance(document.data, dict):
        for secret in find_secrets(document.data):
            report.conceal(secret.value, secret.variable)
    for flaw in document.flaws:
        where = f"{file_name}:{flaw.line}: {report.words(flaw.path)}".removesuffix(": ")
        report.problems.append(Problem("error", flaw.what, where, flaw.mend))
    for remark in translation.remarks if translation is not None else ():
        report.warning(remark.path, remark.what, remark.mend)
        report.explained(remark.path)
    reading = Reading(report, ContainerVersion(), {kind: [] for kind in KINDS}, source)
    if _is_container(document.data, report):
        _Entrance(reading, Written(report, environment), files).walk(document.data)
    return reading


def _is_container(data: Any, report: Report) -> bool:
    first_line = f"write `sgtm: {FORMAT_VERSION}` as the first line"
    if report.problems and data is None:
        return False
    if data is None:
        report.error((), "is empty", f"{first_line}, then clients and tags; see `examples/`")
    elif not isinstance(data, dict):
        report.error((), f"is {kind_of(data)}, not a container", f"{first_line}, then `clients:` and `tags:`")
    elif "sgtm" not in data:
        report.error((), "the format version is missing", first_line)
        return True
    elif data["sgtm"] != FORMAT_VERSION or isinstance(data["sgtm"], bool):
        what = f"{data['sgtm']!r} is no format version that this sgtm reads"
        report.error(("sgtm",), what, f"write `sgtm: {FORMAT_VERSION}`")
        return True
    else:
        return True
    return False


class _Entrance:
    """Walks the document once, entity by entity."""

    def __init__(self, reading: Reading, written: Written, files: Mapping[str, str]) -> None:
        self._reading = reading
        self._report = reading.report
        self._written, self._files = written, files

    def walk(self, data: dict[str, Any]) -> None:
        """Fill the reading's model."""
        self._report.tolerates_unknown = data.get("tolerates_unknown") is True
        data = with_natives(data, self._report)
        lists = frozenset(KINDS)
        top = {key: value for key, value in data.items() if key not in lists}
        top = self._filled(ContainerVersion, top, ())
        if "custom_templates" in top:
            place = ("custom_templates",)
            top["custom_templates"] = with_sources(top["custom_templates"], self._report, place, self._files)
        values = self._fields(ContainerVersion, top, (), lists | {"sgtm", "tests"}) or {}
        self._reading.templates = Templates(values.get("custom_templates", ()))
        for kind in KINDS:
            values[kind] = self._entities(kind, data.get(kind))
        self._reading.model = ContainerVersion(**values)

    def _filled(
        self,
        struct_type: type[Struct],
        written: dict[str, Any],
        path: Path,
        component: Component | None = None,
    ) -> dict[str, Any]:
        """What was written, with `${ENV}` and secrets as the fields and the component's parameters want
        them."""
        types = {field.name: field.type for field in fields_of(struct_type)}
        if component is not None:
            types["parameters"] = inspect.type_info(component.parameters_type)
        return {
            key: self._written.value(value, types.get(key, inspect.AnyType()), (*path, key))
            for key, value in written.items()
        }

    def _fields(
        self, struct_type: type[Struct], written: dict[str, Any], path: Path, ignores: frozenset[str]
    ) -> dict[str, Any] | None:
        """The fields that can be read; None where a required one, or one with structs inside, cannot."""
        inner = {
            field.name: found for field in fields_of(struct_type) if (found := struct_inside(field.type))
        }
        mine = [name for name in inner if name not in ignores and written.get(name) is not None]
        values = read_fields(
            struct_type,
            written,
            path,
            self._report,
            ignores=ignores | inner.keys(),
            no_references="" if struct_type in _TAKES_REFERENCES else _NO_REFERENCES,
        )
        structs = {name: self._inside(*inner[name], written[name], (*path, name)) for name in mine}
        if values is None or any(value is None for value in structs.values()):
            return None
        return {**values, **structs}

    def _inside(self, struct_type: type[Struct], is_list: bool, written: Any, path: Path) -> Any:
        """A struct inside another, or a list of them; None where it cannot be read."""
        if not is_list:
            return self._struct(struct_type, written, path)
        if not isinstance(written, list):
            what = f"is {kind_of(written)}, not a list"
            self._report.error(path, what, f"begin each with `- `: {_keys(struct_type)}")
            return None
        found = [self._struct(struct_type, item, (*path, index)) for index, item in enumerate(written)]
        return None if None in found else tuple(found)

    def _struct(self, struct_type: type[Struct], written: Any, path: Path) -> Any:
        if not self._is_mapping(written, path, f"write {_keys(struct_type)} below it"):
            return None
        values = self._fields(struct_type, written, path, frozenset())
        return None if values is None else struct_type(**values)

    def _is_mapping(self, written: Any, path: Path, mend: str) -> bool:
        if not isinstance(written, dict):
            self._report.error(path, f"is {kind_of(written)}, not a mapping", mend)
        return isinstance(written, dict)

    def _entities(self, kind: str, written: Any) -> tuple[Any, ...]:
        if written is None:
            return ()
        if not isinstance(written, list):
            what = f"is {kind_of(written)}, not a list"
            self._report.error((kind,), what, f"begin each {KINDS[kind]} with `- name: ...`")
            return ()
        entities = []
        for index, item in enumerate(written):
            entity = self._entity(kind, item, (kind, index))
            if entity is not None:
                entities.append(entity)
                self._reading.places[kind].append((kind, index))
        return tuple(entities)

    def _entity(self, kind: str, written: Any, path: Path) -> Any:
        mend = f"write `- name: ...` and `type: ...` for each {KINDS[kind]}"
        if not self._is_mapping(written, path, mend):
            return None
        if kind == "triggers":
            return self._trigger(written, path)
        component = self._reading.templates.find(COMPONENTS[kind], str(written.get("type")))
        if component is not None:
            written = self._with_parameters_in_place(STRUCTS[kind], written, path, component)
        written = self._filled(STRUCTS[kind], written, path, component)
        parameters = written.pop("parameters", None) or {}
        values = self._fields(STRUCTS[kind], written, path, frozenset({"parameters"}))
        mend = "write a `name: value` for each below it"
        is_read = self._is_mapping(parameters, (*path, "parameters"), mend)
        return STRUCTS[kind](**values, parameters=parameters) if values and is_read else None

    def _with_parameters_in_place(
        self, struct_type: type[Struct], written: dict[str, Any], path: Path, component: Component
    ) -> dict[str, Any]:
        """Parameters that stand beside `parameters:`, put below it so that nothing follows from that."""
        own = {field.name for field in fields_of(struct_type)}
        theirs = {field.name for field in fields_of(component.parameters_type)}
        misplaced = [key for key in written if key in theirs - own]
        parameters = written.get("parameters") or {}
        if not misplaced or not isinstance(parameters, dict):
            return written
        for key in misplaced:
            self._report.error((*path, key), "is a parameter", "write it below `parameters:`")
        parameters = {**{key: written[key] for key in misplaced}, **parameters}
        rest = {key: value for key, value in written.items() if key not in misplaced}
        return {**rest, "parameters": parameters}

    def _trigger(self, written: dict[str, Any], path: Path) -> Any:
        type_ = written.get("type")
        struct_type = TRIGGERS.get(type_) if isinstance(type_, str) else None
        if struct_type is None:
            what = f"{type_!r} is not a type of trigger" if type_ is not None else "`type` is missing"
            place = (*path, "type") if type_ is not None else path
            self._report.error(place, what, f"write one of: {listed(TRIGGERS)}")
            return None
        written = self._filled(struct_type, written, path)
        values = self._fields(struct_type, written, path, frozenset({"type"}))
        return None if values is None else struct_type(**values)


def _keys(struct_type: type[Struct]) -> str:
    return listed(f"`{field.name}:`" for field in fields_of(struct_type))
