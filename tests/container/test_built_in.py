"""Built-in variables, by Google's display names, without declaring them."""

import pytest
from cases import make_request

from sgtm.container.compile import compile_container, version_of
from sgtm.container.container import View
from sgtm.container.model import ContainerVersion, Tag, Variable
from sgtm.event import make_event, undefined

pytestmark = pytest.mark.usefixtures("probe")

PAGE = {"page_location": "https://www.Shop.example:444/a%20b?x=1#y", "page_referrer": "https://ref.example/"}
DATA = {
    "event_name": "purchase",
    "client_id": "1.2",
    "ip_override": "203.0.113.9",
    "user_agent": "Agent",
    **PAGE,
}


def value_of(name, data=DATA, variables=(), **model):
    tag = Tag(name="T", type="probe", parameters={"anything": f"{{{{{name}}}}}"})
    container = compile_container(ContainerVersion(tags=(tag,), variables=variables, **model), b"source")
    request = make_request({"method": "POST", "target": "/g/collect?v=2&tid=G-1"})
    return container.tags[0].parameters(View(make_event(data, request, "GA4", 0), container)).anything


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Event Name", "purchase"),
        ("Client Name", "GA4"),
        ("Client ID", "1.2"),
        ("Page URL", "https://www.Shop.example:444/a%20b?x=1#y"),
        # SPEC: ga4-protocol 5: "Page Hostname/Path" are derived from page_location.
        ("Page Hostname", "www.shop.example"),
        ("Page Path", "/a%20b"),
        ("Page Referrer", "https://ref.example/"),
        ("IP Address", "203.0.113.9"),
        ("User Agent", "Agent"),
        ("Query String", "v=2&tid=G-1"),
        ("Request Path", "/g/collect"),
        ("Request Method", "POST"),
    ],
)
def test_a_built_in_variable_has_the_value_that_its_name_says(name, value):
    assert value_of(name) == value


def test_the_container_version_is_that_of_its_source():
    assert value_of("Container Version") == version_of(b"source")


@pytest.mark.parametrize(
    "name", ["Client ID", "Page URL", "Page Hostname", "Page Path", "IP Address", "User Agent"]
)
def test_what_the_event_does_not_have_is_undefined(name):
    assert value_of(name, {"event_name": "x"}) is undefined


@pytest.mark.parametrize("location", ["https://[broken", "no address", "", 5, {}])
def test_a_page_that_is_no_address_does_not_raise(location):
    for name in ("Page Hostname", "Page Path"):
        assert value_of(name, {"event_name": "x", "page_location": location}) is not False


def test_a_random_number_is_the_same_again_for_the_same_event_and_has_googles_range():
    assert value_of("Random Number") == value_of("Random Number")
    assert 0 <= value_of("Random Number") < 2**31


def test_a_variable_of_the_container_with_the_same_name_wins():
    # SPEC: sandbox-api 5.10.3.1
    own = Variable(name="Page URL", type="constant", parameters={"value": "mine"})
    assert value_of("Page URL", variables=(own,)) == "mine"


def test_the_container_tells_of_itself():
    # SPEC: sandbox-api 5.5 (built-ins), 5.10.3.8 (Debug Mode is a truth value), 5.10.4 A11
    said = {"container_id": "GTM-1", "version_name": "12", "environment_name": "Staging"}
    names = ("Container ID", "Container Version", "Environment Name", "Debug Mode")
    assert [value_of(name, **said) for name in names] == ["GTM-1", "12", "Staging", False]
    assert value_of("Container ID") is undefined
    assert value_of("Environment Name") == "Live"


def test_the_visitor_s_region_is_unknown_without_a_trusted_proxy():
    # SPEC: sandbox-api 5.10.2, K24
    assert value_of("Visitor Region") is undefined
