"""The file as a whole. SPEC: sandbox-api 5.1, 5.10.1 (W6), 5.10.3."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.container.google.json_document import read_json
from sgtm.container.google.translation import translate
from sgtm.container.native import read_source
from tests.container.google.exports import condition, export, said, template, translated

LISTS = ("tag", "client", "variable", "trigger", "transformation", "customTemplate")


def test_consent_is_the_reference_s():
    # SPEC: sandbox-api 5.10.4, A3
    data = translated(container={"name": "Shop", "publicId": "GTM-A1"}).document.data
    assert data["consent"] == {"unset": "granted", "gate": "declared"}
    assert (data["name"], data["container_id"], data["version_name"]) == ("Shop", "GTM-A1", "3")


def test_a_workspace_has_no_version():
    # SPEC: sandbox-api 5.1
    assert "version_name" not in translated(containerVersionId="0").document.data


def test_no_text_of_an_export_is_a_variable_of_the_environment():
    # Google knows no `${...}`: what looks so is a text, in whatever place it stands
    odd = "X ${LEAK}"
    tag = {
        "name": odd,
        "type": f"cvt_{odd}",
        "notes": odd,
        "firingTriggerId": ["1"],
        "setupTag": [{"tagName": odd}],
    }
    source = export(
        tag=[tag, {"name": "GA4", "type": "sgtmgaaw", "firingTriggerId": ["2"]}],
        client=[{"name": odd, "type": odd}],
        variable=[{"name": odd, "type": "c", "parameter": [template("value", odd)]}],
        trigger=[
            {"triggerId": "1", "name": odd, "type": odd},
            {
                "triggerId": "2",
                "name": "T",
                "type": "CUSTOM_EVENT",
                "customEventFilter": [condition("EQUALS", "{{_event}}", odd)],
                "filter": [condition(odd, "{{Event Name}}", odd)],
            },
        ],
        transformation=[{"name": odd, "type": odd}],
        customTemplate=[{"templateId": "1", "name": odd, "templateData": odd}],
    )
    reading = read_source(source, "export.json", {"LEAK": "hunter22"})
    assert not reading.report.has_errors
    assert "hunter22" not in f"{reading.model} {reading.report.in_line_order()}"
    assert [variable.name for variable in reading.model.variables] == [odd]
    assert reading.model.triggers[1].event_names == (odd,)
    assert reading.model.custom_templates[0].source == odd


def test_the_spelling_of_the_rest_api_is_read_too():
    # SPEC: sandbox-api 5.1
    filter_ = condition("equals", "{{_event}}", "buy")
    filter_["parameter"] = [{**one, "type": one["type"].lower()} for one in filter_["parameter"]]
    rest = {
        "containerVersionId": "1",
        "trigger": [{"triggerId": "1", "name": "T", "type": "customEvent", "customEventFilter": [filter_]}],
        "tag": [{"name": "A", "type": "sgtmgaaw", "firingTriggerId": ["1"], "tagFiringOption": "unlimited"}],
    }
    data = translate(read_json(json.dumps(rest).encode())).document.data
    assert data["triggers"] == [{"name": "T", "type": "custom_event", "event_names": ["buy"]}]
    assert data["tags"][0]["firing_option"] == "unlimited"


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ({"a": 1}, "is JSON, but no container of Tag Manager"),
        ([1], "is JSON, but no container of Tag Manager"),
        ({"exportFormatVersion": 3, "containerVersion": {}}, "has exportFormatVersion 3; this sgtm reads 2"),
        ({"exportFormatVersion": 2, "containerVersion": []}, "has no container in `containerVersion`"),
        (
            {"exportFormatVersion": 2, "containerVersion": {"container": {"usageContext": ["WEB"]}}},
            "is no server container: its usageContext is WEB",
        ),
    ],
)
def test_what_is_no_server_container_is_refused(file, what):
    document = translate(read_json(json.dumps(file).encode())).document
    assert document.data is None
    assert [flaw.what for flaw in document.flaws] == [what]


def test_a_part_of_a_container_is_a_container():
    # SPEC: sandbox-api 5.10.1 W6, 5.10.3.3, 5.10.3.4
    translation = translated(tag=[{"name": "A", "type": "sgtmgaaw", "firingTriggerId": ["77"]}])
    assert translation.document.data["tags"] == [{"name": "A", "type": "ga4"}]
    assert said(translation) == [
        'tag "A": its trigger 77 is not in the file, and is not All Events: that one never fires it',
        ": has no client: no request is ever claimed",
    ]


def test_zones_are_reported():
    remarks = said(translated(zone=[{"name": "Z"}]))
    assert ': zone "Z" is left out: its containers are not loaded' in remarks


def test_ids_are_those_of_their_own_list_and_notes_are_kept():
    # SPEC: sandbox-api 5.10.3.13, 5.10.2 (K17)
    tag = {"tagId": "1", "name": "A", "type": "sgtmgaaw", "firingTriggerId": ["1"], "parentFolderId": "1"}
    translation = translated(
        folder=[{"folderId": "1", "name": "F"}],
        trigger=[{"triggerId": "1", "name": "T", "type": "ALWAYS"}],
        tag=[tag | {"notes": "first\nsecond"}],
    )
    assert translation.document.data["tags"][0]["firing_triggers"] == ["T"]
    assert translation.comments == {("tags", 0): ["folder: F", "first", "second"]}


def test_two_of_one_name_are_told_apart():
    tag = {"name": "A", "type": "sgtmgaaw"}
    translation = translated(tag=[tag, tag])
    assert [one["name"] for one in translation.document.data["tags"]] == ["A", "A (2)"]
    assert 'tag "A (2)": another one is called "A": it is "A (2)" here' in said(translation)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "1", "{{A}}", "c", "ed", "sgtmgaaw", "gaaw_client", "tf_allow_params", "true", "LIST"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "type", "parameter", "key", "value", "list", "map", "tagId", "filter", "priority"]
                + ["setupTag", "firingTriggerId", "consentSettings", "formatValue", "scheduleStartMs"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*LISTS, "folder", "container", "builtInVariable", "zone", "containerId"]),
        anything | st.lists(anything, max_size=3),
    )
)
def test_no_file_however_wrong_raises(lists):
    translation = translate(read_json(export(**lists)))
    assert (translation.document.data or {"sgtm": 1})["sgtm"] == 1
    said(translation)
