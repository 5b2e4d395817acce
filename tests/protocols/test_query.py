"""Names and values of a query string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.protocols.query import MAX_PARAMETERS, read_query


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=first&a=second", {"a": "first"}),  # sandbox-api 1.1: first value of a repeat
        (b"a=x+y%20z%2B", {"a": "x y z+"}),  # ga4-protocol 1.1: + is a space, a literal plus is %2B
        (b"richsstsse", {"richsstsse": ""}),  # ga4-protocol 1.1: a key without = is present and empty
        (b"a=b=c", {"a": "b=c"}),
        (b"=1&&a=", {"a": ""}),
        (b"a=%e9&b=%zz&c=%", {"a": "\ufffd", "b": "%zz", "c": "%"}),
        (b"a=\xff", {"a": "\ufffd"}),
        ("t=é日".encode(), {"t": "é日"}),
    ],
)
def test_a_query_is_read_leniently(query: bytes, values: dict[str, str]) -> None:
    assert read_query(query) == values


def test_only_so_many_parameters_are_read() -> None:
    query = b"&".join(b"a%d=1" % number for number in range(MAX_PARAMETERS + 5))
    assert len(read_query(query)) == MAX_PARAMETERS


@given(st.binary(max_size=60))
def test_no_query_raises(query: bytes) -> None:
    assert all(name and isinstance(value, str) for name, value in read_query(query).items())
