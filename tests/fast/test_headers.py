"""The compiled look at header pairs and its twin say the same."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference import headers as twin

from sgtm._fast import headers as fast

NAMES = st.sampled_from([b"origin", b"host", b"cookie", b"", b"origi", b"origin\x00"])
PAIRS = st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=20).map(tuple)


@given(headers=PAIRS, name=NAMES)
@example(headers=((b"host", b"a"), (b"host", b"b")), name=b"host")
def test_core_and_twin_find_the_same(headers, name):
    assert fast.find_header(headers, name) == twin.find_header(headers, name)
    assert fast.headers_size(headers) == twin.headers_size(headers)


@pytest.mark.parametrize(
    "headers", [((b"a",),), ((b"a", b"b", b"c"),), ("ab",), ((b"a", "b"),), (("a", b"b"),), ([b"a", b"b"],)]
)
def test_what_is_no_pair_of_bytes_is_a_type_error(headers):
    with pytest.raises(TypeError):
        fast.headers_size(headers)
    with pytest.raises(TypeError):
        fast.find_header(headers, b"a")
