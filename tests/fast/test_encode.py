"""Event data -> GA4 hit: examples from the spec, the twin, and the way there and back."""

import json
from pathlib import Path
from typing import Any

import pytest
from fast.strategies import bodies, queries
from hypothesis import example, given
from hypothesis import strategies as st
from reference import encode as twin

from sgtm._fast import encode as fast
from sgtm._fast.collect import parse_collect

ROOT = Path(__file__).parents[2]
HITS = [json.loads(line) for line in (ROOT / "tests/vectors/ga4-hits.jsonl").read_text().splitlines()]
ROWS = [
    line.split("\t")
    for line in (ROOT / "sgtm/_fast/keys.tsv").read_text().splitlines()
    if not line.startswith("#")
][1:]


def pairs(query: bytes) -> list[str]:
    """The parameters of a hit, still encoded."""
    return query.decode("ascii").split("&") if query else []


def encoded(implementation: Any, **data: Any) -> list[str]:
    return pairs(implementation.encode_query(data))


# -- order ----------------------------------------------------------------------------------------


def test_blocks_stand_in_the_order_of_gtag(implementation: Any) -> None:
    """google-runtime 6.1: shared block, _s, page block, event block, tfd."""
    data = {
        "x-ga-tfd": 565,
        "x-ga-mp2-ext.a": "1",
        "x-ga-mp2-user_properties": {"plan": "pro"},
        "value": 1,
        "engagement_time_msec": 5,
        "coupon": "A",
        "x-ga-mp2-gap.a": "1",
        "items": [{"item_id": "1"}],
        "x-ga-system_properties": {
            "tu": "BA",
            "eu": [34],
            "ee": True,
            "ss": "1",
            "fv": "1",
            "nsi": "1",
            "c": "1",
        },
        "event_name": "purchase",
        "page_title": "T",
        "currency": "EUR",
        "x-ga-mp2-tag_exp": "1~2",
        "x-ga-request_count": 3,
        "language": "en-us",
        "client_id": "1.2",
        "x-ga-dma": "0",
        "x-ga-gcd": "13l3l3l3l1l1",
        "x-ga-gcs": "G111",
        "x-ga-page_id": 1764,
        "x-ga-gtm_version": "45je",
        "x-ga-measurement_id": "G-1",
        "x-ga-protocol_version": "2",
    }
    names = [pair.split("=")[0] for pair in pairs(implementation.encode_query(data))]
    assert " ".join(names) == (
        "v tid gtm _p gcs gcd dma _eu ul cid _s tag_exp _tu dt cu en _fv _nsi _ss _c _ee pr1 "
        "gap.a epn.value _et ep.coupon up.plan ext.a tfd"
    )


def test_blocks_that_take_turns_a_thousand_times_are_sorted_all_the_same(implementation: Any) -> None:
    data = {}
    for number in range(1000):
        data |= {f"a{number}": "x", f"x-ga-mp2-b{number}": "y"}
    shared = [f"b{number}=y" for number in range(1000)]
    assert encoded(implementation, **data) == shared + [f"ep.a{number}=x" for number in range(1000)]


def test_event_parameters_keep_the_order_of_the_event_data(implementation: Any) -> None:
    assert encoded(implementation, b="1", a=2, c="3") == ["ep.b=1", "epn.a=2", "ep.c=3"]


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b", "ep.x=a%20b"),  # ga4-protocol 1.1: encodeURIComponent
        ("-_.!~*'()", "ep.x=-_.!~*'()"),
        ("+&=%#/?", "ep.x=%2B%26%3D%25%23%2F%3F"),
        ("é€😀", "ep.x=%C3%A9%E2%82%AC%F0%9F%98%80"),
        ("\ud800x", "ep.x=%EF%BF%BDx"),  # a lone surrogate never raises
        (True, "ep.x=true"),  # google-runtime 6.2 and ga4-protocol 11.1.6
        (False, "ep.x=false"),
        (None, "ep.x="),
        ("", "ep.x="),
        ([1, None, "a", [True, 2.5]], "ep.x=1%2C%2Ca%2Ctrue%2C2.5"),
        ({"a": 1}, "ep.x=%5Bobject%20Object%5D"),
        (float("nan"), "ep.x=NaN"),
        (b"a\xff", "ep.x=a%EF%BF%BD"),
        (30.03, "epn.x=30.03"),
        (10.0, "epn.x=10"),
        (-0.0, "epn.x=0"),
        (1e-6, "epn.x=0.000001"),
        (1e-7, "epn.x=1e-7"),
        (1.5e-10, "epn.x=1.5e-10"),
        (1e20, "epn.x=100000000000000000000"),
        (1e21, "epn.x=1e%2B21"),
        (-1.25e300, "epn.x=-1.25e%2B300"),
        (5e-324, "epn.x=5e-324"),
        (123456.789e3, "epn.x=123456789"),
        (float("inf"), "epn.x=Infinity"),
        (float("-inf"), "epn.x=-Infinity"),
        (1747422523211, "epn.x=1747422523211"),
        (2**53 + 1, "epn.x=9007199254740993"),  # 11.2: never through a float
        (10**400, "epn.x=Infinity"),
    ],
)
def test_a_parameter_has_the_text_that_javascript_writes(
    implementation: Any, value: Any, expected: str
) -> None:
    assert encoded(implementation, x=value) == [expected]


def test_known_names_have_one_and_zero_for_booleans_and_null_is_empty(implementation: Any) -> None:
    """google-runtime 6.2."""
    data = {"x-ga-lps": True, "user_id": None, "x-ga-dma": False, "page_title": "", "x-ga-mp2-frm": 0}
    assert pairs(implementation.encode_query(data)) == ["dma=0", "lps=1", "frm=0", "uid=", "dt="]


def test_an_empty_referrer_is_not_sent(implementation: Any) -> None:
    """google-runtime 6.3."""
    assert encoded(implementation, page_referrer="") == []


def test_engagement_that_is_no_number_is_an_ordinary_parameter(implementation: Any) -> None:
    assert encoded(implementation, engagement_time_msec="100") == ["_et=100"]
    assert encoded(implementation, engagement_time_msec="soon") == ["ep.engagement_time_msec=soon"]


@pytest.mark.parametrize("value", [..., object(), 1j])
def test_what_json_does_not_know_is_left_out(implementation: Any, value: object) -> None:
    data = {"x": value, "client_id": value, "items": value, "user_data": {"a": value}, 5: "not a text"}
    assert implementation.encode_query(data) == b""


# -- objects --------------------------------------------------------------------------------------


def test_items_are_pairs_of_codes_with_doubled_tildes(implementation: Any) -> None:
    """google-runtime 6.4: `~` doubled in values and custom names, index characters 0-9 then A-Q."""
    items = [
        {"item_id": "a~b", "price": 10.0, "region": "US", "si~ze": "~", "coupon": None, "item_list_name": ""},
        "no item",
        {},
        {"item_name": True},
    ]
    assert encoded(implementation, items=items) == [
        "pr1=ida~~b~pr10~k0region~v0US~k1si~~ze~v1~~~ln",
        "pr2=nmtrue",
    ]


def test_an_item_has_at_most_27_custom_parameters_and_a_hit_200_items(implementation: Any) -> None:
    (pair,) = encoded(implementation, items=[{f"c{number}": number for number in range(30)}])
    assert "~k9c9~v99~kAc10~vA10~" in pair
    assert pair.endswith("~kQc26~vQ26")
    assert encoded(implementation, items=[{"item_id": "1"}] * 201)[-1] == "pr200=id1"


def test_user_data_are_flattened_with_dots_and_positions(implementation: Any) -> None:
    """google-runtime 6.8."""
    data = {"user_data": {"email": ["a@b.c"], "address": [{"city": "Köln", "zip": 5}], "x": None, "y": {}}}
    assert pairs(implementation.encode_query(data)) == [
        "ep.user_data.email.0=a%40b.c",
        "ep.user_data.address.0.city=K%C3%B6ln",
        "epn.user_data.address.0.zip=5",
        "ep.user_data.x=",
    ]


def test_one_long_name_is_not_repeated_before_each_of_its_members(implementation: Any) -> None:
    """A hit grows with its event, not with the square of it: paths of user data above 100 characters."""
    longest = "x" * (100 - len("user_data..a"))
    data = {"user_data": {"x" * 500: {"a": 1}, longest: {"a": 1, "bc": 2}}}
    assert pairs(implementation.encode_query(data)) == [f"epn.user_data.{longest}.a=1"]


def test_two_hundred_parameters_of_user_data_are_sent(implementation: Any) -> None:
    """A name is repeated before each of its members, and escaped: a hit must not explode."""
    data = {"user_data": {"email": ["a"] * 150, "phone": ["b"] * 150, "c": {}}}
    sent = pairs(implementation.encode_query(data))
    assert len(sent) == 200
    assert sent[-1] == "ep.user_data.phone.49=b"


def test_user_properties_are_up_or_upn_by_type(implementation: Any) -> None:
    data = {"x-ga-mp2-user_properties": {"a": "1", "b": 1, "c": True, "d": None}}
    assert pairs(implementation.encode_query(data)) == ["up.a=1", "upn.b=1", "up.c=true", "up.d="]


@pytest.mark.parametrize(
    ("bits", "text"),
    # ga4-protocol 11.1.5
    [
        ([34], "AAAAAAQ"),
        ([14], "AEA"),
        ([14, 34], "AEAAAAQ"),
        ([5], "IA"),
        ([], "AA"),
        ("Q", "Q"),
        ([-1, 400], "AA"),
    ],
)
def test_the_event_usage_bits_are_web_safe_base64(implementation: Any, bits: Any, text: str) -> None:
    assert pairs(implementation.encode_query({"x-ga-system_properties": {"eu": bits}})) == [f"_eu={text}"]


def test_client_hints_and_region_go_back_to_their_parameters(implementation: Any) -> None:
    """ga4-protocol 2.5: brands are encoded twice; hints from headers keep quotes, which stay here."""
    hints = {
        "architecture": "arm",
        "full_version_list": [
            {"brand": "Not.A/Brand", "version": "99.0"},
            {"brand": "Chromium", "version": ""},
        ],
        "mobile": False,
        "model": "",
        "brands": [{"brand": "Chromium", "version": "136"}],
        "platform": '"macOS"',
    }
    data = {"client_hints": hints, "event_location": {"country": "BR", "region": "SP"}}
    assert pairs(implementation.encode_query(data)) == [
        "uaa=arm",
        "uafvl=Not.A%252FBrand%3B99.0%7CChromium%3B",
        "uamb=0",
        "uam=",
        "uap=macOS",
        "ur=BR-SP",
    ]


def test_an_object_under_a_built_in_name_that_is_none_is_an_ordinary_parameter(implementation: Any) -> None:
    data = {
        "items": "two",
        "user_data": "x",
        "client_hints": 5,
        "event_location": "here",
        "currency": ["EUR"],
    }
    assert pairs(implementation.encode_query(data)) == [
        "ep.items=two",
        "ep.user_data=x",
        "epn.client_hints=5",
        "ep.event_location=here",
        "ep.currency=EUR",
    ]


# -- what is sent on, and what not ----------------------------------------------------------------


def test_internal_keys_are_not_sent_on(implementation: Any) -> None:
    """ga4-protocol 6."""
    data = {
        "x-sst-system_properties": {"tft": "1"},
        "x-ga-js_client_id": "1.2",
        "x-ga-mp2-richsstsse": "",
        "user_agent": "Mozilla",
        "x-ga-gcs-origin": "not-specified",
        "x-ga-system_properties": {"s": "9", "p": "1", "": "x"},
    }
    assert implementation.encode_query(data) == b""


def test_unknown_parameters_go_back_under_their_bare_names(implementation: Any) -> None:
    """ga4-protocol 8.3."""
    data = {
        "x-ga-mp2-foo bar": "1",
        "x-ga-mp2-gap.sstd": "1",
        "x-ga-system_properties": {"zz": "2"},
        "event_name": "e",
    }
    assert pairs(implementation.encode_query(data)) == ["foo%20bar=1", "_zz=2", "en=e", "gap.sstd=1"]


@pytest.mark.parametrize("name", ["tid", "cid", "_p", "ep.x", "epn.x", "up.x", "upn.x", "sst.x", "_x", ""])
def test_an_unknown_parameter_never_takes_the_name_of_another(implementation: Any, name: str) -> None:
    """A site's `ep.x-ga-mp2-tid` must not become a second `tid`."""
    assert implementation.encode_query({f"x-ga-mp2-{name}": "G-EVIL"}) == b""


def test_the_address_of_the_visitor_is_uip_and_beats_the_one_of_the_hit(implementation: Any) -> None:
    """ga4-protocol 6."""
    system = {"x-ga-system_properties": {"uip": "::"}}
    assert pairs(implementation.encode_query(system)) == ["_uip=%3A%3A"]
    assert pairs(implementation.encode_query({"ip_override": "192.0.2.1", **system})) == ["_uip=192.0.2.1"]


# -- the body -------------------------------------------------------------------------------------


def test_the_event_block_moves_to_the_body_when_the_query_is_too_long(implementation: Any) -> None:
    """google-runtime 6.5; tfd is added at sending, to the URL."""
    data = {
        "event_name": "e",
        "page_title": "T",
        "x-ga-tfd": 1,
        "x": "y",
        "x-ga-mp2-user_properties": {"p": 1},
        "x-ga-mp2-ext.a": "1",
    }
    whole = b"dt=T&en=e&ep.x=y&upn.p=1&ext.a=1&tfd=1"
    assert implementation.encode_query(data) == whole
    assert implementation.encode_request(data, len(whole)) == (whole, b"")
    assert implementation.encode_request(data, len(whole) - 1) == (
        b"dt=T&tfd=1",
        b"en=e&ep.x=y&upn.p=1&ext.a=1",
    )


def test_no_event_data_is_an_empty_hit(implementation: Any) -> None:
    assert implementation.encode_query({}) == b""
    assert implementation.encode_request({}, 0) == (b"", b"")
    assert implementation.encode_request({}, -1) == (b"", b"")


def test_only_a_dict_is_event_data() -> None:
    for wrong in (None, [], "en=x"):
        with pytest.raises(TypeError):
            fast.encode_query(wrong)  # type: ignore[arg-type]


# -- equality with the twin -----------------------------------------------------------------------

TOP_KEYS = [key for wire, key, _, _ in ROWS if "*" not in wire and "." not in key]
MEMBERS = [key.split(".")[-1] for wire, key, _, _ in ROWS if "." in key and "*" not in wire]
texts = st.text(max_size=8) | st.sampled_from(
    ["", "a~b", "~", "\ud83d\ude00", "\ud800", "ü€😀", "100%&=+", '"macOS"', "12", "1.5", "٣"]
)
scalars = st.one_of(
    st.sampled_from([None, True, False, ..., -0.0, 1e21, 1e-7, 0.1]),
    st.integers(-(2**140), 2**140),
    st.integers(0, 400),
    st.floats(),
    texts,
    st.binary(max_size=5),
)
members = st.sampled_from(
    [*MEMBERS, "country", "region", "brands", "brand", "version", "p", "s", "0", "a.b", "foo~"]
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner),
        st.dictionaries(members | texts | st.integers(), inner, max_size=6),
    ),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        *TOP_KEYS,
        *("items", "user_data", "client_hints", "x-ga-system_properties", "x-ga-mp2-user_properties"),
        *("ip_override", "user_agent", "x-ga-mp2-gap.x", "x-ga-mp2-ext.y", "x-ga-mp2-foo", "x-ga-mp2-tid"),
        *("x-ga-mp2-ep.x", "x-ga-mp2-_", "x-ga-mp2-", "x-ga-mp2-pr1", "x-sst-x", "x-ga-foo", "x-ads-apve"),
    ]
)
event_data = st.dictionaries(keys | texts | st.integers(), values, max_size=10)


@given(data=event_data, max_query=st.integers(-1, 300))
@example(data={"x": 2**128}, max_query=0)
@example(data={"x": -(2**128) + 1}, max_query=0)
@example(data={"x": 5.960464477539063e-08}, max_query=0)
@example(data={"x": "a" * 10_000, "items": [{"item_id": "ü" * 5_000}]}, max_query=0)
def test_core_and_twin_encode_alike(data: dict[Any, Any], max_query: int) -> None:
    assert fast.encode_query(data) == twin.encode_query(data)
    assert fast.encode_request(data, max_query) == twin.encode_request(data, max_query)


@given(value=st.floats() | st.integers())
def test_core_and_twin_write_numbers_alike(value: float) -> None:
    assert fast.encode_query({"x": value}) == twin.encode_query({"x": value})


def test_every_character_is_escaped_alike() -> None:
    for text in [*map(chr, range(0x250)), "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]:
        data = {text: text, "items": [{text: text}], "client_hints": {"full_version_list": [{"brand": text}]}}
        assert fast.encode_query(data) == twin.encode_query(data)


@pytest.mark.parametrize("holder", ["list", "dict"])
def test_deep_nesting_is_bounded(implementation: Any, holder: str) -> None:
    deep: Any = "leaf"
    for _ in range(100_000):
        deep = [deep] if holder == "list" else {"a": deep}
    data = {"x": deep, "user_data": deep, "x-ga-mp2-user_properties": {"p": deep}, "items": [{"i": deep}]}
    assert len(implementation.encode_query(data)) < 400
    while isinstance(deep, (list, dict)):  # taken apart from outside, or Python's own clean-up recurses
        deep = deep.pop() if isinstance(deep, list) else deep.pop("a")


def test_lists_are_followed_sixteen_levels_deep(implementation: Any) -> None:
    deep: Any = "leaf"
    for _ in range(16):
        deep = [deep]
    assert encoded(implementation, x=deep, y=[deep]) == ["ep.x=leaf", "ep.y="]


# -- there and back -------------------------------------------------------------------------------


def forwarded(data: dict[str, Any]) -> dict[str, Any]:
    """Event data without what ga4-protocol 6 says is not sent on."""
    return {
        key: value
        for key, value in data.items()
        if not key.startswith("x-sst-")
        and key not in ("x-ga-mp2-richsstsse", "x-ga-js_client_id", "user_agent")
    }


@pytest.mark.parametrize("hit", HITS, ids=range(len(HITS)))
def test_recorded_hits_come_back_unchanged(implementation: Any, hit: dict[str, str]) -> None:
    for data in parse_collect(hit["target"].partition("?")[2].encode(), hit["body"].encode()):
        expected = forwarded(data)
        assert parse_collect(implementation.encode_query(data), b"") == [expected]
        for max_query in (0, 300):
            assert parse_collect(*implementation.encode_request(data, max_query)) == [expected]


def test_a_recorded_hit_comes_back_parameter_for_parameter(implementation: Any) -> None:
    """The whole add_to_cart vector: nothing lost but sst.* and richsstsse, every value byte for byte."""
    hit = next(hit for hit in HITS if hit["note"].startswith("sGTM add_to_cart"))
    query = hit["target"].partition("?")[2]
    (data,) = parse_collect(query.encode(), b"")
    sent_on = [pair for pair in query.split("&") if not pair.startswith(("sst.", "richsstsse"))]
    assert sorted(pairs(implementation.encode_query(data))) == sorted(sent_on)


@given(query=queries, body=bodies)
def test_encoding_what_was_parsed_is_stable(query: bytes, body: bytes) -> None:
    """Whatever came in: the second time round nothing changes any more. (The first time, a site
    parameter that took the name of a built-in key becomes that key: `ep.currency` goes out as `cu`.)"""
    for data in parse_collect(b"en=e&" + query, body):
        first = parse_collect(b"en=e&" + fast.encode_query(data), b"")
        second = parse_collect(b"en=e&" + fast.encode_query(first[0]), b"")
        assert first == second


names = st.text("aZ0_é~ ", min_size=1, max_size=6)
sent_texts = st.text(max_size=10)
numbers = st.integers(-(10**15), 10**15) | st.sampled_from([0.1, 30.03, 1e-7, 1.5e300, -2.25, 1e21])
sites_own = st.dictionaries(names.map("my_{}".format), sent_texts | numbers, max_size=5)


@given(
    parameters=sites_own,
    properties=sites_own,
    user_data=sites_own,
    item=st.dictionaries(names.map("my_{}".format), sent_texts, min_size=1, max_size=5),
    known=st.dictionaries(
        st.sampled_from(["client_id", "page_title", "currency", "x-ga-mp2-foo"]), sent_texts
    ),
)
def test_what_an_event_says_comes_back_exactly(
    parameters: dict[str, Any],
    properties: dict[str, Any],
    user_data: dict[str, Any],
    item: dict[str, str],
    known: dict[str, str],
) -> None:
    data = {"event_name": "e", **parameters, **known, "items": [{"item_id": "i", "price": 1.5, **item}]}
    data |= {"x-ga-mp2-user_properties": properties} if properties else {}
    data |= {"user_data": {"address": [user_data]}} if user_data else {}
    assert parse_collect(fast.encode_query(data), b"") == [data]
