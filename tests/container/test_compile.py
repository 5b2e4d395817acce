"""What a container means: order, index, variables, secrets, consent, versions."""

import logging

import pytest
from cases import make_request

from sgtm.component import Secret
from sgtm.container.clients import origins_of
from sgtm.container.compile import compile_container, load_container, version_of
from sgtm.container.container import View
from sgtm.container.model import Client, ConsentPolicy, ContainerVersion, Tag, Variable
from sgtm.container.native import read_source
from sgtm.delivery.credentials import CredentialSource
from sgtm.errors import ContainerError, ParametersError
from sgtm.event import make_event, undefined
from sgtm.triggers.trigger import AllEvents, CustomEvent

pytestmark = pytest.mark.usefixtures("probe")


def container_of(text, **environment):
    reading = read_source(b"sgtm: 1\n" + text.encode(), environment=environment)
    assert reading.report.problems == []
    return compile_container(reading.model, reading.source)


def view_of(container, name="purchase", request=None, **data):
    return View(make_event({"event_name": name, **data}, make_request(request), "Orders", 0), container)


def parameters_of(parameters, variables=(), **data):
    """Parameters of one probe tag for one event."""
    tag = Tag(name="T", type="probe", parameters=parameters)
    container = compile_container(ContainerVersion(tags=(tag,), variables=tuple(variables)))
    return container.tags[0].parameters(view_of(container, **data))


def constant(name, value):
    return Variable(name=name, type="constant", parameters={"value": value})


def event_data(name, key_path):
    return Variable(name=name, type="event_data", parameters={"key_path": key_path})


# -- order and index ---------------------------------------------------------------------------


def test_clients_stand_in_claim_order_and_paused_ones_are_gone():
    # SPEC: requirements X1, R40, R42: higher number first, ties in list order.
    names = [("a", 1, False), ("b", 9, True), ("c", 5, False), ("d", 1, False), ("e", -1, False)]
    clients = tuple(
        Client(
            name=name, type="json", priority=priority, is_paused=paused, parameters={"paths": [f"/{name}"]}
        )
        for name, priority, paused in names
    )
    container = compile_container(ContainerVersion(clients=clients))
    assert [client.name for client in container.clients] == ["c", "a", "d", "e"]
    assert container.clients[0].paths == ("/c",)


def test_tags_are_found_by_event_name_in_firing_order():
    tags = (
        Tag(name="every", type="probe", firing_triggers=("All Events",)),
        Tag(name="sale", type="probe", firing_triggers=("Sales",)),
        Tag(name="first", type="probe", firing_triggers=("Sales", "Views"), priority=5),
        Tag(name="paused", type="probe", firing_triggers=("Sales",), is_paused=True),
        Tag(name="own", type="probe", firing_triggers=("Mine",), priority=-1),
        Tag(name="never", type="probe", firing_triggers=("Unknown",)),
    )
    triggers = (
        CustomEvent("Sales", ("purchase", "refund")),
        CustomEvent("Views", ("page_view",)),
        AllEvents("Mine"),
    )
    container = compile_container(ContainerVersion(tags=tags, triggers=triggers))
    fired = {
        name: [tag.name for tag in container.tags_for(name)]
        for name in ("purchase", "refund", "page_view", "scroll", "Purchase", "")
    }
    assert fired["purchase"] == fired["refund"] == ["first", "every", "sale", "own"]
    assert fired["page_view"] == ["first", "every", "own"]
    # Event names are compared exactly: a name that no trigger has reaches the tags of every event.
    assert fired["scroll"] == fired["Purchase"] == fired[""] == ["every", "own"]


def test_a_trigger_of_the_container_wins_over_the_built_in_one_of_its_name():
    tag = Tag(name="T", type="probe", firing_triggers=("All Events",))
    container = compile_container(
        ContainerVersion(tags=(tag,), triggers=(CustomEvent("All Events", ("a",)),))
    )
    assert container.tags_for("b") == ()


# -- variables in parameters -------------------------------------------------------------------


def test_parameters_without_references_are_one_struct_for_all_events():
    tag = Tag(name="T", type="probe")
    container = compile_container(ContainerVersion(tags=(tag,)))
    parameters = container.tags[0].parameters
    assert parameters(view_of(container)) is parameters(view_of(container, name="other"))


def test_a_whole_value_is_typed_and_a_part_is_text():
    variables = [event_data("Value", "value"), event_data("Items", "items")]
    found = parameters_of(
        {"anything": {"v": "{{Value}}", "t": "EUR {{Value}}", "i": ["{{Items}}", "{{No}}"]}},
        variables,
        value=10.0,
        items=[1, 2],
    )
    assert found.anything == {"v": 10.0, "t": "EUR 10", "i": [[1, 2]]}


def test_a_field_whose_reference_is_undefined_is_absent():
    # SPEC: sandbox-api 5.10.3.7
    assert (
        parameters_of({"anything": "{{Order}}"}, [event_data("Order", "transaction_id")]).anything
        is undefined
    )
    assert parameters_of({"texts": {"X": "{{Order}}", "Y": "y"}}, [event_data("Order", "no")]).texts == {
        "Y": "y"
    }


@pytest.mark.parametrize(("value", "text"), [(123, "123"), (10.0, "10"), (True, "true"), ([1, "a"], "1,a")])
def test_a_typed_value_becomes_text_where_only_text_belongs(value, text):
    assert parameters_of({"text": "{{X}}"}, [constant("X", value)]).text == text


def test_a_typed_value_becomes_text_deep_inside_too():
    assert parameters_of({"texts": {"a": "{{X}}", "b": "{{No}}"}}, [constant("X", 5)]).texts == {"a": "5"}


def test_a_number_as_text_is_a_number_where_one_belongs_and_null_is_absent_where_text_belongs():
    assert parameters_of({"numbers": ["{{X}}"]}, [constant("X", "201")]).numbers == (201,)
    assert parameters_of({"text": "{{X}}"}, [event_data("X", "x")], x=None).text == ""


def test_values_that_do_not_fit_are_an_error_that_names_the_field_and_no_value():
    with pytest.raises(ParametersError) as raised:
        parameters_of({"choice": "{{X}}"}, [event_data("X", "email")], email="me@shop.example")
    assert str(raised.value) == "tag 'T': choice: a value that does not fit"
    with pytest.raises(ParametersError) as raised:
        parameters_of({"numbers": ["{{X}}"]}, [event_data("X", "x")], x={"secret": 1})
    assert str(raised.value) == "tag 'T': numbers.0: Expected `int`, got `object`"


def test_converted_parameters_are_kept_while_the_variables_have_the_very_same_values():
    tag = Tag(name="T", type="probe", parameters={"text": "https://a.example/{{Shop}}/{{Page}}"})
    model = ContainerVersion(tags=(tag,), variables=(constant("Shop", "s"), event_data("Page", "page")))
    container = compile_container(model)
    parameters = container.tags[0].parameters
    first = parameters(view_of(container, page="a"))
    assert parameters(view_of(container, page="a")) is first
    assert parameters(view_of(container, page="b")).text == "https://a.example/s/b"
    assert parameters(view_of(container, page="a")) == first


def test_a_failed_conversion_leaves_nothing_behind():
    tag = Tag(name="T", type="probe", parameters={"numbers": ["{{X}}"]})
    container = compile_container(ContainerVersion(tags=(tag,), variables=(event_data("X", "x"),)))
    parameters = container.tags[0].parameters
    assert parameters(view_of(container, x=200)).numbers == (200,)
    for _ in range(2):
        with pytest.raises(ParametersError):
            parameters(view_of(container, x="no"))
    assert parameters(view_of(container, x=204)).numbers == (204,)


def test_a_variable_is_evaluated_once_per_view():
    # SPEC: sandbox-api 5.10.4, A1
    container = compile_container(
        ContainerVersion(
            tags=(Tag(name="T", type="probe", parameters={"texts": {"A": "{{R}}", "B": "{{R}}"}}),),
            variables=(constant("R", "{{Random Number}}"),),
        )
    )
    texts = container.tags[0].parameters(view_of(container)).texts
    assert texts["A"] == texts["B"]


def test_variables_use_variables_and_a_circle_is_undefined():
    # SPEC: sandbox-api 5.10.4, A13
    chain = [constant("A", "{{B}}{{B}}"), constant("B", "{{C}}!"), constant("C", "c")]
    assert parameters_of({"text": "{{A}}"}, chain).text == "c!c!"
    circle = [constant("A", "<{{B}}>"), constant("B", "({{A}})")]
    assert parameters_of({"text": "{{A}}"}, circle).text == "<()>"


def test_a_variable_that_throws_is_false_and_is_named(caplog):
    # SPEC: sandbox-api 5.10.4, A14. Without a name the query variable has nothing to read: it cannot be made.
    broken = Variable(name="Broken", type="query_parameter", parameters={"name": "{{Nothing}}"})
    tag = Tag(name="T", type="probe", parameters={"anything": "{{Broken}}"})
    container = compile_container(ContainerVersion(tags=(tag,), variables=(broken,)))
    for _ in range(2):
        view = view_of(container)
        with caplog.at_level(logging.WARNING):
            assert container.tags[0].parameters(view).anything is False
        assert view.failed_variables == ("Broken",)
    assert len(caplog.records) == 1
    assert "'Broken'" in caplog.text


def test_a_reference_to_nothing_is_undefined_and_the_container_loads():
    # SPEC: sandbox-api 5.10.3.2
    assert parameters_of({"anything": "{{Nobody}}"}).anything is undefined


# -- secrets, consent, origins, version --------------------------------------------------------


def test_secrets_are_named_and_kept_apart():
    container = container_of(
        """consent: {unset: granted, gate: declared}
clients: [{name: Orders, type: json, parameters: {paths: [/orders]}}]
tags:
- {name: A, type: probe, firing_triggers: [All Events], parameters: {secret: "${TOKEN}"}}
- {name: B, type: probe, firing_triggers: [All Events], parameters: {secret: "${OTHER:-x}"}}
""",
        TOKEN="value",
    )
    first, second = (tag.parameters(view_of(container)) for tag in container.tags)
    assert (first.secret, second.secret) == (Secret("TOKEN"), Secret("tags.B.secret"))
    assert container.credentials == {
        "TOKEN": CredentialSource(environment="TOKEN"),
        "tags.B.secret": CredentialSource(literal="x"),
    }


@pytest.mark.parametrize(
    ("policy", "consent", "type_", "required"),
    [  # SPEC: design.md, "Consent gates tags and cookies"; R170, R173
        (ConsentPolicy("denied", "all"), None, "meta_conversions", "the type's"),
        (ConsentPolicy("denied", "all"), ("analytics_storage",), "meta_conversions", ("analytics_storage",)),
        (ConsentPolicy("denied", "all"), (), "meta_conversions", ()),
        (ConsentPolicy("granted", "declared"), None, "meta_conversions", ()),
        (ConsentPolicy("granted", "declared"), ("ad_storage",), "meta_conversions", ("ad_storage",)),
        (ConsentPolicy(), None, "meta_conversions", "the type's"),
    ],
)
def test_a_tag_needs_its_own_consent_or_what_the_gate_asks_of_its_type(policy, consent, type_, required):
    tag = Tag(
        name="T", type=type_, consent=consent, parameters={"pixel_id": "1", "access_token": Secret("x")}
    )
    (compiled,) = compile_container(ContainerVersion(consent=policy, tags=(tag,))).tags
    assert compiled.required_consent == (compiled.component.consent if required == "the type's" else required)
    assert compiled.component.consent


def test_silence_about_unset_is_denied():
    assert not compile_container(ContainerVersion()).is_unset_consent_granted
    assert compile_container(ContainerVersion(consent=ConsentPolicy("granted"))).is_unset_consent_granted


def test_origins_are_exact_or_any_host_below_one():
    origins = origins_of(["https://Shop.example", "https://*.shop.example"])
    assert origins.allows("https://shop.example")
    assert origins.allows("https://www.SHOP.example")
    for other in (
        "http://shop.example",
        "https://evilshop.example",
        "https://shop.example.evil.example",
        "null",
    ):
        assert not origins.allows(other)
    assert origins_of([]).allows("null")


@pytest.mark.parametrize("hidden", ["evil.example/", "evil.example#", "evil.example:1", "a@b", "", "a..b"])
def test_no_wildcard_stands_for_more_than_a_part_of_a_host(hidden):
    # SPEC: reliability 5 rule 10: the parsed origin is compared, not how the text ends.
    assert not origins_of(["https://*.shop.example"]).allows(f"https://{hidden}.shop.example")


def test_the_version_is_a_short_hash_of_the_source():
    assert version_of(b"a") == version_of(b"a") != version_of(b"b")
    assert len(version_of(b"")) == 12


# -- loading -----------------------------------------------------------------------------------


def test_a_file_is_loaded_and_a_broken_one_is_refused_with_all_its_problems(tmp_path):
    path = tmp_path / "container.yaml"
    path.write_text("sgtm: 1\nname: ${NAME}\nclients: [{name: A, type: json, parameters: {paths: [/a]}}]\n")
    container = load_container(path, {"NAME": "shop"})
    assert (container.name, container.version) == ("shop", version_of(path.read_bytes()))
    with pytest.raises(ContainerError) as raised:
        load_container(path, {})
    assert [problem.what for problem in raised.value.problems] == ["the environment has no variable NAME"]


@pytest.mark.parametrize(
    "tag", [Tag(name="T", type="nothing"), Tag(name="T", type="probe", parameters={"number": -1})]
)
def test_a_model_that_cannot_run_is_refused_without_a_check_too(tag):
    with pytest.raises(ContainerError):
        compile_container(ContainerVersion(tags=(tag,)))


# -- consent of clients --------------------------------------------------------------------------


@pytest.mark.parametrize("unset", ["denied", "granted"])
def test_a_client_that_keeps_cookies_follows_the_container(unset):
    client = Client(name="GA4", type="ga4", parameters={})
    model = ContainerVersion(clients=(client,), consent=ConsentPolicy(unset=unset, gate="declared"))
    assert compile_container(model).clients[0].parameters.unset_consent == unset


def test_a_client_may_say_otherwise_than_the_container():
    client = Client(name="GA4", type="ga4", parameters={"unset_consent": "granted"})
    model = ContainerVersion(clients=(client,), consent=ConsentPolicy(unset="denied", gate="declared"))
    assert compile_container(model).clients[0].parameters.unset_consent == "granted"


def test_a_client_takes_silence_about_consent_as_denied():
    # model.py: silence is the strict reading
    model = ContainerVersion(clients=(Client(name="GA4", type="ga4"),))
    assert compile_container(model).clients[0].parameters.unset_consent == "denied"


def test_a_chain_of_variables_as_long_as_a_container_compiles_and_runs():
    chain = [
        Variable(f"V{i}", "constant", {"value": f"{{{{V{i + 1}}}}}"}) for i in range(1_500)
    ]  # deeper than the interpreter goes
    model = ContainerVersion(
        variables=tuple(chain), tags=(Tag("T", "probe", parameters={"anything": "{{V0}}"}),)
    )
    container = compile_container(model)
    view = view_of(container)
    assert container.tags[0].parameters(view).anything in (False, undefined)  # as one that raises is


def test_what_nobody_foresaw_refuses_a_container(tmp_path, monkeypatch):
    # SPEC: requirements R288: the watcher and the workers go on
    def explode(*_, **__):
        raise RecursionError

    monkeypatch.setattr("sgtm.container.compile.compile_container", explode)
    file = tmp_path / "container.yaml"
    file.write_text("sgtm: 1\n")
    with pytest.raises(ContainerError) as caught:
        load_container(file)
    assert [problem.what for problem in caught.value.problems] == ["cannot be compiled: RecursionError"]
