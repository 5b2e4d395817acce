"""The Universal Analytics client, where a golden case cannot show it."""

import msgspec
import pytest
from cases import make_request

from sgtm.clients.universal_analytics import Parameters, claim, refuse
from sgtm.component import find
from sgtm.messages import Claimed, Declined

OURS = Parameters(tracking_ids=("UA-1-1",))


def post(body, target="/collect"):
    return make_request({"method": "POST", "target": target, "body": body})


def test_it_is_known_by_googles_name_too():
    assert find("client", "ua_client") is find("client", "universal_analytics")


@pytest.mark.parametrize(
    ("request_", "is_refused"),
    [
        (make_request({"target": "/collect?v=1&tid=UA-1-1"}), False),
        (make_request({"target": "/collect?v=1&tid=UA-9-9"}), True),
        (post("v=1&tid=UA-9-9&t=pageview"), True),
        (post("v=1&tid=UA-9-9\nv=1&tid=UA-1-1", "/batch"), False),  # only parsing tells
        (make_request({"target": "/collect?v=2&tid=UA-9-9"}), False),  # somebody else's
        (make_request({"method": "DELETE", "target": "/collect?v=1&tid=UA-9-9"}), False),
    ],
    ids=range(6),
)
def test_other_peoples_hits_are_refused_at_a_look_as_the_claim_would(request_, is_refused):
    # reliability 5.1
    refused = refuse(request_, OURS)
    assert (refused is not None) is is_refused
    assert refuse(request_, Parameters()) is None
    if refused is not None:
        said = claim(request_, OURS)
        assert (said.events, said.answer) == ([], refused.answer)


def test_a_look_never_refuses_what_makes_an_event():
    for lines in (["UA-1-1"], ["UA-9-9", "UA-1-1"], ["UA-1-1", "UA-9-9"]):
        request = post("\n".join(f"v=1&tid={line}&t=pageview" for line in lines), "/batch")
        assert claim(request, OURS).events
        assert refuse(request, OURS) is None


@pytest.mark.parametrize(("count", "warnings"), [(20, 0), (21, 1)])
def test_hits_behind_the_twentieth_are_reported(count, warnings):
    said = claim(post("v=1&tid=UA-1-1&cid=5&t=event&ea=a\n" * count, "/batch"), OURS)
    assert (len(said.events), len(said.warnings)) == (20, warnings)


def test_a_new_visitor_of_one_request_has_one_id():
    said = claim(post("v=1&tid=UA-1-1&t=pageview\nv=1&tid=UA-1-1&t=pageview", "/batch"), OURS)
    first, second = (data["client_id"] for data in said.events)
    assert first == second
    assert first.endswith(".1764000000")


@pytest.mark.parametrize("parameters", [{"paths": []}, {"paths": ["collect"]}, {"names": {"a.b": "c"}}])
def test_parameters_that_could_never_work_are_refused(parameters):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(parameters, Parameters)


@pytest.mark.parametrize("body", ["", "v=1", "tid=UA-1-1", "\n", "v=1&tid=", "{}"])
def test_what_is_no_hit_is_left_to_others(body):
    said = claim(post(body), OURS)
    assert isinstance(said, Declined)
    assert not isinstance(said, Claimed)
