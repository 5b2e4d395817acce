"""`{{Variable}}`: found everywhere, typed as a whole value, joined as JavaScript joins inside a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from sgtm.container.references import as_text, compile_reader, references_in, whole_reference
from sgtm.event import undefined

ANY = inspect.AnyType()


class Values:
    """Stands for a view: what it says is in the slots."""

    def __init__(self, *values):
        self._values = values

    def value(self, slot):
        return self._values[slot]


@pytest.mark.parametrize(
    ("value", "text"),
    [  # SPEC: sandbox-api 5.10.4, A2
        (undefined, ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (10.0, "10"),
        (9.99, "9.99"),
        ([1, None, [True, "x"]], "1,,true,x"),
        ({"a": 1}, "[object Object]"),
        ("", ""),
    ],
)
def test_a_value_inside_a_text_is_joined_as_javascript_joins(value, text):
    read = compile_reader("<{{x}}>", ANY, {"x": 0})
    assert read(Values(value)) == f"<{text}>"


@pytest.mark.parametrize("value", [undefined, None, 0, 9.99, True, "", [1], {"a": 1}])
def test_a_whole_value_keeps_its_type(value):
    assert compile_reader(" {{ x }} ", ANY, {"x": 0})(Values(value)) is value


def test_references_are_read_at_any_depth_and_what_is_undefined_is_left_out():
    # SPEC: sandbox-api 5.10.3.7
    written = {"a": ["{{x}}", {"b": "{{y}}"}, "c"], "d": "{{x}}", "e": 1}
    read = compile_reader(written, ANY, {"x": 0, "y": 1})
    assert read(Values(undefined, 5)) == {"a": [{"b": 5}, "c"], "e": 1}


@pytest.mark.parametrize("value", ["text", "{x}", "{{ }}", "{{a", 5, None, True, {"a": ["b"]}, ["c"]])
def test_what_refers_to_nothing_has_no_reader(value):
    assert compile_reader(value, ANY, {}) is None


def test_names_are_found_with_repeats_and_without_the_spaces_at_their_ends():
    written = {"a": "{{ Page URL }}{{x}}", "b": [["{{x}}"]], "{{key}}": 1}
    assert list(references_in(written)) == ["Page URL", "x", "x", "key"]


def test_only_one_reference_alone_is_a_whole_value():
    assert whole_reference("{{x}}") == "x"
    assert whole_reference("{{x}}{{x}}") is None
    assert whole_reference("{{x}} ") == "x"
    assert whole_reference("a{{x}}") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(json_values)
def test_every_value_has_a_text(value):
    assert isinstance(as_text(value), str)


def test_keys_are_texts_with_references_too_and_the_later_of_two_equal_ones_counts():
    # SPEC: google-runtime 1 (map)
    written = {"{{x}}": 1, "plain": "{{y}}", "a {{y}}": 3, "{{y}}": 4}
    assert sorted(references_in(written)) == ["x", "y", "y", "y"]
    read = compile_reader(written, ANY, {"x": 0, "y": 1})
    assert read(Values("plain", 7)) == {"plain": 7, "a 7": 3, "7": 4}
    assert read(Values(undefined, "")) == {"plain": "", "a ": 3}, "no name, no entry"
    assert compile_reader({"plain": 1}, ANY, {}) is None
