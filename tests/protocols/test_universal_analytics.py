"""Universal Analytics hits to event data. SPEC: ga4-protocol 4 and 11.2."""

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.protocols.universal_analytics import (
    MAX_HITS,
    events_from_mpv1,
    why_not_a_hit,
    without_last_part,
)

HIT = "v=1&tid=UA-1-1&cid=555"


def get(query, **request):
    return make_request({"target": f"/collect?{query}", **request})


def post(body, target="/collect", **request):
    return make_request({"method": "POST", "target": target, "body": body, **request})


def read(query, **request):
    (data,) = events_from_mpv1(get(query, **request))
    return data


def split(query):
    return events_from_mpv1(get(f"{HIT}&{query}"), splits_ecommerce=True)


def names(events):
    return [data["event_name"] for data in events]


def test_an_event_is_as_it_was_seen_of_googles_client():
    # ga4-protocol 4: the event object of the Snowplow tag's test, in its order; `value` is ours
    query = "v=1&tid=UA-XXXXX-Y&cid=555&t=event&ec=video&ea=play&el=holiday&ev=300"
    data = read(query, headers={"User-Agent": "Mozilla"}, remote_address="")
    assert list(data.items()) == [
        ("x-ga-protocol_version", "1"),
        ("x-ga-measurement_id", "UA-XXXXX-Y"),
        ("client_id", "555"),
        ("event_category", "video"),
        ("event_action", "play"),
        ("event_label", "holiday"),
        ("x-ga-mp1-ev", "300"),
        ("event_name", "play"),
        ("value", 300),
        ("user_agent", "Mozilla"),
        ("x-ga-path", "c"),
    ]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("t=pageview", "page_view"),
        ("t=screenview", "screen_view"),
        ("t=event&ea=Add to cart", "Add to cart"),
        ("t=event", "event"),
        ("t=timing", "timing_complete"),
        ("t=exception", "exception"),
        ("t=social", "social"),
        ("t=transaction", "transaction"),
        ("", ""),
    ],
)
def test_the_name_comes_from_type_and_action(query, name):
    assert read(f"{HIT}&{query}")["event_name"] == name


def test_what_has_no_common_key_keeps_its_name_behind_a_prefix():
    # ga4-protocol 4: the fallback, seen as `-heureka_gtm_ga_info`
    data = read(f"{HIT}&t=pageview&cd1=gold&cm2=7&heureka_gtm_ga_info=a+b%26c&qt=x")
    assert {key: data[key] for key in data if key.startswith("x-ga-mp1-")} == {
        "x-ga-mp1-cd1": "gold",
        "x-ga-mp1-cm2": "7",
        "x-ga-mp1-heureka_gtm_ga_info": "a b&c",
        "x-ga-mp1-qt": "x",
    }


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (get("v=1&tid=UA-1"), None),
        (post("v=1&tid=UA-1"), None),  # 11.2: nothing in the query
        (get("v=2&tid=G-1"), "v is not 1"),
        (get("tid=UA-1"), "the parameter v is missing"),
        (get("v=1&cid=5"), "the parameter tid is missing"),
        (get("v=1&tid="), "the parameter tid is missing"),
        (post(""), "the parameter v is missing"),
    ],
    ids=range(7),
)
def test_what_a_request_lacks_is_said(request_, why):
    assert why_not_a_hit(request_) == why
    assert bool(events_from_mpv1(request_)) == (why is None)


@pytest.mark.parametrize("between", ["\n", "\r\n", "\r\n\n"])
def test_each_line_of_a_batch_is_a_hit_and_no_more_than_twenty_are(between):
    # ga4-protocol 4: one hit per body line, at most 20
    lines = between.join(f"{HIT}&t=event&ea=e{number}" for number in range(25))
    assert names(events_from_mpv1(post(lines, "/batch"))) == [f"e{number}" for number in range(MAX_HITS)]
    mixed = f"{HIT}&t=event&ea=a\nv=2&tid=G-1\nnothing\nv=1&tid=UA-2&t=event&ea=b"
    assert names(events_from_mpv1(post(mixed, "/batch"))) == ["a", "b"]


def test_the_line_wins_over_the_url():
    assert (
        events_from_mpv1(post(f"{HIT}&t=pageview&ds=web", "/collect?ds=app&z=1"))[0].items()
        >= {
            "x-ga-mp1-ds": "web",
            "x-ga-mp1-z": "1",
        }.items()
    )


@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("", "203.0.113.9"),
        ("uip=198.51.100.77", "198.51.100.77"),
        ("uip=198.51.100.77&aip=1", "198.51.100.0"),
        ("aip=0", "203.0.113.0"),  # Google's: present in any form
        ("aip=", "203.0.113.0"),
        ("uip=2001:db8:1:2:3:4:5:6&aip=1", "2001:db8:1::"),
        ("uip=nowhere", "203.0.113.9"),
    ],
)
def test_the_address_is_the_hits_and_loses_its_last_part_on_demand(query, address):
    data = read(f"{HIT}&t=pageview&{query}")
    assert data["ip_override"] == address
    assert "uip" not in str(data)


def test_an_address_that_is_none_is_never_passed_on():
    assert without_last_part("") == without_last_part("127.0.0.1:80") == ""


@pytest.mark.parametrize(
    ("waited", "at_ms"),
    [("0", 0), ("3500", 3500), ("2592000000", 2_592_000_000)]
    + [(bad, None) for bad in ("2592000001", "-1", "1.5", "", "1e3")],
)
def test_a_hit_that_waited_is_dated_back(waited, at_ms):
    data = read(f"{HIT}&t=pageview&qt={waited}")
    wanted = None if at_ms is None else 1_764_000_000_000_000 - 1000 * at_ms
    assert data.get("timestamp_micros") == wanted


def test_products_impressions_and_promotions_become_items_in_order():
    # ga4-protocol 4 (names), 2.2 (numbers)
    product = (
        "pr2id=B&pr1id=A&pr1nm=Bag&pr1br=Acme&pr1ca=Bags/Small&pr1va=red&pr1pr=9.90&pr1qt=2&pr1cc=TEN"
        "&pr1ps=1&pr1cd3=x&pr1cm4=5&pr1pr2=z&pr2pr=cheap"
    )
    data = read(f"{HIT}&t=pageview&pa=add&{product}")
    assert data["items"] == [
        {
            "item_id": "A",
            "item_name": "Bag",
            "item_brand": "Acme",
            "item_category": "Bags",
            "item_category2": "Small",
            "item_variant": "red",
            "price": 9.9,
            "quantity": 2,
            "coupon": "TEN",
            "index": 1,
            "dimension3": "x",
            "metric4": 5,
        },
        {"item_id": "B"},
    ]
    assert data["x-ga-mp1-pr1pr2"] == "z"
    listed = read(f"{HIT}&t=pageview&il1nm=Sale&il1pi2id=D&il1pi1id=C&il2pi1id=E")
    assert listed["items"] == [
        {"item_id": "C", "item_list_name": "Sale"},
        {"item_id": "D", "item_list_name": "Sale"},
        {"item_id": "E"},
    ]
    assert read(f"{HIT}&t=pageview&promo1id=P&promo1nm=N&promo1cr=C&promo1ps=top")["items"] == [
        {"promotion_id": "P", "promotion_name": "N", "creative_name": "C", "creative_slot": "top"}
    ]


def test_what_a_hit_says_of_a_shop_is_an_event_of_its_own_behind_it():
    view, purchase = split("t=pageview&dt=Thanks&pa=purchase&ti=T1&tr=20.50&tt=3&ts=1&tcc=C&cu=EUR&pr1id=A")
    assert (view["event_name"], view["page_title"]) == ("page_view", "Thanks")
    assert not view.keys() & {"value", "transaction_id", "items", "x-ga-mp1-tr", "currency"}
    assert (
        purchase.items()
        >= {
            "event_name": "purchase",
            "transaction_id": "T1",
            "value": 20.5,
            "tax": 3,
            "shipping": 1,
            "coupon": "C",
            "currency": "EUR",
            "x-ga-mp1-pa": "purchase",
            "page_title": "Thanks",
        }.items()
    )
    assert purchase["items"] == [{"item_id": "A"}]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("t=event&ea=purchase&pa=purchase&ti=1", ["purchase"]),  # not twice
        ("t=event&ea=Purchase&pa=purchase&ti=1", ["Purchase", "purchase"]),
        ("t=pageview&pa=checkout", ["page_view", "begin_checkout"]),
        ("t=pageview&pa=checkout&cos=1", ["page_view", "begin_checkout"]),
        ("t=pageview&pa=checkout&cos=2", ["page_view", "checkout_progress"]),
        ("t=pageview&pa=dance", ["page_view"]),
        (
            "t=pageview&pa=detail&pr1id=a&il1pi1id=b&promo1id=c",
            ["page_view", "view_item", "view_item_list", "view_promotion"],
        ),
        ("t=event&ea=x&promo1id=c&promoa=click", ["x", "select_promotion"]),
        ("t=transaction&ti=1", ["purchase"]),
        ("t=item&ti=1", ["item"]),
    ],
)
def test_the_shops_events_have_ga4s_names(query, wanted):
    assert names(split(query)) == wanted


def test_the_value_of_an_event_is_not_that_of_what_the_shop_says():
    event, purchase = split("t=event&ea=buy&ev=7&pa=purchase&tr=20&cu=EUR")
    assert (event["value"], event["currency"], purchase["value"]) == (7, "EUR", 20)
    assert "x-ga-mp1-ev" not in purchase


def test_items_join_the_transaction_of_their_request():
    body = "\n".join(
        f"{HIT}&{line}"
        for line in (
            "t=item&ti=T1&in=Bag&ip=9.90&iq=2&ic=A&iv=Bags",
            "t=transaction&ti=T1&tr=19.8",
            "t=item&ti=T2&ic=B",
            "t=transaction&ti=T1&tr=19.8",
        )
    )
    events = events_from_mpv1(post(body, "/batch"), splits_ecommerce=True)
    assert names(events) == ["purchase", "item", "purchase"]
    assert [data.get("items") for data in events] == [
        [{"item_id": "A", "item_name": "Bag", "item_category": "Bags", "price": 9.9, "quantity": 2}],
        [{"item_id": "B"}],
        None,
    ]


def test_a_senders_own_address_and_agent_are_left_out_on_demand():
    request = get(f"{HIT}&t=pageview", headers={"User-Agent": "node"})
    (data,) = events_from_mpv1(request, adds_request_data=False)
    assert not data.keys() & {"ip_override", "user_agent"}
    (data,) = events_from_mpv1(get(f"{HIT}&ua=Phone&uip=198.51.100.7"), adds_request_data=False)
    assert (data["ip_override"], data["user_agent"]) == ("198.51.100.7", "Phone")


WIRE = st.lists(
    st.tuples(
        st.sampled_from(
            [b"v", b"tid", b"t", b"ti", b"pa", b"tr", b"qt", b"aip", b"uip", b"dh", b"dp", b"cos"]
            + [b"pr1id", b"pr001ca", b"pr1cd1", b"il1nm", b"il1pi1pr", b"promo1ps", b"ic", b"ev"]
        )
        | st.binary(max_size=5),
        st.sampled_from([b"1", b"UA-1", b"item", b"transaction", b"purchase", b"::", b"/", b"9" * 400])
        | st.binary(max_size=9),
    ).map(b"=".join),
    max_size=12,
).map(b"&".join)


@given(query=WIRE, lines=st.lists(WIRE.map(b"v=1&tid=U&".__add__) | WIRE, max_size=4), splits=st.booleans())
def test_no_bytes_raise_and_every_event_can_be_written(query, lines, splits):
    request = msgspec.structs.replace(post(""), query=query, body=b"\n".join(lines))
    events = events_from_mpv1(request, splits_ecommerce=splits)
    assert len(events) <= 4 * max(len(lines), 1)
    assert all(isinstance(data["event_name"], str) for data in events)
    assert msgspec.json.decode(msgspec.json.encode(events)) == events


def test_many_parameters_and_items_cost_what_their_bytes_do():
    body = f"{HIT}&" + "&".join(f"pr{number}id={number}" for number in range(2000))
    (data,) = events_from_mpv1(post(body))
    assert len(data["items"]) == 1000 - 3  # the query reader's bound
