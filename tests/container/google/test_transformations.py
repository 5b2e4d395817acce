"""SPEC: sandbox-api 5.8, 5.10.1 (W2), 5.10.2 (K17, K18, K25), 5.10.3.5, 5.10.4 (A8)."""

import pytest

from tests.container.google.exports import boolean, said, table, template, translated

REFERENCE = {"type": "TAG_REFERENCE", "key": "tagReference", "value": "GA4", "isWeakReference": False}
TAGS = [
    {"name": "GA4", "type": "sgtmgaaw", "firingTriggerId": ["2147479574"]},
    {"name": "Ads", "type": "sgtmadsct"},
]


def read(type_, *parameters, **more):
    """The transformation, and what was said of it."""
    written = {"name": "T", "type": type_, "parameter": list(parameters), **more}
    translation = translated(transformation=[written], tag=TAGS)
    remarks = [one for one in said(translation) if one.startswith("transformation")]
    return translation.document.data["transformations"][0], remarks


@pytest.mark.parametrize(
    ("type_", "written", "ours", "parameters"),
    [
        (
            "tf_allow_params",
            table("allowedParamsTable", {"allowedParams": "a"}, {"allowedParams": "b.c"}),
            "allow_parameters",
            {"names": ["a", "b.c"]},
        ),
        (
            "tf_exclude_params",
            table("excludedParamsTable", {"excludedParams": "a"}),
            "exclude_parameters",
            {"names": ["a"]},
        ),
        (
            "tf_augment_event",
            table("augmentEventTable", {"paramName": "a", "paramValue": "{{A}}"}),
            "augment_event",
            {"parameters": {"a": "{{A}}"}},
        ),
    ],
)
def test_transformations_of_each_type(type_, written, ours, parameters):
    found, remarks = read(
        type_, written, boolean("allTagsExcept", True), template("booleanExpressionString", "")
    )
    assert found == {"name": "T", "type": ours, "all_tags_except": True, "parameters": parameters}
    assert remarks == []


def test_conditions_count_only_where_they_are_enabled():
    row = {
        "variableName": "A",
        "variableReference": "{{A}}",
        "expressionType": "REGEX",
        "expressionValue": "x",
    }
    conditions = table("matchingConditionsTable", row)
    found, _ = read("tf_augment_event", conditions, boolean("matchingConditionsEnabled", True))
    assert found["conditions"] == [{"value": "{{A}}", "operator": "matches_regex", "compare_with": "x"}]
    found, _ = read("tf_augment_event", conditions, boolean("matchingConditionsEnabled", False))
    assert "conditions" not in found


def test_whom_it_affects():
    exceptions = {"type": "LIST", "key": "tagTypeExceptions", "list": [{"type": "MAP", "map": [REFERENCE]}]}
    types = [
        {"type": "MAP", "map": [template("tagType", "sgtmgaaw"), exceptions]},
        {"type": "MAP", "map": [template("tagType", "sgtmadsct")]},
    ]
    found, _ = read(
        "tf_augment_event",
        {"type": "LIST", "key": "affectedTags", "list": [{"type": "MAP", "map": [REFERENCE]}]},
        {"type": "LIST", "key": "affectedTagTypes", "list": types},
        priority=3,
    )
    assert found["affected_tags"] == ["GA4"]
    assert found["affected_tag_types"] == [{"type": "ga4", "except_tags": ["GA4"]}, {"type": "sgtmadsct"}]
    assert found["priority"] == 3


def test_tags_that_are_not_there_are_affected_by_nothing():
    # SPEC: sandbox-api 5.10.3.5
    found, remarks = read(
        "tf_augment_event",
        table("affectedTags", {"tagReference": "Gone"}),
        table("affectedTagTypes", {"tagType": "sgtmfls"}),
    )
    assert "affected_tags" not in found
    assert "affected_tag_types" not in found
    assert len(remarks) == 2


def test_an_expression_that_nobody_reads_is_reported():
    assert (
        "`booleanExpressionString` is not read"
        in read("tf_augment_event", template("booleanExpressionString", "1"))[1][0]
    )


def test_a_row_without_a_name_does_not_keep_tags_from_firing():
    rows = table(
        "augmentEventTable",
        {"paramName": "", "paramValue": "1"},
        {"paramName": "{{N}}", "paramValue": "{{N}}"},
    )
    found = translated(transformation=[{"name": "T", "type": "tf_augment_event", "parameter": [rows]}])
    assert found.document.data["transformations"][0]["parameters"] == {"parameters": {"{{N}}": "{{N}}"}}
    assert any("has a row without a name" in text for text in said(found))
