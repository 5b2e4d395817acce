"""Every variable keeps its promises on any request and event."""

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.component import find
from sgtm.event import make_event, undefined
from sgtm.variables import cookie_value, event_data, query_parameter, request_header

TYPES = {"ed": "event_data", "c": "constant", "rh": "request_header", "qp": "query_parameter"}
TYPES |= {"k": "cookie_value", "sgtmk": "cookie_value"}


@pytest.mark.parametrize(("google_type", "ours"), TYPES.items())
def test_google_s_type_ids_lead_to_our_variables(google_type, ours):
    # sandbox-api 5.5, 5.10.1 W4
    assert find("variable", google_type).type == ours


@given(cookie=st.binary(max_size=40), query=st.binary(max_size=40), name=st.text(min_size=1, max_size=6))
def test_no_request_makes_a_variable_raise_or_give_anything_but_text(cookie, query, name):
    request = msgspec.structs.replace(
        make_request(), query=query, headers=((b"cookie", cookie), (b"x", cookie))
    )
    event = make_event({}, request, "any", 0)
    values = [
        cookie_value.resolve(event, cookie_value.Parameters(name, decode=True)),
        query_parameter.resolve(event, query_parameter.Parameters(name)),
        request_header.resolve(event, request_header.Parameters("X")),
        event_data.resolve(event, event_data.Parameters(name)),
    ]
    assert all(value is undefined or isinstance(value, str) for value in values)
    assert isinstance(values[2], str)


def test_a_value_of_the_event_is_the_very_value():
    items = [{"price": 1}]
    event = make_event({"items": items}, make_request(), "any", 0)
    assert event_data.resolve(event, event_data.Parameters("items")) is items
