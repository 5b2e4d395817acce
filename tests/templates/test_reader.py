"""`.tpl` files (SPEC: sandbox-api 4.1-4.4): what is read, and errors with section and line."""

import json

import pytest

from sgtm.templates.fields import problems_of, values_of
from sgtm.templates.reader import TemplateFileError, read_template

PARAMETERS = [
    {"type": "TEXT", "name": "id", "simpleValueType": True, "valueValidators": [{"type": "NON_EMPTY"}]},
    {
        "type": "GROUP",
        "name": "more",
        "subParams": [
            {"type": "CHECKBOX", "name": "log", "checkboxText": "Log", "defaultValue": True},
            {
                "type": "TEXT",
                "name": "amount",
                "defaultValue": "5",
                "valueValidators": [{"type": "POSITIVE_NUMBER", "errorMessage": "above zero"}],
                "enablingConditions": [{"paramName": "log", "paramValue": True, "type": "EQUALS"}],
            },
        ],
    },
    {
        "type": "RADIO",
        "name": "way",
        "radioItems": [{"value": "a", "subParams": [{"type": "TEXT", "name": "only_a"}]}, {"value": "b"}],
        "defaultValue": "a",
    },
    {"type": "SIMPLE_TABLE", "name": "rows", "simpleTableColumns": [{"name": "key", "type": "TEXT"}]},
]
PERMISSIONS = [
    {
        "instance": {
            "key": {"publicId": "send_http", "versionId": "1"},
            "param": [
                {"key": "allowedUrls", "value": {"type": 1, "string": "specific"}},
                {
                    "key": "urls",
                    "value": {"type": 2, "listItem": [{"type": 1, "string": "https://h.example/a/"}]},
                },
            ],
        }
    }
]


def file(**sections):
    parts = {
        "INFO": json.dumps({"type": "TAG", "displayName": "Mine"}),
        "TEMPLATE_PARAMETERS": json.dumps(PARAMETERS, indent=1),
        "SANDBOXED_JS_FOR_SERVER": "data.gtmOnSuccess();",
        "SERVER_PERMISSIONS": json.dumps(PERMISSIONS),
        "TESTS": "scenarios:\n- name: one\n  code: |-\n    runCode({});\nsetup: |-\n  const a = 1;\n",
        "NOTES": "by hand",
        **sections,
    }
    return "".join(f"___{name}___\n\n{text}\n\n" for name, text in parts.items() if text is not None)


def test_a_whole_file_is_read():
    template = read_template(file())
    assert (template.name, template.kind, template.notes) == ("Mine", "tag", "by hand")
    names = [field.name for field in template.all_fields()]
    assert names == ["id", "more", "log", "amount", "way", "only_a", "rows"]
    assert [(one.name, one.code) for one in template.scenarios] == [("one", "runCode({});")]
    assert template.setup == "const a = 1;"
    text = file().splitlines()
    assert text[template.code_line] == "data.gtmOnSuccess();"  # the section begins with an empty line
    assert text[template.scenarios[0].line - 1].strip() == "runCode({});"
    assert text[template.setup_line - 1].strip() == "const a = 1;"


@pytest.mark.parametrize(
    "text",
    [
        file().replace("\n", "\r\n"),
        "\ufeff" + file(),
        file(INFO=None),
        file(NOTES=None, SERVER_PERMISSIONS=None),
    ],
    ids=["CRLF", "byte order mark", "no INFO", "no NOTES"],
)
def test_files_of_the_gallery_differ_in_form(text):
    template = read_template(text)
    assert "gtmOnSuccess" in template.code
    assert len(template.scenarios) == 1


def test_a_raw_control_character_in_json_is_taken_as_the_gallery_has_one():
    assert read_template(file(INFO='{"type": "TAG", "displayName": "a\tb"}')).name == "a\tb"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (file(INFO='{\n"a": 1,\n}'), "___INFO___, line 5"),
        (file(INFO="[]"), "___INFO___"),
        (
            file(TEMPLATE_PARAMETERS='[{"type": "TEXT", "subParams": 7}]'),
            "___TEMPLATE_PARAMETERS___",
        ),
        (file(SERVER_PERMISSIONS='[{"instance": {}}]'), "___SERVER_PERMISSIONS___"),
        (file(TESTS="scenarios:\n- name: a\n  code: [\n"), "___TESTS___"),
        (file(TESTS="scenarios:\n- name: a\n"), "___TESTS___"),
        (file() + "___INFO___\n{}\n", "___INFO___"),
        (file(SANDBOXED_JS_FOR_SERVER=None), "template.tpl"),
        ("nothing", "template.tpl"),
        (file(INFO="[" * 100_000), "___INFO___"),
    ],
)
def test_an_error_names_the_section_and_the_line(text, where):
    with pytest.raises(TemplateFileError) as caught:
        read_template(text)
    assert where in str(caught.value)


def test_aliases_of_yaml_cost_nothing():
    bomb = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(50)) + "scenarios: []\n"
    assert read_template(file(TESTS=bomb)).scenarios == []


def test_values_are_flat_with_defaults_and_what_is_switched_off_is_absent():
    fields = read_template(file()).fields
    assert values_of(fields, {"id": "1"}) == {"id": "1", "log": True, "amount": "5", "way": "a"}
    assert values_of(fields, {"log": False, "way": "b", "only_a": "x"}) == {"log": False, "way": "b"}
    assert values_of(fields, {"only_a": "x"})["only_a"] == "x"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, ["id"]),
        ({"id": "1", "amount": "0"}, ["amount"]),
        ({"id": "1", "other": 1}, ["other"]),
        ({"id": "1"}, []),
    ],
)
def test_validators_say_what_the_editor_would_say(given, where):
    assert [problem.where for problem in problems_of(read_template(file()).fields, given)] == where


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://h.example/a/b?c=1", True),
        ("https://h.example/a/", True),
        ("https://h.example/b", False),
        ("https://h.example.evil/a/", False),
        ("http://h.example/a/b", False),
    ],
)
def test_permissions_allow_what_their_patterns_say(url, allowed):
    assert read_template(file()).permissions.allows("send_http", url) is allowed
