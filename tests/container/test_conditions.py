"""What each operator gives for each kind of value, and what conditions cost: nothing twice."""

import pytest
from cases import make_request

from sgtm.container import conditions as conditions_module
from sgtm.container.compile import compile_container
from sgtm.container.conditions import FAILS, HOLDS, UNDETERMINED, ConditionCompiler
from sgtm.container.container import View
from sgtm.container.model import ContainerVersion, Tag, Variable
from sgtm.event import make_event, undefined
from sgtm.triggers.condition import Condition
from sgtm.triggers.trigger import AllEvents

T, F = True, False


def holds(condition, **data):
    """Whether a trigger with this condition fires, the variables `V` and `W` being event data."""
    return result(condition, **data) == HOLDS


def result(*written, **data):
    variables = tuple(
        Variable(name=name, type="event_data", parameters={"key_path": name}) for name in ("V", "W")
    )
    container = compile_container(ContainerVersion(variables=variables))
    compiler = ConditionCompiler({"V": 0, "W": 1}, frozenset({"_event"}))
    conditions = compiler.conditions(written)
    compiler.finish()
    event = make_event({"event_name": "purchase", **data}, make_request(), "", 0)
    return conditions.met(View(event, container))


VALUES = [
    ("text", "shop,a"),
    ("number", 10.0),
    ("true", True),
    ("list", ["a", 10]),
    ("one member", ["a"]),
    ("undefined", undefined),
    ("null", None),
    ("empty", ""),
    ("object", {"a": 1}),
]

# SPEC: google-runtime 2.1; sandbox-api 5.10.4, A7. Columns as in VALUES: the texts are "shop,a", "10",
# "true", "a,10", "a", "undefined", "null", "", "[object Object]"; the numbers NaN, 10, 1, NaN, NaN, NaN, 0,
# 0, NaN.
TABLE = [
    ("equals", "shop,a", (T, F, F, F, F, F, F, F, F)),
    ("equals", "10", (F, T, F, F, F, F, F, F, F)),
    ("equals", 10, (F, T, F, F, F, F, F, F, F)),
    ("equals", "true", (F, F, T, F, F, F, F, F, F)),
    ("equals", True, (F, F, T, F, F, F, F, F, F)),
    ("equals", "a,10", (F, F, F, T, F, F, F, F, F)),
    ("equals", "a", (F, F, F, F, T, F, F, F, F)),
    ("equals", "undefined", (F, F, F, F, F, T, F, F, F)),
    ("equals", "null", (F, F, F, F, F, F, T, F, F)),
    ("equals", None, (F, F, F, F, F, F, T, F, F)),
    ("equals", "", (F, F, F, F, F, F, F, T, F)),
    ("equals", "[object Object]", (F, F, F, F, F, F, F, F, T)),
    ("equals", "Shop,a", (F, F, F, F, F, F, F, F, F)),
    ("equals", ["10", "null", True], (F, T, T, F, F, F, T, F, F)),
    ("equals", [], (F, F, F, F, F, F, F, F, F)),
    ("contains", "a", (T, F, F, T, T, F, F, F, F)),
    ("contains", "def", (F, F, F, F, F, T, F, F, F)),
    ("contains", "", (T, T, T, T, T, T, T, T, T)),
    ("contains", ["10", "ul"], (F, T, F, T, F, F, T, F, F)),
    ("starts_with", "a", (F, F, F, T, T, F, F, F, F)),
    ("starts_with", "un", (F, F, F, F, F, T, F, F, F)),
    ("starts_with", "", (T, T, T, T, T, T, T, T, T)),
    ("ends_with", "a", (T, F, F, F, T, F, F, F, F)),
    ("ends_with", 0, (F, T, F, T, F, F, F, F, F)),
    ("ends_with", "", (T, T, T, T, T, T, T, T, T)),
    ("in_comma_list", "a", (T, F, F, T, T, F, F, F, F)),
    ("in_comma_list", "shop,a", (F, F, F, F, F, F, F, F, F)),
    ("in_comma_list", "", (F, F, F, F, F, F, F, T, F)),
    ("matches_regex", "^a", (F, F, F, T, T, F, F, F, F)),
    ("matches_regex", "[0-9]+$", (F, T, F, T, F, F, F, F, F)),
    ("matches_regex", "^(true|undefined)$", (F, F, T, F, F, T, F, F, F)),
    ("matches_regex", "A", (F, F, F, F, F, F, F, F, F)),
    ("matches_regex", "", (T, T, T, T, T, T, T, T, T)),
    ("matches_regex", "(", (F, F, F, F, F, F, F, F, F)),
    ("matches_regex", "a(?=x)", (F, F, F, F, F, F, F, F, F)),
    ("greater", "9", (F, T, F, F, F, F, F, F, F)),
    ("greater", -1, (F, T, T, F, F, F, T, T, F)),
    ("greater", "x", (F, F, F, F, F, F, F, F, F)),
    ("greater_or_equals", " 10 ", (F, T, F, F, F, F, F, F, F)),
    ("greater_or_equals", True, (F, T, T, F, F, F, F, F, F)),
    ("less", "11", (F, T, T, F, F, F, T, T, F)),
    ("less", "undefined", (F, F, F, F, F, F, F, F, F)),
    ("less_or_equals", None, (F, F, F, F, F, F, T, T, F)),
    ("less_or_equals", ["x", 1], (F, F, T, F, F, F, T, T, F)),
    ("url_matches", "SHOP,A/", (T, F, F, F, F, F, F, F, F)),
    ("url_matches", "a/", (F, F, F, F, T, F, F, F, F)),
    ("css_selector", "a", (F, F, F, F, F, F, F, F, F)),
]
CASES = [
    pytest.param(operator, right, value, expected, id=f"{kind} {operator} {right!r}")
    for operator, right, row in TABLE
    for (kind, value), expected in zip(VALUES, row, strict=True)
]


@pytest.mark.parametrize(("operator", "right", "value", "expected"), CASES)
def test_operators_compare_as_google_does(operator, right, value, expected):
    data = {} if value is undefined else {"V": value}
    assert holds(Condition("{{V}}", operator, right), **data) is expected
    # A negated condition holds where the comparison does not.
    assert holds(Condition("{{V}}", operator, right, negate=True), **data) is not expected
    # A variable on the right side compares like what is written there; but its list is one text.
    if not isinstance(right, list):
        assert holds(Condition("{{V}}", operator, "{{W}}"), W=right, **data) is expected


def test_url_matches_reads_addresses():
    # SPEC: google-runtime 2.1 (more of it in tests/triggers/test_operators.py)
    assert holds(
        Condition("{{V}}", "url_matches", "http://shop.example/A/"), V="https://www.shop.example/a?b=1"
    )


def test_a_list_that_a_variable_brings_is_a_text():
    # SPEC: google-runtime 2.1: `any_of` is a flag of the condition; without it a list is its text
    assert holds(Condition("{{V}}", "equals", "{{W}}"), V="a,b", W=["a", "b"])
    assert not holds(Condition("{{V}}", "equals", "{{W}}"), V="a", W=["a", "b"])
    assert holds(Condition("{{V}}", "equals", ["{{W}}", "c"]), V="a", W="a")


@pytest.mark.parametrize(
    ("pattern", "text", "without", "ignoring"),
    [
        ("^purchase$", "Purchase", F, T),
        ("PURCHASE|refund", "my_purchase", F, T),
        ("^/[a-z]+$", "/SHOP", F, T),
        ("straße", "STRASSE", F, F),
    ],
)
def test_ignore_case_is_for_regular_expressions(pattern, text, without, ignoring):
    # SPEC: google-runtime 2.1; sandbox-api 5.10.4, A7
    assert holds(Condition("{{V}}", "matches_regex", pattern), V=text) is without
    assert holds(Condition("{{V}}", "matches_regex", pattern, ignore_case=True), V=text) is ignoring


def test_no_other_operator_ignores_case():
    # SPEC: google-runtime 2.1: `ignore_case` exists only for the regular expression operator
    for operator in ("equals", "contains", "starts_with", "ends_with", "in_comma_list"):
        assert not holds(Condition("{{V}}", operator, "A", ignore_case=True), V="a")


def test_patterns_of_events_are_patterns_too_and_a_bad_one_is_false():
    # SPEC: google-runtime 2.1: an invalid expression is false, not an error
    assert holds(Condition("{{V}}", "matches_regex", "{{W}}", ignore_case=True), V="Shop", W="^s.*p$")
    assert result(Condition("{{V}}", "matches_regex", "{{W}}"), V="a", W="(") == FAILS


def test_texts_around_variables_are_joined():
    # SPEC: sandbox-api 5.10.4, A2: undefined and null are nothing inside a longer text
    assert holds(Condition("{{V}}/{{W}}", "equals", "a/"), V="a")
    assert holds(Condition("/{{V}}", "matches_regex", "^/[0-9]{2}$"), V=10.0)
    assert holds(Condition("{{V}}", "starts_with", "/{{W}}"), V="/shop/a", W="shop")
    assert holds(Condition("a", "equals", "a"))


def test_the_event_name_is_a_variable():
    # SPEC: sandbox-api 5.2: `{{_event}}` is the event's name in triggers
    assert holds(Condition("{{_event}}", "matches_regex", "^purch"))


# -- what holds together -------------------------------------------------------------------------

GOOD = Condition("{{V}}", "equals", "a")
BAD = Condition("{{V}}", "equals", "b")
FAULTY = Condition("{{W}}", "equals", "b")


def negated(condition):
    return Condition(condition.value, condition.operator, condition.compare_with, negate=True)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((GOOD, negated(BAD)), HOLDS),
        ((GOOD, BAD), FAILS),
        ((negated(GOOD),), FAILS),
        ((GOOD, FAULTY), UNDETERMINED),
        ((BAD, FAULTY), FAILS),  # a false condition before the faulty one decides first
        ((FAULTY, BAD), UNDETERMINED),
        ((negated(FAULTY), BAD), FAILS),  # negated ones come last
        ((negated(GOOD), FAULTY), UNDETERMINED),
        ((negated(GOOD), negated(FAULTY)), FAILS),
        ((negated(FAULTY), negated(GOOD)), UNDETERMINED),
    ],
    ids=range(10),
)
def test_the_first_condition_that_fails_decides(conditions, expected):
    # SPEC: google-runtime 2.2
    assert result(*conditions, V="a", W=deep()) == expected


def test_a_condition_that_raises_inside_a_list_is_undetermined():
    assert result(Condition("{{V}}", "equals", ["a", "{{W}}"]), V="b", W=[deep()]) == UNDETERMINED


def deep():
    """Nested too deeply to become a text."""
    value = []
    for _ in range(10_000):
        value = [value]
    return value


def test_a_comparison_is_computed_once_per_event_whoever_asks(monkeypatch):
    # SPEC: google-runtime 2.2: each predicate is computed once per event
    asked = []
    operators = {"in_comma_list": lambda left, right: asked.append(right) or right in left}
    monkeypatch.setattr(conditions_module, "TEXT_OPERATORS", operators)
    same = Condition("{{Page Path}}", "in_comma_list", "x")
    triggers = tuple(AllEvents(f"T{index}", (same,)) for index in range(3))
    triggers += (AllEvents("T3", (negated(same),)),)
    tags = tuple(Tag(f"Tag{index}", "http_request", (f"T{index}",), parameters=URL) for index in range(4))
    container = compile_container(ContainerVersion(triggers=triggers, tags=tags))
    view = View(make_event({"page_location": "https://a.example/y"}, make_request(), "", 0), container)
    assert [tag.firings(view) for tag in container.tags] == [0, 0, 0, 1]
    assert asked == ["x"]
    another = View(view.event, container)
    assert [tag.firings(another) for tag in container.tags] == [0, 0, 0, 1]
    assert asked == ["x", "x"]


def test_what_a_lookup_brings_later_is_compared_anew():
    variable = Variable("V", "event_data", {"key_path": "v"})
    triggers = (AllEvents("T", (Condition("{{V}}", "equals", "found"),)),)
    tag = Tag("A", "http_request", ("T",), parameters=URL)
    container = compile_container(ContainerVersion(variables=(variable,), triggers=triggers, tags=(tag,)))
    view = View(make_event({"v": "default"}, make_request(), "", 0), container)
    assert container.tags[0].firings(view) == 0
    view.found(0, "found")
    assert container.tags[0].firings(view) == 1


URL = {"url": "https://vendor.example/"}


def test_all_patterns_of_a_value_are_one_search_per_event(monkeypatch):
    # SPEC: design.md, Patterns are RE2: the rest one Set per variable
    searched = []

    class Counted(conditions_module.PatternSet):
        def __init__(self, patterns):
            super().__init__(patterns)
            self.size = len(patterns)

        def matching(self, text):
            searched.append(self.size)
            return super().matching(text)

    monkeypatch.setattr(conditions_module, "PatternSet", Counted)
    conditions = [Condition("{{Page Path}}", "matches_regex", f"^/p[a-z]*/{index}") for index in range(50)]
    conditions.append(Condition("{{Page Path}}", "matches_regex", "^/P[A-Z]*/7", ignore_case=True))
    triggers = tuple(AllEvents(f"T{index}", (one,)) for index, one in enumerate(conditions))
    tags = tuple(Tag(f"{index}", "http_request", (f"T{index}",), parameters=URL) for index in range(51))
    container = compile_container(ContainerVersion(triggers=triggers, tags=tags))
    view = View(make_event({"page_location": "https://a.example/pq/7"}, make_request(), "", 0), container)
    assert [tag.name for tag in container.tags if tag.firings(view)] == ["7", "50"]
    assert searched == [51]
