"""Event data -> a vendor's fields: what each conversion takes, where a value is looked for, and the twin."""

import copy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference import mapping as twin

from sgtm._fast import mapping as fast

NOTHING = ["", "  ", "undefined", " null\n", "(not set)", "\u2003undefined\u2003"]
NUMBERS = [
    "5",
    "+5",
    "-5.",
    ".5",
    "5.25",
    " 9.99 ",
    "1e3",
    "1E+3",
    "1e-3",
    "9" * 300,
    "-." + "5" * 300,
    "1e299",
]
NO_NUMBERS = [
    "+",
    ".",
    "-.",
    "1_000",
    "٣",
    "inf",
    "nan",
    "1e",
    "1e+",
    "1e12345",
    "9" * 301,
    "1.2.3",
    "5x",
    "1e300",
]
NO_NUMBERS += ["." + "5" * 301, "0x10", "1 2", "e5", "1e999"]
SCALARS = st.one_of(
    st.sampled_from(
        [*NOTHING, *NUMBERS, *NO_NUMBERS, "\ud800", None, True, False, b"x", 0, -0.0, 10**21, 2**130]
    ),
    st.text(alphabet="0123456789+-.eE _٣", max_size=9),
    st.floats(),
    st.integers(),
    st.text(max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["city", "email", "b"]), inner, max_size=3),
    ),
    max_leaves=8,
)
CONVERSIONS = ["AS_IS", "TEXT", "PLAIN_TEXT", "NUMBER", "VALUES"]


def table(module):
    """A row of every kind."""
    return module.Mapping(
        module.Field("id", module.PLAIN_TEXT, "a", "b"),
        module.Field("quantity", module.NUMBER, "b", default=1),
        module.Field("em", module.VALUES, "c", "user_data.email", "b"),
        module.Field("ct", module.VALUES, "a", "user_data.address[].city"),
        module.Field("deep", module.AS_IS, "user_data.address.city"),
        module.Field("said", module.TEXT, "user_data.b", "c"),
    )


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_may_stand_in_a_text(text, implementation):
    # SPEC: the grammar of `to_number` in sgtm/event.py
    assert float(implementation.convert(text, implementation.NUMBER)) == float(text)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_other_texts_are_no_numbers(text, implementation):
    assert implementation.convert(text, implementation.NUMBER) is None


@pytest.mark.parametrize("nothing", NOTHING)
def test_texts_that_mean_nothing_are_missing(nothing, implementation):
    # SPEC: meta-capi 4.6, T6
    for conversion in (implementation.TEXT, implementation.PLAIN_TEXT, implementation.VALUES):
        assert implementation.convert(nothing, conversion) is None
    assert implementation.convert(nothing, implementation.AS_IS) == nothing


def test_numbers_and_booleans_become_text_as_in_javascript(implementation):
    assert implementation.convert(10.0, implementation.TEXT) == "10"
    assert implementation.convert(True, implementation.TEXT) == "true"
    assert implementation.convert(True, implementation.PLAIN_TEXT) is None
    assert implementation.convert(1e21, implementation.PLAIN_TEXT) is None


def test_the_first_place_that_has_a_value_counts_and_the_table_gives_the_order(implementation):
    data = {
        "b": "5",
        "a": "null",
        "user_data": {"email": ["", "x"], "address": [{"city": "B"}, 7, {"city": 8}]},
    }
    found = table(implementation).read(data)
    assert list(found.items()) == [("id", "5"), ("quantity", 5), ("em", ["x"]), ("ct", ["B", 8])]
    assert table(implementation).read({}) == {"quantity": 1}


def test_a_conversion_that_there_is_not_is_refused(implementation):
    with pytest.raises(ValueError, match="id: there is no conversion 5"):
        implementation.Field("id", 5, "a")


@given(value=VALUES, conversion=st.sampled_from(CONVERSIONS))
@example(value=1e300, conversion="NUMBER")
@example(value=-(10**300), conversion="NUMBER")
@example(value=float("nan"), conversion="PLAIN_TEXT")
def test_core_and_twin_convert_alike(value, conversion):
    ours = fast.convert(value, getattr(fast, conversion))
    assert repr(ours) == repr(twin.convert(value, getattr(twin, conversion)))


@given(
    data=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys("abc", VALUES),
            "user_data": st.one_of(
                VALUES,
                st.fixed_dictionaries(
                    {},
                    optional={
                        "email": VALUES,
                        "b": VALUES,
                        "address": st.one_of(VALUES, st.lists(VALUES, max_size=3)),
                    },
                ),
            ),
        },
    )
)
def test_core_and_twin_read_the_same_and_change_nothing(data):
    before = copy.deepcopy(data)
    assert repr(table(fast).read(data)) == repr(table(twin).read(data))
    assert repr(data) == repr(before)
