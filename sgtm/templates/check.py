"""What is wrong with a template: fields, permissions against the code, unknown APIs, tests."""

from collections.abc import Iterator
from difflib import get_close_matches

from sgtm._fast import sandbox_methods, sandbox_text
from sgtm.errors import Problem
from sgtm.patterns import PatternError, compile_pattern
from sgtm.templates import syntax as tree
from sgtm.templates.apis import PERMISSION_OF
from sgtm.templates.empty_request import empty_request
from sgtm.templates.fields import KINDS, TABLES, VALIDATORS, Field, Validator
from sgtm.templates.reader import Template, TemplateFileError, read_template, unknown_sections
from sgtm.templates.scope import walk_tree
from sgtm.templates.script import Script
from sgtm.templates.syntax import ScriptSyntaxError, place_of
from sgtm.templates.testing import TEST_PARAMETERS

_ALWAYS_IN_DATA = frozenset(["gtmOnSuccess", "gtmOnFailure", "gtmEventId", "gtmTagId"])
_MISSING_METHODS = {
    **dict.fromkeys(["includes", "find", "findIndex"], "use indexOf, some or filter"),
    **dict.fromkeys(["endsWith"], "compare the end with slice"),
    **dict.fromkeys(["repeat", "padStart", "padEnd"], "build the text in a loop"),
    **dict.fromkeys(["substr"], "use substring or slice"),
    **dict.fromkeys(["toFixed", "toPrecision"], "use Math.round"),
    **dict.fromkeys(["replaceAll"], "use split and join"),
    **dict.fromkeys(["flat", "flatMap", "fill", "keys", "entries", "values", "at"], "use a loop"),
    **dict.fromkeys(["trimStart", "trimEnd", "charCodeAt", "codePointAt", "localeCompare"], "do without"),
    **dict.fromkeys(["call", "apply", "bind"], "call the function itself"),
}


def check_template(text: str, name: str) -> list[Problem]:
    """All findings about a file's text, what stops it first."""
    try:
        template = read_template(text, name)
        script = Script(template.code, first_line=template.code_line)
    except (TemplateFileError, ScriptSyntaxError) as error:
        return [_error(error, name)]
    return check_read(template, script, text, name)


def check_read(template: Template, script: Script, text: str, name: str) -> list[Problem]:
    """All findings about a template that is read and compiled already."""
    found = [
        Problem("warning", f"no section of a server template: ___{section}___", name, "leave it out")
        for section in unknown_sections(text)
    ]
    found += _field_problems(template)
    found += _code_problems(template, script)
    found += _test_problems(template)
    return sorted(found, key=lambda problem: problem.severity)


def _place(script: Script, at: int) -> str:
    line, column = place_of(script.source, at, script.first_line)
    return f"line {line}, column {column}"


def _error(error: TemplateFileError | ScriptSyntaxError, name: str) -> Problem:
    place = f"{name}, {error.args[0].partition(': ')[0]}" if isinstance(error, ScriptSyntaxError) else name
    where = place if isinstance(error, ScriptSyntaxError) else error.args[0].partition(": ")[0]
    return Problem("error", error.what, where, error.mend)


# -- fields ------------------------------------------------------------------------------------------


def _field_problems(template: Template) -> Iterator[Problem]:
    fields = template.all_fields()
    names = [field.name for field in fields if field.has_value]
    for field in fields:
        where = f"field {field.name or field.display_name!r}"
        if field.type not in KINDS:
            yield _unknown("type of field", field.type, sorted(KINDS), where, "error")
        if field.has_value and names.count(field.name) > 1:
            yield Problem("error", "two fields have this name", where, "name each differently")
        if field.type in TABLES and not field.columns():
            yield Problem("error", "a table without columns", where, "declare its columns")
        for condition in field.enabling_conditions:
            if condition.param_name not in names:
                yield _unknown("field in its condition", condition.param_name, names, where, "warning")
        for validator in (*field.value_validators, *_of_columns(field)):
            yield from _validator_problems(validator, where)


def _of_columns(field: Field) -> Iterator[Validator]:
    for column in field.simple_table_columns:
        yield from column.value_validators


def _validator_problems(validator: Validator, where: str) -> Iterator[Problem]:
    if validator.type not in VALIDATORS:
        yield _unknown("validator", validator.type, sorted(VALIDATORS), where, "warning")
    if validator.type == "REGEX" and validator.args:
        try:
            compile_pattern(str(validator.args[0]))
        except PatternError as error:
            yield Problem("error", f"its pattern cannot be used: {error.what}", where, error.mend)


def _unknown(what: str, name: str, known: list[str], where: str, severity: str) -> Problem:
    near = get_close_matches(name, known, 1)
    mend = f"did you mean {near[0]}?" if near else "look at the template's other fields"
    return Problem("error" if severity == "error" else "warning", f"unknown {what}: {name}", where, mend)


# -- code --------------------------------------------------------------------------------------------


def _code_problems(template: Template, script: Script) -> Iterator[Problem]:
    required: dict[str, int] = {}
    for node in walk_tree(script.tree):
        if isinstance(node, tree.Call):
            yield from _call_problems(script, node, required)
        elif isinstance(node, tree.Member):
            yield from _data_problems(template, script, node)
    for name in script.unknown_names:
        where, what = f"code, {_place(script, name.at)}", f"{name.name} is declared nowhere: it is undefined"
        yield Problem("warning", what, where, "declare it, or require the API")
    yield from _permission_problems(template, script, required)


def _call_problems(script: Script, node: tree.Call, required: dict[str, int]) -> Iterator[Problem]:
    called, where = node.function, f"code, {_place(script, node.at)}"
    if isinstance(called, tree.Member) and called.name in _MISSING_METHODS:
        own = called.name in sandbox_methods.names() or called.name in sandbox_text.names()
        if not own and not _may_be_own(called):
            yield Problem(
                "warning",
                f"the dialect has no method {called.name} of texts, lists and numbers",
                f"code, {_place(script, called.at)}",
                _MISSING_METHODS[called.name],
            )
    if not isinstance(called, tree.Name) or called.name != "require":
        return
    name = node.parts[0].value if node.parts and isinstance(node.parts[0], tree.Literal) else None
    if not isinstance(name, str):
        yield Problem("warning", "require of what is no text", where, "write the name: require('JSON')")
    elif name not in _APIS:
        near = get_close_matches(name, _APIS, 1)
        mend = f"did you mean {near[0]}?" if near else "docs/templates.md lists all APIs"
        yield Problem("error", f"unknown API: {name}", where, mend)
    else:
        required.setdefault(name, node.at)


_APIS = frozenset(empty_request(None, []))


def _may_be_own(member: tree.Member) -> bool:
    """`Object.keys`: a method of an API or of an object that the template made."""
    return isinstance(member.owner, tree.Name) and member.owner.name[:1].isupper()


def _data_problems(template: Template, script: Script, node: tree.Member) -> Iterator[Problem]:
    if not isinstance(node.owner, tree.Name) or node.name is None:
        return
    variable = node.owner.variable
    is_data = variable is not None and variable is script.tree.parameters[1].variable
    names = {field.name for field in template.all_fields()} | _ALWAYS_IN_DATA
    if is_data and template.fields and node.name not in names:
        near = get_close_matches(node.name, names, 1)
        mend = f"did you mean {near[0]}?" if near else "declare the field"
        where = f"code, {_place(script, node.at)}"
        yield Problem("warning", f"data.{node.name} is no field: it is undefined", where, mend)


def _permission_problems(template: Template, script: Script, required: dict[str, int]) -> Iterator[Problem]:
    granted = template.permissions.granted
    for name, at in required.items():
        permission = PERMISSION_OF.get(name)
        if permission and permission not in granted:
            where = f"code, {_place(script, at)}"
            yield Problem(
                "warning",
                f"{name} needs the permission {permission}, which the template does not have",
                where,
                "a call will fail: add the permission",
            )
    used = {PERMISSION_OF.get(name) for name in required}
    for permission in granted:
        if permission not in used and "queryPermission" not in required:
            known = permission in set(PERMISSION_OF.values())
            what = "is asked for but nothing uses it" if known else "is unknown"
            yield Problem("warning", f"the permission {permission} {what}", "permissions", "leave it out")


# -- tests -------------------------------------------------------------------------------------------


def _test_problems(template: Template) -> Iterator[Problem]:
    for scenario in template.scenarios:
        try:
            Script(f"{template.setup}\n{scenario.code}", parameters=TEST_PARAMETERS)
        except ScriptSyntaxError as error:
            where = f"test {scenario.name!r}, which begins at line {scenario.line}"
            yield Problem("error", error.what, where, error.mend)
