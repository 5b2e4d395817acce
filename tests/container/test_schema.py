"""JSON Schema of container.yaml: it accepts what `check` accepts, and refuses what a person mistypes."""

from pathlib import Path

import pytest
import yaml
from cases import load_cases
from jsonschema import Draft202012Validator

from sgtm.component import Component, components
from sgtm.container.document import read_document
from sgtm.container.fields import fields_of, is_secret
from sgtm.container.schema import container_schema

ROOT = Path(__file__).parents[2]
SCHEMA = container_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
CASES = [(c, case) for c, case, _ in load_cases() if isinstance(c, Component)]
EXAMPLES = [*ROOT.glob("examples/*/container.yaml"), *ROOT.glob("sgtm/demo/*/container.yaml")]


def complaints(data):
    return [error.message for error in VALIDATOR.iter_errors(data)]


def container_with(kind, type_, parameters):
    entity = {"name": "X", "type": type_, "parameters": parameters}
    list_name = "preparations" if type_ == "drop_event" else f"{kind}s"
    return {"sgtm": 1, list_name: [entity]}


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_is_accepted(path):
    assert complaints(read_document(path.read_bytes()).data) == []


@pytest.mark.parametrize(("component", "case"), CASES, ids=[f"{c.type}: {case['name']}" for c, case in CASES])
def test_the_parameters_of_every_golden_case_are_accepted(component, case):
    assert complaints(container_with(component.kind, component.type, case.get("parameters") or {})) == []


def every_parameter(kind):
    return [(one, field) for one in components(kind) for field in fields_of(one.parameters_type)]


@pytest.mark.parametrize(("component", "field"), [*every_parameter("tag"), *every_parameter("variable")])
def test_a_variable_may_stand_for_any_parameter(component, field):
    schema = {
        **SCHEMA["$defs"][f"{component.kind}.{component.type}"],
        "$defs": SCHEMA["$defs"],
        "required": [],
    }
    assert list(Draft202012Validator(schema).iter_errors({field.name: "{{Some variable}}"})) == []
    assert list(Draft202012Validator(schema).iter_errors({field.name: "${NAME}"})) == []
    if is_secret(field.type):
        assert list(Draft202012Validator(schema).iter_errors({field.name: {"file": "/run/secrets/x"}})) == []


def test_an_id_without_quotes_is_accepted_as_check_accepts_it():
    parameters = {"pixel_id": 1234567890123456, "access_token": "${TOKEN}"}
    assert complaints(container_with("tag", "meta_conversions", parameters)) == []


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"sgtm": 2},
        {"sgtm": 1, "client": []},
        {"sgtm": 1, "consent": {"unset": "maybe"}},
        {"sgtm": 1, "unclaimed_status": 99},
        {"sgtm": 1, "triggers": [{"name": "A", "type": "custom_event"}]},
        {"sgtm": 1, "triggers": [{"name": "A", "type": "all_events", "event_names": ["a"]}]},
        {"sgtm": 1, "tags": [{"name": "A", "type": "nothing"}]},
        {"sgtm": 1, "tags": [{"name": "A", "type": "http_request", "delivery": {"timeout_s": 61}}]},
        {"sgtm": 1, "tags": [{"name": "A", "type": "http_request", "consent": ["ads"]}]},
        container_with("client", "json", {}),
        {"sgtm": 1, "clients": [{"name": "A", "type": "json"}]},
        container_with("client", "json", {"paths": ["/a"], "method": ["GET"]}),
        container_with("client", "json", {"paths": ["/a"], "max_events": "many"}),
        container_with("variable", "event_data", {}),
        container_with("transformation", "augment_event", {}),
        {"sgtm": 1, "transformations": [{"name": "A", "type": "drop_event"}]},
        {"sgtm": 1, "triggers": [{"name": "A", "type": "all_events", "conditions": [{"value": "a"}]}]},
        {"sgtm": 1, "tags": [{"name": "A", "type": "http_request", "firing_option": "twice"}]},
        container_with("tag", "meta_conversions", {"pixel_id": "1", "access_token": {"path": "x"}}),
    ],
)
def test_what_check_refuses_is_refused(broken):
    assert complaints(broken)


def test_the_broken_parameters_of_the_golden_containers_are_refused_too():
    for name in ("unknown_parameter", "wrong_types", "unknown_component_type", "required_is_missing"):
        case = yaml.safe_load((ROOT / f"tests/golden/containers/{name}.yaml").read_text())
        assert complaints(read_document(case["container"].encode()).data), name
