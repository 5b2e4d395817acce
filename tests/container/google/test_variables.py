"""SPEC: sandbox-api 5.5, 5.10.1 (W4), 5.10.2 (K11, K12), 5.10.4 (A15)."""

import pytest

from tests.container.google.exports import boolean, said, table, template, translated


def read(**written):
    return translated(variable=[{"name": "V", **written}]).document.data["variables"][0]


@pytest.mark.parametrize(
    ("type_", "written", "ours", "parameters"),
    [
        ("ed", [template("keyPath", "a.b")], "event_data", {"key_path": "a.b"}),
        ("ed", [template("defaultValue", "off"), template("keyPath", "a")], "event_data", {"key_path": "a"}),
        ("ed", [boolean("setDefaultValue", True)], "event_data", {"key_path": "", "default": ""}),
        ("c", [], "constant", {"value": ""}),
        ("c", [template("value", "${X}")], "constant", {"value": "$${X}"}),
        ("qp", [template("queryParamName", "q")], "query_parameter", {"name": "q"}),
        ("rh", [template("headerName", "Host")], "request_header", {"header_name": "Host"}),
        (
            "k",
            [template("name", "c"), boolean("decodeCookie", True)],
            "cookie_value",
            {"name": "c", "decode": True},
        ),
        ("sgtmk", [template("name", "c")], "cookie_value", {"name": "c"}),
        (
            "smm",
            [
                template("input", "{{A}}"),
                table("map", {"key": "1", "value": "{{B}}"}),
                boolean("setDefaultValue", True),
            ],
            "lookup_table",
            {"input": "{{A}}", "rows": [{"key": "1", "value": "{{B}}"}], "default": ""},
        ),
        ("smm", [template("input", "{{A}}")], "lookup_table", {"input": "{{A}}", "rows": []}),
        (
            "remm",
            [
                template("input", "{{A}}"),
                table("map", {"key": "^a$", "value": "$1"}),
                boolean("fullMatch", False),
                boolean("ignoreCase", True),
                boolean("replaceAfterMatch", True),
            ],
            "regex_table",
            {
                "input": "{{A}}",
                "rows": [{"pattern": "^a$", "value": "$1"}],
                "ignore_case": True,
                "replace_after_match": True,
            },
        ),
        ("vr", [template("resolutionOptions", "requestHeaders")], "visitor_region", None),
        (
            "fs",
            [
                template("operation", "query"),
                template("collectionPath", "products"),
                template("documentPath", "left/over"),
                table(
                    "queriesSimpleTable",
                    {"queryKey": "sku", "queryOperator": "==", "queryValue": "{{Sku}}"},
                    {"queryKey": "net", "queryOperator": "GREATER_THAN", "queryValue": "1"},
                ),
                template("keyPath", "price"),
                template("projectId", "off"),
            ],
            "firestore_lookup",
            {
                "collection_path": "products",
                "conditions": [
                    {"key": "sku", "operator": "==", "value": "{{Sku}}"},
                    {"key": "net", "operator": ">", "value": "1"},
                ],
                "key_path": "price",
            },
        ),
        (
            "fs",
            [
                template("operation", "document"),
                template("documentPath", "a/{{Id}}"),
                boolean("setProjectId", True),
                template("projectId", "shop"),
                boolean("setDefaultValue", True),
                template("defaultValue", "none"),
            ],
            "firestore_lookup",
            {"document_path": "a/{{Id}}", "project": "shop", "key_path": "", "default": "none"},
        ),
    ],
)
def test_variables_of_each_type(type_, written, ours, parameters):
    found = read(type=type_, parameter=written)
    assert (found["type"], found.get("parameters")) == (ours, parameters)


def test_format_options_are_kept():
    format_value = {
        "caseConversionType": "LOWERCASE",
        "convertNullToValue": template("x", "nothing"),
        "convertTrueToValue": {"type": "TEMPLATE", "value": "{{Yes}}"},
        "convertFalseToValue": {"type": "TEMPLATE"},
    }
    found = read(type="c", formatValue=format_value)["format_value"]
    assert found == {"case": "lowercase", "null_to": "nothing", "true_to": "{{Yes}}", "false_to": ""}
    assert "format_value" not in read(type="c", formatValue={})


def test_a_built_in_variable_may_have_a_name_of_its_own():
    # SPEC: sandbox-api 5.5 (references use the name given there)
    built_in = [{"type": "CLIENT_NAME", "name": "Nom"}, {"type": "EVENT_NAME", "name": "Event Name"}]
    translation = translated(builtInVariable=[*built_in, {"type": "X", "name": "Moon"}])
    found = translation.document.data["variables"]
    assert found == [{"name": "Nom", "type": "constant", "parameters": {"value": "{{Client Name}}"}}]
    assert said(translation)[0] == ': nobody knows the built-in variable "Moon" (X): it is undefined'
