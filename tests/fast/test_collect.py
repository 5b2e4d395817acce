"""What the collect parser makes of each part of the wire; every test runs on the core and on its twin."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sgtm._fast import collect as fast

ROOT = Path(__file__).parents[2]


def one(implementation: ModuleType, query: str) -> dict[str, Any]:
    """Event data of `en=e&...`, without the event name."""
    (data,) = implementation.parse_collect(b"en=e&" + query.encode(), b"")
    assert data.pop("event_name") == "e"
    return dict(data)


def exactly(seen: Any, expected: Any) -> None:
    """Equal, with types and order of keys."""
    assert repr(seen) == repr(expected)


# -- decoding: ga4-protocol 1.1 ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"a%20b+c%2Bd", "a b c+d"),
        (b"%E6%97%A5%e6%9c%ac", "日本"),
        ("日本".encode(), "日本"),  # raw UTF-8 does occur
        (b"100%", "100%"),
        (b"%4", "%4"),
        (b"%zz%4g", "%zz%4g"),
        (b"%%41", "%A"),
        (b"%25%34%31", "%41"),
        (b"%ff", "\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"%E6%97", "\ufffd"),
        (b"a=b=c", "a=b=c"),
        (b"a\x00b", "a\x00b"),
        (b"!'()*~-_.", "!'()*~-_."),
    ],
)
def test_a_value_is_decoded_once_and_never_fails(implementation: ModuleType, wire: bytes, text: str) -> None:
    (data,) = implementation.parse_collect(b"en=e&dt=" + wire, b"")
    assert data["page_title"] == text


def test_names_are_decoded_too(implementation: ModuleType) -> None:
    (data,) = implementation.parse_collect(b"%65n=a&ep.my%20key=1&fo%2Fo=2&%ff=3", b"")
    exactly(data, {"event_name": "a", "my key": "1", "x-ga-mp2-fo/o": "2", "x-ga-mp2-\ufffd": "3"})


def test_empty_parts_are_nothing_and_a_name_alone_is_an_empty_text(implementation: ModuleType) -> None:
    exactly(one(implementation, "&&=x&richsstsse&foo=&"), {"x-ga-mp2-richsstsse": "", "x-ga-mp2-foo": ""})


# -- types: ga4-protocol 2.2, 8, 11.2 ------------------------------------------------------------


def test_numbers_are_numbers_and_other_digits_stay_text(implementation: ModuleType) -> None:
    seen = one(
        implementation, "_p=1747422523211&_s=3&sct=2&tfd=5&_et=7&sid=1747422523&seg=1&dma=0&npa=1&cid=1.2"
    )
    expected = {
        "x-ga-page_id": 1747422523211,
        "x-ga-request_count": 3,
        "ga_session_number": 2,
        "x-ga-tfd": 5,
        "engagement_time_msec": 7,
        "ga_session_id": "1747422523",
        "x-ga-mp2-seg": "1",
        "x-ga-dma": "0",
        "x-ga-npa": "1",
        "client_id": "1.2",
    }
    exactly(seen, expected)


def test_ids_beyond_2_to_the_53_are_exact(implementation: ModuleType) -> None:
    """11.2: never through a float"""
    seen = one(implementation, "_p=9007199254740993&epn.big=12345678901234567001&sid=9007199254740993")
    exactly(
        seen, {"x-ga-page_id": 2**53 + 1, "big": 12345678901234567001, "ga_session_id": "9007199254740993"}
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10.01", 10.01),
        ("10.0", 10),
        ("-3.50", -3.5),
        ("0", 0),
        ("1e-7", 1e-7),
        ("35.6638714628", 35.6638714628),
        ("0.1234567890123456789", 0.1234567890123456789),
        ("NaN", "NaN"),
        ("", ""),
        ("12,50", "12,50"),
        ("1_000", "1_000"),
        ("Infinity", "Infinity"),
        ("1e999", "1e999"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),  # int() would refuse it
    ],
)
def test_number_text_that_is_none_stays_text(implementation: ModuleType, text: str, value: Any) -> None:
    """8.2: drop or keep as string, never fail"""
    exactly(
        one(implementation, f"epn.x={text}&upn.y={text}"),
        {"x": value, "x-ga-mp2-user_properties": {"y": value}},
    )


def test_an_engagement_time_that_is_no_number_is_dropped(implementation: ModuleType) -> None:
    """2.2, captured as `_et=NaN`"""
    assert one(implementation, "_et=NaN") == one(implementation, "_et=") == {}


def test_event_parameters_keep_text_booleans_and_empty_values(implementation: ModuleType) -> None:
    """2.2, 11.1.6"""
    exactly(one(implementation, "ep.debug_mode=true&ep.x=&ep.n=5"), {"debug_mode": "true", "x": "", "n": "5"})


def test_empty_referrer_and_region_are_absent_an_empty_title_is_kept(implementation: ModuleType) -> None:
    """2.2"""
    exactly(one(implementation, "dr=&ur=&dt=&uid="), {"page_title": "", "user_id": ""})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("DE", {"country": "DE"}),
        ("BR-SP", {"country": "BR", "region": "SP"}),
        ("LV-080", {"country": "LV", "region": "080"}),
        ("US-", {"country": "US-"}),
    ],
)
def test_a_region_stands_without_its_country(implementation: ModuleType, text: str, value: Any) -> None:
    """2.2, 11.1.8"""
    exactly(one(implementation, f"ur={text}"), {"event_location": value})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("AEA", [14]),
        ("AAAAAAQ", [34]),
        ("AEAAAAQ", [14, 34]),
        ("IA", [5]),
        ("DA", [2, 3]),
        ("DAg", [2, 3, 11]),
        ("Q", "Q"),  # the 6 bits a character of 2022
        ("B", "B"),
        ("AAB", "AAB"),
        ("a b", "a b"),
        ("", ""),
        ("_" * 1000, "_" * 1000),
    ],
)
def test_event_usage_is_a_list_of_bits(implementation: ModuleType, text: str, value: Any) -> None:
    """11.1.5, google-runtime 6.3; `_tu` stays text"""
    seen = one(implementation, f"_eu={text}&_tu={text}")
    exactly(seen, {"x-ga-system_properties": {"eu": value, "tu": text}})


def test_system_parameters_lose_their_underscore(implementation: ModuleType) -> None:
    """2.2, 11.3"""
    seen = one(implementation, "_fv=2&_nsi=1&_ss=1&_c=1&_ee=1&_dbg=1&_fplc=0&_npa=1&_uip=::&_gaz=1&_new=x")
    members = {"fv": "2", "nsi": "1", "ss": "1", "c": "1", "ee": True, "dbg": "1", "fplc": "0"}
    members |= {"npa": "1", "uip": "::", "gaz": "1", "new": "x"}
    exactly(seen, {"x-ga-system_properties": members})


def test_unknown_names_are_kept(implementation: ModuleType) -> None:
    """2.2, the fallback rule; 11.2 cp and af; google-runtime 8a: cn and cs are campaign"""
    sent = {"cp": "a", "af": "b", "cn": "c", "cs": "d", "gap.sstd": "1", "ext.x": "2", "1p.y": "3"}
    sent |= {"pr201": "idx", "pr0": "idx", "pr01": "idx", "pr1id": "x", "ep.": "x", "_": "x", "EP.a": "x"}
    seen = one(implementation, "&".join(f"{name}={value}" for name, value in sent.items()))
    exactly(seen, {f"x-ga-mp2-{name}": value for name, value in sent.items()})


# -- objects ---------------------------------------------------------------------------------------


def test_client_hints_are_one_object_and_brands_are_decoded_twice(implementation: ModuleType) -> None:
    """2.5"""
    seen = one(
        implementation,
        "uaa=x86&ul=en&uab=64&uafvl=Not)A%253BBrand%3B24.0%7CGoogle%2520Chrome%3B116&uamb=1&uam=&uap=&uapv=1&uaw=",
    )
    hints = {
        "architecture": "x86",
        "bitness": "64",
        "full_version_list": [
            {"brand": "Not)A;Brand", "version": "24.0"},
            {"brand": "Google Chrome", "version": "116"},
        ],
        "mobile": True,
        "model": "",
        "platform": "",
        "platform_version": "1",
        "wow64": False,
    }
    exactly(seen, {"client_hints": hints, "language": "en"})


@pytest.mark.parametrize(
    ("text", "brands"),
    [
        ("", []),
        ("HeadlessChrome%3B%7CChromium%3B1", [("HeadlessChrome", ""), ("Chromium", "1")]),
        ("A%2520B%253B1%257CC%253B2", [("A B", "1"), ("C", "2")]),  # 11.2: encoded as a whole once more
        ("A", [("A", "")]),
        ("%7C%7C", []),
    ],
)
def test_odd_brand_lists_are_read(
    implementation: ModuleType, text: str, brands: list[tuple[str, str]]
) -> None:
    seen = one(implementation, f"uafvl={text}")["client_hints"]["full_version_list"]
    exactly(seen, [{"brand": brand, "version": version} for brand, version in brands])


def test_a_brand_list_is_bounded(implementation: ModuleType) -> None:
    (data,) = implementation.parse_collect(b"en=e&uafvl=" + b"A;1|" * 1000, b"")
    assert len(data["client_hints"]["full_version_list"]) == 50
    implementation.add_request_data([data], ((b"sec-ch-ua", b'"A";v="1",' * 1000),), "203.0.113.9", 0)
    assert len(data["client_hints"]["brands"]) == 50


def test_user_data_is_nested_and_numbered_steps_make_lists(implementation: ModuleType) -> None:
    """11.3, google-runtime 6.8"""
    seen = one(
        implementation,
        "ep.user_data.email.0=a&ep.user_data.email.1=b&ep.user_data.address.0.city=c&epn.user_data.age=3"
        "&ep.user_data.phone.1=d&ep.user_data._tag_mode=CODE&ep.user_dataset=e&ep.a.b=f",
    )
    user_data = {
        "email": ["a", "b"],
        "address": [{"city": "c"}],
        "age": 3,
        "phone": {"1": "d"},
        "_tag_mode": "CODE",
    }
    exactly(seen, {"user_data": user_data, "user_dataset": "e", "a.b": "f"})


@pytest.mark.parametrize("query", ["ep.user_data=t&ep.user_data.a=1", "ep.user_data.a=1&ep.user_data=t"])
def test_an_object_beats_a_text_of_the_same_name(implementation: ModuleType, query: str) -> None:
    """11.3"""
    exactly(one(implementation, query), {"user_data": {"a": "1"}})
    exactly(one(implementation, "ep.user_data=t"), {"user_data": "t"})
    seen = one(
        implementation, "ep.x-ga-system_properties=t&_ee=1&ep.client_hints=t&uaw=1&ur=DE&ep.event_location=t"
    )
    assert seen.pop("x-ga-system_properties") == {"ee": True}
    exactly(seen, {"client_hints": {"wow64": True}, "event_location": {"country": "DE"}})


def test_a_deep_path_is_bounded(implementation: ModuleType) -> None:
    node = one(implementation, "ep.user_data." + "a." * 5000 + "b=1")["user_data"]
    depth = 1
    while isinstance(node.get("a"), dict):
        node = node["a"]
        depth += 1
    assert depth == 8
    assert list(node.values()) == ["1"]


# -- items: ga4-protocol 1.3, google-runtime 6.4 -----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("idSKU~pr10.01~qt3~lp0", {"item_id": "SKU", "price": 10.01, "quantity": 3, "index": 0}),
        ("c2101 luminaires~c310 x", {"item_category2": "101 luminaires", "item_category3": "10 x"}),
        ("idx~k0region~v0US~nmy", {"item_id": "x", "region": "US", "item_name": "y"}),
        ("k1size_eu~v142", {"size_eu": "42"}),
        ("kAa~vA1~kZb~vZ2", {"a": "1", "b": "2"}),
        ("k0a~~b~v0c~~d", {"a~b": "c~d"}),
        ("nma~~b~~~brc", {"item_name": "a~b~", "item_brand": "c"}),
        ("nmTrail ~ Shoe~idx", {"item_name": "Trail ~ Shoe", "item_id": "x"}),
        ("nma%7Eidx", {"item_name": "a", "item_id": "x"}),
        ("ln", {"item_list_name": ""}),
        ("nmx~kvariant~v0y~brz", {"item_name": "x~kvariant~v0y", "item_brand": "z"}),
        ("idx~k0lonely", {"item_id": "x", "lonely": ""}),
        ("prfree~qt", {"price": "free", "quantity": ""}),
        ("nma~", {"item_name": "a~"}),
        ("piP~pnSale~cntop", {"promotion_id": "P", "promotion_name": "Sale", "creative_name": "top"}),
    ],
)  # fmt: skip
def test_an_item_is_pairs_between_single_tildes(
    implementation: ModuleType, text: str, item: dict[str, Any]
) -> None:
    exactly(one(implementation, f"pr1={text}"), {"items": [item]})


def test_items_stand_in_the_order_of_their_numbers(implementation: ModuleType) -> None:
    seen = one(implementation, "pr3=idc&ul=en&pr1=ida&pr2=idb&pr1=idz&pr200=idd")
    exactly(seen, {"items": [{"item_id": letter} for letter in "abcd"], "language": "en"})


def test_what_is_no_item_is_kept_like_an_unknown_name(implementation: ModuleType) -> None:
    exactly(one(implementation, "pr1=hello~idx&pr2="), {"x-ga-mp2-pr1": "hello~idx", "x-ga-mp2-pr2": ""})


# -- collisions: ga4-protocol 1.1, 2.6 -----------------------------------------------------------------


def test_the_event_keeps_its_name(implementation: ModuleType) -> None:
    assert one(implementation, "ep.event_name=configuration&epn.event_name=1") == {}
    assert implementation.parse_collect(b"ep.event_name=configuration&v=2", b"") == []


def test_an_event_parameter_replaces_a_shared_one_in_its_place(implementation: ModuleType) -> None:
    for query in ("dl=shared&ul=en&ep.page_location=own", "ep.page_location=own&ul=en&dl=shared"):
        exactly(one(implementation, query), {"page_location": "own", "language": "en"})


def test_of_repeated_names_the_first_stays_of_event_parameters_the_last(implementation: ModuleType) -> None:
    """1.1; google-runtime 6.2: the later form replaces the earlier"""
    exactly(one(implementation, "dl=a&dl=b&foo=1&foo=2&_c=1&_c=2"), {
        "page_location": "a", "x-ga-mp2-foo": "1", "x-ga-system_properties": {"c": "1"},
    })  # fmt: skip
    exactly(
        one(implementation, "ep.x=text&epn.x=5&up.y=1&upn.y=2"),
        {"x": 5, "x-ga-mp2-user_properties": {"y": 2}},
    )


# -- bodies: ga4-protocol 1.1, 2.3, 11.1.3, 11.3 --------------------------------------------------------


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\n\n", b"\r\n \t\r\n"])
def test_every_line_is_an_event(implementation: ModuleType, line_break: bytes) -> None:
    body = line_break.join([b"en=a&_et=1", b"en=b&dl=own", b""])
    first, second = implementation.parse_collect(b"v=2&dl=shared", body)
    protocol = {"x-ga-protocol_version": "2"}
    exactly(first, {"event_name": "a", "engagement_time_msec": 1, **protocol, "page_location": "shared"})
    exactly(second, {"event_name": "b", "page_location": "own", **protocol})


def test_objects_of_a_line_and_of_the_url_are_one(implementation: ModuleType) -> None:
    url = b"_fid=f&_ee=1&up.a=1&up.b=1&ur=BR-SP&ep.user_data.x=1&pr1=idurl&sst.tft=5"
    (data,) = implementation.parse_collect(
        url, b"en=a&_ee=0&up.a=2&ur=DE&ep.user_data.y=2&pr1=idline&ep.items=t"
    )
    exactly(data, {
        "event_name": "a",
        "x-ga-system_properties": {"ee": "0", "fid": "f"},
        "x-ga-mp2-user_properties": {"a": "2", "b": "1"},
        "event_location": {"country": "DE"},
        "user_data": {"y": "2", "x": "1"},
        "items": [{"item_id": "line"}],
        "x-sst-system_properties": {"tft": "5"},
    })  # fmt: skip


def test_events_of_a_batch_share_no_object(implementation: ModuleType) -> None:
    first, second = implementation.parse_collect(b"_fid=f&uafvl=A;1", b"en=a\nen=b")
    first["x-ga-system_properties"]["fid"] = "changed"
    first["client_hints"]["full_version_list"][0]["brand"] = "changed"
    assert second["x-ga-system_properties"] == {"fid": "f"}
    assert second["client_hints"]["full_version_list"] == [{"brand": "A", "version": "1"}]


def test_an_event_may_stand_partly_in_the_body(implementation: ModuleType) -> None:
    """A body without `en=` does not make an event of its own, nor of each of its lines."""
    exactly(implementation.parse_collect(b"v=2&en=a", b"ep.x=1\nep.y=2"), [
        {"x": "1", "y": "2", "x-ga-protocol_version": "2", "event_name": "a"},
    ])  # fmt: skip
    exactly(implementation.parse_collect(b"en=a", b"noise\nen=b"), [{"event_name": "b"}])
    exactly(
        implementation.parse_collect(b"", b"v=2&en=a"), [{"x-ga-protocol_version": "2", "event_name": "a"}]
    )


@pytest.mark.parametrize(
    ("query", "body"), [(b"", b""), (b"v=2", b""), (b"v=2", b"\r\n\n"), (b"en=", b"en="), (b"en", b"")]
)
def test_without_an_event_name_there_is_no_event(
    implementation: ModuleType, query: bytes, body: bytes
) -> None:
    """8.4"""
    assert implementation.parse_collect(query, body) == []


def test_a_body_cannot_ask_for_any_number_of_events(implementation: ModuleType) -> None:
    """google-runtime 6.5: gtag sends at most 20"""
    assert len(implementation.parse_collect(b"v=2", b"en=a\n" * 100_000)) == 100


# -- the table of names ---------------------------------------------------------------------------------


def test_names_are_remembered_without_mixing_them_up(implementation: ModuleType) -> None:
    """The core remembers 2,048 names; many more come here, twice, in one order and in the other."""
    names = [f"name{number}" for number in range(6000)]
    for order in (names, names[::-1]):
        (data,) = implementation.parse_collect(
            "&".join(["en=a", *(f"{n}={n}&ep.{n}=e{n}" for n in order)]).encode(), b""
        )
        assert all(data[f"x-ga-mp2-{name}"] == name and data[name] == f"e{name}" for name in order)


def test_long_names_are_read_too(implementation: ModuleType) -> None:
    for length in (40, 52, 53, 54, 55, 300):
        exactly(one(implementation, f"ep.{'n' * length}=1&{'m' * length}=2"), {
            "n" * length: "1", "x-ga-mp2-" + "m" * length: "2",
        })  # fmt: skip


def test_arguments_of_a_wrong_type_are_refused() -> None:
    for arguments in (("v=2", b""), (b"v=2", None), (None, b"")):
        with pytest.raises(TypeError):
            fast.parse_collect(*arguments)  # type: ignore[arg-type]


def test_the_generated_names_are_current() -> None:
    generator = ROOT / "sgtm" / "_fast" / "gen_keys.py"
    assert subprocess.run([sys.executable, str(generator), "--check"], check=False).returncode == 0
