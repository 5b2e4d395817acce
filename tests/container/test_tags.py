"""What a compiled tag knows: partners, schedule, lookups; and what is left out leniently."""

from datetime import UTC, datetime

import pytest
from cases import make_request

from sgtm import component
from sgtm.component import Component, read_status
from sgtm.container.compile import compile_container
from sgtm.container.container import View
from sgtm.container.model import (
    CleanupTag,
    Client,
    ContainerVersion,
    FormatValue,
    Schedule,
    SetupTag,
    Tag,
    Variable,
)
from sgtm.container.tags import micros_of
from sgtm.errors import ContainerError
from sgtm.event import make_event, undefined
from sgtm.variables.constant import Parameters

pytestmark = pytest.mark.usefixtures("probe")


def tags_of(*tags, variables=(), lenient=False):
    model = ContainerVersion(tags=tags, variables=tuple(variables))
    return compile_container(model, lenient=lenient).tags_by_name


def test_partners_know_each_other():
    # SPEC: google-runtime 4.5, 4.6
    tags = tags_of(
        Tag("Main", "probe", setup_tag=SetupTag("Before", True), cleanup_tag=CleanupTag("After", True)),
        Tag("Before", "probe"),
        Tag("After", "probe"),
        Tag("Alone", "probe"),
    )
    main = tags["Main"]
    assert (main.setup_tag, main.stops_on_setup_failure) == ("Before", True)
    assert (main.cleanup_tag, main.cleanup_only_on_success) == ("After", True)
    assert [name for name, tag in tags.items() if tag.is_sequenced] == ["Main", "Before", "After"]


def test_a_partner_that_is_paused_or_not_there_is_as_if_none_were_named():
    tags = tags_of(
        Tag("Main", "probe", setup_tag=SetupTag("Gone", True), cleanup_tag=CleanupTag("Paused")),
        Tag("Paused", "probe", is_paused=True),
    )
    assert list(tags) == ["Main"]
    main = tags["Main"]
    assert (main.setup_tag, main.stops_on_setup_failure, main.cleanup_tag) == ("", False, "")
    assert main.missing_setup_tag == "Gone", "it is to stop where its set-up tag fails"
    assert not main.is_sequenced


def test_a_schedule_is_compared_in_microseconds():
    # SPEC: requirements R99; the end is not included
    start, end = datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC)
    assert micros_of(Schedule(start, end)) == (1_795_737_600_000_000, 1_795_824_000_000_000)
    assert micros_of(Schedule(start)) == (1_795_737_600_000_000, (1 << 63) - 1)
    assert micros_of(Schedule(None, end)) == (0, 1_795_824_000_000_000)
    assert micros_of(Schedule()) is micros_of(None) is None
    (tag,) = tags_of(Tag("T", "probe", schedule=Schedule(start, end), is_live_only=True)).values()
    assert tag.schedule == (1_795_737_600_000_000, 1_795_824_000_000_000)
    assert tag.is_live_only


@pytest.fixture
def lookup():
    """Registers the asynchronous variable type `test_lookup`."""
    component.find("variable", "")
    known = component._REGISTRY["variable"]
    known["test_lookup"] = Component(
        kind="variable",
        type="test_lookup",
        function=lambda event, parameters: None,
        parameters_type=Parameters,
        module=__name__,
        read=read_status,
        is_asynchronous=True,
    )
    yield
    del known["test_lookup"]


@pytest.mark.usefixtures("lookup")
def test_lookups_stand_in_the_order_in_which_they_need_each_other():
    # SPEC: sandbox-api 5.10.3.9: resolve transitively before the tag starts
    variables = (
        Variable("Plain", "constant", {"value": "{{Second}}"}),
        Variable("Second", "test_lookup", {"value": ["{{First}}", "{{Plain}}"]}),
        Variable("First", "test_lookup", {"value": 1}),
        Variable("Unused", "test_lookup", {"value": 1}),
        Variable("Formed", "constant", {"value": 1}, FormatValue(null_to="{{First}}")),
    )
    tags = tags_of(
        Tag("T", "probe", parameters={"anything": {"a": ["{{Plain}}", "{{Event Name}}"]}}),
        Tag("U", "probe", parameters={"anything": "{{Formed}}"}),
        Tag("V", "probe", parameters={"anything": "{{Event Name}}"}),
        variables=variables,
    )
    assert tags["T"].awaits == ((2,), (1,))
    assert tags["U"].awaits == ((2,),)
    assert tags["V"].awaits == ()


# -- what cannot be compiled ---------------------------------------------------------------------


def test_leniently_what_is_unknown_costs_only_what_depends_on_it(caplog):
    model = ContainerVersion(
        clients=(Client("Template", "cvt_1"), Client("JSON", "json", parameters={"paths": ["/a"]})),
        variables=(Variable("Template", "cvt_2"),),
        tags=(
            Tag("Template", "cvt_3", ("All Events",)),
            Tag("Bad", "http_request", ("All Events",), parameters={"url": 5}),
            Tag(
                "Good", "probe", ("All Events",), parameters={"anything": ["{{Template}}", "{{Event Name}}"]}
            ),
        ),
    )
    container = compile_container(model, lenient=True)
    assert [client.name for client in container.clients] == ["JSON"]
    assert [tag.name for tag in container.tags_for("e")] == list(container.tags_by_name) == ["Good"]
    view = View(make_event({"event_name": "e"}, make_request(), "", 0), container)
    assert container.tags[0].parameters(view).anything == ["e"]
    for words in (
        "it claims nothing",
        "it is undefined",
        """tag "Template": 'cvt_3' is not a type of tag; it never fires""",
        'tag "Bad"',
    ):
        assert words in caplog.text
    with pytest.raises(ContainerError):
        compile_container(model)


# -- clients -------------------------------------------------------------------------------------


def client_parameters(parameters, *variables, lenient=False):
    model = ContainerVersion(
        clients=(Client("C", "json", parameters=parameters),), variables=tuple(variables)
    )
    return [one.parameters for one in compile_container(model, lenient=lenient).clients]


def test_a_client_may_use_constants():
    # SPEC: sandbox-api 5.10.2, K7, K8: client parameters of exports hold references
    variables = (
        Variable("Path", "constant", {"value": "/{{Name}}"}),
        Variable("Name", "constant", {"value": "ORDERS"}, FormatValue(case="lowercase")),
    )
    (parameters,) = client_parameters({"paths": ["{{Path}}", "/b", "/x{{Path}}"]}, *variables)
    assert parameters.paths == ("/orders", "/b", "/x/orders")


def test_a_client_that_needs_an_event_does_without_or_is_left_out():
    per_event = Variable("V", "event_data", {"key_path": "v", "default": "/all"})
    through = Variable("W", "constant", {"value": "{{V}}"})
    (parameters,) = client_parameters({"paths": ["{{W}}", "/b"]}, per_event, through)
    assert parameters.paths == ("/b",)
    # a list that would be empty may mean "any"
    assert client_parameters({"paths": ["{{V}}"]}, per_event, lenient=True) == []
    with pytest.raises(ContainerError):
        client_parameters({"paths": ["{{V}}"]}, per_event)


def test_a_name_that_nobody_declares_is_undefined():
    # SPEC: sandbox-api 5.10.3.2
    container = compile_container(
        ContainerVersion(tags=(Tag("T", "probe", parameters={"anything": "{{No}}"}),))
    )
    view = View(make_event({"event_name": "e"}, make_request(), "", 0), container)
    assert view.value(0) is undefined
