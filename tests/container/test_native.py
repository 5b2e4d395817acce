"""container.yaml to the model: entities one by one, fields one by one."""

import pytest

from sgtm.consent import CONSENT_TYPES
from sgtm.container.model import Client, ConsentPolicy, ContainerVersion, Tag, Variable
from sgtm.container.native import read_container, read_source
from sgtm.delivery.credentials import CredentialSource
from sgtm.delivery.delivery import DeliveryRules
from sgtm.triggers.trigger import AllEvents, CustomEvent

EVERYTHING = """
sgtm: 1
name: shop
consent: {unset: granted, gate: declared}
unclaimed_status: 404
clients:
- name: Orders
  type: json
  priority: 7
  is_paused: true
  allowed_origins: [https://shop.example]
  allowed_headers: [X-Shop]
  preflight_max_age_s: 60
  claim_timeout_s: 5
  parameters: {paths: [/orders]}
variables:
- {name: Page, type: event_data, parameters: {key_path: page_location}}
triggers:
- {name: Every, type: all_events}
- {name: Sales, type: custom_event, event_names: [purchase, 404]}
tags:
- name: Meta
  type: meta_conversions
  firing_triggers: [Sales]
  consent: [ad_storage]
  is_paused: true
  priority: -1
  delivery: {timeout_s: 3, max_batch: 10}
  parameters: {pixel_id: 00123, access_token: "${TOKEN}"}
"""


def read(text, **environment):
    return read_source(text.encode(), "container.yaml", environment)


def test_everything_that_can_be_written_is_read():
    reading = read(EVERYTHING, TOKEN="secret")
    assert reading.report.problems == []
    assert reading.model == ContainerVersion(
        name="shop",
        consent=ConsentPolicy("granted", "declared"),
        unclaimed_status=404,
        clients=(
            Client(
                name="Orders",
                type="json",
                priority=7,
                is_paused=True,
                allowed_origins=("https://shop.example",),
                allowed_headers=("X-Shop",),
                preflight_max_age_s=60,
                claim_timeout_s=5.0,
                parameters={"paths": ["/orders"]},
            ),
        ),
        variables=(Variable("Page", "event_data", {"key_path": "page_location"}),),
        triggers=(AllEvents("Every"), CustomEvent("Sales", ("purchase", "404"))),
        tags=(
            Tag(
                name="Meta",
                type="meta_conversions",
                firing_triggers=("Sales",),
                consent=("ad_storage",),
                is_paused=True,
                priority=-1,
                delivery=DeliveryRules(timeout_s=3.0, max_batch=10),
                parameters={"pixel_id": "00123", "access_token": CredentialSource(environment="TOKEN")},
            ),
        ),
    )


def test_what_is_left_out_has_its_default():
    model = read("sgtm: 1\nclients: [{name: A, type: json}]\nconsent:\ntags:\n").model
    assert model == ContainerVersion(clients=(Client("A", "json"),))
    assert (model.unclaimed_status, model.consent) == (400, ConsentPolicy(None, None))


@pytest.mark.parametrize("kind", ["clients", "variables", "triggers", "tags"])
@pytest.mark.parametrize(
    "entity", ["text", "5", "[]", "{}", "{name: 5}", "{type: [json]}", "{type: {}}", "{name: A}"]
)
def test_an_entity_that_cannot_be_read_is_reported_and_its_neighbour_is_read(kind, entity):
    good = (
        "{name: Good, type: custom_event, event_names: [a]}"
        if kind == "triggers"
        else "{name: Good, type: x}"
    )
    reading = read(f"sgtm: 1\n{kind}:\n- {entity}\n- {good}\n")
    assert reading.report.has_errors
    assert [one.name for one in getattr(reading.model, kind)] == ["Good"]
    assert reading.places[kind] == [(kind, 1)]


@pytest.mark.parametrize("key", ["delivery", "firing_triggers", "consent"])
def test_a_client_takes_nothing_that_belongs_to_a_tag(key):
    reading = read(f"sgtm: 1\nclients: [{{name: A, type: json, {key}: {{}}}}]\n")
    assert [problem.where for problem in reading.report.problems] == [f'container.yaml:2: client "A".{key}']


def test_every_consent_type_can_be_asked_for():
    reading = read(f"sgtm: 1\ntags: [{{name: A, type: x, consent: [{', '.join(CONSENT_TYPES)}]}}]\n")
    assert reading.model.tags[0].consent == CONSENT_TYPES


def test_the_environment_of_the_process_is_used_unless_another_is_given(tmp_path, monkeypatch):
    path = tmp_path / "container.yaml"
    path.write_text("sgtm: 1\nname: ${SHOP_NAME}\n")
    monkeypatch.setenv("SHOP_NAME", "process")
    assert read_container(path).model.name == "process"
    assert read_container(path, {"SHOP_NAME": "given"}).model.name == "given"


def test_a_google_export_is_another_front_door_to_the_same_model():
    parameter = '{"type": "TEMPLATE", "key": "eventName", "value": "x"}'
    tag = f'{{"name": "A", "type": "sgtmgaaw", "parameter": [{parameter}]}}'
    reading = read('{"exportFormatVersion": 2, "containerVersion": {"tag": [\n' + tag + "]}}")
    (found,) = reading.model.tags
    assert (found.name, found.type, found.parameters) == ("A", "ga4", {"event_name": "x"})
    assert reading.model.consent == ConsentPolicy(unset="granted", gate="declared")
    assert reading.model.tolerates_unknown
    assert reading.report.document.line(("tags", 0)) == 2


def test_a_template_may_stand_in_a_file_beside_the_container(tmp_path):
    path = tmp_path / "container.yaml"
    (tmp_path / "digest.tpl").write_text("code ${not expanded} {{Event Name}}\n")
    lines = ["sgtm: 1", "custom_templates:", "- {name: Digest, types: [cvt_1_2], file: digest.tpl}"]
    lines += [
        "- {name: Gone, types: [cvt_1_3], file: gone.tpl}",
        "- {name: In, types: [cvt_1_4], source: code}",
    ]
    path.write_text("\n".join(lines))
    reading = read_container(path)
    assert [one.source for one in reading.model.custom_templates] == [
        "code ${not expanded} {{Event Name}}\n",
        "",
        "code",
    ]
    (problem,) = reading.report.problems
    assert "gone.tpl cannot be read" in problem.what
    assert problem.where.startswith(f"{path}:4: custom_templates[1].file")
