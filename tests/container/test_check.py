"""`sgtm check`: everything that is wrong, at once. The broken containers stand in golden/containers."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.component import components
from sgtm.container.check import check_container, judge, read_sound
from sgtm.container.native import read_source
from sgtm.errors import ContainerError

GOLDEN = Path(__file__).parents[1] / "golden" / "containers"
ENVIRONMENT = {"META_TOKEN": "t"}


def problems_of(text, environment=ENVIRONMENT):
    return judge(read_source(text.encode(), "container.yaml", environment))


def shown(problems):
    return [[one.severity, one.where, one.what, one.mend] for one in problems]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_container_is_explained(path, request):
    case = yaml.safe_load(path.read_text())
    found = shown(problems_of(case["container"]))
    if "problems" not in case and request.config.getoption("--update-golden"):
        path.write_text(
            path.read_text() + yaml.safe_dump({"problems": found}, width=1000, allow_unicode=True)
        )
        return
    assert found == case["problems"]


GOOD = """sgtm: 1
name: shop
consent: {unset: denied, gate: all}
clients:
- {name: GA4, type: ga4, priority: 20, allowed_origins: ["https://*.shop.example"]}
- {name: Orders, type: json, priority: 10, parameters: {paths: [/orders]}}
- {name: Old, type: json, priority: 10, is_paused: true, parameters: {paths: [/orders]}}
variables:
- {name: Pixel, type: constant, parameters: {value: "123"}}
triggers:
- {name: Purchases, type: custom_event, event_names: [purchase]}
tags:
- name: Meta
  type: meta_conversions
  firing_triggers: [Purchases]
  parameters: {pixel_id: "{{Pixel}}", access_token: "${META_TOKEN}"}
- {name: Log, type: http_request, consent: [], firing_triggers: [All Events], parameters: {url: "https://log.example/"}}
"""


def test_a_good_container_has_no_problem():
    assert problems_of(GOOD) == []


def test_a_paused_advertising_tag_asks_for_no_consent_lines():
    text = GOOD.replace("consent: {unset: denied, gate: all}\n", "").replace(
        "name: Meta\n", "name: Meta\n  is_paused: true\n"
    )
    assert problems_of(text) == []


def test_own_consent_settings_do_not_answer_what_unset_means():
    # SPEC: design.md, Consent gates: `check` refuses a container that has an advertising tag and is silent.
    text = GOOD.replace("consent: {unset: denied, gate: all}\n", "").replace(
        "name: Meta\n", "name: Meta\n  consent: [ad_storage]\n"
    )
    (problem,) = problems_of(text)
    assert problem.severity == "error"
    assert "unset: denied" in problem.mend
    assert "gate: all" in problem.mend


def test_the_test_code_of_meta_is_found_by_the_tags_own_check():
    # SPEC: requirements R269
    (problem,) = problems_of(
        GOOD.replace('access_token: "${META_TOKEN}"', 'access_token: "${META_TOKEN}", test_event_code: TEST1')
    )
    assert problem.where == 'container.yaml:16: tag "Meta".parameters.test_event_code'


def test_a_client_of_another_type_on_one_path_is_no_shadow():
    # SPEC: requirements R52: only a client that can *never* claim is reported.
    assert (
        problems_of(GOOD.replace("paths: [/orders]}}\n- {name: Old", "paths: [/g/collect]}}\n- {name: Old"))
        == []
    )


def test_a_user_variable_may_have_the_name_of_a_built_in_one():
    assert problems_of(GOOD.replace("Pixel", "Page URL")) == []


def test_a_variable_that_only_an_unused_variable_uses_counts_as_used():
    text = GOOD.replace(
        'value: "123"}}\n', 'value: "1"}}\n- {name: More, type: constant, parameters: {value: "{{Pixel}}"}}\n'
    )
    assert [problem.where for problem in problems_of(text)] == ['container.yaml:10: variable "More"']


def test_a_name_that_no_reference_can_reach_is_refused():
    text = GOOD.replace(
        "- {name: Pixel,", '- {name: "{x}", type: constant, parameters: {value: 1}}\n- {name: Pixel,'
    )
    assert [problem.what for problem in problems_of(text)] == ["no {{reference}} can reach this name"]


def test_no_secret_is_in_any_text():
    text = GOOD.replace("${META_TOKEN}", "EAAsecretsecret") + "  pirority: 1\n"
    assert "EAAsecretsecret" not in "\n".join(map(str, problems_of(text)))


def test_a_file_is_checked_and_one_that_is_not_there_is_a_problem(tmp_path):
    path = tmp_path / "container.yaml"
    path.write_text(GOOD)
    assert check_container(path, ENVIRONMENT) == []
    assert read_sound(path, ENVIRONMENT).model.name == "shop"
    (problem,) = check_container(tmp_path / "nothing.yaml")
    assert problem.what == "there is no such file"
    (problem,) = check_container(tmp_path)
    assert problem.what == "the file cannot be read"


def test_an_error_carries_all_problems_and_a_warning_stops_nothing(tmp_path):
    path = tmp_path / "container.yaml"
    path.write_text(GOOD.replace("priority: 10", "priority: 20"))
    assert read_sound(path, ENVIRONMENT).model.name == "shop"
    path.write_text(GOOD.replace("type: json", "type: jsn").replace("All Events", "Any"))
    with pytest.raises(ContainerError) as raised:
        read_sound(path, ENVIRONMENT)
    assert len(raised.value.problems) == 3


KEYS = """
sgtm name consent unset gate clients variables triggers tags type parameters firing_triggers priority
delivery event_names allowed_origins is_paused paths value key_path url pixel_id access_token secret file body
template headers timeout_s << extra"""
keys = st.sampled_from(KEYS.split())
types = [one.type for kind in ("client", "variable", "transformation", "tag") for one in components(kind)]
words = st.sampled_from(
    [
        "a",
        "{{a}}",
        "{{b}}x",
        "${A}",
        "${NOT_SET}",
        "$${A}",
        "denied",
        "all",
        "All Events",
        "/orders",
        "",
        "custom_event",
    ]
    + ["https://a.example/{{a}}", "all_events", *types]
)
leaves = words | st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)
entities = st.lists(
    st.fixed_dictionaries({}, optional={"name": words, "type": words, "parameters": trees}) | trees,
    max_size=3,
)
containers = st.fixed_dictionaries(
    {"sgtm": st.just(1) | leaves},
    optional={
        "consent": trees,
        "clients": entities,
        "variables": entities,
        "triggers": entities,
        "tags": entities,
    },
)


@given(containers | trees)
def test_no_tree_of_values_makes_check_raise(tree):
    for problem in problems_of(yaml.safe_dump(tree)):
        assert problem.what
        assert problem.mend
        assert problem.where.startswith("container.yaml:")


@settings(max_examples=100)
@given(
    st.text(max_size=100) | st.text("sgtm:1\n -{}[]\"'ab&*", max_size=60).map(lambda text: "sgtm: 1\n" + text)
)
def test_no_text_makes_check_raise(text):
    assert isinstance(problems_of(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")), list)


TWO_CLIENTS = """sgtm: 1
clients:
- {{name: A, type: json, priority: {0}, hosts: [{1}], parameters: {{paths: [/data]}}}}
- {{name: B, type: json, priority: 1, hosts: [{2}], parameters: {{paths: [/data]}}}}
"""


@pytest.mark.parametrize(
    ("hosts_of_a", "hosts_of_b", "is_said"),
    [
        ("a.example", "b.example", False),
        ("a.example", "A.example", True),
        ("a.example", "a.example", True),
        ("a.example", '"*.a.example"', False),
        ('"*.a.example"', "x.a.example", False),
        ("a.example, b.example", "b.example", True),
        ("b.example", "a.example, b.example", False),
        ("a.example", "", False),  # B is asked for all other hosts
        ("", "a.example", True),
        ("", "", True),
    ],
)
def test_clients_of_different_hosts_do_not_hide_each_other(hosts_of_a, hosts_of_b, is_said):
    found = problems_of(TWO_CLIENTS.format(2, hosts_of_a, hosts_of_b))
    assert any("never claims" in one.what for one in found) is is_said


def test_clients_that_never_meet_may_have_the_same_priority():
    assert not problems_of(TWO_CLIENTS.format(1, "a.example", "b.example"))
    assert problems_of(TWO_CLIENTS.format(1, "a.example", '"a.example", "b.example"'))


@pytest.mark.parametrize(
    "host", ["https://a.example", "a.example/x", "*", "a*.example", "a.example:80", '""']
)
def test_a_host_of_a_client_is_a_name(host):
    found = problems_of(TWO_CLIENTS.format(2, f'"{host}"' if host != '""' else host, "b.example"))
    assert any(one.where.endswith("hosts[0]") or "hosts" in one.where for one in found)
