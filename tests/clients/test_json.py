"""The JSON client, where a golden case cannot show it: compressed, huge and hostile bodies."""

import gzip
import json

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients.json import Parameters, claim
from sgtm.component import find
from sgtm.messages import Claimed
from sgtm.protocols.bodies import MAX_BODY_BYTES

PARAMETERS = Parameters(paths=("/data",))
EVENT = {"event_name": "lead", "note": "é日"}


def post(body, content_type="application/json", **headers):
    request = {
        "method": "POST",
        "target": "/data",
        "headers": {"Content-Type": content_type, **headers},
        "body": body,
    }
    said = claim(make_request(request), PARAMETERS)
    assert isinstance(said, Claimed)
    return said


def names(said):
    return [data.get("event_name") for data in said.events]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"]
)
def test_a_gzip_body_is_unpacked_whatever_its_label_says(content_type):
    # ga4-protocol 11.2: senders label gzipped JSON wrongly
    assert post(gzip.compress(json.dumps(EVENT).encode()), content_type).events[0]["note"] == "é日"


def test_a_plain_body_with_a_gzip_label_is_read_as_it_is():
    assert names(post(json.dumps(EVENT).encode(), **{"Content-Encoding": "gzip"})) == ["lead"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b'{"name": "a"}')[:-6], 400),
        (gzip.compress(b'{"name": "a"}') + b"more", 400),
        (b"\x1f\x8b", 400),
        (b"\x1f\x8b" + b"\xff" * 40, 400),
        (gzip.compress(b" " * 70_000), 413),  # 64 KB and a ratio of 100
        (gzip.compress(b"[" + b"1," * (MAX_BODY_BYTES // 2) + b"1]"), 413),
        (b'{"a": "\xff"}', 400),
        (b'{"a": 1e999}', 400),
        (b"9" * 5000, 400),
        (b"[" * 100_000, 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"{}{}", 400),
        (b'{"a": NaN}', 400),
    ],
    ids=range(14),
)
def test_a_body_that_cannot_be_read_is_answered_and_makes_no_event(body, status):
    said = post(body)
    assert (said.events, said.answer.status) == ([], status)
    assert len(said.warnings) == 1


def test_a_small_body_may_unpack_to_more_than_a_hundred_times_its_size():
    assert names(post(gzip.compress(b'{"name": "a"' + b" " * 60_000 + b"}"))) == ["a"]


def test_a_byte_order_mark_and_blanks_around_the_json_are_no_trouble():
    assert names(post(b'\xef\xbb\xbf \r\n{"name": "a"}\n')) == ["a"]


def test_a_name_that_is_no_text_is_passed_over():
    said = post(b'[{"event_name": 5, "name": "lead"}, {"event_name": null}]')
    assert [data["event_name"] for data in said.events] == ["lead", None]


def test_a_failed_tag_is_told_only_to_senders_that_wait_for_tags():
    request = make_request({"method": "POST", "target": "/data", "body": '{"name": "a"}'})
    assert claim(request, PARAMETERS).failure_answer is None
    waiting = claim(request, Parameters(paths=("/data",), waits_for_tags=True))
    assert waiting.waits_for_tags
    assert waiting.failure_answer.status == 502


def test_the_paths_of_an_instance_are_known_to_the_container():
    component = find("client", "json")
    assert component.paths(Parameters(paths=("/a", "/b"))) == ("/a", "/b")
    assert set(component.methods) == {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.mark.parametrize(
    "parameters", [{}, {"paths": []}, {"paths": ["data"]}, {"paths": ["/a"], "methods": ["BREW"]}]
)
def test_parameters_that_could_never_claim_are_refused(parameters):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(parameters, Parameters)


@given(
    body=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(gzip.compress)),
    query=st.binary(max_size=20),
)
def test_no_body_makes_the_client_raise(body, query):
    request = msgspec.structs.replace(
        make_request({"method": "POST", "target": "/data"}), body=body, query=query
    )
    said = claim(request, PARAMETERS)
    assert isinstance(said, Claimed)
    assert said.answer.status == (200 if said.events else 400)
    assert all(isinstance(data, dict) for data in said.events)
