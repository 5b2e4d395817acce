"""The webhook client, where a golden case cannot show it: limits, times, secrets, hostile values.

SPEC: requirements R74-R91, R252, R265; reliability 5.5.
"""

import base64
import gzip
import hashlib
import hmac
import json

import pytest
from cases import make_parameters, make_request
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sgtm.clients._webhook.fields import moment_micros
from sgtm.clients.webhook import ACCEPTED, check, claim
from sgtm.component import find
from sgtm.errors import SgtmError
from sgtm.messages import Claimed, Verify, record_of
from sgtm.said import sound

NOW_S = 1_764_000_000
SECRETS = {"NEW": "the new secret", "OLD": "the old secret"}
SIGNED = {
    "paths": ["/w"],
    "signature": {
        "secrets": ["NEW", "OLD"],
        "header": "X-Signature",
        "prefix": "v1=",
        "separator": ",",
        "timestamp_prefix": "t=",
        "signed_text": "{timestamp}.{body}",
    },
    "event_type": "type",
    "events": [{"name": "purchase", "types": ["paid"], "fields": {"transaction_id": "id"}}],
}
BODY = json.dumps({"type": "paid", "id": "T-1"}).encode()


def value_of(name):
    if name not in SECRETS:
        raise SgtmError("has no value")
    return SECRETS[name]


def parameters(**changes):
    return make_parameters(find("client", "webhook"), {**SIGNED, **changes})


def request(body=BODY, headers=None, **more):
    return make_request({"method": "POST", "target": "/w", "body": body, "headers": headers or {}, **more})


def signed(body=BODY, secret=SECRETS["NEW"], at_s=NOW_S, over=None, **more):
    text = b"%d." % at_s + (body if over is None else over)
    signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return request(body, {"X-Signature": f"t={at_s},v1={signature}"}, **more)


def said(request, **changes):
    claimed = sound(claim(request, parameters(**changes)), value_of)
    assert isinstance(claimed, Claimed)
    return claimed


def status(request, **changes):
    return said(request, **changes).answer.status


@pytest.mark.parametrize("secret", SECRETS.values())
def test_each_active_secret_may_sign(secret):
    assert [one["transaction_id"] for one in said(signed(secret=secret)).events] == ["T-1"]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (request(), "there is no header X-Signature; there is no time of signing"),
        (request(headers={"X-Signature": "t=x,v1=00"}), "the time of signing is no number"),
        (request(headers={"X-Signature": f"t={NOW_S},v0=00"}), "no part of X-Signature begins with 'v1='"),
        (request(headers={"X-Signature": f"t={NOW_S},v1=zz"}), "what X-Signature holds is not hex"),
        (signed(secret="another"), "the secret, or what was signed with it, is not the same on both sides"),
        (signed(over=b"{}"), "the secret, or what was signed with it, is not the same on both sides"),
        (signed(at_s=NOW_S - 301), "it was signed 301 s old; 300 s are allowed"),
        (signed(at_s=NOW_S + 301), "it was signed 301 s ahead of this server's clock; 300 s are allowed"),
    ],
)
def test_what_is_not_signed_as_it_should_be_is_refused_and_the_walk_says_why(sent, why):
    """R77, R81, R252: and the sender hears the same words, whatever is wrong."""
    refused = said(sent)
    assert (refused.answer.status, refused.events, refused.refusal) == (401, [], "webhook 401")
    assert refused.answer.body == said(request()).answer.body
    assert refused.warnings == (f"refused with 401: {why}",)
    assert not any(secret in repr(refused) for secret in SECRETS.values())


def test_the_time_may_be_off_by_the_tolerance():
    for at_s in (NOW_S - 300, NOW_S + 300):
        assert status(signed(at_s=at_s)) == 200


@pytest.mark.parametrize(
    ("body", "changes", "expected"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (BODY, {"max_body_bytes": len(BODY) - 1}, 413),
        (json.dumps([{"type": "paid"}] * 3).encode(), {"max_events": 2}, 413),
        (b"<o/>", {"forms": ["json"]}, 415),
        (b"7", {}, 422),
        (b'{"id": 1}', {}, 422),
        (BODY, {"events_at": "data"}, 422),
        (b'{"type": "other"}', {}, 200),
        (b"[]", {}, 200),
        (gzip.compress(BODY, mtime=0), {}, 200),
        (BODY, {"status": 204}, 204),
    ],
)  # fmt: skip
def test_the_statuses(body, changes, expected):
    """R81, R265."""
    assert status(signed(body), **changes) == expected


def test_a_packed_body_is_as_large_as_what_is_in_it():
    """R82: the bound is of what has to be read."""
    packed = gzip.compress(BODY + b" " * 10_000, mtime=0)
    assert status(signed(packed), max_body_bytes=1_000) == 413
    assert status(signed(packed), max_body_bytes=20_000) == 200


def test_a_body_that_is_too_large_is_not_even_verified():
    assert isinstance(claim(signed(), parameters()), Verify)
    assert isinstance(claim(signed(), parameters(max_body_bytes=10)), Claimed)


def test_nobody_may_send_while_no_secret_has_a_value():
    assert status(signed(), signature={**SIGNED["signature"], "secrets": ["GONE"]}) == 503
    assert status(signed(), signature={**SIGNED["signature"], "secrets": ["GONE", "NEW"]}) == 200


def test_the_record_keeps_no_signature_and_runs_again_long_after_without_a_secret():
    """design.md, Delivery: the record keeps the verdict."""
    sent = signed()
    first = said(sent)
    record = record_of(sent, first, "1")
    assert record.request.headers == ()
    assert record.request.verdict == ACCEPTED
    again = claim(replace(record.request, received_micros=2**60), parameters())
    assert isinstance(again, Claimed)
    assert again.events == first.events


def test_a_verdict_of_another_client_does_not_count():
    assert isinstance(claim(replace(request(), verdict="api_secret not checked"), parameters()), Verify)


def test_unsigned_webhooks_have_a_verdict_too():
    open_to_all = {"signature": None, "allow_unsigned": True, "allowed_addresses": ["203.0.113.9"]}
    first = said(request(), **open_to_all)
    record = record_of(request(), first, "1")
    moved = replace(record.request, remote_address="198.51.100.1")
    assert said(moved, **open_to_all).events == first.events


def test_hubspot_v3_signs_method_url_body_and_milliseconds():
    """https://developers.hubspot.com/docs/api/webhooks/validating-requests"""
    text = b"POSThttps://shop.example/sst/w?a=b" + BODY + b"%d" % (NOW_S * 1000)
    signature = base64.b64encode(hmac.digest(b"the new secret", text, "sha256")).decode()
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": str(NOW_S * 1000)}
    rule = {
        "secrets": ["NEW"],
        "header": "X-HubSpot-Signature-v3",
        "encoding": "base64",
        "signed_text": "{method}{url}{body}{timestamp}",
        "timestamp_header": "X-HubSpot-Request-Timestamp",
        "timestamp_unit": "ms",
    }
    sent = replace(request(headers=headers, target="/w?a=b"), path_prefix="/sst")
    assert status(sent, signature=rule) == 200
    assert status(replace(sent, host="other.example"), signature=rule) == 401
    rule["url"] = "https://shop.example/sst/w?a=b"
    assert status(replace(sent, host="other.example", scheme="http"), signature=rule) == 200


def test_only_so_many_signatures_are_looked_at():
    right = signed().header(b"x-signature").partition(",")[2]
    for wrong, expected in ((7, 200), (8, 401)):
        header = ",".join([f"t={NOW_S}", *["v1=00"] * wrong, right])
        assert status(request(headers={"X-Signature": header})) == expected


def test_a_sender_that_calls_with_get_says_its_event_in_the_query():
    """A body that is empty is as if there were none."""
    rule = {"signature": None, "shared_secret": {"secrets": ["NEW"], "header": "X-Token"}, "methods": ["GET"]}
    sent = make_request(
        {"target": "/w?type=paid&id=7", "headers": {"X-Token": SECRETS["NEW"]}, "method": "GET"}
    )
    claimed = said(sent, **rule)
    assert claimed.events == [{"event_name": "purchase", "transaction_id": "7", "x-webhook-type": "paid"}]


def test_what_stands_in_the_query_is_the_same_event_when_its_record_runs_again():
    rule = {
        "signature": None,
        "shared_secret": {"secrets": ["NEW"], "query_parameter": "to ken"},
        "methods": ["GET", "POST"],
    }
    for body, method in ((b"", "GET"), (BODY, "POST")):
        target = "/w?type=paid&t%6F%20ken=the%20new%20secret&id=7"
        sent = make_request({"target": target, "method": method, "body": body})
        first = said(sent, **rule)
        record = record_of(sent, first, "1")
        assert b"secret" not in record.request.query
        again = claim(record.request, parameters(**rule))
        assert (again.events, again.once_keys) == (first.events, first.once_keys)


def test_a_secret_in_the_query_is_on_no_record_however_its_name_is_written():
    rule = {"signature": None, "shared_secret": {"secrets": ["NEW"], "query_parameter": "to ken"}}
    for name in ("to%20ken", "to+ken", "t%6f+k%65n"):
        sent = request(target=f"/w?a=1&{name}=the+new+secret&b=+")
        first = said(sent, **rule)
        assert len(first.events) == 1
        assert record_of(sent, first, "1").request.query == b"a=1&b=+"


def test_deliveries_with_the_same_body_but_of_another_type_are_different():
    """Shopify's orders/create and orders/paid have one body: only a header tells them apart. And an id that
    is the order's is no reason to lose its refund."""
    rule = {
        "event_type": "header:x-topic",
        "events": [{"name": "purchase", "types": ["paid"]}, {"name": "refund", "types": ["refunded"]}],
    }
    for by in ({}, {"delivery_id": "id"}):
        keys = []
        for topic in ("paid", "refunded", "paid"):
            sent = signed()
            sent = replace(sent, headers=(*sent.headers, (b"x-topic", topic.encode())))
            keys += said(sent, **rule, **by).once_keys
        assert keys[0] == keys[2] != keys[1]


def test_an_id_of_the_request_is_one_for_each_of_its_events_and_an_id_of_an_event_is_its_own():
    """R80, R84."""
    body = json.dumps([{"type": "paid", "n": 1}, {"type": "paid", "n": 1}]).encode()
    assert said(signed(body), delivery_id="n").once_keys == ("paid id 1", "paid id 1")
    assert said(signed(body), delivery_id="text:x").once_keys == ("paid id x 1", "paid id x 2")
    first, second = said(signed(body)).once_keys
    assert first != second
    assert said(signed(body, at_s=NOW_S - 9)).once_keys == (first, second), "signed again it is the same"


@pytest.mark.parametrize(("mode", "debug_modes"), [("ignore", []), ("mark", [True])])
def test_tests_are_ignored_or_marked(mode, debug_modes):
    """R85."""
    body = json.dumps({"type": "paid", "livemode": False}).encode()
    claimed = said(signed(body), test_when={"livemode": False}, test_events=mode)
    assert claimed.answer.status == 200
    assert [event.get("debug_mode") for event in claimed.events] == debug_modes
    live = json.dumps({"type": "paid", "livemode": True}).encode()
    assert "debug_mode" not in said(signed(live), test_when={"livemode": False}).events[0]


def test_events_of_one_body_share_nothing_that_one_of_them_adds():
    body = json.dumps({"person": {"city": "Bonn"}, "orders": [{"id": 1}, {"id": 2}]}).encode()
    rules = {
        "events_at": "orders",
        "event_type": None,
        "events": [{"name": "purchase", "fields": {"user_data": "body:person", "user_data.id": "id"}}],
    }
    events = said(signed(body), **rules).events
    assert [event["user_data"] for event in events] == [{"city": "Bonn", "id": 1}, {"city": "Bonn", "id": 2}]


# -- values ------------------------------------------------------------------------------------

KEYS = ["type", "id", "items", "price", "user_data", "a.b", "0", ""]
HOSTILE = st.sampled_from(
    ["paid", "<script>", "=cmd|' /C calc'!A0", "\x1b[2J", "‮", "{{x}}", "a\r\nb", "9" * 400]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
MANY = {
    "signature": None,
    "allow_unsigned": True,
    "event_type": ["type", "id"],
    "other_events": "other_{type}",
    "test_when": {"items.*.type": [True, "test"]},
    "delivery_id": {"join": ["id", "items.0.id"]},
    "fields": {
        "value": {"at": "items.*.price", "to": "minor_units", "currency": "id"},
        "n": {"at": "price", "to": "number"},
        "time": {"at": ["id", "price"], "to": "unix_micros"},
        "name": {"at": "type", "to": "last_word"},
        "up": {"join": ["id", "items"], "to": "upper_case"},
        "mapped": {"at": "items", "map": {"true": 1}},
        "user_data": "user_data",
        "user_data.address.city": "id",
        "items": {"each": "items", "fields": {"id": "id=paid.price", "price": {"at": "price", "to": "text"}}},
    },
}  # fmt: skip


@given(st.one_of(values, st.dictionaries(st.sampled_from(KEYS), values)))
def test_no_content_makes_it_raise_or_say_anything_of_it_in_a_warning(content):
    body = json.dumps(content).encode()
    before = json.dumps(content)
    claimed = said(request(body), **MANY)
    assert claimed.answer.status in (200, 400, 422)
    assert all(warning.isprintable() and "<" not in warning for warning in claimed.warnings)
    assert json.dumps(content) == before
    json.dumps(claimed.events, allow_nan=False)


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        (1_764_000_000, 1_764_000_000_000_000),
        (" 1764000000 ", 1_764_000_000_000_000),
        (1_764_000_000_123, 1_764_000_000_123_000),
        (1_764_000_000_123_456, 1_764_000_000_123_456),
        ("2025-11-24T16:00:00Z", 1_764_000_000_000_000),
        ("2025-11-24T16:00:00", 1_764_000_000_000_000),
        ("2025-11-24 17:00:00.5+01:00", 1_764_000_000_500_000),
        ("2025-11-24", 1_763_942_400_000_000),
    ],
)
def test_moments(written, micros):
    assert moment_micros(written) == micros


# -- check -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "severity", "what"),
    [
        ({"signature": None}, "error", "nobody could send: there is no secret"),
        ({"signature": None, "allow_unsigned": True}, "warning", "anybody can send events"),
        ({"allowed_addresses": ["10.0.0.1/8"]}, "error", "is no address and no network"),
        ({"events": []}, "error", "no webhook would become an event"),
        ({"event_type": None}, "error", "events have no type"),
        ({"delivery_window": "30s"}, "warning", "is short"),
        ({"shared_secret": {"secrets": ["X"]}}, "error", "the secret has one place"),
    ],
)
def test_what_check_finds(changes, severity, what):
    found = [(one.severity, one.what) for one in check({**SIGNED, **changes}, "client")]
    assert (severity, what) in found


@pytest.mark.parametrize(
    "changes",
    [
        {"event_type": "header:X-Signature"},
        {"fields": {"a": ["b", "header:x-signature"]}},
        {"test_when": {"header:X-Signature": "t"}},
        {
            "shared_secret": {"secrets": ["X"], "query_parameter": "token"},
            "delivery_id": {"at": "query:token"},
        },
    ],
)
def test_check_finds_places_of_what_no_record_keeps(changes):
    found = [one.what for one in check({**SIGNED, **changes}, "client")]
    assert [what.partition(" ")[2] for what in found] == ["is not there when the record runs again"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"signed_text": "{timestamp}"}, "the body is not signed: anybody could change it"),
        ({"signed_text": "{body}"}, "the time is not signed: anybody could change it"),
        ({"timestamp_prefix": ""}, "nothing says where the time stands"),
        ({"signed_text": "{id}{timestamp}{body}"}, "nothing says where the id stands"),
        ({"signed_text": "{timestamp}{body}{nonce}"}, "{nonce} stands for nothing"),
        ({"algorithm": "hmac_sha1"}, "SHA-1 is old"),
    ],
)
def test_what_check_finds_in_a_signature(changes, what):
    written = {**SIGNED, "signature": {**SIGNED["signature"], **changes}}
    assert what in [one.what for one in check(written, "client")]
    assert list(check(SIGNED, "client")) == []
