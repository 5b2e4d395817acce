"""Templates of a container: found by name, checked with their fields, and what is wrong with each said."""

import json
from inspect import isawaitable
from pathlib import Path

import yaml
from doubles import HeldLanes, NotingOutbox
from gtm_containers import SENDER, container, plain, sender
from gtm_templates import CLIENT, template, text_field
from msgspec.structs import replace

from sgtm.cli._cases import Goldens, read_cases, run_case
from sgtm.container.check import check_container, judge
from sgtm.container.compile import compile_container, load_container
from sgtm.container.native import read_source
from sgtm.dry_run import PLAIN_REQUEST, dry_run, dry_run_event
from sgtm.messages import VendorAnswer
from sgtm.observability.explanation import explain_walk
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline
from sgtm.templates.reader import read_template
from sgtm.templates.testing import run_tests
from tests.cases import make_request

UPPER = template("MACRO", "return data.text.toUpperCase();", fields=[text_field("text")])


def problems_of(data):
    text = yaml.safe_dump(data, sort_keys=False)
    return {
        (one.severity, one.where.partition(": ")[2], one.what)
        for one in judge(read_source(text.encode(), "container.yaml", {}))
    }


def compiled(data):
    return compile_container(read_source(yaml.safe_dump(data).encode(), "container.yaml", {}).model)


def run(data, event=None, answers={}):  # noqa: B006
    walk = dry_run_event(compiled(data), {"event_name": "order", **(event or {})}, "Test", answers=answers)
    return {tag.name: tag for tag in walk.events[0].tags}


def test_a_container_with_templates_has_no_problem():
    good = container({"Sender": SENDER}, tags=[sender("https://a.example/", product="{{Product}}")])
    assert problems_of(good) == set()


def test_fields_are_checked_by_the_templates_own_rules():
    # SPEC: sandbox-api 4.3
    table = {
        "type": "SIMPLE_TABLE",
        "name": "rows",
        "simpleTableColumns": [{"name": "key", "type": "TEXT"}],
        "valueValidators": [{"type": "TABLE_ROW_COUNT", "args": [1, 2]}],
    }
    number = text_field("count", valueValidators=[{"type": "POSITIVE_NUMBER", "errorMessage": "count up"}])
    only_then = text_field(
        "other",
        enablingConditions=[{"paramName": "count", "paramValue": "1", "type": "EQUALS"}],
        valueValidators=[{"type": "NON_EMPTY"}],
    )
    checked = template("TAG", "data.gtmOnSuccess();", fields=[number, table, only_then])
    tags = [
        {"name": "Good", "type": "T", "parameters": {"count": "2", "rows": [{"key": "a"}]}},
        {"name": "Variables", "type": "T", "parameters": {"count": "{{Product}}", "rows": [{"key": "a"}]}},
        {"name": "Bad", "type": "T", "parameters": {"count": "-1", "rows": []}},
        {"name": "Then", "type": "T", "parameters": {"count": "1", "rows": [{"key": "a"}]}},
        {"name": "Typo", "type": "T", "parameters": {"coumt": "1"}},
    ]
    found = problems_of(container({"T": checked}, tags=tags))
    assert found == {
        ("error", 'tag "Bad".parameters.count', "the value does not fit"),
        ("error", 'tag "Bad".parameters.rows', "the value does not fit"),
        ("error", 'tag "Then".parameters.other', "the value does not fit"),
        ("error", 'tag "Typo".parameters.coumt', "is not known"),
    }


def test_what_is_wrong_with_a_template_is_said_where_it_stands():
    broken = template("TAG", "class A {}")
    unknown_api = template("TAG", "require('sendHttpReqest'); data.gtmOnSuccess();")
    not_allowed = template("TAG", "require('sendHttpRequest')('https://a.example/'); data.gtmOnSuccess();")
    templates = {"Broken": broken, "Unknown": unknown_api, "Denied": not_allowed, "ga4": SENDER}
    found = problems_of(container(templates, variables=(), tags=[{"name": "B", "type": "Broken"}]))
    said = {(severity, what) for severity, _, what in found}
    assert any("Broken" in what and "class" in what for severity, what in said if severity == "error")
    assert any("unknown API: sendHttpReqest" in what for severity, what in said if severity == "error")
    assert any("needs the permission send_http" in what for severity, what in said if severity == "warning")
    assert any("wins over the template" in what for severity, what in said if severity == "warning")


def test_a_template_is_used_as_what_it_is():
    tags = [{"name": "A", "type": "Upper"}, {"name": "B", "type": "Uper"}]
    found = problems_of(container({"Upper": UPPER, "Sender": SENDER}, tags=tags))
    assert ("error", 'tag "A".type', "its template 'Upper' is one for a variable") in found
    assert ("error", 'tag "B".type', "'Uper' is not a type of tag") in found


def test_both_names_of_a_template_lead_to_it():
    tag = sender("https://a.example/") | {"type": "cvt_1_2"}
    data = container({"Sender": SENDER}, variables=(), tags=[tag])
    data["custom_templates"][0]["types"] = ["cvt_1_2"]
    assert problems_of(data) == set()
    assert [one.request.url for one in run(data)["Sender"].deliveries] == ["https://a.example/"]


def test_in_what_came_from_elsewhere_a_broken_template_does_not_run_and_all_else_does():
    # SPEC: sandbox-api 5.10.3
    tags = [{"name": "Bad", "type": "Broken"}, plain("https://a.example/")]
    data = container({"Broken": "nothing"}, variables=(), tags=tags) | {"tolerates_unknown": True}
    assert {severity for severity, _, _ in problems_of(data)} == {"warning"}
    model = read_source(yaml.safe_dump(data).encode(), "container.yaml", {}).model
    assert [tag.name for tag in compile_container(model, lenient=True).tags] == ["Plain"]


def test_tables_defaults_and_conditions_reach_the_code():
    fields = [
        text_field("plain", defaultValue="as declared"),
        text_field(
            "hidden", enablingConditions=[{"paramName": "plain", "paramValue": "x", "type": "EQUALS"}]
        ),
        {"type": "CHECKBOX", "name": "on", "checkboxText": "On", "subParams": [text_field("below")]},
        {"type": "SIMPLE_TABLE", "name": "rows", "simpleTableColumns": [{"name": "key", "type": "TEXT"}]},
        {"type": "LABEL", "name": "label", "displayName": "only words"},
    ]
    code = "require('logToConsole')(require('JSON').stringify(data)); data.gtmOnSuccess();"
    shows = template("TAG", code, {"logging": {"environments": "all"}}, fields=fields)
    parameters = {
        "hidden": "h",
        "on": True,
        "below": "{{Product}}",
        "rows": [{"key": "{{Product}}"}, {"key": "b"}],
    }
    tag = {"name": "T", "type": "Shows", "parameters": parameters}
    walked = run(container({"Shows": shows}, tags=[tag]), {"product": "Hat"})["T"]
    assert [json.loads(line) for line in walked.console] == [
        {"plain": "as declared", "on": True, "below": "Hat", "rows": [{"key": "Hat"}, {"key": "b"}]}
    ]


def test_a_dry_run_sends_nothing_and_answers_as_it_is_told():
    data = container({"Sender": SENDER}, variables=(), tags=[sender("https://a.example/p")])
    walked = run(data)["Sender"]
    assert (walked.outcome, [one.request.url for one in walked.deliveries]) == (
        "fired",
        ["https://a.example/p"],
    )
    assert walked.console == ["sending order"]
    refused = {
        "https://a.example/": VendorAnswer(200, (), b""),
        "https://a.example/p": VendorAnswer(400, (), b""),
    }
    walked = run(data, answers=refused)["Sender"]
    assert (walked.outcome, walked.reason) == ("failed", "template 'Sender' called gtmOnFailure")
    assert walked.deliveries[0].answer.status == 400


def test_each_dry_run_begins_with_nothing_stored():
    code = """
const kept = require('templateDataStorage');
require('logToConsole')(kept.getItemCopy('a'));
kept.setItemCopy('a', 1);
data.gtmOnSuccess();
"""
    allowed = {"access_template_storage": {}, "logging": {"environments": "all"}}
    tags = [{"name": "First", "type": "T"}, {"name": "Second", "type": "T"}]
    one = compiled(container({"T": template("TAG", code, allowed)}, variables=(), tags=tags))
    for _ in range(2):
        walk = dry_run_event(one, {"event_name": "e"}, "Test")
        assert [tag.console for tag in walk.events[0].tags] == [["null"], ["1"]]
    # SPEC: sandbox-api 1.3: what is only previewed has a store of its own
    walk = dry_run_event(replace(one, is_preview=True), {"event_name": "e"}, "Test")
    assert [tag.console for tag in walk.events[0].tags] == [["null"], ["null"]]


def test_the_hosts_that_a_templates_permission_names_whole_are_destinations():
    # SPEC: requirements R360
    urls = {
        "send_http": {"allowedUrls": "specific", "urls": ["https://api.a.example/*", "https://*.b.example/"]}
    }
    named = template("TAG", "require('sendHttpRequest'); data.gtmOnSuccess();", urls)
    data = container({"T": named}, variables=(), tags=[{"name": "T", "type": "T"}])
    assert compiled(data).destinations == {("api.a.example", 443)}


def test_a_tag_of_a_template_is_held_back_by_the_strict_reading_of_consent():
    # design.md, Decisions: `gate: all` holds every tag without consent settings of its own
    data = container({"Sender": SENDER}, variables=(), tags=[sender("https://a.example/")])
    data["consent"] = {"unset": "denied", "gate": "all"}
    assert run(data)["Sender"].outcome == "blocked by consent"


def test_secrets_in_fields_of_templates_are_known_to_whoever_shows_anything(tmp_path):
    # a template puts its token into the request itself, so no name stands for it
    asks = template("TAG", "data.gtmOnSuccess();", fields=[text_field("apiToken")])
    tag = {"name": "T", "type": "T", "parameters": {"apiToken": "${ACME_TOKEN}"}}
    path = tmp_path / "container.yaml"
    path.write_text(yaml.safe_dump(container({"T": asks}, variables=(), tags=[tag])))
    assert load_container(path, {"ACME_TOKEN": "0a1b2c3d4e5f6071"}).secrets == ("0a1b2c3d4e5f6071",)


def test_consoles_of_clients_and_variables_are_on_the_walk_too():
    log = {"logging": {"environments": "all"}}
    says = template(
        "MACRO", "require('logToConsole')('value', data.text); return 1;", log, fields=[text_field("text")]
    )
    code = """
const log = require('logToConsole');
require('claimRequest')();
log('claimed');
require('runContainer')({event_name: 'e'}, () => { log('done'); require('returnResponse')(); });
"""
    claims = template("CLIENT", code, CLIENT, log)
    data = container(
        {"Says": says, "Claims": claims},
        clients=[{"name": "Claims", "type": "Claims"}],
        variables=[{"name": "Said", "type": "Says", "parameters": {"text": "hat"}}],
        tags=[plain("https://a.example/", said="{{Said}}")],
    )
    walk = dry_run(compiled(data), PLAIN_REQUEST)
    assert walk.warnings == ["console: claimed", "console: done"]
    assert walk.events[0].tags[0].console == ["Said: value hat"]
    assert "console   Said: value hat" in explain_walk(walk)


async def test_where_others_deliver_a_tag_sets_its_cookies_and_asks_nothing():
    # design.md, Delivery: a `collect` process runs tags that answer the browser, and drops their requests
    code = """
require('setCookie')('_own', '1', {});
require('sendHttpRequest')('https://a.example/').then(data.gtmOnSuccess, data.gtmOnFailure);
"""
    cookies = {"set_cookies": {"allowedCookies": [{"name": "_own"}]}, "send_http": {"allowedUrls": "any"}}
    templates = {"Both": template("TAG", code, cookies)}
    one = compiled(container(templates, variables=(), tags=[{"name": "Both", "type": "Both"}]))
    counters, vendor = Counters(), Asked()
    pipeline = Pipeline(one, NotingOutbox(), HeldLanes(), counters, delivers=False, asks=vendor)
    request = make_request({"target": "/orders", "method": "POST", "body": '{"event_name": "e"}'})
    answer = pipeline.run(request)
    answer = await answer if isawaitable(answer) else answer
    assert dict(answer.headers)["Set-Cookie"].startswith("_own=1")
    assert (vendor.asked, counters.value("sgtm_tags_failed_total", "Both")) == ([], 0)


class Asked:
    def __init__(self):
        self.asked = []

    async def send(self, request, timeout_s):
        self.asked.append(request)
        return VendorAnswer(200, (), b"")


def test_a_transformation_finds_the_tags_of_a_template_by_any_of_its_names():
    # SPEC: sandbox-api 5.10.1 (W2), 5.10.2 (K19)
    data = container({"Sender": SENDER}, variables=(), tags=[sender("https://a.example/")])
    data["custom_templates"][0]["types"] = ["cvt_1_2"]
    data["transformations"] = [
        {
            "name": "Renamed",
            "type": "augment_event",
            "affected_tag_types": [{"type": "cvt_1_2"}],
            "parameters": {"parameters": {"event_name": "renamed"}},
        }
    ]
    assert problems_of(data) == set()
    assert run(data)["Sender"].console == ["sending renamed"]


def test_the_example_is_good_and_its_tests_pass():
    example = Path(__file__).parents[2] / "examples/templates/container.yaml"
    assert check_container(example) == []
    tests = example.with_name("container.tests.yaml")
    one, goldens = load_container(example), Goldens(tests, is_updating=False)
    assert {case.name: run_case(one, case, goldens) for case in read_cases(tests)} == {
        "A purchase in euros reaches Acme": [],
        "What Acme refuses has failed": [],
        "Another currency is somebody else's": [],
        "Without consent nothing is sent": [],
    }
    for file in (example.parent / "templates").glob("*.tpl"):
        assert [one.problem for one in run_tests(read_template(file.read_text()))] == ["", ""]
