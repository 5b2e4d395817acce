"""The pixel client, where a golden case cannot show it. SPEC: R330."""

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients.pixel import Parameters, claim
from sgtm.component import find
from sgtm.messages import Claimed

PARAMETERS = Parameters(
    paths=("/p",),
    names={"a": "user_data.address.city", "b": "user_data", "n": "items.0.price"},
    numbers=("n",),
)


def load(query, parameters=PARAMETERS):
    request = msgspec.structs.replace(make_request({"target": "/p"}), query=query)
    (data,) = claim(request, parameters).events
    return data


def test_names_lead_into_parts_of_the_event():
    assert load(b"a=Berlin&n=2.50")["user_data"] == {"address": {"city": "Berlin"}}
    assert load(b"a=Berlin&b=x")["user_data"] == "x"


@pytest.mark.parametrize(
    ("text", "value"), [(b"2.50", 2.5), (b"7", 7), (b"1_0", "1_0"), (b"inf", "inf"), (b"", "")]
)
def test_a_number_is_one_only_where_it_can_be_read_so(text, value):
    assert load(b"n=" + text, Parameters(paths=("/p",), numbers=("n",)))["n"] == value


def test_only_a_name_of_the_owner_reaches_keys_of_this_server():
    data = load(b"x-ga-gcs=G111&x-sst-system_properties=1&gcs=G100")
    assert (data["x-ga-gcs"], "x-sst-system_properties" in data) == ("G100", False)


def test_floods_of_images_are_those_of_browsers():
    component = find("client", "pixel")
    assert component.collect_paths(PARAMETERS) == component.paths(PARAMETERS) == ("/p",)
    assert component.methods == ("GET",)


@given(
    query=st.binary(max_size=60)
    | st.lists(st.sampled_from([b"a=1", b"b=2", b"n=3", b"=", b"%"])).map(b"&".join)
)
def test_no_bytes_raise_and_the_event_can_be_written(query):
    request = msgspec.structs.replace(make_request({"target": "/p"}), query=query)
    said = claim(request, PARAMETERS)
    assert isinstance(said, Claimed)
    msgspec.json.encode(said.events)
