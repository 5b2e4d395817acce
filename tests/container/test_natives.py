"""`native:` of a template: a tag of sgtm's own runs in its place, and only where the container says so."""

import json

import yaml
from gtm_containers import container, plain
from gtm_templates import template, text_field

from sgtm.container.check import judge
from sgtm.container.compile import compile_container, load_container
from sgtm.container.google.overlay import with_settings
from sgtm.container.native import read_source
from sgtm.dry_run import dry_run_event

CAPI = template(
    "TAG",
    "data.gtmOnSuccess();",
    fields=[text_field(name) for name in ("pixelId", "apiAccessToken", "actionSource", "own")],
)
PARAMETERS = {"pixelId": "{{Pixel}}", "apiAccessToken": "${META_TOKEN}", "actionSource": "app"}


def written(**more):
    variables = [{"name": "Pixel", "type": "constant", "parameters": {"value": "123"}}]
    tags = [
        {"name": "Meta", "type": "CAPI", "parameters": {**PARAMETERS, **more}},
        plain("https://a.example/"),
    ]
    return container({"CAPI": CAPI}, variables=variables, tags=tags)


def read(data):
    return read_source(yaml.safe_dump(data).encode(), "container.yaml", {"META_TOKEN": "t" * 20})


def types(reading):
    return {tag.name: tag.type for tag in reading.model.tags}


def test_without_it_the_template_runs():
    assert types(read(written())) == {"Meta": "CAPI", "Plain": "http_request"}


def test_with_it_the_tag_runs_with_the_templates_fields():
    data = written(own="x")
    data["custom_templates"][0]["native"] = "meta_conversions"
    reading = read(data)
    found = {(one.severity, one.where.partition(": ")[2]) for one in judge(reading)}
    # the constant stands in the tag itself now
    assert found == {("warning", 'tag "Meta".parameters.own'), ("warning", 'variable "Pixel"')}
    event = {"event_name": "page_view", "user_data": {"email_address": "jo@shop.example"}}
    walk = dry_run_event(compile_container(reading.model), event, "Test")
    (sent,) = [one.request for tag in walk.events[0].tags if tag.name == "Meta" for one in tag.deliveries]
    assert "/123/events" in sent.url
    assert sent.credential.name == "META_TOKEN"
    assert json.loads(sent.body)["data"][0]["action_source"] == "app"


def test_what_cannot_take_a_templates_place_is_an_error():
    data = written()
    data["custom_templates"][0]["native"] = "meta"
    assert any("cannot take the place" in one.what for one in judge(read(data)) if one.severity == "error")


def test_whatever_is_written_instead_is_reported_and_raises_nothing():
    for native in ([], {}, 3, True):
        for name in ([], 3, None):
            data = written()
            data["custom_templates"][0]["native"] = native
            data["variables"].append({"name": name, "type": "constant", "parameters": {"value": 1}})
            assert any(one.severity == "error" for one in judge(read(data)))


def test_the_settings_file_says_it_for_an_export_whose_token_a_constant_holds(tmp_path):
    def parameter(key, value):
        return {"type": "TEMPLATE", "key": key, "value": value}

    version = {
        "containerId": "7",
        "container": {"publicId": "GTM-A1", "usageContext": ["SERVER"]},
        "variable": [{"name": "Token", "type": "c", "parameter": [parameter("value", "invented-token-123")]}],
        "tag": [
            {
                "name": "Meta",
                "type": "cvt_7_3",
                "firingTriggerId": ["2147479574"],
                "parameter": [parameter("pixelId", "123"), parameter("apiAccessToken", "{{Token}}")],
            }
        ],
        "customTemplate": [{"containerId": "7", "templateId": "3", "name": "CAPI", "templateData": CAPI}],
    }
    export = json.dumps({"exportFormatVersion": 2, "containerVersion": version}).encode()
    source = with_settings(export, {"natives": {"CAPI": "meta_conversions"}})
    (tag,) = load_container(tmp_path / "GTM-A1.json", source=source).tags
    assert tag.component.type == "meta_conversions"
    (kept,) = load_container(tmp_path / "GTM-A1.json", source=export).tags
    assert kept.component.type == "CAPI"
