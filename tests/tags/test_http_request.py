"""The HTTP request tag: what `check` finds, and what counts as success."""

import msgspec
import pytest
from cases import case_event
from hypothesis import given
from hypothesis import strategies as st

from sgtm.component import Secret, find
from sgtm.event import undefined
from sgtm.messages import OutgoingRequest, VendorAnswer
from sgtm.tags.http_request import Body, Parameters, build, check, read

URL = "https://api.example/events"


def problems(**parameters):
    return [(one.severity, one.where, one.what) for one in check({"url": URL, **parameters}, "tag")]


def judge(status, body=b"", **parameters):
    (request,) = build(case_event({}), Parameters(URL, **parameters)).requests
    return read(VendorAnswer(status, (), body), [request])


# -- check


def test_a_complete_tag_has_no_problems():
    assert problems() == []
    assert problems(body={"json": {"a": "{{b}}"}}, auth="bearer", secret=Secret("key")) == []
    assert problems(url="https://api.example/{{path}}?x={{y}}") == []


@pytest.mark.parametrize(
    "url",
    [
        "{{url}}",
        "{{scheme}}://api.example/",
        "https://{{host}}/",
        "https://api.{{x}}.example",
        "https://a.example{{x}}",
    ],
)
def test_a_host_from_a_variable_is_an_error(url):
    # reliability 3.1: a host from event data without an allow-list is a check error
    assert problems(url=url) == [("error", "tag.url", "the host comes from a variable")]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example/x",
        "ftp://api.example/",
        "https:///x",
        "https://a:b@api.example/",
        "https://müller.example/",
    ]
    + ["https://api.example\\@other.example/", "https://api.example:port/", "file:///etc/passwd"],
)
def test_an_address_that_is_no_http_address_of_a_host_is_an_error(url):
    (problem,) = problems(url=url)
    assert problem[0] == "error"


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("http://api.example/", 1),
        ("http://203.0.113.9/", 0),  # a documentation address counts as private
        ("http://8.8.8.8/", 1),
        ("http://localhost:8080/", 0),
        ("http://10.0.0.7/", 0),
        ("http://[::1]/", 0),
        ("http://vendor/", 0),
    ],
)
def test_plain_http_is_a_warning_outside_the_house(url, count):
    # reliability 3.5
    assert [one[0] for one in problems(url=url)] == ["warning"] * count


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "Proxy-Foo", "a b", "", "a:b", "a\r\n"]
)
def test_a_header_that_cannot_be_set_is_an_error(name):
    (problem,) = problems(headers={name: "x"})
    assert problem[:2] == ("error", "tag.headers")


@pytest.mark.parametrize(
    ("parameters", "severity"),
    [
        ({"body": {}}, "error"),
        ({"body": {"json": 1, "text": "1"}}, "error"),
        ({"method": "GET"}, "warning"),
        ({"auth": "bearer"}, "error"),
        ({"secret": Secret("key")}, "error"),
        ({"auth": "header", "secret": Secret("key")}, "error"),
        ({"auth": "bearer", "secret": Secret("key"), "auth_key": "k"}, "error"),
        ({"auth": "bearer", "secret": Secret("key"), "scope": "a"}, "error"),
        ({"auth": "header", "secret": Secret("key"), "auth_key": "Host"}, "error"),
        ({"auth": "query", "auth_key": "k", "secret": Secret("key")}, "warning"),
    ],
)
def test_what_is_left_out_or_not_used_is_found(parameters, severity):
    (problem,) = check({"url": URL, **parameters}, "tag")
    assert problem.severity == severity
    assert problem.mend


@given(
    st.dictionaries(
        st.sampled_from(Parameters.__struct_fields__),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_parameters_of_any_kind_never_make_check_raise(parameters):
    assert isinstance(check(parameters, "tag"), list)


# -- build


@given(url=st.text(max_size=12).map("https://api.example/{}".format), value=st.text(max_size=12))
def test_nothing_in_an_event_can_change_the_host_or_split_a_header(url, value):
    parameters = Parameters(url, query={"q": value}, headers={"X": value}, body=Body(text=value))
    result = build(case_event({}), parameters)
    for request in result.requests:
        assert request.url.startswith("https://api.example/")
        assert request.url.isascii()
        assert request.url.isprintable()
        assert " " not in request.url
        assert all(text.isprintable() for _, text in request.headers)


def test_values_that_no_request_can_carry_send_nothing_and_raise_nothing():
    for value in ({"a": undefined}, "\ud800", object()):
        result = build(case_event({}), Parameters(URL, body=Body(json=value)))
        assert result.sends_nothing_because == "the request cannot be written from this event"


def test_a_content_type_among_the_headers_wins():
    parameters = Parameters(URL, headers={"content-type": "application/x-own"})
    assert build(case_event({}), parameters).requests[0].headers == (("content-type", "application/x-own"),)


def test_without_consent_settings_of_its_own_the_tag_asks_for_all_three():
    component = find("tag", "http_request")
    assert component.consent == ("ad_storage", "analytics_storage", "ad_user_data")
    assert not component.is_consent_aware


# -- read: R303, success is judged by status and body


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "done"), (204, "done"), (302, "dead"), (400, "dead"), (401, "refused"), (403, "refused")]
    + [(408, "retry"), (429, "retry"), (500, "retry"), (503, "retry")],
)
def test_without_a_rule_2xx_is_success(status, kind):
    assert judge(status).kind == kind


def test_a_declared_4xx_is_done_and_an_undeclared_2xx_is_dead():
    assert judge(409, success_statuses=(200, 409)).kind == "done"
    assert judge(202, success_statuses=(200, 409)).kind == "dead"
    assert judge(503, success_statuses=(200,)).kind == "retry"


@pytest.mark.parametrize(
    ("body", "equals", "kind"),
    [
        (b'{"result": {"ok": true}}', True, "done"),
        (b'{"result": {"ok": false}}', True, "dead"),
        (b'{"result": {"ok": 1}}', True, "dead"),
        (b'{"result": {"ok": 1}}', 1, "done"),
        (b'{"result": {"ok": true}}', 1, "dead"),
        (b'{"result": {"ok": "yes"}}', "yes", "done"),
        (b'{"result": {"ok": null}}', None, "done"),
        (b'{"result": {}}', None, "dead"),
        (b"no json", True, "dead"),
        (b"", True, "dead"),
        (b"[" * 100_000, True, "dead"),
    ],
    ids=range(11),
)
def test_an_error_inside_a_200_is_no_success(body, equals, kind):
    outcome = judge(200, body, success_path="result.ok", success_equals=equals)
    assert outcome.kind == kind
    assert "no json" not in outcome.reason


def test_the_rule_is_not_sent():
    (request,) = build(case_event({}), Parameters(URL, body="none", success_path="ok")).requests
    sent = msgspec.structs.replace(request, success_rule=b"")
    assert sent == OutgoingRequest("POST", URL)
    assert request.success_rule


def test_a_secret_in_a_header_is_pointed_to_where_secrets_belong():
    # SPEC: design, Rules of the house (an OutgoingRequest names its credential, it does not hold it)
    written = {"url": "https://api.example/x", "headers": {"Authorization": "Bearer abc", "X-Own": "1"}}
    (problem,) = check(written, "tag")
    assert (problem.severity, problem.where) == ("warning", "tag.headers")
    assert "'Authorization' looks like a secret" in problem.what
    assert "auth: bearer" in problem.mend
