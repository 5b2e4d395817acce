"""Which tags see which transformations, in what order, and what nobody gets to see."""

import pytest
from cases import make_request

from sgtm.container.compile import compile_container
from sgtm.container.container import View
from sgtm.container.model import (
    AffectedTagType,
    ContainerVersion,
    Preparation,
    Tag,
    Transformation,
    Variable,
)
from sgtm.container.transformations import UndeterminedError, UnknownTransformationError
from sgtm.event import make_event, undefined
from sgtm.messages import Dropped
from sgtm.triggers.condition import Condition

pytestmark = pytest.mark.usefixtures("probe")

TAGS = (
    Tag("A", "probe", ("All Events",), parameters={"anything": "{{V}}"}),
    Tag("B", "probe", ("All Events",), parameters={"anything": "{{V}}"}),
    Tag("Web", "http_request", ("All Events",), parameters={"url": "https://a.example/"}),
)
V = Variable("V", "event_data", {"key_path": "v"})


def container_of(*transformations, variables=(V,), lenient=False, **more):
    model = ContainerVersion(variables=variables, tags=TAGS, transformations=transformations, **more)
    return compile_container(model, lenient=lenient)


def view_of(container, **data):
    return View(make_event({"event_name": "purchase", **data}, make_request(), "", 0), container)


def augment(name="T", value="new", **more):
    more.setdefault("all_tags_except", not {"affected_tags", "affected_tag_types"} & more.keys())
    parameters = {"parameters": {"v": value}}
    return Transformation(name=name, type="augment_event", parameters=parameters, **more)


def reached(transformation):
    return [tag.name for tag in container_of(transformation).tags if tag.transformations]


PROBES = AffectedTagType("probe")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # SPEC: sandbox-api 5.8: both lists empty and allTagsExcept = all tags
        ({"all_tags_except": True}, ["A", "B", "Web"]),
        ({"all_tags_except": False}, []),
        ({"affected_tags": ("B", "Web")}, ["B", "Web"]),
        ({"affected_tags": ("B",), "all_tags_except": True}, ["A", "Web"]),
        ({"affected_tag_types": (PROBES,)}, ["A", "B"]),
        ({"affected_tag_types": (PROBES,), "all_tags_except": True}, ["Web"]),
        # SPEC: sandbox-api 5.10.1, W2: exceptions of a type
        ({"affected_tag_types": (AffectedTagType("probe", ("B",)),)}, ["A"]),
        (
            {"affected_tag_types": (AffectedTagType("probe", ("B",)),), "affected_tags": ("Web",)},
            ["A", "Web"],
        ),
        ({"affected_tag_types": (AffectedTagType("probe", ("B",)),), "all_tags_except": True}, ["B", "Web"]),
        # SPEC: sandbox-api 5.10.3.5: names of what is not there affect nothing, never everything
        ({"affected_tags": ("Gone",)}, []),
        ({"affected_tags": ("Gone",), "all_tags_except": True}, []),
        ({"affected_tag_types": (AffectedTagType("ga4"),), "all_tags_except": True}, []),
        (
            {"affected_tag_types": (AffectedTagType("probe", ("A", "B")),), "all_tags_except": True},
            ["A", "B", "Web"],
        ),
    ],
    ids=range(13),
)
def test_a_transformation_reaches_the_tags_that_it_names(said, expected):
    assert reached(augment(**said)) == expected


def test_an_alias_is_the_same_type():
    tags = (Tag("G", "sgtmgaaw", ("All Events",)),)
    model = ContainerVersion(
        tags=tags, transformations=(augment(affected_tag_types=(AffectedTagType("ga4"),)),)
    )
    assert len(compile_container(model).tags[0].transformations) == 1


def test_the_higher_priority_is_applied_first_then_list_order():
    # SPEC: sandbox-api 5.10.4, A8
    container = container_of(
        augment("third", "{{V}}3", priority=-1),
        augment("paused", "never", is_paused=True),
        augment("second", "{{V}}2"),
        augment("first", "{{V}}1", priority=5),
        augment("also second", "{{V}}x"),
    )
    tag = container.tags[0]
    names = ["first", "second", "also second", "third"]
    assert [one.name for one in tag.transformations] == names
    # SPEC: sandbox-api 5.10.1, W1: variables are evaluated every time a transformation runs
    assert view_of(container, v="0").for_tag(tag).event.get("v") == "012x3"


def test_what_is_excluded_reaches_a_tag_by_no_variable():
    # SPEC: sandbox-api 5.10.1, W1; 5.10.4, A1
    exclude = Transformation("T", "exclude_parameters", affected_tags=("A",), parameters={"names": ["v"]})
    container = container_of(exclude)
    view = view_of(container, v="secret")
    assert view.value(0) == "secret"
    a, b = (view.for_tag(tag) for tag in container.tags[:2])
    assert a.value(0) is undefined
    assert container.tags[0].parameters(a).anything is undefined
    assert b is view
    assert container.tags[1].parameters(b).anything == "secret"


def test_a_parameter_that_is_undefined_is_taken_out():
    # so that nothing stays that was to be replaced
    container = container_of(augment(value="{{Clean}}"))
    view = view_of(container, v="secret")
    assert "v" not in view.for_tag(container.tags[0]).event.data


def test_conditions_of_a_transformation_look_at_what_the_one_before_has_left():
    first = augment("first", "a", priority=1)
    second = augment("second", "b", conditions=(Condition("{{V}}", "equals", "a"),))
    third = augment("third", "c", conditions=(Condition("{{V}}", "equals", "a"),), priority=-1)
    container = container_of(first, second, third)
    assert view_of(container, v="x").for_tag(container.tags[0]).event.get("v") == "b"


def deep():
    """Nested too deeply to become a text."""
    value = []
    for _ in range(10_000):
        value = [value]
    return value


def test_conditions_that_cannot_be_evaluated_keep_the_tag_from_firing():
    # it may have been there to hide something (SPEC: sandbox-api 5.10.4, A12: fail safe)
    container = container_of(augment(conditions=(Condition("{{V}}", "equals", "a"),), affected_tags=("A",)))
    view = view_of(container, v=deep())
    with pytest.raises(UndeterminedError):
        view.for_tag(container.tags[0])
    assert view.for_tag(container.tags[1]) is view


@pytest.mark.parametrize(("type_", "parameters"), [("cvt_unknown", {}), ("exclude_parameters", {"name": 1})])
def test_leniently_an_unknown_transformation_keeps_its_tags_from_firing(type_, parameters, caplog):
    one = Transformation(
        "T",
        type_,
        affected_tags=("A",),
        conditions=(Condition("{{V}}", "equals", "a"),),
        parameters=parameters,
    )
    container = container_of(one, lenient=True)
    assert 'transformation "T"' in caplog.text
    for value, fires in (("a", False), ("b", True)):
        view = view_of(container, v=value)
        if fires:
            assert view.for_tag(container.tags[0]) is view
        else:
            with pytest.raises(UnknownTransformationError):
                view.for_tag(container.tags[0])
        assert view.for_tag(container.tags[1]) is view


# -- preparations --------------------------------------------------------------------------------


def test_preparations_are_compiled_in_list_order_without_the_paused_ones():
    # SPEC: requirements R162, R163
    container = container_of(
        preparations=(
            Preparation("b", "augment_event", parameters={"parameters": {"v": "x"}}),
            Preparation("p", "drop_event", is_paused=True),
            Preparation(
                "a", "drop_event", conditions=(Condition("{{V}}", "equals", "x"),), parameters={"reason": "r"}
            ),
        )
    )
    assert [one.name for one in container.preparations] == ["b", "a"]
    first, second = container.preparations
    view = view_of(container, v="x")
    assert first.applies(view)
    assert first.transform(view) == {"event_name": "purchase", "v": "x"}
    assert second.applies(view)
    assert second.transform(view) == Dropped("r")
    assert not second.applies(view_of(container, v="y"))


# -- explain -------------------------------------------------------------------------------------


def test_a_step_is_shown_with_what_was_before_and_after():
    # SPEC: requirements R164
    container = container_of(augment(), augment("U", conditions=(Condition("{{V}}", "equals", "A"),)))
    one, other = container.tags[0].transformations
    view = view_of(container, v="a")
    walked = one.explain(view)
    assert (walked.has_applied, walked.before["v"], walked.after["v"]) == (True, "a", "new")
    walked = other.explain(view)
    assert (walked.has_applied, walked.after["v"], walked.failed.value) == (False, "a", "a")
    assert "capital letters" in walked.reason


def test_a_drop_and_a_failure_are_shown_in_words():
    drop = Preparation("D", "drop_event", parameters={"reason": "a bot"})
    container = container_of(
        Transformation("T", "cvt_x", all_tags_except=True), preparations=(drop,), lenient=True
    )
    view = view_of(container)
    assert container.preparations[0].explain(view).reason == "dropped the event: a bot"
    walked = container.tags[0].transformations[0].explain(view)
    assert (walked.has_applied, walked.reason) == (False, "raised UnknownTransformationError")
