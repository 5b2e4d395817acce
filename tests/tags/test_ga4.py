"""GA4 tag: what the goldens do not show. SPEC: ga4-protocol 6 and 3, google-runtime 6; R112 to R122."""

import copy
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cases import make_request, query_of

from sgtm.component import Secret, find
from sgtm.event import Event, make_event
from sgtm.messages import IncomingRequest, OutgoingRequest, TagResult, VendorAnswer
from sgtm.protocols.gtag import parse_events
from sgtm.tags.ga4 import Parameters, build, check, read

VECTORS = Path(__file__).parents[1] / "vectors" / "ga4-hits.jsonl"
HITS = [json.loads(line) for line in VECTORS.read_text().splitlines()]
NOT_SENT_ON = ("x-sst-", "x-ga-js_client_id", "x-ga-mp2-richsstsse")
RECEIVED = 1_764_000_000_000_000
SECRET = Secret("ga4_secret")


def event_of(data: dict[str, Any], request: IncomingRequest | None = None, index: int = 0) -> Event:
    return make_event({"event_name": "e", **data}, request or make_request(), "test", index)


def browser_event(**data: Any) -> Event:
    """An event as the GA4 client makes it."""
    return event_of({"x-ga-page_id": 1, "client_id": "1.2", "ip_override": "203.0.113.7", **data})


def sent(result: TagResult) -> OutgoingRequest:
    (request,) = result.requests
    return request


def query(event: Event, **parameters: Any) -> dict[str, list[str]]:
    """The parameters of the hit, from URL and body."""
    request = sent(build(event, Parameters(**{"measurement_id": "G-1", **parameters})))
    return query_of(request.url) | query_of(f"?{request.body.decode()}")


def payload(event: Event, **parameters: Any) -> dict[str, Any]:
    more = {"measurement_id": "G-1", "protocol": "measurement_protocol", "api_secret": SECRET}
    found: dict[str, Any] = json.loads(sent(build(event, Parameters(**{**more, **parameters}))).body)
    return found


# -- round trip -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hit", HITS, ids=range(len(HITS)))
def test_a_recorded_hit_goes_through_client_and_tag_without_loss(hit: dict[str, str]) -> None:
    """All parameters but those that ga4-protocol 6 keeps here; the vector with v=1 is no GA4 hit."""
    request = make_request({"method": hit["method"], "target": hit["target"], "body": hit["body"]})
    for index, data in enumerate(parse_events(request)):
        if data.get("x-ga-protocol_version") == "1":
            continue
        out = sent(build(event_of(data, request, index), Parameters(user_data="as_is")))
        (back,) = parse_events(make_request({"method": "POST", "target": out.url, "body": out.body}))
        expected = {key: value for key, value in data.items() if not key.startswith(NOT_SENT_ON)}
        # The address travels as _uip, a system parameter to whoever reads it back (11.3).
        assert back["x-ga-system_properties"].pop("uip") == data["ip_override"]
        expected.setdefault("x-ga-system_properties", {})
        assert {key: back.get(key) for key in expected} == expected


@pytest.mark.parametrize("where", ["email", "email_address", "phone", "phone_number"])
def test_no_user_data_leave_in_the_clear(where: str) -> None:
    """R268; an event that brings `em` keeps it."""
    for value in (
        "Jane.Doe@Example.com",
        ["Jane.Doe@Example.com"],
        "+44 7911 123456",
        {"deep": "Jane.Doe@Example.com"},
    ):
        request = sent(build(browser_event(user_data={where: value}), Parameters(measurement_id="G-1")))
        wire = unquote(request.url + request.body.decode()).lower()
        assert "jane" not in wire
        assert "7911" not in wire
    kept = sent(
        build(
            browser_event(user_data={where: "a@b.example"}, **{"x-ga-em": "tv.1~em.e1"}),
            Parameters(measurement_id="G-1"),
        )
    )
    assert "&em=tv.1~em.e1&" in kept.url
    dropped = sent(
        build(browser_event(**{"x-ga-em": "tv.1~em.e1"}), Parameters(measurement_id="G-1", user_data="none"))
    )
    assert "em=" not in dropped.url


def test_a_long_hit_puts_the_event_block_into_the_body() -> None:
    """google-runtime 6.5: base + 1 + query above 2,048 characters."""
    lengths = set()
    for length in range(1900, 1930):
        event = browser_event(page_location="https://shop.example/" + "x" * length, note="n")
        request = sent(build(event, Parameters(measurement_id="G-1")))
        whole = len(request.url) + len("&en=e&ep.note=n") * (request.body != b"")
        assert request.body == (b"en=e&ep.note=n" if whole > 2048 else b"")
        lengths.add(whole)
    assert {2048, 2049} <= lengths


def test_session_and_consent_are_sent_as_they_came() -> None:
    """R118, R119."""
    system = {"ss": "1", "fv": "2", "nsi": "1", "dbg": "1"}
    data = {"ga_session_id": "17", "ga_session_number": 3, "x-ga-mp2-seg": "1", "engagement_time_msec": 12}
    consent = {"x-ga-gcs": "G100", "x-ga-gcd": "13p3p3p2p5l1", "x-ga-npa": "1", "x-ga-dma": "1"}
    found = query(browser_event(**data, **consent, **{"x-ga-system_properties": system}))
    expected = {
        "sid": "17",
        "sct": "3",
        "seg": "1",
        "_et": "12",
        "_ss": "1",
        "_fv": "2",
        "_nsi": "1",
        "_dbg": "1",
    }
    expected |= {"gcs": "G100", "gcd": "13p3p3p2p5l1", "npa": "1", "dma": "1"}
    assert {name: found[name] for name in expected} == {name: [value] for name, value in expected.items()}


# -- the visitor's address ------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["gtag", "measurement_protocol"])
def test_a_redacted_address_stands_nowhere(protocol: str) -> None:
    """R117, ga4-protocol 6."""
    system = {"uip": "203.0.113.7"}
    event = browser_event(**{"x-ga-system_properties": system})
    parameters = Parameters(
        measurement_id="G-1",
        protocol=protocol,
        redact_visitor_ip=True,
        api_secret=SECRET,  # type: ignore[arg-type]
    )
    assert "203.0.113.7" not in repr(build(event, parameters))
    assert "203.0.113.7" in repr(build(event, Parameters(measurement_id="G-1")))


def test_an_unknown_address_is_said_to_be_redacted() -> None:
    """Otherwise Google would place the visitor where this server stands."""
    assert query(event_of({"client_id": "1.2"}))["_uip"] == ["::"]


# -- events from elsewhere ------------------------------------------------------------------------


def test_made_ids_are_the_same_for_the_same_record_and_differ_otherwise() -> None:
    """R121, design.md: a hit is a pure function of its record and its container."""
    ids = [
        query(event_of({}, make_request({"seed": seed}), index))["cid"] for seed in (1, 2) for index in (0, 1)
    ]
    again = [
        query(event_of({}, make_request({"seed": seed}), index))["cid"] for seed in (1, 2) for index in (0, 1)
    ]
    assert ids == again
    assert len({str(one) for one in ids}) == 4


def test_a_made_client_id_has_the_form_of_a_browser_s() -> None:
    number, _, seconds = query(event_of({}))["cid"][0].partition(".")
    assert 0 <= int(number) < 2**31
    assert int(seconds) == RECEIVED // 1_000_000


def test_an_event_of_a_browser_is_not_completed() -> None:
    found = query(browser_event())
    assert found.keys() == {"v", "tid", "_p", "cid", "_uip", "en"}


def test_what_an_event_from_elsewhere_says_is_kept() -> None:
    found = query(event_of({"client_id": "7.8", "ga_session_id": "5", "engagement_time_msec": 30}))
    assert (found["cid"], found["sid"], found["_et"]) == (["7.8"], ["5"], ["30"])
    assert query(event_of({"app_instance_id": "aaaa"}))["cid"] == ["aaaa"]


def test_consent_in_other_words_is_told_to_google() -> None:
    state = {"ad_storage": False, "ad_personalization": False}
    found = query(browser_event(consent_state=state))
    assert (found["gcs"], found["npa"]) == (["G10-"], ["1"])
    assert "gcs" not in query(browser_event(**{"consent_state": state, "x-ga-gcd": "13l3l3l3l1l1"}))


# -- parameters -----------------------------------------------------------------------------------


def test_a_denial_that_gcs_has_no_place_for_is_told_too() -> None:
    """R119; google-runtime 6.6: only gcd can say ad_user_data"""
    said = query(event_of({"client_id": "1.2", "consent_state": {"ad_user_data": False}}))
    assert said["gcd"] == ["11l1l1m1l5l1"]
    assert "gcs" not in said


@pytest.mark.parametrize("nothing", [None, "", {}, [], {"a": 1}])
def test_what_is_no_id_and_no_address_is_made_as_if_it_were_missing(nothing: Any) -> None:
    """R121: a valid hit; without an address Google would take the server's (ga4-protocol 6)"""
    missing = {"client_id": nothing, "ip_override": nothing, "ga_session_id": nothing}
    said = query(event_of({**missing, "ga_session_number": nothing, "engagement_time_msec": nothing}))
    assert said["cid"][0].endswith(".1764000000")
    assert [said[name] for name in ("_uip", "sid", "sct", "_et")] == [["::"], ["1764000000"], ["1"], ["1"]]


def test_a_replaced_parameter_does_not_change_the_event() -> None:
    event = browser_event(user_data={"address": {"city": "Bonn"}}, **{"x-ga-mp2-user_properties": {"a": "1"}})
    before = copy.deepcopy(event.data)
    query(event, event_parameters={"user_data.address.city": "Berlin"}, user_properties={"a": "2"})
    query(event, exclude_event_parameters=["user_data.address.city"], redact_visitor_ip=True)
    assert event.data == before


def test_two_hundred_and_one_items_are_a_warning() -> None:
    result = build(browser_event(items=[{"item_id": "a"}] * 201), Parameters(measurement_id="G-1"))
    assert result.warnings == ("201 items; GA4 takes the first 200",)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/g/collect?"),
        ("http://127.0.0.1:9/own", "http://127.0.0.1:9/own?"),
        ("http://127.0.0.1:9/own?a=1", "http://127.0.0.1:9/own?a=1&"),
    ],
)
def test_the_endpoint_is_configurable(endpoint: str, expected: str) -> None:
    url = sent(build(browser_event(), Parameters(measurement_id="G-1", endpoint=endpoint))).url
    assert url.startswith(f"{expected}v=2&")


@pytest.mark.parametrize(
    ("region", "gcsub", "host"),
    [
        ("auto", "region1", "region1"),
        ("auto", "evil.example/", "www"),
        ("auto", None, "www"),
        ("global", "region1", "www"),
        ("eu", None, "region1"),
    ],
)
def test_the_region_is_chosen_by_the_tag_or_the_browser_s_hint(
    region: Any, gcsub: str | None, host: str
) -> None:
    """R120, ga4-protocol 1.5 and 6. The hint chooses, it never names a host."""
    event = browser_event(**{"x-sst-system_properties": {"gcsub": gcsub}})
    url = sent(build(event, Parameters(measurement_id="G-1", region=region))).url
    assert url.startswith(f"https://{host}.google-analytics.com/g/collect?")


def test_a_user_agent_never_breaks_the_header() -> None:
    event = browser_event(user_agent="Mozilla\r\nX-Evil: 1\t\x7fÜ ")
    headers = dict(sent(build(event, Parameters(measurement_id="G-1"))).headers)
    assert headers["User-Agent"] == "MozillaX-Evil: 1"


def test_an_event_without_a_name_sends_nothing() -> None:
    result = build(event_of({"event_name": None}), Parameters(measurement_id="G-1"))
    assert result == TagResult(sends_nothing_because="the event has no name")


# -- the Measurement Protocol ---------------------------------------------------------------------


def test_a_payload_without_own_time_has_that_of_receipt_and_72_hours() -> None:
    """R122: a delivery that waits keeps the event's time."""
    request = sent(
        build(
            event_of({}), Parameters(measurement_id="G-1", protocol="measurement_protocol", api_secret=SECRET)
        )
    )
    assert json.loads(request.body)["timestamp_micros"] == RECEIVED
    assert request.expires_micros == RECEIVED + 72 * 3600 * 1_000_000


def test_no_plain_user_data_are_in_a_payload() -> None:
    """google-runtime 6.8, ga4-protocol 3.1."""
    address = {"first_name": "Ada", "last_name": "LOVELACE", "street": "St. James's Square 12"}
    user_data = {
        "email_address": ["ada@example.com", "ADA@example.com ", "no address"],
        "phone_number": "+44 (20) 7946-0958",
        "address": [{**address, "city": "St. Albans 2", "postal_code": " SW1Y 4JH ", "country": "GB"}],
    }
    text = json.dumps(payload(event_of({"user_data": user_data})))
    assert not [one for one in ("ada@", "7946", "Ada", "LOVE", "James") if one in text]
    # echo -n VALUE | sha256sum of: ada@example.com, +442079460958, ada, lovelace, st jamess square
    assert payload(event_of({"user_data": user_data}))["user_data"] == {
        "sha256_email_address": ["b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72"],
        "sha256_phone_number": ["f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d"],
        "address": [
            {
                "sha256_first_name": "fdee430d40bd57deeac186cd9790033d0f06f909a8806e7ce6e717ab7c7d5029",
                "sha256_last_name": "fb1e7ec987523d2cb9e022cec1d6ae7c99dc46edfae4fe51254025fe4bea571f",
                "sha256_street": "dca1a6b700bdde23dfeac1f71a788a7fecc946c4bca6a24fc9479ddb1e04baec",
                "city": "st albans",
                "postal_code": "SW1Y 4JH",
                "country": "GB",
            }
        ],
    }


def test_digests_pass_and_win_over_plain_values() -> None:
    digest = "AB" * 32
    user_data = {"sha256_email_address": digest, "email": "ada@example.com", "phone": "12", "address": "x"}
    assert payload(event_of({"user_data": user_data}))["user_data"] == {"sha256_email_address": ["ab" * 32]}


def test_an_app_stream_needs_an_app_instance() -> None:
    parameters = Parameters(protocol="measurement_protocol", api_secret=SECRET, firebase_app_id="1:2:ios:3")
    result = build(event_of({"client_id": "1.2"}), parameters)
    assert "app_instance_id" in result.sends_nothing_because


def test_the_app_of_the_event_is_used_where_the_tag_names_none() -> None:
    data = {"firebase_app_id": "1:2:ios:3", "app_instance_id": "aaaa"}
    request = sent(build(event_of(data), Parameters(protocol="measurement_protocol", api_secret=SECRET)))
    assert request.url == "https://www.google-analytics.com/mp/collect?firebase_app_id=1:2:ios:3"
    assert "client_id" not in json.loads(request.body)


def test_without_a_secret_nothing_is_sent() -> None:
    result = build(event_of({}), Parameters(measurement_id="G-1", protocol="measurement_protocol"))
    assert result.sends_nothing_because == "the tag has no api_secret"


# -- check and read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({}, []),
        ({"measurement_id": "G-ABC123"}, []),
        ({"measurement_id": "{{Measurement ID}}"}, []),
        ({"measurement_id": "${GA4_ID}"}, []),
        ({"measurement_id": "UA-1-1"}, ["'UA-1-1' is no measurement id"]),
        ({"protocol": "measurement_protocol"}, ["protocol 'measurement_protocol' needs an api_secret"]),
        ({"api_secret": "${S}"}, ["is not used by protocol 'gtag'"]),
        ({"api_secret": "${S}", "protocol": "measurement_protocol"}, []),
    ],
    ids=repr,
)
def test_what_does_not_fit_together_is_a_problem(parameters: dict[str, Any], what: list[str]) -> None:
    assert [problem.what for problem in check(parameters, "tag")] == what


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (204, b"", "done"),
        (200, b"GIF89a", "done"),
        (200, b'{"validationMessages": []}', "done"),
        # R303: an error inside a 200
        (200, b'{"validationMessages": [{"fieldPath": "events", "validationCode": "NAME_INVALID"}]}', "dead"),
        (200, b'{"validationMessages"', "done"),
        (400, b"", "dead"),
        (403, b"", "refused"),
        (429, b"", "retry"),
        (503, b"", "retry"),
    ],
)
def test_success_is_judged_by_status_and_body(status: int, body: bytes, kind: str) -> None:
    assert read(VendorAnswer(status, (), body), []).kind == kind


def test_the_tag_is_found_under_google_s_name_and_adjusts_itself_to_consent() -> None:
    component = find("tag", "sgtmgaaw")
    assert component is not None
    assert component is find("tag", "ga4")
    assert component.is_consent_aware
    assert not component.is_advertising
