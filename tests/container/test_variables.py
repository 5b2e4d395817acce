"""Variables, compiled: format value, what is read only when it is needed, lookups, what throws."""

from typing import Any

import pytest
from cases import make_request
from msgspec import Struct

from sgtm import component
from sgtm.component import Component, read_status
from sgtm.container.compile import compile_container, version_of
from sgtm.container.container import View
from sgtm.container.model import ContainerVersion, FormatValue, Tag, Variable
from sgtm.event import make_event, undefined
from sgtm.messages import Lookup, OutgoingRequest
from sgtm.variables import lookup_table

pytestmark = pytest.mark.usefixtures("probe")


class Asked(Struct, frozen=True):
    key: str = "k"
    default: Any = undefined


def look_up(event, parameters: Asked):
    request = OutgoingRequest("GET", "https://store.example/")
    return Lookup(f"key of {parameters.key}", request, bytes, parameters.default)


def raises(event, parameters: Asked):
    raise ValueError("personal data")


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    """Registers two variable types: one that asks elsewhere and one that raises."""
    component.find("variable", "")
    for type_, function in (("test_store", look_up), ("test_raises", raises)):
        made = Component(
            kind="variable",
            type=type_,
            function=function,
            parameters_type=Asked,
            module=__name__,
            is_asynchronous=function is look_up,
            read=read_status,
        )
        monkeypatch.setitem(component._REGISTRY["variable"], type_, made)


def constant(name, value, **more):
    return Variable(name=name, type="constant", parameters={"value": value}, **more)


def ask(name, key="k", **more):
    return Variable(name=name, type="test_store", parameters={"key": key, **more})


def compiled(*variables, wanted="{{V}}", **model):
    tag = Tag(name="T", type="probe", parameters={"anything": wanted})
    return compile_container(ContainerVersion(tags=(tag,), variables=variables, **model), b"source")


def view_of(container, **data):
    return View(make_event({"event_name": "e", **data}, make_request(), "GA4", 0), container)


def value_of(*variables, wanted="{{V}}", data=None, **model):
    container = compiled(*variables, wanted=wanted, **model)
    return container.tags[0].parameters(view_of(container, **(data or {}))).anything


def formatted(value, **form):
    return value_of(constant("V", value, format_value=FormatValue(**form)))


# -- format value (SPEC: sandbox-api 5.10.4, A15; google-runtime 1) ------------------------------


@pytest.mark.parametrize(
    ("value", "form", "result"),
    [
        ("MiXed", {"case": "lowercase"}, "mixed"),
        ("MiXed", {"case": "uppercase"}, "MIXED"),
        (["MiXed"], {"case": "lowercase"}, ["MiXed"]),
        (None, {"null_to": "none"}, "none"),
        (True, {"true_to": "yes"}, "yes"),
        (False, {"false_to": 0}, 0),
        # identity: no text, no number is one of the four
        ("true", {"true_to": "yes"}, "true"),
        (1, {"true_to": "yes"}, 1),
        (0, {"false_to": "no"}, 0),
        ("", {"empty_to": "none"}, "none"),  # SPEC: requirements R154
        ("", {"empty_to": None, "null_to": "none"}, "none"),
        (0, {"empty_to": "none"}, 0),
        (None, {"empty_to": "none"}, None),
        ("", {"null_to": "none", "undefined_to": "none", "false_to": "none"}, ""),
        # each on the result of the one before
        (None, {"null_to": True, "true_to": "yes"}, "yes"),
        (True, {"true_to": False, "false_to": "no"}, "no"),
        (False, {"false_to": True, "true_to": "yes"}, True),
        # a text that was put in is not cased again
        (None, {"case": "lowercase", "null_to": "NONE"}, "NONE"),
        ("x", {}, "x"),
    ],
)
def test_a_value_is_formatted_step_by_step(value, form, result):
    assert formatted(value, **form) == result
    assert type(formatted(value, **form)) is type(result)


def test_what_is_missing_may_become_a_value_and_a_replacement_may_be_a_variable():
    missing = Variable(
        name="V",
        type="event_data",
        parameters={"key_path": "none"},
        format_value=FormatValue(undefined_to="<{{Other}}>", null_to="{{Other}}"),
    )
    assert value_of(missing, constant("Other", 5)) == "<5>"
    null = constant("V", None, format_value=FormatValue(null_to="{{Other}}"))
    assert value_of(null, constant("Other", 5)) == 5


def test_the_default_comes_before_the_format():
    shown = Variable(
        name="V",
        type="event_data",
        parameters={"key_path": "none", "default": "NONE"},
        format_value=FormatValue(case="lowercase", undefined_to="x"),
    )
    assert value_of(shown) == "none"


def test_a_variable_that_raises_is_false_and_is_not_formatted(caplog):
    # SPEC: sandbox-api 5.10.4, A14
    broken = Variable(
        name="V",
        type="test_raises",
        parameters={"default": "d"},
        format_value=FormatValue(false_to="no", undefined_to="u"),
    )
    container = compiled(broken)
    view = view_of(container)
    assert container.tags[0].parameters(view).anything is False
    assert view.failed_variables == ("V",)
    assert "personal data" not in caplog.text


def test_variables_in_a_circle_are_undefined():
    # SPEC: sandbox-api 5.10.4, A13; also through a format
    first = constant("V", None, format_value=FormatValue(null_to="{{W}}"))
    second = constant("W", "{{V}}")
    assert value_of(first, second) is undefined


# -- read only when needed -----------------------------------------------------------------------


def table(rows, **more):
    return Variable(name="V", type="lookup_table", parameters={"input": "{{In}}", "rows": rows, **more})


def test_only_the_variable_of_the_chosen_row_is_read():
    broken = Variable(name="Broken", type="test_raises")
    rows = [{"key": "a", "value": "{{Broken}}"}, {"key": "b", "value": "{{Fine}}"}]
    container = compiled(
        table(rows, default="{{Broken}}"), constant("In", "b"), broken, constant("Fine", {"x": 1})
    )
    view = view_of(container)
    assert container.tags[0].parameters(view).anything == {"x": 1}
    assert view.failed_variables == ()


@pytest.mark.parametrize(("text", "value"), [("a", 1), ("b", "<1>"), ("c", [1]), ("d", "other 1")])
def test_rows_and_defaults_may_hold_variables_anywhere(text, value):
    rows = [
        {"key": "a", "value": "{{One}}"},
        {"key": "{{B}}", "value": "<{{One}}>"},
        {"key": "c", "value": ["{{One}}"]},
    ]
    variables = (constant("In", text), constant("One", 1), constant("B", "b"))
    assert value_of(table(rows, default="other {{One}}"), *variables) == value


def test_a_table_within_a_table_is_read_to_the_end():
    # SPEC: sandbox-api 5.10.3.10
    inner = Variable(
        name="Inner",
        type="lookup_table",
        parameters={"input": "{{Event Name}}", "rows": [{"key": "e", "value": "{{One}}"}]},
    )
    assert (
        value_of(table([{"key": "1", "value": "{{Inner}}"}]), constant("In", 1), inner, constant("One", 1))
        == 1
    )


def regex(rows, **more):
    return Variable(name="V", type="regex_table", parameters={"input": "{{In}}", "rows": rows, **more})


def test_a_replacement_and_a_pattern_may_hold_variables():
    rows = [{"pattern": "{{Name}}-(\\d+)", "value": "$1 of {{Name}}"}, {"pattern": "x", "value": "y"}]
    said = {"replace_after_match": True, "default": "{{Name}}"}
    name = constant("Name", "order")
    assert value_of(regex(rows, **said), constant("In", "order-7"), name) == "7 of order"
    assert value_of(regex(rows, **said), constant("In", "axa"), name) == "aya"
    assert value_of(regex(rows, **said), constant("In", "none"), name) == "order"


@pytest.mark.parametrize("pattern", ["(", "{{Bad}}"])
def test_a_pattern_that_is_none_makes_the_table_false_whatever_its_default(pattern):
    # SPEC: google-runtime 3: an invalid expression throws, even if a default exists
    rows = [{"pattern": "nothing", "value": 1}, {"pattern": pattern, "value": 2}]
    assert value_of(regex(rows, default="d"), constant("In", "x"), constant("Bad", "(")) is False


def test_a_row_above_the_broken_pattern_matches_all_the_same():
    # Google's table looks at its rows in order
    rows = [{"pattern": "x", "value": 1}, {"pattern": "(", "value": 2}]
    assert value_of(regex(rows), constant("In", "x")) == 1


# -- lookups (SPEC: requirements R152; sandbox-api 5.10.3.9) -------------------------------------


def test_a_lookup_is_left_for_a_tag_and_until_then_the_variable_has_its_default():
    shown = FormatValue(case="uppercase", undefined_to="nothing")
    store = Variable(name="Store", type="test_store", parameters={"default": "{{D}}"}, format_value=shown)
    container = compiled(store, constant("D", "deferred"), wanted="<{{Store}}>")
    view = view_of(container)
    assert container.tags[0].parameters(view).anything == "<DEFERRED>"
    ((slot,),) = container.tags[0].awaits
    assert view.lookup(slot).default == "deferred"
    assert view.lookup(slot) is view.lookup(slot), "another tag waits for the same"
    view.found(slot, "found")
    assert view.lookup(slot) is None
    assert container.tags[0].parameters(view).anything == "<FOUND>"
    view.found(slot, undefined)
    assert container.tags[0].parameters(view).anything == "<nothing>"


def test_a_tag_awaits_what_its_variables_need_each_after_its_own_needs():
    outer = ask("Outer", "{{Table}}")
    inner = ask("Inner", "{{Event Name}}")
    unused = ask("Unused")
    between = Variable(
        name="Table",
        type="lookup_table",
        parameters={"input": "a", "rows": [{"key": "a", "value": "{{Inner}}"}]},
        format_value=FormatValue(null_to="{{Third}}"),
    )
    container = compiled(outer, unused, between, inner, ask("Third"), wanted=["{{Outer}}", "{{Inner}}"])
    waves = container.tags[0].awaits
    names = [[container.variables[slot].name for slot in wave] for wave in waves]
    assert names == [["Inner", "Third"], ["Outer"]]
    view = view_of(container)
    view.found(waves[0][0], "inside")
    assert view.lookup(waves[1][0]).key == "key of inside"


def test_a_tag_without_lookups_awaits_nothing():
    assert compiled(constant("V", 1)).tags[0].awaits == ()


# -- what the container says of itself -----------------------------------------------------------


def test_variables_that_tell_of_the_container_are_given_what_it_says():
    names = ("container_id", "container_version", "environment_name")
    variables = tuple(Variable(name=name, type=name) for name in names)
    wanted = [f"{{{{{name}}}}}" for name in names]
    said = {"container_id": "GTM-1", "version_name": "7", "environment_name": "Staging"}
    assert value_of(*variables, wanted=wanted, **said) == ["GTM-1", "7", "Staging"]
    assert value_of(*variables, wanted=wanted) == [version_of(b"source"), "Live"]


def test_constant_lists_are_the_same_object_for_each_event():
    container = compiled(table([{"key": "a", "value": "{{One}}"}]), constant("One", 1))
    before = len(lookup_table._rows_by_key._kept)
    for number in range(5):
        assert container.tags[0].parameters(view_of(container, n=number)).anything is undefined
    assert len(lookup_table._rows_by_key._kept) <= before + 1
