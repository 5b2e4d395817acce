import msgspec

from sgtm.container.diff import MASK, Change, FieldChange, Names, diff
from sgtm.container.native import read_source

BASE = """sgtm: 1
consent: {unset: granted, gate: declared}
clients:
- {name: GA4, type: gaaw_client, parameters: {answer: 204, linker_key: "${KEY}"}}
variables:
- {name: API token, type: constant, parameters: {value: invented-1}}
- {name: Size, type: constant, parameters: {value: 1}}
tags:
- {name: A, type: ga4, firing_triggers: [All Events]}
- {name: B, type: ga4, priority: 0}
"""


def read(text):
    reading = read_source(text.encode(), environment=Names())
    assert not reading.report.has_errors, reading.report.problems
    return reading.model


def changes(*replacements):
    text = BASE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return diff(read(BASE), read(text))


def test_what_means_the_same_does_not_differ():
    # an alias, a default written out, the order of what has an order of its own
    same = [
        ("gaaw_client", "ga4"),
        ("answer: 204, ", ""),
        (", priority: 0", ", is_paused: false, parameters: {protocol: gtag}"),
        ("Size, type: constant, parameters: {value: 1}}", "Size, type: c, parameters: {value: 1}}  # mine"),
    ]
    assert changes(*same) == []
    constants = BASE.splitlines(keepends=True)
    swapped = "".join([*constants[:5], constants[6], constants[5], *constants[7:]])
    assert diff(read(BASE), read(swapped)) == []


def test_what_was_added_removed_and_changed():
    found = changes(
        ("name: B", "name: C"),
        ("gate: declared", "gate: all"),
        ("[All Events]}", "[All Events], parameters: {measurement_id: G-1}}"),
        ("{value: 1}", "{value: true}"),
    )
    assert found == [
        Change("container", "", "changed", (FieldChange("consent.gate", "declared", "all"),)),
        Change("variables", "Size", "changed", (FieldChange("parameters.value", 1, True),)),
        Change("tags", "A", "changed", (FieldChange("parameters.measurement_id", after="G-1"),)),
        Change("tags", "B", "removed"),
        Change("tags", "C", "added"),
    ]


def test_secrets_are_masked_on_both_sides():
    (change,) = changes(("invented-1", "invented-2"))
    assert change.fields == (FieldChange("parameters.value", MASK, MASK),)
    (change,) = changes(("invented-1", '"${TOKEN}"'))
    assert change.fields == (FieldChange("parameters.value", MASK, "${TOKEN}"),)
    (change,) = changes(('"${KEY}"', "invented-linker-key-2"))
    assert change.fields == (FieldChange("parameters.linker_key", "${KEY}", MASK),)


def test_who_comes_first_among_equals_is_a_meaning_too():
    first, second = BASE.splitlines(keepends=True)[-2:]
    found = diff(read(BASE), read(BASE.replace(first + second, second + first)))
    assert found == [Change("tags", "", "changed", (FieldChange("order", "A, B", "B, A"),))]
    with_priority = (
        (first + second).replace("type: ga4,", "type: ga4, ").replace("priority: 0", "priority: 5")
    )
    assert [
        one.fields[0].field for one in diff(read(BASE), read(BASE.replace(first + second, with_priority)))
    ] == [
        "priority",
        "order",
    ]


def test_a_long_text_is_not_shown_whole():
    (change,) = changes(("{value: 1}", "{value: '" + "long text " * 100 + "'}"))
    assert change.fields[0].after.endswith("... (1000 characters)")
    assert len(msgspec.json.encode(change)) < 400
