"""A `.tpl` file -> Template. Errors name the section and the line (SPEC: sandbox-api 4)."""

import json
import re
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from sgtm.errors import SgtmError
from sgtm.templates.fields import Field, all_fields
from sgtm.templates.permissions import Permission, Permissions, typed_value

MAX_FILE = 4 << 20
"""Characters of one file."""
KINDS = {"TAG": "tag", "MACRO": "variable", "CLIENT": "client"}
_SECTION = re.compile(r"^___([A-Z_]+)___[ \t]*$", re.MULTILINE)
_KNOWN = frozenset(
    [
        *("TERMS_OF_SERVICE", "INFO", "TEMPLATE_PARAMETERS", "SANDBOXED_JS_FOR_SERVER", "SERVER_PERMISSIONS"),
        *("TESTS", "NOTES"),
    ]
)


class TemplateFileError(SgtmError):
    """A file that is no template: which section, which line, what."""


class Scenario(Struct, frozen=True):
    """One test of a template."""

    name: str
    code: str
    line: int
    """Line of the file on which the code begins."""


class Template(Struct, frozen=True):
    """A template as its file has it."""

    name: str
    kind: str
    """tag, variable, client, or empty where the file has no INFO."""
    info: dict[str, Any]
    fields: list[Field]
    code: str
    code_line: int
    """Line of the file on which the code begins."""
    permissions: Permissions
    scenarios: list[Scenario]
    setup: str
    """Code that stands before that of each scenario."""
    setup_line: int
    notes: str

    def all_fields(self) -> list[Field]:
        """All fields, those inside others too."""
        return list(all_fields(self.fields))


class _Section(Struct, frozen=True):
    name: str
    text: str
    line: int


def read_template(text: str, name: str = "template.tpl") -> Template:
    """Read a file's text. Raises TemplateFileError."""
    if len(text) > MAX_FILE:
        raise TemplateFileError(f"longer than {MAX_FILE:,} characters", where=name, mend="shorten it")
    sections = _sections(text.removeprefix("\ufeff").replace("\r\n", "\n"), name)
    code = sections.get("SANDBOXED_JS_FOR_SERVER")
    if code is None:
        is_web = any(section.endswith("WEB_TEMPLATE") for section in sections)
        raise TemplateFileError(
            "a template for the web" if is_web else "there is no section ___SANDBOXED_JS_FOR_SERVER___",
            where=name,
            mend="sgtm runs templates for server containers",
        )
    info = _json(sections.get("INFO"), name, dict) or {}
    tests = sections.get("TESTS")
    setup, setup_line, scenarios = _tests(tests, name) if tests else ("", 0, [])
    notes = sections.get("NOTES")
    return Template(
        name=str(info.get("displayName") or name),
        kind=KINDS.get(info.get("type", ""), ""),
        info=info,
        fields=_fields(sections.get("TEMPLATE_PARAMETERS"), name),
        code=code.text,
        code_line=code.line,
        permissions=_permissions(sections.get("SERVER_PERMISSIONS"), name),
        scenarios=scenarios,
        setup=setup,
        setup_line=setup_line,
        notes=notes.text.strip() if notes else "",
    )


def _sections(text: str, name: str) -> dict[str, _Section]:
    heads = list(_SECTION.finditer(text))
    sections: dict[str, _Section] = {}
    for index, head in enumerate(heads):
        end = heads[index + 1].start() if index + 1 < len(heads) else len(text)
        line = text.count("\n", 0, head.end()) + 2
        if head[1] in sections:
            raise _error(name, head[1], line - 1, "the section is there twice", "leave one out")
        sections[head[1]] = _Section(head[1], text[head.end() + 1 : end], line)
    if not heads:
        raise TemplateFileError("no section of a template is there", where=name, mend="is it a .tpl file?")
    return sections


def unknown_sections(text: str) -> list[str]:
    """Names of sections that no template for servers has."""
    return [head[1] for head in _SECTION.finditer(text) if head[1] not in _KNOWN]


def _error(name: str, section: str, line: int, what: str, mend: str) -> TemplateFileError:
    return TemplateFileError(what, where=f"{name}, ___{section}___, line {line}", mend=mend)


def _json(section: _Section | None, name: str, kind: type[Any]) -> Any:
    if section is None or not section.text.strip():
        return None
    try:
        value = json.loads(section.text, strict=False)  # files of the gallery hold raw control characters
    except json.JSONDecodeError as error:
        line = section.line + error.lineno - 1
        raise _error(name, section.name, line, f"no JSON: {error.msg}", "mend it there") from None
    except (RecursionError, ValueError):
        raise _error(name, section.name, section.line, "JSON that cannot be read", "flatten it") from None
    if not isinstance(value, kind):
        what = "an object" if kind is dict else "a list"
        raise _error(name, section.name, section.line, f"{what} is expected", "look at another template")
    return value


def _fields(section: _Section | None, name: str) -> list[Field]:
    value = _json(section, name, list)
    if section is None or value is None:
        return []
    try:
        return msgspec.convert(value, list[Field], strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        what = str(error) or "nested too deeply"
        raise _error(name, section.name, section.line, what, "`$[0]` is the first field") from None


def _permissions(section: _Section | None, name: str) -> Permissions:
    value = _json(section, name, list)
    granted: dict[str, list[Permission]] = {}
    for index, row in enumerate(value or []):
        try:
            permission = _permission(row)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            what = f"permission {index + 1} cannot be read: {error}"
            line = section.line if section else 0
            raise _error(name, "SERVER_PERMISSIONS", line, what, "look at another template") from None
        granted.setdefault(permission.name, []).append(permission)
    return Permissions(granted)


def _permission(row: dict[str, Any]) -> Permission:
    instance = row["instance"]
    parameters = {
        one["key"]: typed_value(one["value"]) for one in instance.get("param", []) if "value" in one
    }
    return Permission(str(instance["key"]["publicId"]), parameters)


# -- tests -------------------------------------------------------------------------------------------

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _tests(section: _Section, name: str) -> tuple[str, int, list[Scenario]]:
    try:
        top = yaml.compose(section.text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = section.line + (mark.line if mark else 0)
        what = f"no YAML: {getattr(error, 'problem', None) or error}"
        raise _error(name, section.name, line, what, "mend it there") from None
    setup, setup_line, scenarios = "", section.line, []
    for key, value in _members(top):
        if key == "setup" and isinstance(value, yaml.ScalarNode):
            setup, setup_line = value.value, section.line + _first_line(value)
        elif key == "scenarios" and isinstance(value, yaml.SequenceNode):
            scenarios = [_scenario(one, section, name) for one in value.value]
    return setup, setup_line, scenarios


def _scenario(node: yaml.Node, section: _Section, name: str) -> Scenario:
    members = dict(_members(node))
    title, code = members.get("name"), members.get("code")
    if not isinstance(title, yaml.ScalarNode) or not isinstance(code, yaml.ScalarNode):
        line = section.line + node.start_mark.line
        raise _error(name, section.name, line, "a scenario without name or code", "give it both")
    return Scenario(title.value, code.value, section.line + _first_line(code))


def _members(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _first_line(node: yaml.ScalarNode) -> int:
    """A literal block begins on the line after its `|-`."""
    return int(node.start_mark.line) + (node.style in ("|", ">"))
