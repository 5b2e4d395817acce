import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.event import delete_value, make_event, number_text, read_key_path, set_value, to_number, undefined

DATA = {"a": {"b": [{"c": 1}, "x"]}, "p.q": "dotted", "n": None, "": 0}


@pytest.mark.parametrize(
    ("key_path", "value"),
    [("a.b.0.c", 1), ("a.b.1", "x"), ("p.q", "dotted"), ("n", None), ("", 0), ("a.b.2", undefined)]
    + [("a.b.c", undefined), ("a.b.0.c.d", undefined), ("missing", undefined), ("a.b.-1", undefined)],
)
def test_a_key_path_reads_dicts_and_lists_and_missing_is_undefined(key_path, value):
    assert read_key_path(DATA, key_path) == value


def test_writing_a_parent_replaces_the_subtree_and_a_leaf_touches_only_itself():
    # SPEC: requirements R30
    assert set_value(DATA, "a", 1)["a"] == 1
    changed = set_value(DATA, "a.b.0.c", 2)
    assert changed["a"] == {"b": [{"c": 2}, "x"]}
    assert DATA["a"]["b"][0]["c"] == 1, "the original is not touched"
    assert set_value({}, "u.v", 1) == {"u": {"v": 1}}
    assert set_value({"l": [1]}, "l.1", 2) == {"l": [1, 2]}


def test_deletion_is_explicit():
    assert delete_value(DATA, "a.b.0") == {**DATA, "a": {"b": ["x"]}}
    assert delete_value(DATA, "a.b.0.c")["a"] == {"b": [{}, "x"]}
    assert delete_value(DATA, "p.q") == {key: value for key, value in DATA.items() if key != "p.q"}
    assert delete_value(DATA, "nothing.here") == DATA


@pytest.mark.parametrize(
    ("value", "number"),
    [("99.99", 99.99), ("7", 7), (3, 3), (True, None), ("x", None), ("", None), (float("nan"), None)]
    + [("-5", -5), ("inf", None), (None, None), ("१२", None), ([1], None), (" 8 ", 8)],
)
def test_numbers_are_read_from_numbers_and_texts_only(value, number):
    assert to_number(value) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [(10.0, "10"), (0.5, "0.5"), (7, "7"), (1e21, "1e+21"), (1.5e300, "1.5e+300"), (-0.0, "0")]
    + [(63561136683974368.0, "63561136683974370"), (1e20, "100000000000000000000")]
    + [(0.00001, "0.00001"), (1.5e-6, "0.0000015"), (1e-7, "1e-7"), (-2.5e-8, "-2.5e-8")]
    + [(float("nan"), "NaN"), (float("-inf"), "-Infinity"), (2**70, str(2**70)), (-(10**400), "-Infinity")],
)
def test_numbers_are_written_as_javascript_does(number, text):
    # SPEC: ECMAScript, Number::toString; whole numbers keep their digits (they are ids).
    assert number_text(number) == text


def test_texts_that_mean_nothing_are_missing():
    # SPEC: meta-capi 4.6, T6
    event = make_event(
        {"event_name": "e", "a": "undefined", "b": " ", "c": "(not set)", "d": True}, make_request(), "", 0
    )
    assert [event.text(key) for key in "abcd"] == [None, None, None, "true"]


def test_chance_depends_on_the_record_the_event_and_the_purpose_only():
    first, again = (make_event({}, make_request(), "", 0) for _ in range(2))
    other_event, other_seed = (
        make_event({}, make_request(), "", 1),
        make_event({}, make_request({"seed": 2}), "", 0),
    )
    assert first.chance("id") == again.chance("id")
    assert len({e.chance(p) for e in (first, other_event, other_seed) for p in ("id", "other")}) == 6


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4), st.text(max_size=12), json_values)
def test_any_key_path_on_any_data_is_harmless(data, key_path, value):
    before = repr(data)
    read_key_path(data, key_path)
    written = set_value(data, key_path, value)
    delete_value(written, key_path)
    make_event(data, make_request(), "", 0).text(key_path)
    assert repr(data) == before
