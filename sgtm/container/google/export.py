"""An export as it is: its lists, its ids, its parameters, and what there is to report about them.

Both spellings are read: the export's (`CUSTOM_EVENT`) and the REST API's (`customEvent`). Nothing here
is trusted to have the shape that it should have; what has not is reported and left out.
SPEC: sandbox-api 5.1, 5.2, 5.10.2.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from sgtm.container.document import Document, Path
from sgtm.container.references import whole_reference

LISTS = {
    "client": "clients",
    "variable": "variables",
    "trigger": "triggers",
    "transformation": "transformations",
    "tag": "tags",
    "customTemplate": "custom_templates",
}
"""Lists of an export -> lists of a container.yaml."""
WORDS = {
    "clients": "client",
    "variables": "variable",
    "triggers": "trigger",
    "transformations": "transformation",
    "tags": "tag",
    "custom_templates": "custom template",
}
"""What one item of a list is called."""
IDS = {"customTemplate": "templateId"}
FORMAT_VERSION = 2

_HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])")
_LIMIT_OF_CONSTANTS = 10


class Entity(Struct):
    """One item of a list of an export."""

    kind: str
    """List of container.yaml to which it belongs."""
    name: str
    """Its name, unique in its list."""
    id: str
    type: str
    data: dict[str, Any]
    parameters: dict[str, Any]
    path: Path
    """Place in the plain data of the container.yaml that is made of the export."""


class Remark(Struct, frozen=True):
    """Something that a person should know: where, what, and what to do about it."""

    path: Path
    what: str
    mend: str


class Export:
    """What the parts of the translation share."""

    def __init__(self, document: Document) -> None:
        self.remarks: list[Remark] = []
        self.lines: dict[Path, int] = {}
        self.comments: dict[Path, list[str]] = {}
        """What people wrote about an entity: its folder, its notes."""
        data = document.data
        is_wrapped = "containerVersion" in data
        self.version: dict[str, Any] = data["containerVersion"] if is_wrapped else data
        self._root: Path = ("containerVersion",) if is_wrapped else ()
        self._document = document
        self._folders = {
            text_of(folder.get("folderId")): text_of(folder.get("name")) for folder in self.items("folder")
        }
        self.templates: dict[str, str] = {}
        """Type -> name of the custom template that runs it."""
        self.entities = {kind: list(self._entities(key, kind)) for key, kind in LISTS.items()}

    def items(self, key: str) -> list[dict[str, Any]]:
        """The objects of a list; what is none is left out."""
        written = self.version.get(key)
        return [item for item in written if isinstance(item, dict)] if isinstance(written, list) else []

    def remark(self, entity: Entity, what: str, mend: str, field: str = "") -> None:
        """Report something about an entity, or about one field of it (then it is all that is said there)."""
        self.remarks.append(Remark((*entity.path, field) if field else entity.path, what, mend))

    def remark_container(self, what: str, mend: str) -> None:
        """Report something about the file as a whole."""
        self.remarks.append(Remark((), what, mend))

    def template_of(self, code: str) -> str | None:
        """Name of the custom template of a type `cvt_...`, or None."""
        return self.templates.get(code)

    def names(self, kind: str) -> dict[str, str]:
        """Id -> name of all entities of a list (SPEC: 5.10.3.13, each list has ids of its own)."""
        return {entity.id: entity.name for entity in reversed(self.entities[kind])}

    def constant(self, value: Any) -> Any:
        """`value` with references to constants replaced by what these hold, or None where that cannot be:
        clients act before there is an event, so they can read nothing else (SPEC: 5.10.2, K7, K8)."""
        for _ in range(_LIMIT_OF_CONSTANTS):
            if not isinstance(value, str) or "{{" not in value:
                return value
            name = whole_reference(value)
            found = [one for one in self.entities["variables"] if one.name == name and one.type == "c"]
            if not found:
                return None
            value = found[0].parameters.get("value", "")
        return None

    def _entities(self, key: str, kind: str) -> Iterator[Entity]:
        written = self.version.get(key)
        if written is not None and not isinstance(written, list):
            what = f"`{key}` is no list: nothing of it is read"
            self.remarks.append(Remark((), what, "export it again from Tag Manager"))
            return
        taken: set[str] = set()
        for index, item in enumerate(written or ()):
            place = f"{key} number {index + 1}"
            if not isinstance(item, dict):
                self.remarks.append(Remark((), f"{place} is no object: it is left out", "export it again"))
                continue
            path: Path = (kind, len(taken))
            self.lines[path] = self._document.line((*self._root, key, index))
            name = text_of(item.get("name")).strip() or place
            entity = Entity(
                kind=kind,
                name=unused(name, taken),
                id=text_of(item.get(IDS.get(key, f"{key}Id"))),
                type=text_of(item.get("type")),
                data=item,
                parameters=parameters_of(item.get("parameter")),
                path=path,
            )
            taken.add(entity.name)
            if entity.name != name:
                what = f'another one is called "{name}": it is "{entity.name}" here'
                self.remark(entity, what, "give each its own name; references by name find the first")
            self._comment(entity)
            yield entity

    def _comment(self, entity: Entity) -> None:
        folder = self._folders.get(text_of(entity.data.get("parentFolderId")))
        notes = text_of(entity.data.get("notes")).strip()
        lines = [f"folder: {folder}"] if folder else []
        lines += notes.splitlines()
        if lines:
            self.comments[entity.path] = lines


def unused(name: str, taken: set[str], form: str = "{} ({})") -> str:
    """The name, or where somebody has it the same with the first number that is free, from 2 on."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = form.format(name, number)
    return candidate


def text_of(value: Any) -> str:
    """A text, or a number as text (ids of hand-made files); empty for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def upper_snake(word: Any) -> str:
    """A word of either spelling in the export's: `customEvent` and `CUSTOM_EVENT`."""
    return _HUMP.sub("_", text_of(word)).upper()


def snake(word: str) -> str:
    """`cookieMaxAge` -> `cookie_max_age`, as our fields are called."""
    return _HUMP.sub("_", word).lower()


def literal(value: Any) -> Any:
    """A value as container.yaml writes it: there `${` begins a variable of the environment (not in keys). No
    text of an export means one, wherever it stands: not in a name, not in an operator."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


def parameters_of(written: Any) -> dict[str, Any]:
    """Google's parameters as plain values, by key."""
    if not isinstance(written, list):
        return {}
    return {
        text_of(one.get("key")): plain(one)
        for one in written
        if isinstance(one, dict) and text_of(one.get("key"))
    }


def plain(parameter: Any) -> Any:
    """The value of one parameter. What is missing is an empty text, an empty list, no keys
    (SPEC: 5.10.2, K9, K11); a number or truth value that comes from a variable is its reference."""
    if not isinstance(parameter, dict):
        return text_of(parameter)
    type_ = upper_snake(parameter.get("type"))
    if type_ == "LIST":
        return [plain(item) for item in _listed(parameter.get("list"))]
    if type_ == "MAP":
        return parameters_of(parameter.get("map"))
    value = parameter.get("value")
    text = ("true" if value else "false") if isinstance(value, bool) else text_of(value)
    if type_ == "BOOLEAN" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if type_ == "INTEGER":
        return integer(text, text)
    return text


def integer(value: Any, otherwise: Any) -> Any:
    """A whole number that is written as a number, a text, or Google's INTEGER parameter."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = text_of(value).strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else otherwise


def rows(value: Any) -> list[dict[str, Any]]:
    """The rows of a table parameter."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def column(value: Any, name: str) -> list[str]:
    """One column of a table parameter, without empty cells."""
    return [text for row in rows(value) if (text := text_of(row.get(name)))]


def texts(value: Any) -> list[str]:
    """Ids and names of a list, as texts."""
    return [text for one in _listed(value) if (text := text_of(one))]


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
