"""Every registered component keeps the contract of docs/component-contract.md."""

import copy
import inspect
from typing import get_type_hints

import msgspec
import pytest
from cases import case_event, load_cases, make_parameters, make_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgtm.component import Component, Secret, components
from sgtm.event import make_event, undefined
from sgtm.messages import Claimed, Declined, Dropped, OutgoingRequest, Pending, TagResult, Verify

EVERY = [one for kind in ("client", "variable", "transformation", "tag") for one in components(kind)]
CASES = [(c, case) for c, case, _ in load_cases() if isinstance(c, Component)]
NAMES = [f"{one.kind} {one.type}" for one in EVERY]

KEYS = [
    "value",
    "currency",
    "items",
    "user_data",
    "page_location",
    "client_id",
    "event_id",
    "transaction_id",
    "ip_override",
    "user_agent",
    "x-ga-gcs",
    "x-ga-gcd",
    "x-ga-system_properties",
    "client_hints",
    "event_time",
    "x-sst-system_properties",
    "x-ga-mp2-user_properties",
    "custom_properties",
    "ga_session_id",
    "user_id",
]
HIT = b"v=2&tid=G-1&cid=1.2&en=e&api_secret=x&measurement_id=G-1"
BODIES = [b"[]", b"{}", b"[1]", b'{"events":{}}', b"\x1f\x8b", b'{"a":1e999}']
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars | st.sampled_from(["undefined", "99.99", "\ud800", "a\r\nb", "{{x}}", "x" * 300]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["0", "email", "city", "a"]), inner)
    ),
    max_leaves=6,
)
event_data = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), values, max_size=8)


def parameters_of(component):
    """Parameters of each golden case of the component."""
    return [make_parameters(c, case.get("parameters")) for c, case in CASES if c is component]


@pytest.mark.parametrize("component", EVERY, ids=NAMES)
def test_parameters_are_frozen_strict_and_described(component):
    assert component.parameters_type.__struct_config__.frozen
    assert component.parameters_type.__struct_config__.forbid_unknown_fields
    hints = get_type_hints(component.parameters_type, include_extras=True)
    for field in msgspec.structs.fields(component.parameters_type):
        described = [m for m in getattr(hints[field.name], "__metadata__", ()) if isinstance(m, msgspec.Meta)]
        assert any(meta.description for meta in described), f"{field.name} has no description"


@pytest.mark.parametrize("component", EVERY, ids=NAMES)
def test_a_component_documents_itself(component):
    assert len(component.documentation) > 40
    assert inspect.getdoc(component.function)


@pytest.mark.parametrize(("component", "case"), CASES, ids=[f"{c.type}: {case['name']}" for c, case in CASES])
def test_the_same_input_gives_the_same_result_and_the_input_is_left_alone(component, case):
    parameters = make_parameters(component, case.get("parameters"))
    subject = make_request(case.get("request")) if component.kind == "client" else case_event(case)
    before = copy.deepcopy(subject)
    first = component.function(subject, parameters)
    assert subject == before
    again = component.function(before, parameters)
    assert repr(first) == repr(again)


@pytest.mark.parametrize("component", [one for one in EVERY if one.kind != "client"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=event_data, name=st.sampled_from(["purchase", "page_view", "add_to_cart", "", "x"]))
def test_no_event_makes_a_tag_variable_or_transformation_raise(component, data, name):
    event = make_event({"event_name": name, **data}, make_request(), "any", 0)
    for parameters in parameters_of(component):
        result = component.function(event, parameters)
        if component.kind == "tag":
            assert isinstance(result, (TagResult, list, Pending))
            check_requests(component, result)
        if component.kind == "transformation":
            assert isinstance(result, dict if not component.only_prepares else (dict, Dropped))
            assert event == make_event({"event_name": name, **data}, make_request(), "any", 0)


def check_requests(component, result):
    requests = result.requests if isinstance(result, TagResult) else result
    for request in requests:
        assert isinstance(request, OutgoingRequest)
        assert all(text.isprintable() for pair in request.headers for text in pair)
        assert request.url.isascii()
        assert "\r" not in request.url
        assert "\n" not in request.url
        if request.item:
            assert component.envelope([request, request]).body


@pytest.mark.parametrize("component", [one for one in EVERY if one.kind == "client"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "X"]),
    path=st.sampled_from(["", "own"]),
    query=st.binary(max_size=60) | st.just(HIT),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"cookie", b"content-encoding", b"x", b"user-agent"]), st.binary(max_size=30)
        )
    ),
    body=st.binary(max_size=60) | st.sampled_from(BODIES),
)
def test_no_request_makes_a_client_raise(component, method, path, query, headers, body):
    request = make_request({"method": method, "target": "/"})
    for parameters in parameters_of(component):
        paths = component.paths(parameters) if component.paths else ()
        mine = msgspec.structs.replace(
            request, path=paths[0] if paths and path else "/", query=query, headers=tuple(headers), body=body
        )
        said = component.function(mine, parameters)
        assert isinstance(said, (Claimed, Declined, Pending, Verify))
        if isinstance(said, Verify):  # whatever it is told, also of a request that is none of its sender's
            for is_proven in (True, False, None):
                assert isinstance(said.then(is_proven), (Claimed, Declined))
        if component.refuse is not None and mine.path in paths:
            refused = component.refuse(mine, parameters)
            # SPEC: reliability 5.1: the look may only spare what the claim would come to
            assert refused is None or (isinstance(said, Claimed) and not said.events)
            assert refused is None or said.answer == refused.answer


TAGS = [one for one in EVERY if one.kind == "tag"]


@pytest.mark.parametrize("component", TAGS, ids=lambda one: one.type)
def test_a_secret_parameter_gives_a_name_and_no_place_for_a_value(component):
    hints = get_type_hints(component.parameters_type)
    secrets = [name for name, hint in hints.items() if "Secret" in str(hint)]
    for parameters in parameters_of(component):
        for name in secrets:
            value = getattr(parameters, name)
            assert value is None or value is undefined or value is msgspec.UNSET or isinstance(value, Secret)
