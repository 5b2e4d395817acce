"""Values of Firestore, there and back. SPEC: Firestore REST reference, v1 Value."""

import json

import pytest
from cases import case_event, make_parameters
from hypothesis import given
from hypothesis import strategies as st

from sgtm.component import find
from sgtm.event import undefined
from sgtm.messages import VendorAnswer
from sgtm.protocols.firestore import decode_fields, decode_value, encode_value

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_a_value_comes_back_as_it_was(value):
    assert decode_value(encode_value(value)) == value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"integerValue": "12"}, 12),
        ({"doubleValue": 12.5}, 12.5),
        ({"timestampValue": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"),
        ({"geoPointValue": {"latitude": 1.5}}, {"latitude": 1.5, "longitude": 0.0}),
        ({"arrayValue": {}}, []),
        ({"mapValue": {}}, {}),
        ({"nullValue": None}, None),
    ],
)
def test_each_type_is_read(written, value):
    assert decode_value(written) == value


@pytest.mark.parametrize("written", [{}, {"otherValue": 1}, {"integerValue": "x"}])
def test_what_is_no_value_is_an_error(written):
    with pytest.raises(ValueError):
        decode_value(written)


def test_a_value_that_firestore_has_no_type_for_is_an_error():
    with pytest.raises(TypeError):
        encode_value({"a": object()})
    assert encode_value(undefined) == {"nullValue": None}
    assert encode_value(2**70) == {"doubleValue": float(2**70)}


DOCUMENT = {
    "name": "projects/p/x",
    "fields": {"price": {"mapValue": {"fields": {"net": {"doubleValue": 9.5}}}}},
}


def ask(**parameters):
    component = find("variable", "fs")
    case = {"parameters": {"project": "p", **parameters}}
    return component.function(case_event(case), make_parameters(component, case["parameters"]))


@pytest.mark.parametrize(
    ("parameters", "answer", "value"),
    [
        ({"document_path": "a/b", "key_path": "price.net"}, DOCUMENT, 9.5),
        ({"document_path": "a/b"}, DOCUMENT, {"price": {"net": 9.5}}),
        ({"document_path": "a/b", "key_path": "price.gross"}, DOCUMENT, undefined),
        ({"collection_path": "a", "key_path": "price.net"}, [{"document": DOCUMENT}], 9.5),
        # an empty result is one entry with the time of reading
        (
            {"collection_path": "a", "key_path": "price.net"},
            [{"readTime": "2026-01-01T00:00:00Z"}],
            undefined,
        ),
    ],
)
def test_the_variable_reads_the_value_out_of_the_answer(parameters, answer, value):
    read = ask(**parameters).read
    assert read(VendorAnswer(200, (), json.dumps(answer).encode())) == value


def test_two_values_of_one_document_are_one_question():
    first, second = (ask(document_path="a/b", key_path=path) for path in ("x", "y"))
    assert first.key == second.key != ask(document_path="a/c").key


def test_a_document_without_fields_is_empty():
    assert decode_fields({}) == {}
