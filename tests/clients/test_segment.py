"""The Segment client, where a golden case cannot show it: keys, records, time, hostile bodies."""

import base64
import gzip
import hashlib
import json

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients.segment import ACCEPTED, REFUSED, UNCHECKED, Parameters, claim
from sgtm.messages import Claimed, record_of
from sgtm.protocols.segment import MAX_ITEMS, consent_of, corrected_micros, moment

KEY = "a write key"
ONLY_OURS = Parameters(write_key_sha256=[hashlib.sha256(KEY.encode()).hexdigest().upper(), "0" * 64])
CALL = {"event": "A", "anonymousId": "a"}


def post(body, target="/v1/track", parameters=Parameters(), **headers):  # noqa: B008
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = make_request({"method": "POST", "target": target, "body": body, "headers": headers})
    said = claim(request, parameters)
    assert isinstance(said, Claimed)
    return request, said


def basic(key):
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


# -- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "target", "headers", "is_accepted"),
    [
        (CALL, "/v1/track", basic(KEY), True),
        (CALL, "/v1/track?writeKey=a+write%20key", {}, True),
        ({**CALL, "writeKey": KEY}, "/v1/track", {}, True),
        ({"batch": [{**CALL, "type": "track", "writeKey": KEY}]}, "/v1/batch", {}, True),
        ({"writeKey": KEY, "batch": []}, "/v1/batch", {}, True),
        (CALL, "/v1/track", {}, False),
        (CALL, "/v1/track", basic(""), False),
        (CALL, "/v1/track", basic(KEY + "x"), False),
        (CALL, "/v1/track", {"Authorization": f"Bearer {KEY}"}, False),
        (CALL, "/v1/track", {"Authorization": "Basic \xff%%"}, False),
        ({**CALL, "writeKey": [KEY]}, "/v1/track", {}, False),
        ({**CALL, "writeKey": KEY}, "/v1/track", basic("other"), False),  # the header says who sends
        (
            {"batch": [{"type": "page", "writeKey": KEY}, {"type": "page", "writeKey": "b"}]},
            "/v1/b",
            {},
            False,
        ),
    ],
    ids=range(13),
)
def test_only_listed_keys_may_send(body, target, headers, is_accepted):
    _, said = post(body, target, ONLY_OURS, **headers)
    assert said.verdict == (ACCEPTED if is_accepted else REFUSED)
    assert said.answer.status == (200 if is_accepted else 401)
    assert bool(said.events) is (is_accepted and body.get("batch") != [])
    assert said.is_sender_known is is_accepted
    assert said.refusal == ("" if is_accepted else "write key")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_record_has_the_verdict_and_no_key_and_gives_the_same_events(is_packed):
    body = json.dumps(
        {"writeKey": KEY, "sentAt": "x", "batch": [{**CALL, "type": "track", "writeKey": KEY}]}
    ).encode()
    body = gzip.compress(body) if is_packed else body
    request, said = post(body, "/v1/batch?writeKey=a+write+key&b=1", ONLY_OURS, **basic(KEY))
    record = record_of(request, said, "v1")
    kept = record.request.body + record.request.query + str(record.request.headers).encode()
    for form in (KEY, "a+write+key", base64.b64encode(f"{KEY}:".encode()).decode()):
        assert form.encode() not in kept
    assert record.request.query == b"b=1"
    again = claim(record.request, ONLY_OURS)
    assert (again.verdict, again.events, again.once_keys) == (ACCEPTED, said.events, said.once_keys)


def test_a_body_without_a_key_is_kept_as_it_came():
    request, said = post(b'{ "event": "A",  "userId": 1e2 }')
    assert said.verdict == UNCHECKED
    assert record_of(request, said, "v1").request.body == request.body


# -- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_a_packed_body_is_read_whatever_its_label_says(label):
    # ga4-protocol 11.2
    _, said = post(gzip.compress(json.dumps(CALL).encode()), **{"Content-Type": label})
    assert [data["event_name"] for data in said.events] == ["A"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"event=A", 415),
        (b'{"event": "\xff"}', 400),
        (gzip.compress(b'{"event": "A"}')[:-4], 400),
        (gzip.compress(b'{"event": "' + b"A" * 600_000 + b'"}'), 413),
        (b'{"a":' * 100_000, 400),
    ],
    ids=range(8),
)
def test_a_body_that_is_no_call_is_answered_and_makes_no_event(body, status):
    _, said = post(body)
    assert (said.events, said.answer.status, len(said.warnings)) == ([], status, 1)


def test_a_call_sent_again_is_known_by_its_message_id():
    # vendor-tags 5.5: dedup by messageId; what has none is never the same
    batch = {"batch": [{**CALL, "type": "track", "messageId": "m"}, {**CALL, "type": "track"}]}
    (first, second), (again, other) = (post(batch, "/v1/batch")[1].once_keys for _ in range(2))
    assert first == again != second
    assert second == other  # the same record, run again
    assert post(batch, "/v1/batch", Parameters(drop_repeated=False))[1].once_keys == ()


def test_a_call_has_no_more_items_than_google_reads():
    products = [{"sku": str(number)} for number in range(MAX_ITEMS + 5)]
    _, said = post({**CALL, "event": "Order Completed", "properties": {"products": products}})
    assert len(said.events[0]["items"]) == MAX_ITEMS


def test_no_property_takes_the_place_of_what_only_the_call_says():
    properties = {"event_name": "x", "x-ga-gcs": "G111", "client_id": "x", "event_id": "x", "own": 1}
    _, said = post({**CALL, "messageId": "m", "properties": properties})
    assert said.events == [{"event_name": "A", "own": 1, "client_id": "a", "event_id": "m"}]


@pytest.mark.parametrize(
    ("preferences", "wanted"),
    [
        ({"A": True, "B": True}, {"ad_storage": True, "ad_user_data": True}),
        ({"A": True, "B": False}, {"ad_storage": True, "ad_user_data": False}),
        ({"A": False, "B": True}, {"ad_storage": False, "ad_user_data": False}),
        ({"B": True}, {"ad_user_data": True}),
        ({"A": "yes", "C": True}, {}),
        ([], {}),
    ],
    ids=range(6),
)
def test_consent_that_several_categories_stand_for_needs_all_that_are_said(preferences, wanted):
    categories = {"A": ("ad_storage", "ad_user_data"), "B": ("ad_user_data",)}
    assert consent_of({"consent": {"categoryPreferences": preferences}}, categories) == wanted


# -- time --------------------------------------------------------------------------------------

RECEIVED = 1_764_000_000_000_000  # 2025-11-24T16:00:00Z


@pytest.mark.parametrize(
    ("call", "sent_at", "ago_s"),
    [
        ({"timestamp": "2025-11-24T15:59:50Z"}, None, 10),
        ({"timestamp": "2025-11-24T16:59:50+01:00"}, None, 10),
        ({"timestamp": "2025-11-24T15:59:50"}, None, 10),
        ({"timestamp": "2025-11-24T15:59:50.250000+00:00"}, "2025-11-24T16:00:00.250Z", 10),
        ({"timestamp": "2031-01-01T00:00:00Z"}, "2031-01-01T00:00:03Z", 3),  # a clock that is years ahead
        ({"timestamp": "2031-01-01T00:00:00Z"}, None, 0),  # never later than the receipt
        ({"timestamp": "2025-11-24T15:00:00Z"}, "2025-11-24T14:00:00Z", 0),
        ({"timestamp": "x", "originalTimestamp": "2025-11-24T15:59:50Z"}, None, 10),
        ({"timestamp": "2025-11-24T15:00:00Z", "originalTimestamp": "2025-11-24T15:59:50Z"}, None, 10),
        ({"timestamp": "yesterday"}, None, None),
        ({"timestamp": 1764000000}, None, None),
        ({}, None, None),
    ],
    ids=range(12),
)
def test_times_are_corrected_by_the_senders_clock(call, sent_at, ago_s):
    # vendor-tags 5.5: receivedAt - (sentAt - timestamp)
    wanted = None if ago_s is None else RECEIVED - 1_000_000 * ago_s
    assert corrected_micros(call, moment(sent_at), RECEIVED) == wanted


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "", "T" * 99])
def test_no_moment_raises(text):
    assert isinstance(moment(text), int | None)


# -- hostile -----------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["event", "properties", "traits", "context", "userId", "messageId", "timestamp", "sentAt", "name"]
INNER = ["products", "page", "traits", "consent", "campaign", "screen", "app", "ip", "revenue", "address"]
CALLS = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "page", "group"]) | ANYTHING},
    optional={
        name: ANYTHING | st.dictionaries(st.sampled_from(INNER), ANYTHING, max_size=4) for name in NAMES
    }
    | {"event": st.sampled_from(["Order Completed", "Product Viewed", "Promotion Viewed"]) | ANYTHING},
)


@given(batch=st.lists(CALLS | ANYTHING, max_size=4), rest=st.dictionaries(st.sampled_from(NAMES), ANYTHING))
def test_no_call_raises_and_a_record_gives_the_same_again(batch, rest):
    parameters = Parameters(snake_case=True, consent_categories={"a": ("ad_storage",)}, from_devices=True)
    request, said = post(
        msgspec.json.encode({**rest, "batch": batch, "writeKey": "k"}), "/v1/batch", parameters
    )
    assert len(said.events) <= len(batch)
    assert len(said.once_keys) == len(said.events)
    msgspec.json.encode(said.events)
    again = claim(record_of(request, said, "v1").request, parameters)
    assert again.events == said.events


@given(body=st.binary(max_size=60) | st.binary(max_size=60).map(gzip.compress), header=st.binary(max_size=30))
def test_no_bytes_raise(body, header):
    request = make_request({"method": "POST", "target": "/v1/track"})
    request = msgspec.structs.replace(request, body=body, headers=((b"authorization", header),))
    assert isinstance(claim(request, ONLY_OURS), Claimed)
