"""Meta Conversions API: the envelope, Meta's answers, what never leaves, and a batch over a socket.

What one event becomes stands in tests/golden/tags/meta_conversions.yaml. SPEC: meta-capi.
"""

import base64
import json
from urllib.parse import quote

import msgspec
import pytest
from cases import case_event, make_parameters, make_request
from delivery.deliveries import NOON_MICROS, bench, literal
from hypothesis import example, given
from hypothesis import strategies as st

from sgtm.component import find
from sgtm.demo.vendor import Vendor
from sgtm.event import make_event, undefined
from sgtm.messages import OutgoingRequest, VendorAnswer
from sgtm.tags._meta.event import EVENT_NAMES, seconds
from sgtm.tags._meta.user_data import is_enough
from sgtm.tags.meta_conversions import build, check, envelope, read

TAG = find("tag", "meta_conversions")
REQUIRED = {"pixel_id": "1", "access_token": "META_TOKEN"}
ID = {"user_id": "12345"}
MARY = "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"


def parameters(**more):
    return make_parameters(TAG, {**REQUIRED, **more})


def built(data, name="page_view", request=None, **more):
    event = case_event({"event": {"name": name, "data": data}, "request": request or {}})
    return build(event, parameters(**more))


def item(data, **more):
    (request,) = built({"event_id": "e", **ID, **data}, **more).requests
    return json.loads(request.item)


def test_the_result_names_the_keys_of_the_person_that_were_sent():
    # SPEC: requirements R137
    assert built({"event_id": "e", **ID, "user_agent": "UA"}).match_keys == (
        "external_id",
        "client_user_agent",
    )
    assert built({"event_id": "e"}).match_keys == ()


def test_content_ids_are_texts_also_where_the_site_writes_numbers():
    # SPEC: meta-capi 7: content_ids string[], else the ids of the products
    override = {"x-fb-cd-contents": [{"id": 123, "quantity": 1}, {"id": "B"}, {"id": {"no": "id"}}]}
    assert item(override)["custom_data"]["content_ids"] == ["123", "B"]


# -- declared beside the tag -------------------------------------------------------------------


def test_the_tag_says_that_it_advertises_and_which_consent_it_needs():
    # SPEC: design, Decisions; meta-capi 12: ad_storage and ad_user_data; 13: 1,000 events
    assert TAG.is_advertising
    assert TAG.consent == ("ad_storage", "ad_user_data")
    assert TAG.max_batch == 1_000
    assert TAG.vendor == "meta"


# -- the envelope: SPEC meta-capi 2 ------------------------------------------------------------


def test_an_envelope_joins_the_events_and_says_who_sends_them():
    requests = [built({"event_id": f"e{n}", **ID}).requests[0] for n in range(3)]
    joined = envelope(requests)
    body = json.loads(joined.body)
    assert [event["event_id"] for event in body["data"]] == ["e0", "e1", "e2"]
    assert set(body) == {"data", "partner_agent"}
    assert body["partner_agent"].startswith("sgtm-")
    assert body["partner_agent"] == body["partner_agent"].lower()
    assert (joined.url, joined.headers, joined.credential) == (
        requests[0].url,
        requests[0].headers,
        requests[0].credential,
    )
    assert not joined.item


def test_event_enhancement_is_named_in_the_partner_agent():
    # SPEC: meta-capi 5: adds -ee
    requests = built({"event_id": "e", **ID}, enhance_events=True).requests
    assert json.loads(envelope(requests).body)["partner_agent"].endswith("-ee")


def test_a_test_event_has_a_body_of_its_own_and_no_share_of_a_batch():
    # SPEC: meta-capi 11: integrations do not batch test events
    (request,) = built({"event_id": "e", **ID}, test_event_code="TEST1").requests
    assert not request.item
    body = json.loads(request.body)
    assert body["test_event_code"] == "TEST1"
    assert len(body["data"]) == 1


@pytest.mark.parametrize("said", ["\ud800", "joe@eg.com", "a b", "x" * 65, 5.5, ["TEST1"]])
def test_a_test_code_of_the_event_that_is_none_is_ignored(said):
    (request,) = built({"event_id": "e", **ID, "test_event_code": said}).requests
    assert request.item
    assert not request.body


def test_the_token_stands_nowhere_but_as_a_name_in_the_header():
    # SPEC: meta-capi 1
    (request,) = built({"event_id": "e", **ID}).requests
    assert "access_token" not in request.url
    assert request.credential.place == "header"
    assert request.credential.prefix == "Bearer "
    assert request.credential.name == "META_TOKEN"


# -- the answer: every row of SPEC meta-capi 13 ------------------------------------------------


def answer(status, body, **headers):
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return VendorAnswer(status, tuple(headers.items()), encoded)


def failed(status, code, subcode=None, **more):
    return answer(status, {"error": {"code": code, "error_subcode": subcode, "fbtrace_id": "AbC", **more}})


def requests_of(count):
    return [OutgoingRequest("POST", "https://x.example/")] * count


def test_a_success_counts_the_events_and_its_trace_is_kept():
    outcome = read(answer(200, {"events_received": 2, "messages": [], "fbtrace_id": "AbC_1"}), requests_of(2))
    assert outcome.kind == "done"
    assert "AbC_1" in outcome.reason
    assert not outcome.warnings


@pytest.mark.parametrize(
    "body", [{}, {"events_received": 0}, {"events_received": True}, {"events_received": "1"}]
)
def test_a_200_that_counts_no_events_is_no_success(body):
    # SPEC: requirements R303
    assert read(answer(200, body), requests_of(1)).kind == "dead"


def test_messages_and_another_count_are_warnings_without_the_vendors_text():
    body = {"events_received": 1, "messages": ["der Kunde joe@eg.com"], "fbtrace_id": "AbC"}
    outcome = read(answer(200, body), requests_of(2))
    assert outcome.kind == "done"
    assert outcome.warnings == (
        "Meta counted 1 of 2 events, fbtrace_id AbC",
        "Meta's answer carries messages, fbtrace_id AbC",
    )


DROP = [2804003, 2804050, 2804009, 2804001, 2804007, 2804016, 2804017, 2804019, 2804048, None, 999]
STOP = [
    (400, 100, 33),
    *[(status, 190, subcode) for status in (400, 401) for subcode in (None, 460, 463, 467)],
    *[(status, code, None) for status in (400, 403) for code in (10, 200, 299, 3)],
    (400, 2635, None),
    (403, 777, None),
]
AGAIN = [(400, code) for code in (4, 17, 32, 613, 80003, 80004)] + [(500, code) for code in (1, 2, 341, 368)]


@pytest.mark.parametrize("subcode", DROP)
def test_an_invalid_event_is_dead_alone_and_looked_for_in_a_batch(subcode):
    assert read(failed(400, 100, subcode), requests_of(1)).kind == "dead"
    assert read(failed(400, 100, subcode), requests_of(5)).kind == "isolate"


@pytest.mark.parametrize(("status", "code", "subcode"), STOP)
@pytest.mark.parametrize("count", [1, 5])
def test_a_bad_token_pixel_permission_or_version_stops_the_destination(status, code, subcode, count):
    # R136: an alert, not endless retries
    outcome = read(failed(status, code, subcode), requests_of(count))
    assert outcome.kind == "refused"
    assert str(code) in outcome.reason


@pytest.mark.parametrize(("status", "code"), AGAIN)
def test_throttled_and_temporary_are_tried_again(status, code):
    # "often plain HTTP 400 with type OAuthException"
    assert read(failed(status, code, type="OAuthException"), requests_of(3)).kind == "retry"
    assert read(failed(400, str(code)), requests_of(3)).kind == "retry"


@pytest.mark.parametrize(
    "sent",
    [
        failed(400, 100, 2804003, is_transient=True),
        failed(400, 190, 463, is_transient=True),
        failed(503, 100, 2804003),
        failed(429, 12345),
        answer(500, {"error": {}}),
        answer(502, b"<html>Bad Gateway</html>"),
        answer(400, b"<html>"),
        answer(200, b""),
        answer(200, b"[]"),
        answer(200, b"[" * 100_000),
        answer(200, b"\xff\xfe"),
    ],
)
def test_what_is_transient_or_no_json_is_tried_again_before_any_code_is_looked_at(sent):
    assert read(sent, requests_of(2)).kind == "retry"


@pytest.mark.parametrize(
    "sent", [failed(400, 12345), answer(404, {}), answer(400, {"error": "x"}), failed(400, True)]
)
def test_everything_else_is_dead(sent):
    assert read(sent, requests_of(2)).kind == "dead"


def test_a_body_that_is_too_large_for_a_gateway_is_halved():
    assert read(answer(413, b"<html>"), requests_of(2)).kind == "isolate"
    assert read(answer(413, b"<html>"), requests_of(1)).kind == "dead"


@pytest.mark.parametrize(
    "specs",
    [
        [["data", 1, "event_time"]],
        [["data", "1", "user_data", "em"]],
        [["data[1][event_time]"]],
        ["data[1]"],
    ],
)
@pytest.mark.parametrize("as_text", [True, False])
def test_the_event_that_is_blamed_is_dead_and_the_others_go_again(specs, as_text):
    data = {"blame_field_specs": specs}
    sent = failed(400, 100, 2804003, error_data=json.dumps(data) if as_text else data)
    outcomes = read(sent, requests_of(3))
    assert [outcome.kind for outcome in outcomes] == ["retry", "dead", "retry"]
    assert "2804003" in outcomes[1].reason


@pytest.mark.parametrize(
    "error_data",
    [
        {"blame_field_specs": [["data", 9]]},
        {"blame_field_specs": [["access_token"]]},
        {"blame_field_specs": [["data", 0], ["data"]]},
        {"blame_field_specs": [["data", 0], ["data", 1], ["data", 2]]},
        {"blame_field_specs": "data"},
        {"blame_field_specs": [None, 5, {}]},
        {},
        [],
        "",
        "no json",
        None,
    ],
)
def test_blame_that_names_no_single_event_leaves_it_to_halving(error_data):
    assert read(failed(400, 100, 2804003, error_data=error_data), requests_of(3)).kind == "isolate"


def test_nothing_of_the_vendors_words_is_kept():
    # SPEC: meta-capi 13: localised, and may repeat what was sent
    words = {"message": "joe@eg.com", "error_user_msg": "joe@eg.com", "error_user_title": "joe@eg.com"}
    for code in (100, 190, 4, 12345):
        outcome = read(failed(400, code, **words), requests_of(1))
        assert "joe" not in outcome.reason
        assert "AbC" in outcome.reason
    assert "joe" not in read(failed(400, 4, fbtrace_id="joe@eg.com"), requests_of(1)).reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
errors = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([100, 190, 4, 1, 2635]) | json_values,
        "error_subcode": json_values,
        "is_transient": json_values,
        "fbtrace_id": json_values,
        "error_data": json_values | st.fixed_dictionaries({"blame_field_specs": json_values}),
    },
)


@given(
    status=st.sampled_from([200, 204, 302, 400, 401, 413, 429, 500]),
    body=st.binary(max_size=40)
    | json_values.map(lambda value: json.dumps(value).encode())
    | errors.map(lambda error: json.dumps({"error": error}).encode()),
    count=st.integers(1, 4),
)
def test_no_answer_makes_read_raise_and_each_event_gets_its_outcome(status, body, count):
    said = read(VendorAnswer(status, (), body), requests_of(count))
    outcomes = said if isinstance(said, list) else [said]
    assert len(outcomes) in (1, count)
    assert {one.kind for one in outcomes} <= {"done", "retry", "dead", "isolate", "refused"}
    assert count > 1 or outcomes[0].kind != "isolate"


# -- a bad event does not sink its batch: over a socket, through the lanes (R133) ---------------


async def test_the_good_events_of_a_batch_arrive_with_their_ids_and_the_bad_one_is_dead():
    vendor = Vendor(now_s=lambda: NOON_MICROS / 1e6, tokens=frozenset({"s3cret"}))
    async with bench(literal(META_TOKEN="s3cret"), vendor=vendor) as it:
        deliveries = []
        for number in range(7):
            (request,) = built({"event_id": f"e{number}", **ID}, endpoint=it.vendor.url).requests
            said = msgspec.structs.asdict(request)
            if number == 4:
                said["item"] = said["item"].replace(b'"PageView"', b'""')
            kept = {key: said[key] for key in ("headers", "item", "credential")}
            deliveries.append(it.deliver("", url=request.url, component=TAG, **kept))
        it.clock.advance(1)
        await it.until(lambda: len(it.settled) == 7)
        outcomes = [it.outcome_of(delivery).kind for delivery in deliveries]
        assert outcomes == ["done"] * 4 + ["dead"] + ["done"] * 2
        accepted = [hit.json()["data"] for hit in it.vendor.requests() if hit.status == 200]
        assert sorted(event["event_id"] for batch in accepted for event in batch) == [
            f"e{number}" for number in range(7) if number != 4
        ]
        assert all(hit.header("Authorization") == "Bearer s3cret" for hit in it.vendor.requests())


# -- names: SPEC meta-capi 6 -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("view_item_list", "view_search_results", "select_item", "view_cart", "remove_from_cart"),
        *("add_shipping_info", "refund", "login", "my_event"),
    ],
)
def test_a_name_that_is_not_in_the_table_goes_unchanged(name):
    assert name not in EVENT_NAMES
    assert item({}, name=name)["event_name"] == name


def test_an_event_without_a_name_is_not_sent():
    assert built(ID, name="").sends_nothing_because == "the event has no name"


# -- time: SPEC meta-capi 3 --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (1_763_999_999, 1_763_999_999),
        (1_763_999_999.9, 1_763_999_999),
        ("1763999999.0", 1_763_999_999),
        (1_763_999_999_999, 1_763_999_999),
        (1_763_999_999_999_999, 1_763_999_999),
        (10**30, 1_764_000_000),
        (-5, 1_764_000_000),
        ("soon", 1_764_000_000),
        (None, 1_764_000_000),
        (True, 1_764_000_000),
        (undefined, 1_764_000_000),
    ],
)
def test_event_time_is_in_whole_seconds_and_never_in_the_future(said, sent):
    assert item({"event_time": said})["event_time"] == sent


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ({"timestamp_micros": 1_763_999_990_500_000}, 1_763_999_990),
        ({"timestamp_micros": 1_763_999_990_500_000, "event_time": 1_763_999_000}, 1_763_999_000),
        ({"timestamp_micros": "soon"}, 1_764_000_000),
    ],
)
def test_an_event_that_came_late_is_dated_at_the_time_that_its_sender_says(data, sent):
    # vendor-tags 6, 4: timestamps are kept with the event and converted per vendor
    assert item(data)["event_time"] == sent


@given(time=st.integers(1_000_000_000, 3_000_000_000), rest=st.integers(0, 999_999))
def test_seconds_come_out_of_every_unit(time, rest):
    assert seconds(time) == seconds(time * 1_000 + rest // 1_000) == seconds(time * 1_000_000 + rest) == time


@pytest.mark.parametrize(
    ("age_s", "is_sent"), [(604_799 - 60, True), (604_800 - 60, False), (700_000, False)]
)
def test_what_is_sent_can_still_arrive_before_meta_refuses_it(age_s, is_sent):
    result = built({"event_id": "e", "event_time": 1_764_000_000 - age_s, **ID})
    assert bool(result.requests) == is_sent
    assert all(one.expires_micros > 1_764_000_000_000_000 for one in result.requests)


# -- who: SPEC meta-capi 4.7 -------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        *([], ["ct", "country", "st", "zp", "ge", "client_user_agent"], ["client_user_agent"]),
        *(["db", "client_user_agent"], ["db"], ["fn", "ge"], ["ln", "ge"], ["fn"], ["ln"], ["ct", "st"]),
    ],
)
def test_weak_keys_alone_are_not_enough(keys):
    assert not is_enough(keys)


@pytest.mark.parametrize(
    "keys",
    [["em"], ["external_id"], ["fbp"], ["fn", "ln"], ["fn", "ct"], ["db", "ge"], ["client_ip_address"]],
)
def test_any_other_set_of_keys_is_enough(keys):
    assert is_enough(keys)
    assert is_enough([*keys, "ct", "client_user_agent"])


def test_match_keys_are_those_that_the_event_carries():
    # R137
    data = {"user_agent": "UA", "fbp": "fb.1.1.1", "email": "mary@x.example", "x-fb-ud-page_id": "1"}
    (request,) = (result := built({"event_id": "e", **data})).requests
    assert result.match_keys == ("em", "client_user_agent", "fbp", "page_id")
    assert tuple(json.loads(request.item)["user_data"]) == result.match_keys


# -- fbp, fbc: SPEC meta-capi 8 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "index"),
    [
        ("shop.example", 1),
        ("sgtm.shop.example", 1),
        ("a.shop.example.co.uk", 2),
        ("192.0.2.1", 0),
        ("localhost", 0),
    ],
)
def test_the_index_counts_the_labels_of_the_registrable_domain(host, index):
    result = built({"event_id": "e"}, request={"host": host}, generate_fbp=True)
    (request,) = result.requests
    assert json.loads(request.item)["user_data"]["fbp"].startswith(f"fb.{index}.1764000000000.")


def test_a_new_browser_id_is_ten_digits_and_the_same_for_all_events_of_a_request():
    request = make_request()
    events = [
        make_event({"event_name": "page_view", "event_id": "e"}, request, "x", index) for index in (0, 1)
    ]
    ids = {
        json.loads(build(one, parameters(generate_fbp=True)).requests[0].item)["user_data"]["fbp"]
        for one in events
    }
    (fbp,) = ids
    drawn = fbp.split(".")[3]
    assert len(drawn) == 10
    assert 1_000_000_000 <= int(drawn) <= 2_147_483_647


@pytest.mark.parametrize(
    "value",
    [
        "",
        "fb",
        "fb.1.2",
        "fb.1.2.",
        "fb.x.2.3",
        "fb.1.2.3.4.5",
        "xb.1.2.3",
        "fb.1.2.3 4",
        "fb.1.2.3\r\nx",
        "fb.1.2.;",
    ],
)
def test_a_browser_id_that_is_not_valid_counts_as_absent(value):
    data = {"x-fb-ck-fbp": value, "fbp": "fb.1.2.33"}
    assert item(data)["user_data"]["fbp"] == "fb.1.2.33"


def test_the_override_comes_before_the_cookie_and_the_cookie_before_the_data_client():
    request = {"headers": {"cookie": "_fbp=fb.1.2.22"}}
    data = {"x-fb-ck-fbp": "fb.1.2.11", "common_cookie": {"_fbp": "fb.1.2.33"}, "fbp": "fb.1.2.44"}
    found = []
    for key, cookies in (("x-fb-ck-fbp", request), (None, request), ("common_cookie", {}), ("fbp", {})):
        found.append(item(data, request=cookies)["user_data"]["fbp"])
        if key:
            data.pop(key)
    assert found == ["fb.1.2.11", "fb.1.2.22", "fb.1.2.33", "fb.1.2.44"]


@pytest.mark.parametrize(
    ("query", "payload"),
    [
        ("fbclid=IwAR_aB-9", "IwAR_aB-9"),
        ("a=1&fbclid=x%2Fy&fbclid=z", "x/y"),
        ("fbclid=x%252Fy", "x%2Fy"),
        ("fbclid=", None),
        ("xfbclid=1", None),
        ("fbclid=a.b", None),
        ("fbclid=a%0Ab", None),
        ("fbclid=%ff", None),
        ("fbclid=" + "x" * 5_000, None),
    ],
)
def test_a_click_id_is_decoded_once_and_otherwise_kept(query, payload):
    fbc = item({"page_location": f"https://shop.example/?{query}"})["user_data"].get("fbc")
    assert fbc == (payload and f"fb.1.1764000000000.{payload}")


def test_no_cookie_is_written_unless_it_is_asked_for():
    result = built({"event_id": "e", **ID, "page_location": "https://shop.example/?fbclid=x"})
    assert result.cookies == ()


# -- event enhancement: SPEC meta-capi 5 -------------------------------------------------------


def enhanced(cookie):
    headers = {"headers": {"cookie": f"_gtmeec={cookie}"}}
    return item({}, request=headers, enhance_events=True)["user_data"]


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cookie",
    [
        *(
            "",
            "%",
            "!!!!",
            "e30",
            encoded([]),
            encoded("x"),
            encoded({"em": 5}),
            encoded({"em": "joe@eg.com"}),
        ),
        *(encoded({"em": MARY[:32]}), encoded({"fbp": MARY}), encoded({"fb_login_id": "x"})),
        base64.b64encode(b"[" * 100_000).decode(),
    ],
)
def test_a_malformed_enhancement_cookie_is_ignored(cookie):
    assert set(enhanced(cookie)) == {"external_id"}


def test_an_enhancement_cookie_is_read_also_when_it_is_percent_encoded():
    cookie = encoded({"fn": MARY, "fb_login_id": 7})
    for form in (cookie, quote(cookie, safe="")):
        assert enhanced(form)["fn"] == MARY
        assert enhanced(form)["fb_login_id"] == 7


def test_the_enhancement_cookie_holds_digests_only():
    data = {"event_id": "e", "user_id": "raw", "user_data": {"email": ["joe@eg.com", "a@b.de"]}}
    (cookie,) = built(data, enhance_events=True, hash_external_id=False).cookies
    kept = json.loads(base64.b64decode(cookie.value))
    assert set(kept) == {"em"}
    assert len(kept["em"]) == 64
    assert cookie.is_http_only
    assert cookie.same_site == "Strict"


# -- nothing raises, nothing leaks -------------------------------------------------------------

KEYS = [
    *(
        "event_id",
        "event_time",
        "page_location",
        "page_referrer",
        "user_agent",
        "ip_override",
        "user_id",
        "value",
    ),
    *("currency", "items", "user_data", "transaction_id", "search_term", "action_source", "test_event_code"),
    *(
        "custom_properties",
        "data_processing_options",
        "data_processing_options_country",
        "common_cookie",
        "fbc",
    ),
    *(
        "x-fb-ck-fbp",
        "x-fb-cd-contents",
        "x-fb-cd-content_ids",
        "x-fb-cd-num_items",
        "x-fb-cd-status",
        "email",
    ),
    *(
        "x-fb-ud-em",
        "x-fb-ud-db",
        "x-fb-ud-fb-login-id",
        "app_data",
        "extinfo",
        "original_event_data",
        "phone",
    ),
    *("attribution_data", "customer_segmentation", "messaging_channel", "consent_state"),
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["\ud800", "joe@eg.com", "[object Object]", "[1,{", "[" * 5_000, "9" * 400, "1990-02-30", "app"]
    )
    | st.just(undefined)
)
inner_keys = st.sampled_from(
    [
        "email",
        "address",
        "first_name",
        "item_id",
        "price",
        "quantity",
        "extinfo",
        "event_time",
        "_fbp",
        "\ud800",
    ]
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(inner_keys, inner, max_size=3),
    max_leaves=8,
)
ALL = {
    "extend_cookies": True,
    "generate_fbp": True,
    "enhance_events": True,
    "default_country_calling_code": "49",
    "data_processing_options": ["LDU"],
}


@given(
    data=st.dictionaries(st.sampled_from(KEYS), trees, max_size=12),
    name=st.sampled_from(["purchase", "page_view", "AppendValue", "x\ud800"]),
    source=st.sampled_from(["website", "app", "business_messaging", "physical_store"]),
    is_all=st.booleans(),
    cookie=st.text(alphabet="fb.123_gtmeec=; \x00é", max_size=30),
)
@example(
    data={"items": [{"item_id": "a", "quantity": 10**400, "price": 1e308}] * 3, **ID},
    name="x",
    source="app",
    is_all=False,
    cookie="",
)
@example(
    data={"items": [{"item_id": "a", "quantity": "9" * 400}, {"quantity": 0.5}], **ID},
    name="x",
    source="app",
    is_all=False,
    cookie="",
)
def test_no_event_data_makes_build_raise_and_what_is_sent_is_json(data, name, source, is_all, cookie):
    request = {"headers": {"cookie": f"_fbp={cookie}; _fbc={cookie}; _gtmeec={cookie}"}}
    result = built(data, name=name, request=request, action_source=source, **(ALL if is_all else {}))
    assert bool(result.requests) != bool(result.sends_nothing_because)
    for one in result.requests:
        sent = json.loads(envelope([one]).body if one.item else one.body)
        assert sent["data"][0]["event_time"] <= 1_764_000_000
    for made in result.cookies:
        assert made.value.isascii()
        assert made.value.isprintable()


@pytest.mark.parametrize("depth", [4, 400, 5_000])
@pytest.mark.parametrize(
    "key", ["custom_properties", "original_event_data", "app_data", "items", "user_data"]
)
def test_a_tree_without_end_is_cut(key, depth):
    tree = {"email": "joe@eg.com"}
    for _ in range(depth):
        tree = {"a": [tree], "event_id": [tree], "vendor_id": tree}
    sent = json.dumps(item({key: tree}))
    assert "joe" not in sent
    assert len(sent) < 100_000


SECRETS = [
    "zq.xw@mail.example",
    "zq.xw%40mail.example",
    "zq.xw%2540mail.example",
    "+49 170 5550123",
    "491705550123",
]
NAMES = ["Zyxwvut", "Qponmlk"]
PERSON = {
    "email_address": [SECRETS[0], SECRETS[0].upper()],
    "email": SECRETS[0],
    "sha256_email_address": SECRETS[0],
    "phone_number": SECRETS[3],
    "phone": [SECRETS[3]],
    "sha256_phone_number": SECRETS[3],
    "address": [
        {"first_name": NAMES[0], "last_name": NAMES[1], "sha256_first_name": NAMES[0], "street": NAMES[1]}
    ],
    "first_name": NAMES[0],
}


@pytest.mark.parametrize("is_test", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        {"user_data": PERSON},
        {"user_data": {**PERSON, "address": PERSON["address"][0]}},
        *({"user_data": {key: value}} for key, value in PERSON.items()),
        {"email": SECRETS[0], "email_address": SECRETS[0], "phone": SECRETS[3]},
        {
            f"x-fb-ud-{field}": NAMES[0]
            for field in ("em", "ph", "fn", "ln", "ct", "st", "external_id", "f5first", "fi")
        },
        {"x-fb-ud-em": SECRETS[0], "x-fb-ud-ph": SECRETS[3]},
        *(
            {"page_location": f"https://shop.example/{secret}/?email={secret}#{secret}"}
            for secret in SECRETS[:3]
        ),
        *({"page_referrer": f"https://shop.example/?q=1&m={secret}"} for secret in SECRETS[:3]),
        {"search_term": f"order of {SECRETS[0]}"},
        {"custom_properties": {SECRETS[0]: {"a": [SECRETS[0]]}}},
        {"x-fb-cd-contents": [{"id": SECRETS[0]}], "x-fb-cd-status": SECRETS[0]},
        {"items": [{"item_id": SECRETS[0], "item_name": f"for {SECRETS[0]}"}]},
        {"transaction_id": SECRETS[0], "event_id": SECRETS[0]},
        {"user_id": SECRETS[0]},
    ],
)
def test_no_personal_data_stand_in_the_clear_on_the_wire(data, is_test):
    # R268: whatever place they come from
    cookie = encoded({"em": SECRETS[0], "fn": NAMES[0]})
    result = built(
        {"event_id": "e", **ID, **data},
        request={"headers": {"cookie": f"_gtmeec={cookie}"}},
        enhance_events=True,
        hash_external_id="user_id" in data,
        test_event_code="TEST1" if is_test else "",
    )
    (request,) = result.requests
    wire = (request.item + request.body + request.url.encode()).lower()
    kept = b"".join(base64.b64decode(one.value) for one in result.cookies if one.name == "_gtmeec").lower()
    for secret in SECRETS + NAMES:
        if not (secret in NAMES and "x-fb-ud-external_id" in data):
            assert secret.lower().encode() not in wire, secret
        assert secret.lower().encode() not in kept, secret
        assert all(secret not in warning for warning in result.warnings)


def test_a_raw_external_id_that_is_an_address_is_taken_out_all_the_same():
    (request,) = built({"event_id": "e", "user_id": "joe@eg.com"}, hash_external_id=False).requests
    assert json.loads(request.item)["user_data"]["external_id"] == "redacted"


# -- check: R269 -------------------------------------------------------------------------------


def problems(**more):
    return [(one.severity, one.where) for one in check({**REQUIRED, **more}, "tag")]


def test_a_test_code_left_in_is_a_warning_but_for_a_variable():
    assert problems(test_event_code="TEST1") == [("warning", "tag.test_event_code")]
    assert problems(test_event_code="{{Test code}}") == []
    assert problems(test_event_code="") == []
    assert problems() == []


def test_an_event_must_not_choose_who_gets_the_token():
    assert problems(endpoint="https://{{Host}}") == [("error", "tag.endpoint")]


def test_a_browser_id_that_is_never_written_back_is_a_warning():
    assert problems(generate_fbp=True) == [("warning", "tag.generate_fbp")]
    assert problems(generate_fbp=True, extend_cookies=True) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"pixel_id": "G-1"}, {"pixel_id": ""}, {"api_version": "25"}, {"endpoint": "graph.facebook.com"}),
        *(
            {"action_source": "web"},
            {"default_country_calling_code": "+49"},
            {"data_processing_options": ["ldu"]},
        ),
        *({"endpoint": "https://x.example/?a"}, {"data_processing_options_state": -1}, {"unknown": 1}),
    ],
)
def test_parameters_that_cannot_work_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        parameters(**wrong)
