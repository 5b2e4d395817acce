"""SPEC: sandbox-api 5.4, 5.10.2 (K21 to K23); google-runtime 2."""

import pytest

from tests.container.google.exports import boolean, condition, said, translated

EVENT = "{{_event}}"


def trigger(type_="CUSTOM_EVENT", **more):
    return [{"triggerId": "1", "name": "T", "type": type_, **more}]


def read(written):
    """The only trigger, and what was said."""
    translation = translated(trigger=written)
    return translation.document.data["triggers"][0], said(translation)


def test_both_lists_of_conditions_must_hold():
    # SPEC: sandbox-api 5.10.2, K23
    found, _ = read(
        trigger(
            customEventFilter=[condition("EQUALS", EVENT, "purchase")],
            filter=[condition("CONTAINS", "{{Client Name}}", "GA4", boolean("negate", True))],
        )
    )
    assert found["event_names"] == ["purchase"]
    assert found["conditions"] == [
        {"value": "{{Client Name}}", "operator": "contains", "compare_with": "GA4", "negate": True}
    ]


@pytest.mark.parametrize(
    ("written", "operator", "more"),
    [
        ("MATCH_REGEX", "matches_regex", {"ignore_case": True}),
        ("matchRegex", "matches_regex", {"ignore_case": True}),
        ("STARTS_WITH", "starts_with", {}),
        ("ENDS_WITH", "ends_with", {}),
        ("GREATER", "greater", {}),
        ("GREATER_OR_EQUALS", "greater_or_equals", {}),
        ("LESS", "less", {}),
        ("lessOrEquals", "less_or_equals", {}),
        ("URL_MATCHES", "url_matches", {}),
        ("CSS_SELECTOR", "css_selector", {}),
    ],
)
def test_operators_are_read_and_ignore_case_only_where_it_counts(written, operator, more):
    # SPEC: sandbox-api 5.4; google-runtime 2.1 (case counts but for regular expressions)
    found, _ = read(
        trigger("ALWAYS", filter=[condition(written, "{{A}}", "b", boolean("ignore_case", True))])
    )
    assert found["conditions"] == [{"value": "{{A}}", "operator": operator, "compare_with": "b", **more}]


def test_not_equals_is_equals_negated_and_reported():
    # SPEC: sandbox-api 5.10.2, K21
    found, remarks = read(trigger("ALWAYS", filter=[condition("NOT_EQUALS", "{{A}}", "b")]))
    assert found["conditions"] == [
        {"value": "{{A}}", "operator": "equals", "compare_with": "b", "negate": True}
    ]
    assert "no export of Google's has the operator NOT_EQUALS: it is read as its negation" in remarks[0]


@pytest.mark.parametrize("pattern", [".*", "^.+$"])
def test_every_event_is_every_event(pattern):
    assert read(trigger(customEventFilter=[condition("MATCH_REGEX", EVENT, pattern)]))[0] == {
        "name": "T",
        "type": "all_events",
    }


def test_no_event_is_not_every_event():
    written = [condition("MATCH_REGEX", EVENT, ".*", boolean("negate", True))]
    assert read(trigger(customEventFilter=written))[0]["conditions"][0]["negate"] is True


def test_an_event_cannot_have_two_names():
    written = [condition("EQUALS", EVENT, "a"), condition("EQUALS", EVENT, "b")]
    found, _ = read(trigger(customEventFilter=written))
    assert found["event_names"] == ["a"]
    assert found["conditions"] == [{"value": "{{Event Name}}", "operator": "equals", "compare_with": "b"}]


@pytest.mark.parametrize(
    ("written", "what"),
    [
        (trigger("TRIGGER_GROUP"), "no server container has triggers of type TRIGGER_GROUP: it never fires"),
        (trigger(""), "no server container has triggers of type (none): it never fires"),
        (trigger(), "is a Custom Event trigger without an event name: it never fires"),
        (
            trigger("ALWAYS", filter=[condition("RHYMES", "{{A}}", "b")]),
            "nobody knows the operator RHYMES: its condition never holds",
        ),
    ],
)
def test_a_trigger_that_cannot_be_understood_never_fires(written, what):
    found, remarks = read(written)
    (never,) = found["conditions"]
    assert never["operator"] == "equals"
    assert never["value"]
    assert never["compare_with"] == ""
    assert remarks[0] == f'trigger "T": {what}'


def test_a_page_view_is_the_event_of_that_name():
    assert read(trigger("SERVER_PAGEVIEW"))[0]["event_names"] == ["page_view"]


def test_the_built_in_trigger_keeps_its_name_for_itself():
    # SPEC: sandbox-api 5.4 (2147479574)
    own = {
        "triggerId": "9",
        "name": "All Events",
        "type": "ALWAYS",
        "filter": [condition("EQUALS", "a", "b")],
    }
    tag = {"name": "Tag", "type": "sgtmgaaw", "firingTriggerId": ["9", "2147479574"]}
    data = translated(trigger=[own], tag=[tag]).document.data
    assert data["triggers"][0]["name"] == "All Events (9)"
    assert data["tags"][0]["firing_triggers"] == ["All Events (9)", "All Events"]


def test_an_exception_that_is_not_there_blocks():
    # SPEC: google-runtime 2.2, sandbox-api 5.10.4 A12 (fail safe)
    tag = {"name": "Tag", "type": "sgtmgaaw", "firingTriggerId": ["2147479574"], "blockingTriggerId": ["5"]}
    translation = translated(tag=[tag])
    assert translation.document.data["tags"][0]["blocking_triggers"] == ["All Events"]
    assert "its exception 5 is not in the file" in said(translation)[0]
