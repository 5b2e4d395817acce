"""Measurement Protocol: reading, writing and judging payloads. SPEC: ga4-protocol 3, 11.2."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sgtm.event import undefined
from sgtm.protocols.measurement_protocol import (
    MAX_EVENTS_READ,
    events_of_payload,
    payload_of_event,
    read_micros,
    read_payload,
    scalar_text,
)
from sgtm.protocols.measurement_protocol_validation import (
    MAX_WARNINGS,
    as_warnings,
    validate,
    validate_body,
)

NOW = 1_764_000_000_000_000
HOUR = 3600 * 1_000_000


def events_of(payload: Any, **ids: str) -> list[dict[str, Any]]:
    return events_of_payload(payload, **ids)


def written(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The payload as Google gets it."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(payload_of_event(data, **more)))
    return found


def params(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = written({"event_name": "e", **data})["events"][0].get("params", {})
    return found


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),  # a byte order mark
        (b'{"a": "\xff"}', {"a": "\ufffd"}),  # invalid UTF-8 never loses the payload
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),  # 11.2: \u escapes
        (b"[1]", None),
        (b"", None),
        (b"{", None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
    ],
)
def test_the_json_object_of_a_body_is_read(body: bytes, payload: Any) -> None:
    assert read_payload(body) == payload


def test_a_lone_surrogate_and_nan_do_not_lose_the_payload() -> None:
    payload = read_payload(b'{"client_id": "\\ud800", "events": [{"name": "e", "params": {"x": NaN}}]}')
    assert payload is not None
    (data,) = events_of(payload)
    assert written(data)["client_id"] == "\ufffd"
    assert "params" not in written(data)["events"][0]


@pytest.mark.parametrize("events", [None, [], "x", 5, [5, None, [], {}, {"name": ""}, {"name": 7}]])
def test_what_is_no_event_gives_no_event(events: Any) -> None:
    assert events_of({"client_id": "1.2", "events": events}) == []


@pytest.mark.parametrize("session_id", [1764000000, "1764000000", 1764000000.0], ids=repr)
def test_a_session_id_is_text_however_it_came(session_id: Any) -> None:
    """11.2."""
    (data,) = events_of({"events": [{"name": "e", "params": {"session_id": session_id}}]})
    assert data["ga_session_id"] == "1764000000"


@pytest.mark.parametrize("session_id", [None, "", True, [], {}], ids=repr)
def test_what_is_no_session_id_is_missing_and_not_empty(session_id: Any) -> None:
    """R23."""
    (data,) = events_of({"events": [{"name": "e", "params": {"session_id": session_id}}]})
    assert "ga_session_id" not in data


def test_the_work_of_a_payload_is_bounded() -> None:
    """Each event has its own copy of what all have in common: not as many as a body has room for."""
    assert len(events_of({"client_id": "1.2", "events": [{"name": "e"}] * 5000})) == MAX_EVENTS_READ


def test_identity_comes_from_the_request_never_from_a_parameter() -> None:
    given = {"client_id": "evil", "x-ga-measurement_id": "G-EVIL", "event_name": "evil", "x-ga-npa": "0"}
    payload = {"client_id": "1.2", "events": [{"name": "e", "params": given}]}
    (data,) = events_of(payload, measurement_id="G-1")
    assert data == {
        "event_name": "e",
        "client_id": "1.2",
        "x-ga-protocol_version": "2",
        "x-ga-measurement_id": "G-1",
    }


def test_two_events_of_a_payload_share_no_object() -> None:
    payload = {"user_data": {"email": "a"}, "events": [{"name": "a"}, {"name": "b"}]}
    first, second = events_of(payload)
    first["user_data"]["email"] = "changed"
    assert second["user_data"] == {"email": "a"}


def test_denied_personalization_in_old_words_is_npa() -> None:
    (data,) = events_of({"non_personalized_ads": True, "events": [{"name": "e"}]})
    assert data["x-ga-npa"] == "1"


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (NOW, NOW),
        (str(NOW), NOW),  # 3.1: number or numeric text
        (float(NOW), NOW),
        (0, 0),
        (-1, None),
        ("٣", None),
        ("1e3", None),
        (True, None),
        (float("nan"), None),
        (2**70, None),
        ("9" * 30, None),
        (None, None),
    ],
    ids=repr,
)
def test_a_timestamp_is_a_number_or_numeric_text(value: Any, micros: int | None) -> None:
    assert read_micros(value) == micros


def test_scalar_text_has_no_text_for_what_is_none() -> None:
    assert [scalar_text(one) for one in ("a", 5, 5.0, 5.5, True, None, [], {}, 10**5000)] == [
        *("a", "5", "5", "5.5"),
        *("", "", "", "", ""),
    ]


# -- writing --------------------------------------------------------------------------------------


def test_internal_keys_and_keys_with_a_place_of_their_own_are_no_parameters() -> None:
    data = {
        "x-ga-gcs": "G111",
        "x-sst-system_properties": {"tft": "1"},
        "client_hints": {},
        "consent_state": {"ad_storage": True},
        "user_data": {"email": "ada@example.com"},
        "value": 1,
    }
    assert params(data) == {"value": 1}


def test_user_data_are_only_sent_as_the_caller_hashed_them() -> None:
    data = {"event_name": "e", "user_data": {"email": "ada@example.com"}}
    assert "ada@example.com" not in json.dumps(written(data))
    assert written(data, user_data={"sha256_email_address": ["0b"]})["user_data"] == {
        "sha256_email_address": ["0b"]
    }


def test_consent_of_the_event_becomes_the_consent_object() -> None:
    """3.1: GRANTED and DENIED in upper case; ad_user_data and ad_personalization only."""
    state = {"ad_user_data": True, "ad_personalization": False, "ad_storage": True}
    assert written({"event_name": "e", "consent_state": state})["consent"] == {
        "ad_user_data": "GRANTED",
        "ad_personalization": "DENIED",
    }
    assert "consent" not in written({"event_name": "e", "consent_state": {"ad_storage": True}})


@pytest.mark.parametrize("value", [undefined, None, float("nan"), float("inf"), object(), 10**400])
def test_what_json_cannot_say_is_left_out(value: Any) -> None:
    assert params({"x": value, "y": [value], "z": {"a": value}}) == {"y": [], "z": {}}


def test_text_that_utf_8_cannot_hold_is_mended() -> None:
    assert params({"a\ud800": "\ud83d\ude00", "b": ["\udc00"]}) == {"a\ufffd": "😀", "b": ["\ufffd"]}


def test_device_of_a_browser_comes_from_its_hints() -> None:
    """2.5: hints that came as headers keep their quotes."""
    hints = {"platform": '"macOS"', "mobile": False, "brands": []}
    assert written({"event_name": "e", "client_hints": hints, "language": "de"})["device"] == {
        "category": "desktop",
        "operating_system": "macOS",
        "language": "de",
    }


def test_a_payload_comes_back_as_it_was() -> None:
    payload = {
        "client_id": "1.2",
        "user_id": "u",
        "timestamp_micros": NOW,
        "user_properties": {"plan": {"value": "pro"}, "age": {"value": 3}},
        "consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"},
        "user_location": {"city": "Berlin", "country_id": "DE", "continent_id": "150"},
        "ip_override": "198.51.100.7",
        "user_agent": "UA",
        "device": {"brand": "Google", "language": "de"},
        "events": [{"name": "e", "params": {"value": 1.5, "items": [{"item_id": "a"}], "session_id": "17"}}],
    }
    (data,) = events_of(payload)
    assert written(data) == payload


# -- validation -----------------------------------------------------------------------------------


def found(payload: Any, *, micros: int = NOW) -> list[tuple[str, str]]:
    return [(one.field_path, one.validation_code) for one in validate(payload, received_micros=micros)]


def with_params(**given: Any) -> dict[str, Any]:
    return {"client_id": "1.2", "events": [{"name": "e", "params": given}]}


def with_name(name: Any, **more: Any) -> dict[str, Any]:
    return {"client_id": "1.2", "events": [{"name": name}], **more}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, [("", "VALUE_INVALID")]),
        ({}, [("client_id", "VALUE_REQUIRED"), ("events", "VALUE_REQUIRED")]),
        (
            {"client_id": 5, "events": [{"name": "e"}]},
            [("client_id", "VALUE_REQUIRED"), ("client_id", "VALUE_INVALID")],
        ),
        (with_name("e", nonsense=1), [("nonsense", "VALUE_INVALID")]),
        (with_name("e", user_id="u" * 257), [("user_id", "VALUE_OUT_OF_BOUNDS")]),
        (with_name("e", user_location=[]), [("user_location", "VALUE_INVALID")]),
        (with_name("e", device={"category": 5}), [("device.category", "VALUE_INVALID")]),
        (with_name("e", consent={"ad_user_data": "granted"}), [("consent.ad_user_data", "VALUE_INVALID")]),
        (with_name("e", consent={"ad_storage": "GRANTED"}), [("consent.ad_storage", "VALUE_INVALID")]),
        (with_name("e", consent=5), [("consent", "VALUE_INVALID")]),
        (with_name("e", validation_behavior="HARD"), [("validation_behavior", "VALUE_INVALID")]),
        (with_name("e", timestamp_micros="soon"), [("timestamp_micros", "VALUE_INVALID")]),
        # events
        ({"client_id": "1.2", "events": []}, [("events", "VALUE_REQUIRED")]),
        ({"client_id": "1.2", "events": 5}, [("events", "VALUE_INVALID")]),
        ({"client_id": "1.2", "events": {"name": "e"}}, [("events", "VALUE_INVALID")]),
        ({"client_id": "1.2", "events": [5]}, [("events[0]", "VALUE_INVALID")]),
        ({"client_id": "1.2", "events": [{"name": "e"}] * 26}, [("events", "EXCEEDED_MAX_ENTITIES")]),
        (
            {"client_id": "1.2", "events": [{"name": "e", "params": 5}]},
            [("events[0].params", "VALUE_INVALID")],
        ),
        (with_name(None), [("events[0].name", "VALUE_REQUIRED")]),
        (with_name("9lives"), [("events[0].name", "NAME_INVALID")]),
        (with_name("a b"), [("events[0].name", "NAME_INVALID")]),
        (with_name("e" * 41), [("events[0].name", "NAME_INVALID")]),
        (with_name("e" * 40), []),
        (with_name("session_start"), [("events[0].name", "NAME_RESERVED")]),
        (with_name("ga_event"), [("events[0].name", "NAME_RESERVED")]),
        (with_name("_event"), [("events[0].name", "NAME_RESERVED")]),
        (with_name("screen_view"), [("events[0].name", "NAME_RESERVED")]),
        (with_name("screen_view", app_instance_id="a"), []),  # allowed for apps
        (with_name("ad_impression"), []),  # documented as allowed now
        # parameters
        (
            with_params(**{f"p{number}": 1 for number in range(26)}),
            [("events[0].params", "EXCEEDED_MAX_ENTITIES")],
        ),
        (with_params(**{f"p{number}": 1 for number in range(25)}), []),
        (with_params(firebase_conversion=1), [("events[0].params.firebase_conversion", "NAME_RESERVED")]),
        (with_params(google_x=1), [("events[0].params.google_x", "NAME_RESERVED")]),
        (with_params(**{"p" * 41: 1}), [(f"events[0].params.{'p' * 41}", "NAME_INVALID")]),
        (with_params(p="v" * 101), [("events[0].params.p", "VALUE_OUT_OF_BOUNDS")]),
        (with_params(p="v" * 100, session_id="1" * 200), []),
        (with_params(page_location="v" * 1000, page_title="v" * 300, page_referrer="v" * 420), []),
        (with_params(page_location="v" * 1001), [("events[0].params.page_location", "VALUE_OUT_OF_BOUNDS")]),
        (with_params(p={"a": 1}), [("events[0].params.p", "VALUE_INVALID")]),
        (with_params(p=None), [("events[0].params.p", "VALUE_INVALID")]),
        (with_params(p=True, q=1, r=1.5), []),
        # items
        (with_params(items="a"), [("events[0].params.items", "VALUE_INVALID")]),
        (with_params(items=[5]), [("events[0].params.items[0]", "VALUE_INVALID")]),
        (with_params(items=[{"price": 1}]), [("events[0].params.items[0]", "VALUE_REQUIRED")]),
        (with_params(items=[{"item_id": "a"}] * 201), [("events[0].params.items", "EXCEEDED_MAX_ENTITIES")]),
        (
            with_params(items=[{"item_id": "a", **{f"c{number}": 1 for number in range(11)}}]),
            [("events[0].params.items[0]", "EXCEEDED_MAX_ENTITIES")],
        ),
        (
            with_params(items=[{"item_id": "a" * 101}]),
            [("events[0].params.items[0].item_id", "VALUE_OUT_OF_BOUNDS")],
        ),
        # user properties
        (
            with_name("e", user_properties={f"p{number}": {"value": 1} for number in range(26)}),
            [("user_properties", "EXCEEDED_MAX_ENTITIES")],
        ),
        (with_name("e", user_properties={"a": 1}), [("user_properties.a", "VALUE_INVALID")]),
        (
            with_name("e", user_properties={"a" * 25: {"value": 1}}),
            [(f"user_properties.{'a' * 25}", "NAME_INVALID")],
        ),
        (
            with_name("e", user_properties={"user_id": {"value": 1}}),
            [("user_properties.user_id", "NAME_RESERVED")],
        ),
        (
            with_name("e", user_properties={"a": {"value": "v" * 37}}),
            [("user_properties.a", "VALUE_OUT_OF_BOUNDS")],
        ),
    ],
)
def test_google_s_limits_are_known(payload: Any, expected: list[tuple[str, str]]) -> None:
    """3.2 and 3.3."""
    assert found(payload) == expected


def test_an_old_timestamp_matters_only_where_recommendations_are_enforced() -> None:
    """3.1: RELAXED accepts and dates back, ENFORCE_RECOMMENDATIONS refuses; 72 hours."""
    old = with_name("e", timestamp_micros=NOW - 72 * HOUR - 1)
    assert found(old) == []
    enforced = {**old, "validation_behavior": "ENFORCE_RECOMMENDATIONS"}
    assert found(enforced) == [("timestamp_micros", "VALUE_OUT_OF_BOUNDS")]
    assert found({**enforced, "timestamp_micros": NOW - 72 * HOUR}) == []


def test_a_name_that_stands_twice_in_one_object_is_found() -> None:
    """3.3: NAME_DUPLICATED, which a parsed payload cannot show."""
    body = b'{"client_id": "1.2", "events": [{"name": "e", "params": {"a": 1, "a": 2}}, {"name": "e"}]}'
    messages = validate_body(body, read_payload(body), received_micros=NOW)
    assert [(one.field_path, one.validation_code) for one in messages] == [("a", "NAME_DUPLICATED")]


def test_a_body_above_130_kb_is_found() -> None:
    """3.2."""
    body = b'{"client_id": "1.2", "events": [{"name": "e"}]}'
    assert validate_body(body.ljust(130_000), read_payload(body), received_micros=NOW) == []
    messages = validate_body(body.ljust(130_001), read_payload(body), received_micros=NOW)
    assert [one.validation_code for one in messages] == ["VALUE_OUT_OF_BOUNDS"]


def test_no_message_shows_a_value() -> None:
    payload = with_params(p="ada@example.com" * 10, q=["ada@example.com"])
    payload |= {"consent": {"ad_user_data": "ada@example.com"}, "timestamp_micros": "ada@example.com"}
    messages = validate(payload, received_micros=NOW)
    assert len(messages) == 4
    assert "ada" not in str(messages)


def test_warnings_are_few_and_say_how_many_there_are() -> None:
    payload = with_params(**{f"p {number}": 1 for number in range(30)})
    warnings = as_warnings(validate(payload, received_micros=NOW))
    assert len(warnings) == MAX_WARNINGS + 1
    assert warnings[-1] == "and 21 more"


# -- whatever comes -------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.just("\ud800")
    | st.just(undefined),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = ["client_id", "app_instance_id", "user_id", "timestamp_micros", "user_properties", "user_data"]
MEMBERS += ["consent", "user_location", "ip_override", "device", "validation_behavior", "x"]
payloads = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(MEMBERS, json_values)
    | {
        "events": json_values
        | st.lists(
            st.fixed_dictionaries(
                {"name": st.text(max_size=4) | json_values},
                optional={
                    "params": st.dictionaries(st.sampled_from(["items", "a", "session_id"]), json_values)
                },
            ),
            max_size=3,
        )
    },
)


@given(payload=payloads)
@example(payload={"events": [{"name": "e", "params": {"session_id": 10**400}}]})
def test_no_payload_makes_any_step_raise(payload: dict[str, Any]) -> None:
    validate(payload, received_micros=NOW)
    for data in events_of(payload, measurement_id="G-1"):
        msgspec.json.encode(payload_of_event(data))


@given(body=st.binary(max_size=60))
def test_no_body_makes_the_reader_raise(body: bytes) -> None:
    validate_body(body, read_payload(body), received_micros=NOW)
