"""The Data Tag client, where a golden case cannot show it: cookies, the stream, hostile input."""

import base64
import gzip
import json

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients.data_tag import Parameters, check, claim
from sgtm.cookies import set_cookie_header
from sgtm.messages import Claimed

GRANTED = Parameters(unset_consent="granted")


def post(body, target="/data", parameters=GRANTED, **request):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = claim(make_request({"method": "POST", "target": target, "body": body, **request}), parameters)
    assert isinstance(said, Claimed)
    return said


def get(target, parameters=GRANTED, **request):
    said = claim(make_request({"target": target, **request}), parameters)
    assert isinstance(said, Claimed)
    return said


# -- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["", "=="])
@pytest.mark.parametrize("plus", ["+", "%2B"])
def test_an_object_in_the_address_may_come_unescaped_and_without_padding(padding, plus):
    packed = base64.b64encode(b'{"a":"~~>~"}').decode()
    assert "+" in packed or "/" in packed
    target = "/data?dtdc=" + packed.rstrip("=").replace("+", plus) + padding
    assert get(target).events[0]["a"] == "~~>~"


def test_a_plain_object_in_the_address_is_read_on_get_only():
    target = "/data?dtcd=%7B%22a%22%3A1%7D&b=2"
    assert get(target).events[0].items() >= {"a": 1, "b": "2"}.items()
    assert "a" not in post({"c": 1}, target).events[0]


@pytest.mark.parametrize("label", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_known_by_its_content(label):
    for body in (b'{"event": "a"}', gzip.compress(b' {"event": "a"}'), b"\xef\xbb\xbf" + b'{"event": "a"}'):
        assert post(body, headers={"Content-Type": label}).events[0]["event_name"] == "a"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1, null]", 400),
        (b"[]", 400),
        (b"nothing", 400),
        (b"&&==", 400),
        (b'{"a":' * 100_000, 400),
        (gzip.compress(b" " * 70_000), 413),
        (b"[" + b"{}," * 25 + b"{}]", 413),
    ],
    ids=range(8),
)
def test_a_body_that_holds_nothing_is_answered_and_makes_no_event(body, status):
    said = post(body)
    assert (said.events, said.answer.status, len(said.warnings)) == ([], status, 1)


def test_a_form_never_costs_more_than_its_bytes():
    assert len(post(b"&".join(b"a%d=1" % number for number in range(5000))).events[0]) < 1010
    (deep,) = post(b".".join([b"a"] * 5000) + b"=1").events
    assert deep["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"]["a"] == {
        ".".join(["a"] * 4985): 1
    }
    assert (
        post(b"a=1&a.b=2&c.5=x&d.0=x&d.1.e=y").events[0].items()
        >= {
            "a": 1,
            "c": {"5": "x"},
            "d": ["x", {"e": "y"}],
        }.items()
    )


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ([{"price": 2, "quantity": 3}, {"price": "1.5"}], 7.5),
        ([{"price": 1e308, "quantity": 1e308}], None),
        ([{"price": "x"}], None),
        ([{"price": 1}, 5], None),
        ([], None),
    ],
)
def test_a_missing_value_is_the_sum_of_the_items(items, value):
    assert post({"items": items}).events[0].get("value") == value
    assert post({"items": items, "value": 3}).events[0]["value"] == 3


# -- who it is ---------------------------------------------------------------------------------


def cookies(said):
    return {cookie.name: cookie for cookie in said.answer.cookies}


@pytest.mark.parametrize(
    ("event", "is_kept"),
    [
        ({"consent_state": {"analytics_storage": True}}, True),
        ({"consent_state": {"analytics_storage": False}}, False),
        ({"x-ga-gcs": "G100"}, False),
        ({}, True),
    ],
)
def test_the_cookie_follows_consent(event, is_kept):
    # R62, R281
    said = post({"a": 1, **event}, headers={"Cookie": "_dcid=dcid.1.1.2"})
    assert ("_dcid" in cookies(said)) is is_kept
    assert (said.events[0]["client_id"] == "dcid.1.1.2") is is_kept


def test_one_event_without_consent_is_enough_to_keep_no_cookie():
    denied = {"consent_state": {"analytics_storage": False, "ad_storage": False}}
    said = post([{"a": 1}, denied], headers={"Cookie": "_dcid=x; stape=y"})
    assert cookies(said) == {}


@pytest.mark.parametrize("client_id", ["a;b=c\r\nSet-Cookie: x", "日本", '"', "a b", "%41", "x" * 300])
def test_whatever_the_id_is_the_cookie_can_be_set_and_brings_it_back(client_id):
    said = post({"client_id": client_id})
    assert said.events[0]["client_id"] == client_id
    for cookie in said.answer.cookies:
        header = set_cookie_header(cookie, "sst.shop.example")
        value = header.partition(";")[0].partition("=")[2]
        assert "\n" not in header
        assert post({}, headers={"Cookie": f"_dcid={value}"}).events[0]["client_id"] == client_id
    assert ("_dcid" in cookies(said)) is (len(client_id) < 200 and "\n" not in client_id)


@pytest.mark.parametrize(
    ("page", "same_site"),
    [
        ("https://www.shop.example/", "Lax"),
        ("https://partner.example/", "None"),
        ("https://[::1", "Lax"),
        ("x", "Lax"),
        (None, "Lax"),
        (["https://partner.example/"], "Lax"),
    ],
)
def test_a_page_of_another_site_gets_a_cookie_that_comes_back_from_there(page, same_site):
    said = post({"page_location": page}, host="sst.shop.example")
    assert cookies(said)["_dcid"].same_site == same_site


# -- answers -----------------------------------------------------------------------------------


def test_the_stream_asks_for_pixels_and_holds_the_ordinary_answer():
    # ga4-protocol 5.6, vendor-tags 5.6
    said = post({"timestamp": 1, "unique_event_id": "x"}, "/data?v=2&richsstsse")
    answer = said.answer_with_pixels(("https://px.example/?a=1",))
    assert answer.status == 200
    assert dict(answer.headers)["Content-Type"].startswith("text/plain")
    first, second, rest = answer.body.split(b"\n\n")
    assert (first, rest) == (
        b'event: message\ndata: {"send_pixel":["https://px.example/?a=1"]}',
        b"",
    )
    response = json.loads(second.partition(b"data: ")[2])["response"]
    assert response["status_code"] == 200
    assert json.loads(response["body"]) == {"timestamp": 1, "unique_event_id": "x"}
    assert answer.cookies == said.answer.cookies
    assert post({"a": 1}).answer_with_pixels is None


def test_an_image_has_no_text_in_its_stream():
    assert b'"body":""' in get("/data?a=1&richsstsse=").answer_with_pixels(()).body


@pytest.mark.parametrize(
    ("parameters", "wheres"),
    [
        ({}, []),
        ({"status": 302}, ["here.status"]),
        ({"status": 302, "redirect_to": "https://a.example/"}, []),
        ({"redirect_parameter": "to"}, ["here.redirect_parameter"]),
        ({"redirect_parameter": "to", "redirect_hosts": ["a.example"]}, []),
    ],
)
def test_redirects_that_lead_nowhere_or_anywhere_are_reported(parameters, wheres):
    assert [problem.where for problem in check(parameters, "here")] == wheres


# -- hostile -----------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["event", "event_name", "client_id", "v", "items", "user_data", "email", "name", "url", "ip", "value"]
KEYS += ["consent_state", "x-ga-gcs", "page_location", "timestamp", "currency", "_dcid"]
OBJECTS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), VALUES, max_size=6)


@given(entries=st.lists(OBJECTS | VALUES, max_size=3), body_form=st.sampled_from(["timestamp", "event_data"]))
def test_no_object_raises_and_every_event_can_be_written(entries, body_form):
    parameters = Parameters(unset_consent="granted", answer_body=body_form)
    said = post(msgspec.json.encode(entries), "/data?richsstsse", parameters)
    assert len(said.events) <= len(entries)
    msgspec.json.encode(said.events)
    for cookie in said.answer.cookies:
        set_cookie_header(cookie, "sst.shop.example")
    assert said.events == [] or said.answer_with_pixels(()).status == 200


@given(
    body=st.binary(max_size=60) | st.binary(max_size=60).map(gzip.compress),
    query=st.binary(max_size=40) | st.binary(max_size=40).map(b"dtdc=".__add__),
    cookie=st.binary(max_size=20),
    method=st.sampled_from(["GET", "POST"]),
)
def test_no_bytes_raise(body, query, cookie, method):
    request = make_request({"method": method, "target": "/data"})
    headers = ((b"cookie", b"_dcid=" + cookie), (b"accept-language", cookie), (b"user-agent", cookie))
    request = msgspec.structs.replace(request, body=body, query=query, headers=headers)
    said = claim(request, GRANTED)
    assert isinstance(said, Claimed)
    msgspec.json.encode(said.events)
