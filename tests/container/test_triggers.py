"""Which tags an event fires: index, alternatives, exceptions, and how a person is told."""

import pytest
from cases import make_request
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.container.compile import compile_container
from sgtm.container.container import View
from sgtm.container.model import ContainerVersion, Tag, Variable
from sgtm.event import make_event
from sgtm.triggers.condition import Condition
from sgtm.triggers.trigger import AllEvents, CustomEvent

pytestmark = pytest.mark.usefixtures("probe")


def deep():
    """Nested too deeply to become a text."""
    value = []
    for _ in range(10_000):
        value = [value]
    return value


V = Variable(name="V", type="event_data", parameters={"key_path": "v"})


def container_of(triggers, tags, variables=(V,)):
    return compile_container(
        ContainerVersion(triggers=tuple(triggers), tags=tuple(tags), variables=tuple(variables))
    )


def view_of(container, name="purchase", **data):
    return View(make_event({"event_name": name, **data}, make_request(), "", 0), container)


def tag(name="T", firing=(), blocking=(), **more):
    return Tag(
        name=name, type="probe", firing_triggers=tuple(firing), blocking_triggers=tuple(blocking), **more
    )


def is_(right, value="{{V}}", **more):
    return Condition(value, "equals", right, **more)


def fired(container, name="purchase", **data):
    """Names of the tags that the event fires, each as often as it does."""
    view = view_of(container, name, **data)
    found = []
    for one in container.tags_for(name):
        times = 1 if one.firings is None else one.firings(view)
        found += [one.name] * times
    return found


# -- what fires ----------------------------------------------------------------------------------


def test_conditions_and_names_must_both_hold():
    # SPEC: sandbox-api 5.10.2, K23
    trigger = CustomEvent("Sales", ("purchase",), (is_("a"), Condition("{{V}}", "contains", "a")))
    container = container_of([trigger], [tag(firing=["Sales"])])
    assert fired(container, v="a") == ["T"]
    assert fired(container, v="b") == fired(container, "refund", v="a") == []


def test_triggers_of_a_tag_are_alternatives():
    # SPEC: sandbox-api 5.4: conditions ANDed, triggers ORed
    triggers = [
        AllEvents("A", (is_("a"),)),
        CustomEvent("B", ("refund",)),
        CustomEvent("C", ("purchase",), (is_("c"),)),
    ]
    container = container_of(triggers, [tag(firing=["A", "B", "C", "Nobody"])])
    assert fired(container, v="a") == fired(container, v="c") == fired(container, "refund", v="x") == ["T"]
    assert fired(container, v="b") == fired(container, "refunds") == []


def test_a_trigger_that_does_not_exist_fires_nothing():
    # SPEC: sandbox-api 5.10.3.3
    assert fired(container_of([], [tag(firing=["Nobody"]), tag("U")])) == []


@pytest.mark.parametrize(
    ("blocking", "expected"),
    [
        (["B"], []),
        (["Other", "B"], []),
        (["Other"], ["T"]),
        (["Refunds"], ["T"]),
        (["All Events"], []),
        (["Gone"], []),  # nobody knows any more what it was to keep out
        (["Faulty"], []),  # SPEC: google-runtime 2.2: undetermined, yet it blocks
        (["False, then faulty"], ["T"]),
    ],
)
def test_a_blocking_trigger_wins(blocking, expected):
    # SPEC: sandbox-api 5.4, 5.10.4 A12; requirements R157
    triggers = [
        AllEvents("B", (is_("a"),)),
        AllEvents("Other", (is_("b"),)),
        CustomEvent("Refunds", ("refund",)),
        AllEvents("Faulty", (is_("x", "{{W}}"),)),
        AllEvents("False, then faulty", (is_("b"), is_("x", "{{W}}"))),
    ]
    w = Variable(name="W", type="event_data", parameters={"key_path": "w"})
    container = container_of(triggers, [tag(firing=["All Events"], blocking=blocking)], (V, w))
    assert fired(container, v="a", w=deep()) == expected


def test_a_trigger_that_cannot_be_evaluated_fires_nothing():
    # SPEC: google-runtime 2.2: undetermined: nothing is added
    container = container_of([AllEvents("Faulty", (is_("x"),))], [tag(firing=["Faulty"])])
    assert fired(container, v=deep()) == []
    assert fired(container, v="x") == ["T"]


def test_unlimited_fires_once_for_each_trigger_that_matches():
    # SPEC: sandbox-api 5.10.4, A9
    triggers = [AllEvents("A", (is_("a"),)), CustomEvent("B", ("purchase",)), AllEvents("C", (is_("c"),))]
    firing = ["A", "B", "C", "B", "All Events"]
    for option, times in (("unlimited", 3), ("once_per_event", 1), ("once_per_load", 1)):
        container = container_of(triggers, [tag(firing=firing, firing_option=option)])
        assert fired(container, v="a") == ["T"] * times
        assert container.tags[0].is_unlimited is (option == "unlimited")
    container = container_of(triggers, [tag(firing=firing, blocking=["A"], firing_option="unlimited")])
    assert fired(container, v="a") == []


# -- the index -----------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["{{_event}}", "{{Event Name}}"])
@pytest.mark.parametrize(
    ("operator", "right"),
    [
        ("equals", "purchase"),
        ("equals", ["purchase", "refund"]),
        ("matches_regex", "^purchase$"),
        ("matches_regex", "^(purchase|refund)$"),
        ("matches_regex", "^(?:refund|purchase)$"),
        ("matches_regex", ["^purchase$", "^refund$"]),
    ],
)
def test_names_in_conditions_belong_to_the_index(variable, operator, right):
    # SPEC: design.md: tag lists by event name; a hit touches only what could fire
    trigger = AllEvents("S", (Condition(variable, operator, right),))
    container = container_of([trigger], [tag(firing=["S"]), tag("Every", ["All Events"])])
    assert [one.name for one in container.tags_for("purchase")] == ["T", "Every"]
    assert container.tags_for("purchase")[0].firings is None
    assert [one.name for one in container.tags_for("page_view")] == ["Every"]


@pytest.mark.parametrize(
    ("operator", "right", "more"),
    [
        ("equals", "refund", {"negate": True}),
        ("matches_regex", "^purchase", {}),
        ("matches_regex", "purchase|refund", {}),
        ("matches_regex", "^(PURCHASE)$", {"ignore_case": True}),
        ("matches_regex", ["^purchase$", "^pur"], {}),
        ("matches_regex", ".*", {}),
        ("equals", "{{V}}", {}),
        ("contains", "purchase", {}),
    ],
)
def test_other_conditions_on_the_name_are_evaluated(operator, right, more):
    trigger = AllEvents("S", (Condition("{{_event}}", operator, right, **more),))
    container = container_of([trigger], [tag(firing=["S"])])
    assert fired(container, v="purchase") == ["T"]
    assert fired(container, "refund", v="x") == (["T"] if right in (".*", "purchase|refund") else [])


def test_names_of_a_trigger_and_of_its_conditions_must_both_hold():
    trigger = CustomEvent("S", ("purchase", "refund"), (is_(["refund", "x"], "{{_event}}"),))
    container = container_of([trigger], [tag(firing=["S"])])
    assert fired(container, "refund") == ["T"]
    assert fired(container) == fired(container, "x") == []


def test_a_variable_of_the_container_wins_over_the_events_name():
    # SPEC: sandbox-api 5.10.3.1
    own = Variable(name="Event Name", type="event_data", parameters={"key_path": "v"})
    container = container_of([AllEvents("S", (is_("a", "{{Event Name}}"),))], [tag(firing=["S"])], [own])
    assert fired(container, "page_view", v="a") == ["T"]
    assert fired(container, "a", v="b") == []


# -- explain -------------------------------------------------------------------------------------


def explained(trigger, name="purchase", *, is_blocking=False, **data):
    firing, blocking = ([], [trigger.name]) if is_blocking else ([trigger.name], [])
    container = container_of([trigger], [tag(firing=firing, blocking=blocking)])
    (walked,) = container.tags[0].explain(view_of(container, name, **data))
    return walked


def test_the_first_condition_that_failed_is_shown_with_both_values():
    # SPEC: requirements R160
    conditions = (is_("a"), Condition("{{V}}", "greater", "5"), is_("never", "{{_event}}"))
    walked = explained(CustomEvent("S", ("purchase",), conditions[:2]), v="a")
    assert (walked.name, walked.has_matched, walked.is_blocking) == ("S", False, False)
    assert walked.failed.text == "{{V}} is greater than 5"
    assert (walked.failed.value, walked.failed.compared_with) == ("a", "5")
    assert walked.reason == "`a` is no number, and nothing compares with that"


def test_what_people_overlook_is_said():
    # SPEC: requirements R266
    walked = explained(AllEvents("S", (is_("Cart"),)), v="cart")
    assert walked.reason == "they differ in capital letters only, and case matters"
    missing = explained(AllEvents("S", (is_("0"),)))
    assert (missing.failed.value, missing.failed.compared_with) == ("undefined", "0")
    assert missing.reason.startswith("the value is missing")


def test_another_name_is_said_in_words():
    # SPEC: requirements R160, R266
    walked = explained(CustomEvent("S", ("purchase", "refund")), "Purchase")
    assert walked.failed is None
    assert walked.reason == (
        "the event is `Purchase`, not `purchase`: they differ in capital letters only, and case matters"
    )
    other = explained(CustomEvent("S", ("purchase", "refund"), (is_("x"),)), "scroll")
    assert other.reason == "the event is `scroll`, and it looks at `purchase`, `refund`"
    many = explained(CustomEvent("S", tuple("abcdefg")), "z")
    assert many.reason == "the event is `z`, and it looks at `a`, `b`, `c`, `d`, `e` or 2 others"


def test_a_negated_condition_and_a_list_are_shown_as_written():
    walked = explained(AllEvents("S", (is_(["a", "b"], negate=True),)), v="a")
    assert walked.failed.text == "{{V}} does not equal a or b"
    assert walked.failed.compared_with == ["a", "b"]


def test_a_condition_that_failed_to_be_evaluated_names_its_error():
    for is_blocking in (False, True):
        walked = explained(AllEvents("S", (is_("a"),)), is_blocking=is_blocking, v=deep())
        assert walked.failed.error == "RecursionError"
        assert walked.has_matched is is_blocking


def test_what_matched_and_what_is_not_there_is_said():
    container = container_of([AllEvents("S", (is_("a"),))], [tag(firing=["S", "No"], blocking=["Gone"])])
    matched, unknown, gone = container.tags[0].explain(view_of(container, v="a"))
    assert (matched.has_matched, matched.failed, matched.reason) == (True, None, "")
    assert (unknown.has_matched, unknown.reason) == (False, "there is no such trigger")
    assert (gone.has_matched, gone.is_blocking, gone.reason) == (True, True, "there is no such trigger")


# -- many tags -----------------------------------------------------------------------------------


def many(operator, text, count=200):
    triggers = [
        CustomEvent(f"S{index}", ("purchase",), (Condition("{{V}}", operator, text.format(index)),))
        for index in range(count)
    ]
    triggers.append(CustomEvent("Any", ("purchase", "refund")))
    tags = [tag("any 1", ["Any"])]
    tags += [tag(f"{index}", [f"S{index}"]) for index in range(count)]
    tags += [tag("any 2", ["Any"]), tag("both", ["S7", "Any"]), tag("two", ["S3", "S4"])]
    return container_of(triggers, tags)


@pytest.mark.parametrize(
    ("operator", "text", "value"),
    [
        ("equals", "/page/{}", "/page/7"),
        ("contains", "({})", "page (7)"),
        ("starts_with", "/{}?", "/7?x=1"),
        ("ends_with", "$ {}", "5 $ 7"),
        ("matches_regex", "^/p[a-z]+/{}$", "/page/7"),
        ("matches_regex", "^/page/{}$", "/page/7"),
    ],
)
def test_a_hit_touches_only_tags_whose_conditions_have_what_they_need(operator, text, value):
    # SPEC: design.md: a hit touches only what could fire
    container = many(operator, text)
    looked_at = [one.name for one in container.tags_worth_a_look(view_of(container, v=value))]
    assert looked_at == ["any 1", "7", "any 2", "both"]
    none = [one.name for one in container.tags_worth_a_look(view_of(container, v="no"))]
    assert none == ["any 1", "any 2", "both"]
    assert [one.name for one in container.tags_worth_a_look(view_of(container, "refund", v=value))] == [
        "any 1",
        "any 2",
        "both",
    ]


def test_where_a_value_cannot_be_read_all_tags_are_looked_at_and_none_fires_by_it():
    container = many("equals", "{}")
    view = view_of(container, v=deep())
    looked_at = container.tags_worth_a_look(view)
    assert len(looked_at) == 204
    assert [one.name for one in looked_at if one.firings is None or one.firings(view)] == [
        "any 1",
        "any 2",
        "both",
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["equals", "contains", "starts_with", "ends_with", "matches_regex"]),
            st.text("ab.$^(", max_size=2) | st.lists(st.text("ab", max_size=2), max_size=2),
            st.booleans(),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.text("ab.$^(", max_size=4),
)
@settings(max_examples=150)
def test_a_search_of_all_gives_what_each_condition_gives_by_itself(written, value):
    conditions = [
        Condition("{{V}}", operator, right, negate, ignore_case)
        for operator, right, negate, ignore_case in written
    ]
    triggers = [AllEvents(f"T{index}", (one,)) for index, one in enumerate(conditions)]
    tags = [Tag(f"{index}", "http_request", (f"T{index}",), parameters=URL) for index in range(len(triggers))]
    together = container_of(triggers, tags)
    view = view_of(together, v=value)
    found = [one.name for one in together.tags_worth_a_look(view) if one.firings(view)]
    alone = []
    for trigger, one in zip(triggers, tags, strict=True):
        single = container_of([trigger], [one])
        alone += [one.name] if single.tags[0].firings(view_of(single, v=value)) else []
    assert found == alone


URL = {"url": "https://vendor.example/"}
